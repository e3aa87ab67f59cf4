"""What a way of choosing decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from emoagents.support.labels import SupportStrategy

__all__ = ["Selection"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A choice among the eight strategies.

    Attributes:
        strategy: None where nothing could be read from the model's output; `unparsed` then says why.
        method: how it was chosen. reason: why, in one sentence, as far as anything tells.
        distribution: over all eight; a choice from a single sample has all its weight in one place.
        reply: the utterance, where the method writes both at once.
        facts: what else belongs to the choice, as the distribution before debiasing; plain JSON data.
    """

    strategy: SupportStrategy | None
    method: str
    reason: str = ""
    distribution: Mapping[SupportStrategy, float] | None = None
    reply: str | None = None
    unparsed: str | None = None
    facts: Mapping[str, Any] | None = None
