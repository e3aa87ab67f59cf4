"""What choosing the best of several arms is worth: chosen on one half of the items, scored on the other, both ways."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from emoagents.evaluation.analysis.compare import Compared, compare
from emoagents.evaluation.analysis.resampling import Array, generator, macro_means
from emoagents.evaluation.analysis.scores import Scores
from emoagents.evaluation.findings import Selection
from emoagents.evaluation.record import Plan

__all__ = ["PER_TASK", "selections"]

PER_TASK = " (per task)"
"""Ends the family's name where the best arm was chosen for each task by itself, as the papers do."""

_RANDOM = 3

_Choice: TypeAlias = list[int | None]
"""Place of the arm chosen for each task."""


def selections(plan: Plan, scores: Scores, alpha: float, resamples: int) -> list[Selection]:
    """Return a selection for each family of two or more arms, and with several tasks one by task as well.

    The items of each task are split in two at random (by the plan's seed). The arm with the best score on one half (the
    first of equals in the plan's order; each task with the same weight) is scored on the other half, and the other way
    round; the two halves together make up the estimate (cross-fitting), whose test and interval are those of any
    difference to the baseline. The baseline itself is never a member.
    """
    families: dict[str, list[int]] = {}
    for place, arm in enumerate(plan.arms):
        base = plan.baseline_of(arm.label)
        if arm.family is not None and arm.label != base and base in scores.arms:
            families.setdefault(arm.family, []).append(place)
    half = _Halves(plan, scores, alpha, resamples)
    ways = [(False, "")] + ([(True, PER_TASK)] if len(scores.tasks) > 1 else [])
    return [
        found
        for family, members in families.items()
        for by_task, ending in ways
        if len(members) > 1 and (found := half.selection(family + ending, members, by_task)) is not None
    ]


class _Halves:
    """The scores, split in two."""

    def __init__(self, plan: Plan, scores: Scores, alpha: float, resamples: int) -> None:
        self.plan, self.scores, self.alpha, self.resamples = plan, scores, alpha, resamples
        self.first = _split(scores, plan.seed)

    def selection(self, family: str, members: Sequence[int], by_task: bool) -> Selection | None:
        """Return the selection; None where there is nothing to choose by, or to compare with."""
        values, reference = self.scores.values, self.plan.baseline_of(self.scores.arms[members[0]])
        base = [v[[self.scores.arms.index(reference)]] for v in values]
        choices = [
            _choice(members, [v[:, half] for v, half in zip(values, halves, strict=True)], by_task)
            for halves in (self.first, [~half for half in self.first])
        ]
        picked = [
            np.where(half, _scores(v, by_second), _scores(v, by_first))
            for v, half, by_first, by_second in zip(values, self.first, *choices, strict=True)
        ]
        fair = self._compared(picked, base)
        same = _choice(members, values, by_task)
        flattered = _gap([_scores(v, arm) for v, arm in zip(values, same, strict=True)], base)
        if fair is None or flattered is None:
            return None
        return Selection(
            family=family,
            members=tuple(self.scores.arms[arm] for arm in members),
            chosen=self._labels(choices, by_task),
            reference=reference,
            n=fair.n,
            score=float(macro_means(picked)[0]),
            difference=fair.difference,
            low=fair.low,
            high=fair.high,
            p=fair.p,
            flattered=flattered,
        )

    def _compared(self, picked: Sequence[Array], base: Sequence[Array]) -> Compared | None:
        return compare(
            picked,
            base,
            single=self.scores.single,
            alpha=self.alpha,
            resamples=self.resamples,
            flips=self.resamples,
            rng=generator(self.plan.seed, _RANDOM, 1),
            clusters=self.scores.clusters,
        )[0]

    def _labels(self, choices: Sequence[_Choice], by_task: bool) -> tuple[str, ...]:
        """Return each half's arm; of choices by task, all arms that were chosen anywhere, in the plan's order."""
        if not by_task:
            return tuple(self.scores.arms[c[0]] for c in choices if c[0] is not None)
        anywhere = {arm for choice in choices for arm in choice if arm is not None}
        return tuple(self.scores.arms[arm] for arm in sorted(anywhere))


def _gap(picked: Sequence[Array], base: Sequence[Array]) -> float | None:
    gap = float(macro_means([a - b for a, b in zip(picked, base, strict=True)])[0])
    return None if np.isnan(gap) else gap


def _split(scores: Scores, seed: int) -> list[npt.NDArray[np.bool_]]:
    """Return which items of each task are in the first half; where a task has an odd one, it goes to each in turn.

    Whole clusters are in one half.
    """
    rng = generator(seed, _RANDOM)
    halves, carried = [], 0
    for items, codes in zip(scores.items, scores.clusters, strict=True):
        count = len(items) if codes is None else int(codes.max()) + 1
        size, carried = divmod(count + carried, 2)
        chosen = rng.permutation(count) < size
        halves.append(chosen if codes is None else chosen[codes])
    return halves


def _choice(members: Sequence[int], strata: Sequence[Array], by_task: bool) -> _Choice:
    if by_task:
        return [_best(members, [stratum]) for stratum in strata]
    return [_best(members, strata)] * len(strata)


def _best(members: Sequence[int], strata: Sequence[Array]) -> int | None:
    means = macro_means([stratum[list(members)] for stratum in strata])
    return None if np.isnan(means).all() else members[int(np.nanargmax(means))]


def _scores(values: Array, arm: int | None) -> Array:
    """Return an arm's scores, shape (1, items)."""
    return np.full((1, values.shape[1]), np.nan) if arm is None else values[[arm]]
