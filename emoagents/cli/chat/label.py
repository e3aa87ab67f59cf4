"""What a reply was made with, in one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emoagents.cli.chat.conversation import Reply
from emoagents.cli.text import one_line

__all__ = ["feeling_of", "label_of"]


def label_of(reply: Reply) -> str:
    """Return "[Question · exploration · sadness 4/5]", as much of it as is known; "" where nothing is.

    A reply in a crisis has none: it is no strategy's.
    """
    if reply.stopped_by == "crisis":
        return ""
    known = [_text(reply.note.get("strategy")), _text(reply.note.get("stage")), feeling_of(reply.note)]
    inner = " · ".join(filter(None, known))
    return f"[{inner}]" if inner else ""


def feeling_of(note: Mapping[str, Any]) -> str:
    """Return "sadness 4/5", without the number where it is not known."""
    emotion, intensity = _text(note.get("emotion")), note.get("intensity")
    return f"{emotion} {intensity}/5" if emotion and isinstance(intensity, int) else emotion


def _text(value: object) -> str:
    return one_line(str(value)) if value else ""
