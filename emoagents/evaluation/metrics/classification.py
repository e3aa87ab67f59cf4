"""How well labels are chosen: confusion counts, and F1 and accuracy of one or of many of them in one go.

Everywhere `counts` is an array of shape (..., labels, labels + 1): how often each label of the first axis, the true
one, was answered with each label of the second; its last column counts the answers that name no label. Such an answer
is a miss for its true label and belongs to no predicted one. The results agree with scikit-learn's f1_score and
accuracy_score over all labels, with zero_division=0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "Counts", "accuracy", "confusion", "label_f1", "macro_f1", "weighted_f1"]

Array: TypeAlias = npt.NDArray[np.float64]
Counts: TypeAlias = npt.NDArray[np.float64] | npt.NDArray[np.int64]


def confusion(truth: Sequence[str], predicted: Sequence[str | None], labels: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return the counts of some answers, shape (labels, labels + 1). None, or no label, stands in the last column.

    Raises:
        ValueError: a true label is not among the labels, or the lengths differ.
    """
    place = {label: number for number, label in enumerate(labels)}
    counts = np.zeros((len(labels), len(labels) + 1), dtype=np.int64)
    for true, said in zip(truth, predicted, strict=True):
        if true not in place:
            raise ValueError(f"the true label {true!r} is not among the labels")
        counts[place[true], len(labels) if said is None else place.get(said, len(labels))] += 1
    return counts


def label_f1(counts: Counts) -> Array:
    """Return the F1 of each label, shape (..., labels); 0 for one that is neither true nor predicted."""
    hits, true, said = _margins(counts)
    return _ratio(2 * hits, true + said)


def macro_f1(counts: Counts) -> Array:
    """Return the mean F1 of all labels, those included that do not occur; shape (...)."""
    return np.asarray(label_f1(counts).mean(axis=-1))


def weighted_f1(counts: Counts) -> Array:
    """Return the mean F1 of the labels, each weighted by how often it is true; shape (...), 0 without any answer."""
    true = counts.sum(axis=-1)
    return _ratio((label_f1(counts) * true).sum(axis=-1), true.sum(axis=-1))


def accuracy(counts: Counts) -> Array:
    """Return the share of right answers; shape (...), 0 without any answer."""
    hits, true, _ = _margins(counts)
    return _ratio(hits.sum(axis=-1), true.sum(axis=-1))


def _margins(counts: Counts) -> tuple[Array, Array, Array]:
    """Return how often each label was hit, was true, and was predicted; each of shape (..., labels)."""
    named = counts[..., :-1]
    hits = np.diagonal(named, axis1=-2, axis2=-1).astype(np.float64)
    return hits, counts.sum(axis=-1).astype(np.float64), named.sum(axis=-2).astype(np.float64)


def _ratio(above: Array, below: Array) -> Array:
    below = np.asarray(below, dtype=np.float64)
    return np.divide(above, below, out=np.zeros_like(below), where=below > 0)
