"""How a strategy is chosen, apart from the conversation: the parameters that the methods share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from emoagents.nodes.support.commonsense import CommonsenseProvider
from emoagents.support.conversation import Conversation
from emoagents.support.dialogue import Instance
from emoagents.support.labels import SupportStrategy
from emoagents.support.planner import Planner

__all__ = ["Prior", "Probabilities", "Settings"]

Probabilities: TypeAlias = Literal["auto", "logprobs", "samples"]
"""Where a distribution comes from: the log-probabilities of one token, several samples, or what the model can."""

Prior: TypeAlias = Literal["content_free", "dialogues", "measure", "none"]
"""Where a model's own preference is measured: on texts that say nothing, or on example dialogues ("measure": there,
even where it is known already)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """See the parameters of `SupportDialogue`.

    `draw_examples` returns so many examples for a conversation; `references` are those that a prior is measured on.
    """

    shots: int
    samples: int
    strength: float
    stage_strength: float
    probabilities: Probabilities
    prior: Prior | Mapping[SupportStrategy, float]
    planner: Planner | None
    commonsense: CommonsenseProvider | None
    draw_examples: Callable[[Conversation, int], Sequence[Instance]]
    references: Callable[[], Sequence[Instance]]
