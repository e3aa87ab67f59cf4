"""Which of several numbered texts a reply names. The reading is ours."""

from __future__ import annotations

import re

from emoagents.evaluation.metrics.objects import read_field
from emoagents.evaluation.task import Score

__all__ = ["index", "read_index"]

_MARKED = re.compile(
    r"\b(?:index|indices|answer|text|segment|number)[\"'*_`\s]*(?:is|are|[:=#])?[\"'*_`\s\[(]*(-?\d+)(?![\d.]*\d)", re.I
)
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?!\.?\w)")


def index(reply: str, count: int, target: int) -> Score:
    """Return 1 where the reply names the text `target`; unparsed where it names none of the texts 0 to `count` - 1."""
    said = read_index(reply, count)
    return Score(value=float(said == target), parsed=None if said is None else str(said), unparsed=said is None)


def read_index(reply: str, count: int) -> int | None:
    """Return the index that the reply names, or None where it settles on none from 0 to `count` - 1.

    In this order: `index` of the last JSON object that has it; the last marked number ("index: 3", "the answer is 3",
    "text [3]"); the only number there is, however often.
    """
    said = _whole(read_field(reply, "index"))
    if said is None:
        marked = _MARKED.findall(reply)
        numbers = set(map(int, _NUMBER.findall(reply)[:1000]))
        said = int(marked[-1]) if marked else numbers.pop() if len(numbers) == 1 else None
    return said if said is not None and 0 <= said < count else None


def _whole(value: object) -> int | None:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, bool):
        return None
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return int(value)
    text = value.strip(" []()") if isinstance(value, str) else ""
    return int(text) if re.fullmatch(r"-?\d{1,9}", text, re.ASCII) else None
