"""Each arm against its baseline, on the instances that both answered."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, isnan
from typing import TypeAlias

import numpy as np

from emoagents.evaluation.analysis.resampling import generator
from emoagents.evaluation.analysis.statistics import holm
from emoagents.evaluation.metrics.classification import Array
from emoagents.evaluation.record import Plan
from emoagents.evaluation.support.choices import Choices
from emoagents.evaluation.support.findings import METRICS, SupportDifference
from emoagents.evaluation.support.measures import SHAPE, measure, tabulate
from emoagents.evaluation.support.resampling import bootstrap, percentiles, swap_ps

__all__ = ["support_differences"]

_RANDOM = 21  # this part's own random numbers
_MOST = 100_000

_Pair: TypeAlias = tuple[int, int]


def support_differences(
    plan: Plan, choices: Choices, times: Array | None, alpha: float, resamples: int
) -> list[SupportDifference]:
    """Return the differences of all metrics, arm by arm. Holm's correction is over the arms, for each metric.

    Args:
        times: the resamples' dialogues, the same for both arms of a pair; None: too few for intervals.
    """
    pairs = [(a, b) for a, b in _pairs(plan, choices) if (choices.answered[a] & choices.answered[b]).any()]
    permutations = max(resamples, min(_MOST, ceil(4 * len(pairs) / alpha)))
    found = [one for pair in pairs for one in _compared(plan, choices, pair, times, alpha, permutations)]
    return _corrected(found, alpha)


def _pairs(plan: Plan, choices: Choices) -> Iterator[_Pair]:
    place = {arm: number for number, arm in enumerate(choices.arms)}
    for arm, number in place.items():
        base = place.get(plan.baseline_of(arm))
        if base is not None and base != number:
            yield number, base


def _compared(
    plan: Plan, choices: Choices, pair: _Pair, times: Array | None, alpha: float, permutations: int
) -> Iterator[SupportDifference]:
    both = choices.answered[pair[0]] & choices.answered[pair[1]]
    one, other = (tabulate(choices, arm, both) for arm in pair)
    observed = _measured(one) - _measured(other)
    low, high = _ends(one, other, times, alpha)
    ps = swap_ps(one, other, permutations, generator(plan.seed, _RANDOM, *pair))
    for place, metric in enumerate(METRICS):
        if not isnan(observed[place]):
            yield SupportDifference(
                arm=choices.arms[pair[0]],
                reference=choices.arms[pair[1]],
                metric=metric,
                n=int(both.sum()),
                dialogues=len(set(choices.dialogue[both].tolist())),
                difference=float(observed[place]),
                low=None if isnan(low[place]) else float(low[place]),
                high=None if isnan(high[place]) else float(high[place]),
                p=float(ps[place]),
                p_holm=float(ps[place]),
                significant=False,
            )


def _measured(table: Array) -> Array:
    return measure(table.sum(axis=0).reshape(SHAPE))


def _ends(one: Array, other: Array, times: Array | None, alpha: float) -> tuple[Array, Array]:
    if times is None:
        return np.full(len(METRICS), np.nan), np.full(len(METRICS), np.nan)
    return percentiles(bootstrap(one, times) - bootstrap(other, times), alpha)


def _corrected(found: list[SupportDifference], alpha: float) -> list[SupportDifference]:
    adjusted: dict[int, float] = {}
    for metric in METRICS:
        own = [place for place, one in enumerate(found) if one.metric == metric]
        adjusted.update(zip(own, holm([found[place].p for place in own]), strict=True))
    return [
        one.model_copy(update={"p_holm": adjusted[place], "significant": adjusted[place] < alpha})
        for place, one in enumerate(found)
    ]
