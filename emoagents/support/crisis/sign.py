"""What the guard finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from emoagents.support.crisis.patterns import Category

__all__ = ["ModelSign", "Sign"]


@dataclass(frozen=True, slots=True)
class Sign:
    """A sign that somebody's life or safety may be at risk. No diagnosis.

    Attributes:
        category: what it is a sign of. pattern: id of the pattern that found it, "model" where a model did.
        language: of the pattern, or what the text seems to be written in. Decides the reply's language.
        text: what matched, in the plain spelling that patterns read; a model's reason where a model found it.
        found_by: who found it.
    """

    category: Category
    pattern: str
    language: str
    text: str
    found_by: Literal["pattern", "model"] = "pattern"


@dataclass(frozen=True, slots=True)
class ModelSign:
    """A model's word on what a person wrote.

    Attributes:
        judged: whether the model gave a word at all. Where it did not, `sign` is None and means nothing:
            "not judged" is never "no sign".
        sign: what it found, None for nothing.
        reason: the model's reason, or why there is no word.
    """

    judged: bool
    sign: Sign | None = None
    reason: str = ""
