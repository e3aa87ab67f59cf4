"""A trace, as the page shows it: calls with what was sent and answered, feedback, verdicts and other decisions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

__all__ = ["steps"]

_REPEATED = frozenset({"candidate", "answer", "token", "retry", "restart", "result"})
"""Events whose text stands in a call or beside it already."""

_MOST = 200
"""Steps of one attempt; a longer trace is cut, and says so."""


def steps(trace: Iterable[Mapping[str, Any]], number: Callable[[str], int]) -> Iterator[dict[str, Any]]:
    """Yield what happened, each long text as the number that `number` gives it."""
    told = [entry for entry in trace if entry.get("event") not in _REPEATED]
    for entry in told[:_MOST]:
        yield _call(entry, number) if entry.get("event") == "call" else _decision(entry, number)
    if len(told) > _MOST:
        yield {"event": f"{len(told) - _MOST} more steps are left out here", "node": "", "facts": {}}


def _call(entry: Mapping[str, Any], number: Callable[[str], int]) -> dict[str, Any]:
    return {
        "event": "call",
        "node": str(entry.get("node", "")),
        "model": str(entry.get("model", "")),
        "sent": [_message(message, number) for message in entry.get("prompt") or ()],
        "answers": [number(_text(_said(answer))) for answer in entry.get("answers") or ()],
        "errors": [number(_text(error)) for error in entry.get("errors") or ()],
    }


def _message(message: Any, number: Callable[[str], int]) -> list[Any]:
    if not isinstance(message, Mapping):
        return ["", number(_text(message))]
    return [str(message.get("role", "")), number(_text(message.get("content")))]


def _said(answer: Any) -> Any:
    return answer.get("text") if isinstance(answer, Mapping) else answer


def _decision(entry: Mapping[str, Any], number: Callable[[str], int]) -> dict[str, Any]:
    facts = {str(key): number(_text(value)) for key, value in entry.items() if key not in ("event", "node")}
    return {"event": str(entry.get("event", "")), "node": str(entry.get("node", "")), "facts": facts}


def _text(value: Any) -> str:
    """Return a value as text: messages of several parts, and numbers, as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
