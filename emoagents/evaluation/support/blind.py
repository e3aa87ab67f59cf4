"""What choosing blindly would get on the same instances: the rows that every arm must beat."""

from __future__ import annotations

import numpy as np

from emoagents.evaluation.analysis.resampling import generator
from emoagents.evaluation.metrics.classification import Array
from emoagents.evaluation.support.choices import Choices
from emoagents.evaluation.support.findings import METRICS, ReferenceRow
from emoagents.evaluation.support.measures import count, measure
from emoagents.support.labels import STAGES, STRATEGIES

__all__ = ["DRAWS", "blind_rows"]

DRAWS = 200

_RANDOM = 22  # this part's own random numbers


def blind_rows(choices: Choices, seed: int) -> tuple[ReferenceRow, ...]:
    """Return the rows of a uniform draw and of the commonest strategy; none without instances."""
    if not len(choices.truth):
        return ()
    drawn = generator(seed, _RANDOM).integers(0, len(STRATEGIES), size=(DRAWS, len(choices.truth)))
    commonest = int(np.bincount(choices.truth, minlength=len(STRATEGIES)).argmax())
    majority = measure(count(choices, np.full(len(choices.truth), commonest)))
    return (
        _row(
            "uniform random", f"each strategy alike, mean of {DRAWS} draws", measure(count(choices, drawn)).mean(axis=0)
        ),
        _row("majority", f"always {STRATEGIES[commonest]}, the commonest here", majority),
    )


def _row(name: str, how: str, values: Array) -> ReferenceRow:
    found = {metric: float(value) for metric, value in zip(METRICS, values, strict=True) if value == value}
    stages = {stage: found[stage] for stage in STAGES if stage in found}
    return ReferenceRow(name=name, how=how, q=found["q"], b=found["b"], accuracy=found["accuracy"], stages=stages)
