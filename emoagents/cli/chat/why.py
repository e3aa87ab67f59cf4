"""How the last reply was made, as far as that is known."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from emoagents.cli.chat.conversation import Reply
from emoagents.cli.chat.label import feeling_of
from emoagents.cli.events import telling_line
from emoagents.cli.layout import Row
from emoagents.cli.output import usage_line
from emoagents.cli.text import one_line
from emoagents.result import Result
from emoagents.strategies.base import Strategy

__all__ = ["why_rows"]

_BAR = 24
"""Signs of a bar that stands for all."""
_EVENTS = 30
_ASKED_TO_SHOW = ("stage", "problem")


def why_rows(reply: Reply, strategy: Strategy) -> list[Row]:
    """Return rows for the screen: the choice and its reasons, else what happened; and what it cost."""
    return [*_told(reply), *_cost(reply, strategy)]


def _told(reply: Reply) -> list[Row]:
    if reply.stopped_by == "crisis":
        return [("crisis", f"{_sign(reply.note)}no strategy was chosen")]
    return list(_choice(reply.note)) or _events(reply)


def _sign(note: Mapping[str, Any]) -> str:
    sign = note.get("crisis")
    category = sign.get("category") if isinstance(sign, Mapping) else None
    return f"a sign of {_line(category)} was found; " if category else ""


def _choice(note: Mapping[str, Any]) -> Iterator[Row]:
    method = f" ({_line(note['method'])})" if note.get("method") else ""
    if note.get("strategy"):
        yield "strategy", f"{_line(note['strategy'])}{method}"
    if note.get("reason"):
        yield "reason", _line(note["reason"])
    for key in _ASKED_TO_SHOW:
        if note.get(key):
            yield key, _line(note[key])
    if feeling := feeling_of(note):
        yield "emotion", feeling
    yield from _bars(note.get("distribution"))


def _bars(distribution: object) -> Iterator[Row]:
    if not isinstance(distribution, Mapping):
        return
    shares = {_line(name): float(share) for name, share in distribution.items() if isinstance(share, int | float)}
    width = max(map(len, shares), default=0)
    full = "█" if (getattr(sys.stderr, "encoding", None) or "").lower().startswith("utf") else "#"
    for number, (name, share) in enumerate(sorted(shares.items(), key=lambda item: -item[1])):
        bar = full * round(_BAR * min(1.0, max(0.0, share)))
        yield "" if number else "chances", f"{name:<{width}}  {share:>4.0%}  {bar}".rstrip()


def _events(reply: Reply) -> list[Row]:
    lines = [line for event in reply.trace if (line := telling_line(event))]
    shown: list[Row] = [(label, _short(text)) for label, text in lines[-_EVENTS:]]
    if len(lines) > _EVENTS:
        shown.insert(0, ("...", f"{len(lines) - _EVENTS} earlier events"))
    return shown or [("strategy", "the model was asked as it is")]


def _cost(reply: Reply, strategy: Strategy) -> list[Row]:
    if reply.account is None:
        return [("usage", "not known: the reply was made in an earlier session")]
    result = Result(
        answer=reply.text,
        strategy=strategy.title,
        model=reply.model,
        stopped_by=reply.stopped_by,
        verified=reply.verified,
        usage=reply.account.usage,
    )
    return [("usage", usage_line(result, strategy, reply.account.seconds)), ("model", _line(reply.model))]


def _line(value: object) -> str:
    return one_line(str(value))


def _short(text: str, most: int = 200) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."
