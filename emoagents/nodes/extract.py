"""Extract: read the short answer out of a long one, so that answers can be counted and compared."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Literal, TypeAlias

__all__ = ["Extract", "extract_answer", "last_number", "normalized"]

Extract: TypeAlias = Literal["auto", "number", "choice", "last_line"] | Callable[[str], str | None]
"""How to read an answer: by a rule's name, or by a function that returns None where there is none to read."""

_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?!\w)")
_CHOICE = re.compile(
    r"\(([A-J])\)|(?:answer|option|choice)(?: is)?:?\s*\(?([A-J])\b|^\s*\(?([A-J])[).:]?\s*$", re.I | re.M
)
_MARKED = re.compile(r"\\boxed\{([^{}]+)\}|####\s*(.+)|\b(?:final )?answer(?: is)?\s*:?\s*\**\s*(.+)", re.I)
_SHORT = 60
"""Characters up to which a whole reply counts as an answer."""


def extract_answer(text: str, how: Extract = "auto") -> str | None:
    """Return the short answer in a normal form, or None where it can't be read.

    "auto" takes what is marked (\\boxed{}, ####, "answer:"), else the last number, else a short reply as a whole.
    "number": the last number. "choice": the last letter A-J that is written as a choice. "last_line": that line.
    """
    if callable(how):
        found = how(text)
        return None if found is None else normalized(found)
    if how == "number":
        return last_number(text)
    if how == "choice":
        letters = [next(filter(None, m)) for m in _CHOICE.findall(text)]
        return letters[-1].upper() if letters else None
    if how == "last_line":
        lines = [line for line in text.splitlines() if line.strip()]
        return normalized(lines[-1]) if lines else None
    return _auto(text)


def _auto(text: str) -> str | None:
    marked = _MARKED.findall(text)
    if marked:
        said = next(filter(None, marked[-1]))
        return last_number(said) or normalized(said) or None
    if (number := last_number(text)) is not None:
        return number
    stripped = text.strip()
    return normalized(stripped) or None if len(stripped) <= _SHORT else None


def last_number(text: str) -> str | None:
    """Return the last number without thousands separators, plus sign or trailing zeros; None where there is none."""
    found = _NUMBER.findall(text)
    if not found:
        return None
    digits = str(found[-1]).replace(",", "").lstrip("+")
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def normalized(text: str) -> str:
    """Return the text in lower case, in one Unicode form, with single spaces, without outer punctuation."""
    folded = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return folded.strip(" .,;:!?*\"'`$")
