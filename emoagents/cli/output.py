"""What a run leaves: the answer, or one JSON object, and a line of usage for people."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, TextIO

from emoagents.cli.layout import quiet_console
from emoagents.cli.text import harmless, is_terminal
from emoagents.errors import RunError

if TYPE_CHECKING:
    from emoagents.model.ledger import Usage
    from emoagents.result import Result
    from emoagents.strategies.base import Strategy

__all__ = ["print_answer", "print_json", "print_usage", "usage_line"]

_USAGE_KEYS = ("calls", "cached_calls", "prompt_tokens", "completion_tokens", "cost_usd")


def print_answer(answer: str, *, apart: bool = False) -> None:
    """Print the answer: as it is into a pipe, wrapped and without control characters on a terminal.

    Args:
        apart: on a terminal, leave an empty line before it.
    """
    if not is_terminal(sys.stdout):
        _write(answer if answer.endswith("\n") else f"{answer}\n")
        return
    console = quiet_console(sys.stdout)
    if apart:
        console.print()
    console.print(harmless(answer).rstrip("\n"))


def print_json(result: Result) -> None:
    """Print the whole result as one JSON object in one line."""
    whole = {
        "answer": result.answer,
        "strategy": result.strategy,
        "model": result.model,
        "stopped_by": result.stopped_by,
        "usage": {key: getattr(result.usage, key) for key in _USAGE_KEYS},
        "trace": result.trace,
    }
    _write(json.dumps(whole, default=str) + "\n")


def print_usage(result: Result, strategy: Strategy, seconds: float, *streams: TextIO | None) -> None:
    """Print a dim line of usage on the first of these streams that is a terminal, if one is."""
    stream = next((s for s in streams if is_terminal(s)), None)
    if stream is None:
        return
    quiet_console(stream).print(f"\n{usage_line(result, strategy, seconds)}", style="dim")


def usage_line(result: Result, strategy: Strategy, seconds: float) -> str:
    """Return what a run cost and why it stopped, in one line."""
    usage = result.usage
    facts = [f"{usage.calls} call{'' if usage.calls == 1 else 's'}"]
    facts += [f"{usage.cached_calls} cached"] if usage.cached_calls else []
    facts += [f"{usage.failed_calls} failed"] if usage.failed_calls else []
    facts += [f"{usage.prompt_tokens} + {usage.completion_tokens} tokens", _cost(usage)]
    facts += [f"{seconds:.1f} s", _stopped(result), _verified(result, strategy)]
    return " · ".join(filter(None, facts))


def _cost(usage: Usage) -> str:
    if usage.cost_usd is None:
        return "cost unknown"
    return f"${usage.cost_usd:.4f}" if usage.cost_usd else "$0"


def _stopped(result: Result) -> str:
    reason = result.stopped_by
    return reason if reason in ("complete", "verified") else f"stopped by {reason}"


def _verified(result: Result, strategy: Strategy) -> str:
    """Say what is not to be read from "stopped by"."""
    checks: Any = getattr(strategy.answering, "verifier", ...)
    if checks is ... or result.verified:
        return ""
    if checks is None:
        return "unverified: no verifier was given"
    return "not verified" if result.verified is False else "unverified: it could not be judged"


def _write(text: str) -> None:
    if sys.stdout is None:
        raise RunError("the answer can't be printed: standard output is closed")
    sys.stdout.write(text)
    sys.stdout.flush()
