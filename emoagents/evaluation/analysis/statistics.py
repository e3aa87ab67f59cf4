"""The closed-form statistics of a comparison: McNemar, Clopper-Pearson, Wilson, Holm, power; by statsmodels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import hypot

import numpy as np
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.power import TTestPower
from statsmodels.stats.proportion import proportion_confint

__all__ = ["POWER", "constant_interval", "holm", "mcnemar_interval", "mcnemar_p", "smallest_effect", "wilson"]

POWER = 0.8
"""How often the smallest detectable effect would be found."""


def mcnemar_p(wins: int, losses: int) -> float:
    """Return the two-sided p of the exact McNemar test: twice the smaller binomial tail, at most 1.

    `wins` and `losses` are the discordant pairs: items right in one arm only.
    """
    return float(mcnemar([[0, wins], [losses, 0]], exact=True).pvalue) if wins + losses else 1.0


def mcnemar_interval(wins: int, losses: int, n: int, alpha: float = 0.05) -> tuple[float, float]:
    """Return an interval of the difference of two paired proportions, (wins - losses) / n.

    The difference is a product: the share of discordant pairs, times how one-sided they are, 2 wins/(wins+losses) - 1.
    The second factor gets the exact (Clopper-Pearson) interval, the first one Wilson's, and square-and-add joins them
    (MOVER: Zou and Donner 2008). Clopper-Pearson alone would take the share of discordant pairs as known, and miss the
    true difference far too often where there is one.

    The interval excludes 0 if and only if `mcnemar_p` is below alpha: then, and only then, the interval of the second
    factor excludes 0, and the smallest product of the two intervals bounds the result away from 0. Without any
    discordant pair it is plus and minus what the share of them may be.
    """
    found = wins + losses
    share, (share_low, share_high) = found / n, wilson(found, n, alpha)
    if not found:
        return -share_high, share_high
    if losses > wins:
        low, high = mcnemar_interval(losses, wins, n, alpha)
        return -high, -low
    side = (wins - losses) / found
    side_low, side_high = (2 * float(end) - 1 for end in proportion_confint(wins, found, alpha, method="beta"))
    low = share * side - hypot(side * (share - share_low), share * (side - side_low))
    high = share * side + hypot(side * (share_high - share), share * (side_high - side))
    return max(low, share_low * side_low if side_low > 0 else -1.0), min(high, 1.0)


def wilson(successes: float, n: int, alpha: float = 0.05) -> tuple[float, float]:
    """Return Wilson's interval of a proportion; (0, 1) where n is 0."""
    if not n:
        return 0.0, 1.0
    low, high = proportion_confint(successes, n, alpha, method="wilson")
    return max(0.0, float(low)), min(1.0, float(high))


def constant_interval(value: float, n: int, floor: float, ceiling: float, alpha: float = 0.05) -> tuple[float, float]:
    """Return an interval of a mean whose n observations are all `value`, where a bootstrap sees no spread at all.

    At most a share u of what was not observed is different (Wilson's bound of 0 in n, about 4/n), and differs at most
    as far as `floor` or `ceiling`.
    """
    _, share = wilson(0, n, alpha)
    return value - share * (value - floor), value + share * (ceiling - value)


def holm(ps: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values: with p < alpha among them, the chance of any false finding is below alpha.

    As statsmodels' multipletests(method="holm"), which runs a full garbage collection in each call: seconds in all,
    where many records are in memory.
    """
    order = sorted(range(len(ps)), key=ps.__getitem__)
    adjusted, reached = [0.0] * len(ps), 0.0
    for rank, place in enumerate(order):
        reached = max(reached, min(1.0, (len(ps) - rank) * ps[place]))
        adjusted[place] = reached
    return adjusted


def smallest_effect(n: int, sd: float, alpha: float = 0.05) -> float:
    """Return the smallest true mean difference that n pairs show with power 0.8, on the scale of the differences, to 1.

    By the paired t-test's power (statsmodels' TTestPower) and the standard deviation of the differences; never below
    k/n, where k is the least number of discordant pairs, all to one side, that an exact test finds. It is 1 where no
    difference could be shown.
    """
    if n < 2:
        return 1.0
    return min(1.0, max(_standardised(n, alpha) * sd, _fewest(alpha) / n))


@lru_cache(maxsize=4096)
def _standardised(n: int, alpha: float) -> float:
    found = TTestPower().solve_power(effect_size=None, nobs=n, alpha=alpha, power=POWER)
    return abs(float(np.ravel(found)[0]))  # its second solver returns an array, and sometimes the solution below 0


def _fewest(alpha: float) -> int:
    """Return the least k for which k pairs to one side have 2 * 0.5**k < alpha."""
    k = 1
    while 2 * 0.5**k >= alpha:
        k += 1
    return k
