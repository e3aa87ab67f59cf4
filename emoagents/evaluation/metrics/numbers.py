"""Numbers in replies. The reading is ours; the strict metric is GSM8K's own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from emoagents.evaluation.task import Score

__all__ = ["number", "number_strict", "read_number"]

_DIGITS = r"(?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)"
_NUMBER = re.compile(rf"(?<![\w.])([-+−]?)\s?[$€£]?({_DIGITS})(?!\w)")
# A heading such as "#### 2. Add them" marks a step, not the answer.
_MARKED_NUMBER = re.compile(rf"####[ \t*$€£\\]*([-+−]?)[ \t]?[$€£]?({_DIGITS})(?!\w)(?![.):]+[ \t]*[^\W\d])")
_OFFICIAL_NUMBER = re.compile(r"#### (\-?[0-9\.\,]+)")


def read_number(text: str) -> str | None:
    """Return the number after the last "####", else the last number in the text; None where there is none.

    Thousands separators, currency signs, a plus sign and trailing zeros are dropped: "$1,234.50." is "1234.5".
    """
    found = _MARKED_NUMBER.findall(text) or _NUMBER.findall(text)
    if not found:
        return None
    sign, digits = found[-1]
    digits = digits.replace(",", "")
    digits = digits.rstrip("0").rstrip(".") if "." in digits else digits
    return ("-" if sign in ("-", "−") else "") + (digits or "0")


def number(reply: str, targets: Sequence[str]) -> Score:
    """Return 1 where the reply's number (see `read_number`) equals a reference's as a decimal number: 18.00 is 18."""
    said = read_number(reply)
    if said is None:
        return Score(value=0.0, unparsed=True)
    golds = filter(None, map(read_number, targets))
    return Score(value=float(any(Decimal(said) == Decimal(gold) for gold in golds)), parsed=said)


def number_strict(reply: str, targets: Sequence[str]) -> Score:
    """Return 1 where the first "#### NUMBER" of the reply is a reference's, letter for letter without commas.

    This is `extract_answer` of GSM8K's own `dataset.py` (openai/grade-school-math, commit 2909d34): no mark, no answer.
    """
    said = _official_number(reply)
    if said is None:
        return Score(value=0.0, unparsed=True)
    golds = (_official_number(gold) or gold.strip().replace(",", "") for gold in targets)
    return Score(value=float(said in golds), parsed=said)


def _official_number(text: str) -> str | None:
    found = _OFFICIAL_NUMBER.search(text)
    return found.group(1).strip().replace(",", "") if found else None
