"""From counts of choices to the metrics, for one or for thousands of resamples in one go.

`counts` has the shape (..., stages + 1, labels, labels + 1): by stage (the last: none), true strategy, and chosen one
(the last: none could be read). `Table` holds them for each dialogue, flat: (dialogues, cells).
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from emoagents.evaluation.metrics.classification import Array, accuracy, macro_f1, weighted_f1
from emoagents.evaluation.metrics.preference import biases, preferences
from emoagents.evaluation.support.choices import UNPARSED, Choices
from emoagents.support.labels import STAGES, STRATEGIES

__all__ = ["SHAPE", "Table", "count", "measure", "tabulate"]

SHAPE = (len(STAGES) + 1, len(STRATEGIES), len(STRATEGIES) + 1)

Table: TypeAlias = Array

_CELLS = SHAPE[0] * SHAPE[1] * SHAPE[2]


def tabulate(choices: Choices, arm: int, where: npt.NDArray[np.bool_]) -> Table:
    """Return an arm's counts in each dialogue, of the instances where `where` holds; shape (dialogues, cells)."""
    cells = _cells(choices, choices.said[arm])[where]
    flat = np.bincount(choices.dialogue[where] * _CELLS + cells, minlength=choices.dialogues * _CELLS)
    return flat.reshape(choices.dialogues, _CELLS).astype(np.float64)


def count(choices: Choices, said: npt.NDArray[np.int64]) -> Array:
    """Return the counts of a choice for each instance, or of several such rows; (..., instances) to (..., *SHAPE)."""
    rows = np.atleast_2d(said)
    places = np.arange(len(rows))[:, None] * _CELLS + _cells(choices, np.minimum(rows, UNPARSED))
    flat = np.bincount(places.ravel(), minlength=len(rows) * _CELLS)
    return flat.reshape(*said.shape[:-1], *SHAPE).astype(np.float64)


def measure(counts: Array) -> Array:
    """Return the metrics in the order of `METRICS`, shape (..., 6); NaN where there is nothing to measure.

    That is: B where no choice could be read, a stage without instances, and everything without any answer.
    """
    whole = counts.sum(axis=-3)
    answered = whole.sum(axis=(-2, -1)) > 0
    parsed = whole[..., :-1].sum(axis=(-2, -1)) > 0
    stages = counts[..., :-1, :, :]
    by_stage = np.where(stages.sum(axis=(-2, -1)) > 0, weighted_f1(stages), np.nan)
    bias = np.where(parsed, biases(preferences(whole[..., :-1])), np.nan)
    first = [np.where(answered, macro_f1(whole), np.nan), bias, np.where(answered, accuracy(whole), np.nan)]
    return np.concatenate([np.stack(first, axis=-1), by_stage], axis=-1)


def _cells(choices: Choices, said: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.asarray((choices.stage * SHAPE[1] + choices.truth) * SHAPE[2] + said)
