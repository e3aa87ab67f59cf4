"""Resampling statistics of paired items: sign-flip tests and stratified bootstrap intervals, many rows in one go.

Everywhere `strata` is a sequence of arrays, one for each task, of shape (rows, items of the task); NaN where a row has
no value. A row's estimate is the mean of its tasks' means: each task that has values counts the same. scipy draws and
counts. What it resamples are the items, and the statistic it is given is a matrix product: all rows in one go.

Items that hang together, as several questions on one text, are resampled and flipped as whole clusters: `clusters` has
for each task the number of each item's cluster, from 0, or None where every item stands for itself.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.stats import bootstrap, permutation_test

from emoagents.evaluation.analysis.statistics import constant_interval

__all__ = [
    "BCA",
    "CONSTANT",
    "PERCENTILE",
    "Array",
    "Clusters",
    "generator",
    "macro_means",
    "mean_intervals",
    "sign_flip_ps",
    "spreads",
]

Array: TypeAlias = npt.NDArray[np.float64]
Clusters: TypeAlias = Sequence[npt.NDArray[np.int64] | None]

BCA = "BCa bootstrap"
PERCENTILE = "percentile bootstrap"
CONSTANT = "bound on what was not seen"

_CELLS = 4_000_000  # numbers held at once while resampling: 32 MB
_JACKKNIFE = 2000  # items above which BCa's correction is too small to be worth n * n steps
_MANY, _MOSTLY = 30, 0.7  # a resample of so many items, so few of them gaps, never consists of gaps only
_DIGITS = 10  # sums of the same numbers in another order must be ties


def generator(seed: int, *path: int) -> np.random.Generator:
    """Return random numbers of one part of an analysis, the same whatever the other parts drew before."""
    return np.random.default_rng(np.random.SeedSequence(abs(seed), spawn_key=path))


def macro_means(strata: Sequence[Array]) -> Array:
    """Return each row's estimate, shape (rows,); NaN for a row without values."""
    weighted = np.hstack(_weights(strata)) * np.nan_to_num(np.hstack(strata))
    return np.asarray(np.where(_counts(strata).any(axis=1), weighted.sum(axis=1), np.nan), dtype=np.float64)


def spreads(strata: Sequence[Array], clusters: Clusters | None = None) -> Array:
    """Return the standard deviation of a single task of n items whose mean is as uncertain as each row's estimate."""
    counts = _counts(strata)
    shares = np.hstack([weights.max(axis=1, initial=0.0, keepdims=True) for weights in _weights(strata)])
    sums = np.stack([_variances_of_sums(*one) for one in zip(strata, _all(clusters, strata), strict=True)], axis=1)
    squares = (shares**2 * sums).sum(axis=1) * counts.sum(axis=1)
    found: Array = np.sqrt(squares)
    return found


def sign_flip_ps(
    strata: Sequence[Array], resamples: int, rng: np.random.Generator, clusters: Clusters | None = None
) -> Array:
    """Return the two-sided p of each row's differences having no direction, shape (rows,).

    Under the null hypothesis two arms that were run on one item could as well be swapped, so each difference has either
    sign with the same chance (scipy's permutation_test of one sample, "samples"). Exact where there are no more sign
    patterns than `resamples`; else at least 2 / (resamples + 1). All rows share the signs that were drawn.
    """
    values = [weights * np.nan_to_num(stratum) for weights, stratum in zip(_weights(strata), strata, strict=True)]
    weighted = np.hstack([_summed(*one) for one in zip(values, _all(clusters, strata), strict=True)])
    weighted = weighted[:, weighted.any(axis=0)]  # a tie stays a tie
    rows, items = weighted.shape
    if items < 2:  # one difference has either sign: no direction at all
        return np.ones(rows)
    scale = np.abs(weighted).max()

    def summed(signs: Array, axis: int = -1) -> Array:
        sums: Array = np.round(signs @ weighted.T / scale, _DIGITS)
        return sums

    found = permutation_test(
        (np.ones(items),),
        summed,
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        batch=max(1, _CELLS // max(2 * items, rows)),
        random_state=rng,
    )
    return np.asarray(found.pvalue, dtype=np.float64)


def mean_intervals(
    strata: Sequence[Array],
    *,
    floor: float,
    ceiling: float,
    alpha: float,
    resamples: int,
    rng: np.random.Generator,
    clusters: Clusters | None = None,
) -> list[tuple[float, float, str]]:
    """Return (low, high, method) of each row's estimate, by a bootstrap of the items within each task.

    scipy's bootstrap: BCa for one task of at most 2,000 items, percentile for several and where BCa is undefined.
    A row in which every task has equal values only is bounded by `constant_interval` instead, for values from `floor`
    to `ceiling`; so is a row without values. These intervals need not agree with `sign_flip_ps` at their very edge.
    """
    found: dict[int, tuple[float, float, str]] = {}
    units = [_Units.of(*one) for one in zip(strata, _all(clusters, strata), strict=True)]
    for rows, parts in _alike(units):
        constant = np.array([all(_flat(part.means[row]) for part in parts) for row in range(len(rows))])
        for row in np.flatnonzero(constant):
            found[rows[row]] = _constant([part.means[row] for part in parts], floor, ceiling, alpha)
        varied = np.flatnonzero(~constant)
        if len(varied):
            bounds = _bootstrapped([part.rows(varied) for part in parts], alpha, resamples, rng)
            found.update(zip((rows[row] for row in varied), bounds, strict=True))
    return [found[row] for row in range(len(found))]


# -- clusters ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Units:
    """What is resampled of a task: `means` of each cluster, NaN where a row has none, and how many items they are of.

    Both are of shape (rows, units). Without clusters each item is a unit.
    """

    means: Array
    sizes: Array

    @classmethod
    def of(cls, stratum: Array, codes: npt.NDArray[np.int64] | None) -> _Units:
        sizes = (~np.isnan(stratum)).astype(np.float64)
        if codes is None:
            return cls(stratum, sizes)
        sums, sizes = _summed(np.nan_to_num(stratum), codes), _summed(sizes, codes)
        return cls(np.where(sizes > 0, np.round(sums / np.maximum(sizes, 1), _DIGITS), np.nan), sizes)

    def rows(self, rows: Any, columns: Any = slice(None)) -> _Units:
        return _Units(self.means[rows][:, columns], self.sizes[rows][:, columns])


def _all(clusters: Clusters | None, strata: Sequence[Array]) -> Clusters:
    return [None] * len(strata) if clusters is None else clusters


def _summed(values: Array, codes: npt.NDArray[np.int64] | None) -> Array:
    """Return the sums of each cluster's values, shape (rows, clusters)."""
    if codes is None:
        return values
    count = int(codes.max(initial=-1)) + 1
    rows = [np.bincount(codes, weights=row, minlength=count) for row in values]
    return np.array(rows, dtype=np.float64).reshape(len(values), count)


# -- rows -------------------------------------------------------------------------------------------------------------


def _counts(strata: Sequence[Array]) -> npt.NDArray[np.int64]:
    """Return how many values each row has in each task, shape (rows, tasks)."""
    return np.stack([np.count_nonzero(~np.isnan(stratum), axis=1) for stratum in strata], axis=1)


def _weights(strata: Sequence[Array]) -> list[Array]:
    """Return what each value counts in its row's estimate, shaped as the strata; 0 where there is none."""
    counts = _counts(strata)
    tasks = np.maximum(np.count_nonzero(counts, axis=1), 1)
    each = 1 / (np.maximum(counts, 1) * tasks[:, None])
    return [np.where(np.isnan(stratum), 0.0, each[:, [k]]) for k, stratum in enumerate(strata)]


def _variances(stratum: Array) -> Array:
    """Return the variance of each row's values (n - 1 below), shape (rows,); 0 for fewer than two."""
    present = ~np.isnan(stratum)
    n = np.maximum(present.sum(axis=1), 1)
    means = np.nansum(stratum, axis=1) / n
    squares = np.where(present, (np.nan_to_num(stratum) - means[:, None]) ** 2, 0.0).sum(axis=1)
    return np.asarray(squares / np.maximum(n - 1, 1), dtype=np.float64)


def _variances_of_sums(stratum: Array, codes: npt.NDArray[np.int64] | None) -> Array:
    """Return the variance of each row's sum of values: of n items n times theirs, of clusters their sums'."""
    present = ~np.isnan(stratum)
    if codes is None:
        return np.asarray(present.sum(axis=1) * _variances(stratum), dtype=np.float64)
    means = np.nansum(stratum, axis=1) / np.maximum(present.sum(axis=1), 1)
    off = _summed(np.where(present, np.nan_to_num(stratum) - means[:, None], 0.0), codes)
    count = np.count_nonzero(_summed(present.astype(np.float64), codes), axis=1)
    return np.asarray((off**2).sum(axis=1) * count / np.maximum(count - 1, 1), dtype=np.float64)


def _alike(units: Sequence[_Units]) -> Iterator[tuple[list[int], list[_Units]]]:
    """Yield rows that can be resampled together, with their values of each task that they have.

    Those are rows with values for the same units; and all rows with few gaps in the same tasks, whose gaps stay NaN.
    """
    present = [one.sizes > 0 for one in units]
    groups: dict[bytes, list[int]] = {}
    for row in range(len(units[0].means)):
        own = [p[row] for p in present]
        full = all(not mask.any() or mask.all() or (len(mask) >= _MANY and mask.mean() >= _MOSTLY) for mask in own)
        key = bytes(bool(mask.any()) for mask in own) if full else np.hstack(own).tobytes() + b"gaps"
        groups.setdefault(key, []).append(row)
    for rows in groups.values():
        parts = [one.rows(rows, mask[rows].any(axis=0)) for one, mask in zip(units, present, strict=True)]
        yield rows, [part for part in parts if part.means.shape[1]]


def _flat(values: Array) -> bool:
    return bool(np.nanmin(values) == np.nanmax(values))


def _constant(parts: Sequence[Array], floor: float, ceiling: float, alpha: float) -> tuple[float, float, str]:
    if not parts:
        return floor, ceiling, CONSTANT
    own = [part[~np.isnan(part)] for part in parts]
    together = len(own) * min(map(len, own))  # in whichever tasks what was not seen may lie; fewer than there are
    bounds = [constant_interval(float(part[0]), together, floor, ceiling, alpha) for part in own]
    low, high = np.mean(bounds, axis=0)
    return float(low), float(high), CONSTANT


# -- bootstrap --------------------------------------------------------------------------------------------------------


def _bootstrapped(
    parts: Sequence[_Units], alpha: float, resamples: int, rng: np.random.Generator
) -> list[tuple[float, float, str]]:
    """Return (low, high, method) of each row; every row has values in every task. A task's only unit stays as it is."""
    means = [part.means for part in parts]
    fixed = sum((part[:, 0] for part in means if part.shape[1] == 1), start=np.zeros(len(means[0])))
    drawn = [part for part in parts if part.means.shape[1] > 1]
    method = BCA if len(parts) == 1 and drawn[0].means.shape[1] <= _JACKKNIFE else PERCENTILE
    lows, highs, drawn_means = _resampled(drawn, fixed, len(parts), method, alpha, resamples, rng)
    undefined = np.isnan(lows) | np.isnan(highs)
    if undefined.any():
        lows, highs = np.where(undefined, np.quantile(drawn_means, [alpha / 2, 1 - alpha / 2], axis=-1), [lows, highs])
    return [
        (float(low), float(high), PERCENTILE if bad else method)
        for low, high, bad in zip(lows, highs, undefined, strict=True)
    ]


def _resampled(
    drawn: Sequence[_Units],
    fixed: Array,
    tasks: int,
    method: str,
    alpha: float,
    resamples: int,
    rng: np.random.Generator,
) -> tuple[Array, Array, Array]:
    """Return lows and highs, shape (rows,), and the resampled means, shape (rows, resamples)."""

    def mean(*places: Any, axis: int = -1) -> Array:
        total = fixed
        for place, part in zip(places, drawn, strict=True):
            times = _times(place, part.means.shape[1])
            total = total + times @ (np.nan_to_num(part.means) * part.sizes).T / (times @ part.sizes.T)
        means: Array = np.round(np.moveaxis(total / tasks, -1, 0), _DIGITS)
        return means

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # scipy warns where BCa is undefined; the caller falls back
        found = bootstrap(
            [np.arange(part.means.shape[1]) for part in drawn],
            mean,
            vectorized=True,
            method="BCa" if method == BCA else "percentile",
            confidence_level=1 - alpha,
            n_resamples=resamples,
            batch=max(1, _CELLS // max(2 * part.means.shape[1] for part in drawn)),
            random_state=rng,
        )
    low, high = found.confidence_interval
    return np.asarray(low), np.asarray(high), np.asarray(found.bootstrap_distribution)


def _times(places: npt.NDArray[np.int64], items: int) -> Array:
    """Return how often each resample holds each item: from (..., drawn) places to (..., items) counts."""
    rows = places.reshape(-1, places.shape[-1])
    shifted = rows + np.arange(len(rows))[:, None] * items
    counted = np.bincount(shifted.ravel(), minlength=len(rows) * items)
    found: Array = counted.reshape(*places.shape[:-1], items).astype(np.float64)
    return found
