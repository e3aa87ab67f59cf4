"""Multiple-choice questions: how options are shown, and which letter a text is."""

from __future__ import annotations

import string
from collections.abc import Sequence

from emoagents.evaluation.metrics import choice
from emoagents.evaluation.task import Item, Score
from emoagents.evaluation.tasks.rows import Row

__all__ = ["chosen", "letter_of", "lettered"]


def lettered(options: Sequence[str]) -> str:
    """Return the options, one a line: "(A) first"."""
    return "\n".join(f"({letter}) {option}" for letter, option in zip(string.ascii_uppercase, options, strict=False))


def letter_of(row: Row, options: Sequence[str], target: str) -> str:
    """Return the letter of the right option, given by its text, or as "B" or "(B)".

    Raises:
        DataError: it is none of the options, or there are more than 26.
    """
    if len(options) > len(string.ascii_uppercase):
        raise row.wrong(f"there are {len(options)} choices; letters reach for 26")
    if target in options:
        return string.ascii_uppercase[options.index(target)]
    letter = target.strip(" ().").upper()
    if len(letter) == 1 and letter in string.ascii_uppercase[: len(options)]:
        return letter
    raise row.wrong(f"the target {target!r} is none of the choices")


def chosen(item: Item, answer: str) -> Score:
    """Score the option that was chosen. The item's first target is the letter, its data has the `options`."""
    return choice(answer, item.data["options"], item.targets[0])
