"""What a run's events say to a person: one line each."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeAlias

from emoagents.cli.text import one_line

__all__ = ["Line", "every_line", "telling_line"]

Event: TypeAlias = dict[str, Any]

Line: TypeAlias = tuple[str, str]
"""A label and what belongs to it."""


def telling_line(event: Event) -> Line | None:
    """Return the line of an event that tells how the run goes; None for what is inside a nested strategy."""
    if "/" in event["node"] and event["event"] != "retry":
        return None
    tell = _TELLING.get(event["event"])
    said = tell(event) if tell else None
    return None if said is None else (_LABELS.get(event["event"]) or str(event["event"]), one_line(said))


def every_line(event: Event) -> Line | None:
    """Return a line for any event except a token."""
    if event["event"] == "token":
        return None
    rest = {k: v for k, v in event.items() if k not in ("event", "node")}
    return event["node"], one_line(f"{event['event']} {json.dumps(rest, ensure_ascii=False, default=str)}")


def _stimulus(event: Event) -> str:
    tone = "" if event["tone"] == "emotional" else f" ({event['tone']})"
    return f"{', '.join(event['ids'])}{tone}: {event['text']}"


def _verdict(event: Event) -> str | None:
    if event["ok"] is None:
        return event["reason"] or None
    return f"{'right' if event['ok'] else 'not right'}{': ' if event['reason'] else ''}{event['reason']}"


def _feedback(event: Event) -> str:
    phrase = event["text"].partition("\n\n")[0]
    return f"round {event['round']}, {event['emotion']}: {phrase}"


def _trimmed(event: Event) -> str:
    if "turns" in event:
        return f"the {event['turns']} oldest turns left out, to fit the model"
    what = next(name for name in ("candidates", "sources", "passages") if name in event)
    return f"{len(event[what])} {what} cut to {event['characters']} characters, to fit the model"


def _stage(event: Event) -> str:
    if event.get("skipped"):
        return f"{event['id']}: skipped"
    fields = ", ".join(f"{name}: {value}" for name, value in event["fields"].items())
    return f"{event['id']}: {event.get('error') or event.get('unparsed') or fields}"


def _vote(event: Event) -> str:
    counts = [f"{answer} ({count})" for answer, count in event["counts"].items()]
    return ", ".join([*counts, *([f"unread ({event['unparsed']})"] if event["unparsed"] else [])])


def _scores(event: Event) -> str:
    return ", ".join("unread" if score is None else f"{score:g}" for score in event["scores"])


_TELLING: dict[str, Callable[[Event], str | None]] = {
    "stimulus": _stimulus,
    "candidate": lambda e: f"{e['index'] + 1}: {e['text']}",
    "verdict": _verdict,
    "feedback": _feedback,
    "retry": lambda e: f"in {e['seconds']:.1f} s: {e['error']}",
    "failure": lambda e: e["error"],
    "vote": _vote,
    "scores": _scores,
    "choice": lambda e: "unread" if e["unparsed"] else f"candidate {e['number']}",
    "trimmed": _trimmed,
    "chunks": lambda e: f"{e['count']} of {e['characters']} characters ({e['preset']})",
    "ranked": lambda e: f"{len(e['passages'])} passages by {e['ranker']}",
    "reranked": lambda e: f"{len(e['passages'])} passages by {e['ranker']}",
    "stage": _stage,
    "cancelled": lambda e: f"{e['branches']} attempts beside the right one",
    "unverified": lambda e: f"no verifier: one answer is made of {e['candidates']} attempts",
}

_LABELS = {"retry": "again", "failure": "failed", "cancelled": "stopped"}
