"""Which labels a predictor prefers, and how far it is from preferring none (Kang et al., ACL 2024, section 4).

The model is Bradley and Terry's: label i beats label j where i was predicted and j was true, w_ij times in all.
Newman's update, from pi = 1, twenty times:

    pi_i <- sum_j w_ij pi_j / (pi_i + pi_j)  /  sum_j w_ji / (pi_i + pi_j)

after each of which all are divided by their geometric mean; at last they are scaled to the sum N. 1 is no preference.

Within a round the labels are updated one after the other, each with the newest values of those before it, as Newman
(JMLR 2023) does. All at once has the same fixed point and may never reach it: of two labels that are always taken for
each other, it swaps the two values for ever.

The sums go over all j as they are written, j = i included. Hits move the fixed point nowhere, but they keep a label
finite that was always hit where it was true.

What the paper leaves open:

-   A label that is never predicted has pi = 0, and with it the geometric mean is 0. Here no pi is less than `epsilon`
    times the greatest one. The update does not depend on the scale of pi (all twice as large gives a value twice as
    large), so the geometric mean, tiny as it may be, cancels out: the floor moves the other preferences by some
    N * epsilon. A predictor that only ever says one label has the preference N there and 0.00 elsewhere, B = sqrt(N-1).
-   A label that is never true (in a small or resampled set) can't lose, and one stray prediction would make it
    infinitely preferred. It gets one instance whose prediction is spread evenly over all labels.
-   Answers that name no label are no comparison, and are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

from emoagents.evaluation.metrics.classification import Array, Counts, confusion

__all__ = ["EPSILON", "ITERATIONS", "biases", "bradley_terry", "preference_bias", "preferences"]

ITERATIONS = 20
EPSILON = 1e-9

Label = TypeVar("Label", bound=str)


def bradley_terry(
    truth: Sequence[str],
    predicted: Sequence[str | None],
    labels: Sequence[Label],
    *,
    iterations: int = ITERATIONS,
    epsilon: float = EPSILON,
) -> dict[Label, float]:
    """Return the preference of each label; their sum is the number of labels.

    Args:
        predicted: None, or what is no label, is left out.
        epsilon: floor of a preference, as a share of the greatest one.

    Raises:
        ValueError: no prediction names a label, a true label is unknown, or the lengths differ.
    """
    counts = confusion(truth, predicted, labels)[:, :-1]
    if not counts.any():
        raise ValueError("preferences need at least one prediction that names a label")
    found = preferences(counts, iterations=iterations, epsilon=epsilon)
    return dict(zip(labels, map(float, found), strict=True))


def preference_bias(preferences: Mapping[str, float] | Sequence[float]) -> float:
    """Return B, the standard deviation (population form) of some preferences: 0 for none, sqrt(N - 1) at most."""
    values = list(preferences.values()) if isinstance(preferences, Mapping) else list(preferences)
    return float(biases(np.array(values, dtype=np.float64)))


def preferences(counts: Counts, *, iterations: int = ITERATIONS, epsilon: float = EPSILON) -> Array:
    """Return the preferences of many confusion matrices at once.

    Args:
        counts: shape (..., labels, labels): rows are true, columns are predicted.

    Returns:
        Shape (..., labels), each row with the sum N; all 1 where nothing was predicted.
    """
    lost = _with_all_true(np.asarray(counts, dtype=np.float64))  # lost[i, j] = w_ji: j was said where i was true
    won = np.swapaxes(lost, -1, -2)
    pi: Array = np.ones(lost.shape[:-1])
    for _ in range(iterations):
        for i in range(pi.shape[-1]):
            pairs = pi[..., [i]] + pi
            new = (won[..., i, :] * pi / pairs).sum(axis=-1) / (lost[..., i, :] / pairs).sum(axis=-1)
            pi[..., i] = np.maximum(new, epsilon * pi.max(axis=-1))
        pi /= np.exp(np.log(pi).mean(axis=-1, keepdims=True))
    return np.asarray(pi / pi.mean(axis=-1, keepdims=True))


def biases(preferences: Array) -> Array:
    """Return B of each row of preferences, shape (..., labels) to (...)."""
    return np.asarray(preferences.std(axis=-1))


def _with_all_true(counts: Array) -> Array:
    """Return the counts with one evenly spread instance in each row that has none."""
    empty = ~counts.any(axis=-1, keepdims=True)
    return np.where(empty, 1 / counts.shape[-1], counts)
