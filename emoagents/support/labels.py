"""The eight support strategies of ESConv, the three stages they belong to, and the ways people write them.

Strategies: Liu et al., ACL 2021. Stages of each: Kang et al., ACL 2024, Table 1 (bold cells).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, TypeAlias, get_args

__all__ = ["STAGES", "STAGES_OF", "STRATEGIES", "Stage", "SupportStrategy", "canonical"]

SupportStrategy: TypeAlias = Literal[
    "Question",
    "Restatement or Paraphrasing",
    "Reflection of feelings",
    "Self-disclosure",
    "Affirmation and Reassurance",
    "Providing Suggestions",
    "Information",
    "Others",
]
"""One of the eight, spelled as in the data set's card on the Hugging Face hub."""

Stage: TypeAlias = Literal["exploration", "comforting", "action"]
"""Where a conversation stands: finding out what is wrong, comforting, or helping to act. Their order is flexible."""

STRATEGIES: tuple[SupportStrategy, ...] = get_args(SupportStrategy)
STAGES: tuple[Stage, ...] = get_args(Stage)

STAGES_OF: Mapping[SupportStrategy, tuple[Stage, ...]] = {
    "Question": ("exploration",),
    "Restatement or Paraphrasing": ("exploration",),
    "Reflection of feelings": ("exploration", "comforting"),
    "Self-disclosure": ("exploration", "comforting", "action"),
    "Affirmation and Reassurance": ("comforting", "action"),
    "Providing Suggestions": ("action",),
    "Information": ("action",),
    "Others": (),
}
"""The stages that a strategy is typical of."""

_ALSO: Mapping[str, SupportStrategy] = {
    "questions": "Question",
    "restatement": "Restatement or Paraphrasing",
    "paraphrasing": "Restatement or Paraphrasing",
    "reflection of feeling": "Reflection of feelings",
    "affirmation": "Affirmation and Reassurance",
    "reassurance": "Affirmation and Reassurance",
    "suggestions": "Providing Suggestions",
    "other": "Others",
}
"""What the public files and papers write besides the names themselves."""


def _plain(label: str) -> str:
    return " ".join(re.sub(r"[\[\]_\-\s]+", " ", label).split()).casefold()


_NAMES: Mapping[str, SupportStrategy] = {**_ALSO, **{_plain(name): name for name in STRATEGIES}}


def canonical(label: str) -> SupportStrategy | None:
    """Return the strategy that a label names, None where it names none.

    Case, brackets, hyphens, underscores and spaces do not matter; "Questions", "Other" and the like are known.
    """
    return _NAMES.get(_plain(label))
