"""What is known of a trained planner: what it was trained on, and how good it was on dialogues it had not seen."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from emoagents.support.labels import SupportStrategy

__all__ = ["PlannerFacts", "Scores", "Validation"]

_DATA = ConfigDict(frozen=True, extra="forbid")


class Scores(BaseModel):
    """Measures of Kang et al., ACL 2024.

    Attributes:
        macro_f1: Q, the mean F1 of the eight strategies, 0 to 1. accuracy: 0 to 1.
        bias: B, how unequally strategies are preferred: 0 for not at all.
    """

    model_config = _DATA

    macro_f1: float
    accuracy: float
    bias: float


class Validation(BaseModel):
    """Scores on held-out dialogues: each instance is judged by a planner that was trained on other dialogues.

    Attributes:
        instances, dialogues: what it was measured on. folds: parts that the dialogues were split into.
        planner: as trained. unknown: the same planners, where no earlier strategy is known.
        uniform: one strategy of eight at random. majority: always the most frequent one of all.
    """

    model_config = _DATA

    instances: int
    dialogues: int
    folds: int
    planner: Scores
    unknown: Scores
    uniform: Scores
    majority: Scores


class PlannerFacts(BaseModel):
    """What a planner was made of.

    Attributes:
        emoagents, sklearn: versions. seed: of what was drawn.
        instances, dialogues: what it was trained on. labels: the strategies in it; others get the probability 0.
        validation: None where it was not asked for, or the data were too few to hold some out.
    """

    model_config = _DATA

    emoagents: str
    sklearn: str
    seed: int
    instances: int
    dialogues: int
    labels: tuple[SupportStrategy, ...]
    validation: Validation | None = None
