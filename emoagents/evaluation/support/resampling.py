"""Intervals and tests of choices that come in dialogues: whole dialogues are drawn, and whole dialogues are swapped.

Decisions of one dialogue hang together, so that treating them as independent would make intervals too short and tests
too eager. All metrics are functions of counts, and the counts of a resample are a matrix product.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from emoagents.evaluation.metrics.classification import Array
from emoagents.evaluation.support.measures import SHAPE, Table, measure

__all__ = ["bootstrap", "draws", "percentiles", "swap_ps"]

_NUMBERS = 4_000_000  # held at once while resampling: 32 MB
_SAME = 1e-9  # sums of the same numbers in another order must be ties


def draws(dialogues: int, resamples: int, rng: np.random.Generator) -> Array:
    """Return how often each resample holds each dialogue, shape (resamples, dialogues). All arms share one."""
    return rng.multinomial(dialogues, np.full(dialogues, 1 / dialogues), size=resamples).astype(np.float64)


def bootstrap(table: Table, times: Array) -> Array:
    """Return the metrics of each resample, shape (resamples, metrics)."""
    return np.concatenate([measure((part @ table).reshape(-1, *SHAPE)) for part in _blocks(times)])


def percentiles(values: Array, alpha: float) -> tuple[Array, Array]:
    """Return the ends of the percentile intervals of each metric; NaN for one that no resample has, or all alike.

    Resamples that are all alike, as of an arm that never says but one strategy, show no spread: that is no certainty.
    """
    found = np.full((2, values.shape[1]), np.nan)
    some = ~np.isnan(values).all(axis=0)
    found[:, some] = np.nanquantile(values[:, some], [alpha / 2, 1 - alpha / 2], axis=0)
    found[:, found[1] - found[0] < _SAME] = np.nan
    return found[0], found[1]


def swap_ps(one: Table, other: Table, permutations: int, rng: np.random.Generator) -> Array:
    """Return the two-sided p of each metric's difference between two arms, shape (metrics,); NaN for one without.

    Were the arms the same, the choices of both in a dialogue could as well be each other's. Exact where there are no
    more ways to swap the dialogues that differ than `permutations`; else (1 + as great) / (1 + permutations).
    """
    differs = (one != other).any(axis=1)
    first, second, gap = one.sum(axis=0), other.sum(axis=0), (other - one)[differs]
    observed = np.abs(_difference(first, second))
    as_great, total = np.zeros(len(observed)), 0
    for swaps in _swaps(int(differs.sum()), permutations, rng):
        moved = swaps @ gap
        found = np.abs(_difference(first + moved, second - moved))
        # what can't be measured after a swap is counted against the finding
        as_great += (np.isnan(found) | (found >= observed - _SAME)).sum(axis=0)
        total += len(swaps)
    exact = 2 ** min(int(differs.sum()), 60) <= permutations
    p = as_great / total if exact else (1 + as_great) / (1 + total)
    return np.where(np.isnan(observed), np.nan, p)


def _difference(one: Array, other: Array) -> Array:
    found = measure(np.stack([one, other]).reshape(2, *one.shape[:-1], *SHAPE))
    return np.asarray(found[0] - found[1])


def _swaps(dialogues: int, permutations: int, rng: np.random.Generator) -> Iterator[Array]:
    """Yield blocks of 0 and 1, shape (some, dialogues): all patterns where there are few enough, else random ones."""
    if 2 ** min(dialogues, 60) <= permutations:
        yield np.array(list(product((0.0, 1.0), repeat=dialogues))).reshape(2**dialogues, dialogues)
        return
    size = _size(dialogues)
    for start in range(0, permutations, size):
        yield rng.integers(0, 2, size=(min(size, permutations - start), dialogues)).astype(np.float64)


def _blocks(times: Array) -> Iterator[Array]:
    size = _size(times.shape[1])
    return (times[start : start + size] for start in range(0, len(times), size))


def _size(dialogues: int) -> int:
    return max(1, _NUMBERS // max(dialogues, SHAPE[0] * SHAPE[1] * SHAPE[2]))
