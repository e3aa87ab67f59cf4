"""Compare arms in pairs on the items that both scored, with the test and the interval that suit the scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from emoagents.evaluation.analysis.resampling import Array, Clusters, macro_means, mean_intervals, sign_flip_ps, spreads
from emoagents.evaluation.analysis.statistics import mcnemar_interval, mcnemar_p, smallest_effect, wilson

__all__ = ["MCNEMAR", "SIGN_FLIP", "Compared", "Estimate", "compare", "estimate"]

MCNEMAR = "exact McNemar"
SIGN_FLIP = "sign-flip permutation"
_DISCORDANT = "Clopper-Pearson of discordant pairs x Wilson of their share"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean of n items with its interval; NaN where n is 0."""

    n: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Compared:
    """What is known of one paired difference; the fields are those of `Difference`."""

    n: int
    difference: float
    low: float
    high: float
    p: float
    wins: int
    losses: int
    ties: int
    test: str
    interval: str
    smallest: float


def estimate(
    strata: Sequence[Array],
    single: bool,
    alpha: float,
    resamples: int,
    rng: np.random.Generator,
    clusters: Clusters | None = None,
) -> list[Estimate]:
    """Return the mean score of each row of `strata` (see resampling), from 0 to 1.

    Wilson's interval where one task's scores are single trials that are 0 or 1, without clusters; else a stratified
    bootstrap.
    """
    alone = single and len(strata) == 1 and not _any(clusters)
    counts = _sizes(strata)
    means = macro_means(strata)
    binary = (counts > 0) & (_binary(strata) if alone else np.zeros(len(counts), dtype=bool))
    bounds: dict[int, tuple[float, float]] = {
        int(row): wilson(round(means[row] * counts[row]), int(counts[row]), alpha) for row in np.flatnonzero(binary)
    }
    others = np.flatnonzero(~binary & (counts > 0))
    found = mean_intervals(
        [stratum[others] for stratum in strata],
        floor=0.0,
        ceiling=1.0,
        alpha=alpha,
        resamples=resamples,
        rng=rng,
        clusters=clusters,
    )
    bounds.update({int(row): (low, high) for row, (low, high, _) in zip(others, found, strict=True)})
    return [
        Estimate(int(n), float(mean), *bounds.get(row, (np.nan, np.nan)))
        for row, (n, mean) in enumerate(zip(counts, means, strict=True))
    ]


def compare(
    first: Sequence[Array],
    second: Sequence[Array],
    *,
    single: bool,
    alpha: float,
    resamples: int,
    flips: int,
    rng: np.random.Generator,
    clusters: Clusters | None = None,
) -> list[Compared | None]:
    """Compare each row of `first` with the same row of `second`; None where no item has both scores.

    Single trials of one task that are 0 or 1, without clusters, get the exact McNemar test and the interval that agrees
    with it; everything else gets `sign_flip_ps` with `flips` sign patterns, and `mean_intervals` with `resamples`.
    """
    gaps = [a - b for a, b in zip(first, second, strict=True)]
    binary = single and len(gaps) == 1 and not _any(clusters)
    exact = _binary(first) & _binary(second) if binary else np.zeros(len(gaps[0]), dtype=bool)
    flipped = np.flatnonzero(~exact & (_sizes(gaps) > 0))
    found: list[Compared | None] = [None] * len(exact)
    for row in np.flatnonzero(exact & (_sizes(gaps) > 0)):
        found[row] = _mcnemar(gaps[0][row], alpha)
    rows = [gap[flipped] for gap in gaps]
    if len(flipped):
        for row, compared in zip(flipped, _sign_flip(rows, alpha, resamples, flips, rng, clusters), strict=True):
            found[row] = compared
    return found


def _mcnemar(gaps: Array, alpha: float) -> Compared:
    n, wins, losses = _tally(gaps)
    bounds = (*mcnemar_interval(wins, losses, n, alpha), _DISCORDANT)
    sd = float(spreads([gaps[None]])[0])
    return _compared(gaps, (wins - losses) / n, bounds, mcnemar_p(wins, losses), MCNEMAR, smallest_effect(n, sd, alpha))


def _sign_flip(
    gaps: Sequence[Array],
    alpha: float,
    resamples: int,
    flips: int,
    rng: np.random.Generator,
    clusters: Clusters | None,
) -> list[Compared]:
    ps = sign_flip_ps(gaps, flips, rng, clusters)
    bounds = mean_intervals(gaps, floor=-1.0, ceiling=1.0, alpha=alpha, resamples=resamples, rng=rng, clusters=clusters)
    sds = spreads(gaps, clusters)
    smallest = [smallest_effect(int(n), float(sd), alpha) for n, sd in zip(_sizes(gaps), sds, strict=True)]
    rows = zip(np.hstack(gaps), macro_means(gaps), bounds, ps, smallest, strict=True)
    return [_compared(gap, float(mean), ends, float(p), SIGN_FLIP, least) for gap, mean, ends, p, least in rows]


def _compared(
    gaps: Array, difference: float, bounds: tuple[float, float, str], p: float, test: str, smallest: float
) -> Compared:
    n, wins, losses = _tally(gaps)
    low, high, interval = bounds
    return Compared(n, difference, low, high, p, wins, losses, n - wins - losses, test, interval, smallest)


def _tally(gaps: Array) -> tuple[int, int, int]:
    """Return how many pairs there are, and how many are won and lost."""
    return int(np.sum(~np.isnan(gaps))), int(np.sum(gaps > 0)), int(np.sum(gaps < 0))


def _sizes(strata: Sequence[Array]) -> npt.NDArray[np.int64]:
    return np.asarray(np.sum([np.sum(~np.isnan(stratum), axis=1) for stratum in strata], axis=0), dtype=np.int64)


def _any(clusters: Clusters | None) -> bool:
    return any(codes is not None for codes in clusters or ())


def _binary(strata: Sequence[Array]) -> npt.NDArray[np.bool_]:
    """Return which rows hold nothing but 0, 1 and NaN."""
    flat = np.hstack(strata)
    return np.asarray((np.isnan(flat) | (flat == 0) | (flat == 1)).all(axis=1))
