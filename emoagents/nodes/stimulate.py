"""Stimulate: add an emotional stimulus to the prompt (EmotionPrompt, arXiv 2307.11760)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, TypeAlias

from emoagents.card import Placement
from emoagents.model.request import Message
from emoagents.state import question_of, text_of, with_question, with_text

__all__ = ["PlacementName", "place"]

PlacementName: TypeAlias = Literal["end", "after_instruction", "system"]

_INSTRUCTION_ENDS = re.compile(
    r"\n[ \t]*\n|\n(?=[ \t]*(?:input|question|text|sentence|passage)s?[ \t]*\d*[ \t]*:)", re.I
)
"""The instruction ends at the first empty line, or before the first line that names an input. The rule is ours:
the papers' code has instruction and input as two values, a conversation has them in one text."""


def place(prompt: Sequence[Message], text: str, where: PlacementName, placement: Placement) -> list[Message]:
    """Return a copy of the prompt with a text added to its last user message, or to its system message.

    Args:
        prompt: the working copy; the conversation itself is never touched.
        text: the stimulus.
        where: "end" (after the whole prompt) or "after_instruction" (before the input; where the message has no
            such boundary, all of it is instruction), or "system" (at the end of the system message).
        placement: the card's entry, with the separator.
    """
    if where == "system":
        return _in_system(prompt, text, placement.separator)
    said = question_of(prompt)
    boundary = _INSTRUCTION_ENDS.search(said) if where == "after_instruction" else None
    cut = boundary.start() if boundary else len(said)
    return with_question(prompt, f"{said[:cut]}{placement.separator}{text}{said[cut:]}")


def _in_system(prompt: Sequence[Message], text: str, separator: str) -> list[Message]:
    first = prompt[0]
    if first["role"] not in ("system", "developer"):
        return [{"role": "system", "content": text}, *prompt]
    return [with_text(first, f"{text_of(first)}{separator}{text}"), *prompt[1:]]
