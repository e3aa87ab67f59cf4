"""Scores of a comparison as arrays: one for each task, arms by items, repetitions averaged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from emoagents.evaluation.analysis.collect import Collected
from emoagents.evaluation.analysis.resampling import Array, Clusters

__all__ = ["Scores", "tabulate"]

_DIGITS = 12  # (1 + 0 + 1) / 3 and (0 + 1 + 1) / 3 are a tie


@dataclass(frozen=True, slots=True)
class Scores:
    """An array of shape (arms, items) for each task, in the plan's order; NaN where an arm has no score.

    Attributes:
        items: ids of each task's items, sorted: the order in which records came changes nothing.
        single: attempts were not repeated, so a score of 0 or 1 is one trial.
        clusters: the number of each item's cluster, for each task; None for a task whose items stand for themselves.
    """

    arms: tuple[str, ...]
    tasks: tuple[str, ...]
    items: tuple[tuple[str, ...], ...]
    values: tuple[Array, ...]
    single: bool
    clusters: Clusters


def tabulate(collected: Collected) -> Scores:
    """Return the mean score of each arm at each item: the item is the unit, its repetitions are not independent."""
    plan = collected.plan
    names: dict[str, set[str]] = {task.name: set() for task in plan.tasks}
    sums: dict[tuple[str, str, str], list[float]] = {}
    for (task, item, arm, _), attempt in collected.attempts.items():
        names[task].add(item)
        if attempt.score is not None:
            sums.setdefault((task, item, arm), []).append(attempt.score)
    items = tuple(tuple(sorted(names[task.name])) for task in plan.tasks)
    arms, tasks = tuple(arm.label for arm in plan.arms), tuple(task.name for task in plan.tasks)
    values = tuple(
        np.array([[_mean(sums.get((task, item, arm))) for item in own] for arm in arms]).reshape(len(arms), len(own))
        for task, own in zip(tasks, items, strict=True)
    )
    clusters = tuple(_codes(collected, task, own) for task, own in zip(tasks, items, strict=True))
    return Scores(arms, tasks, items, values, plan.replicas == 1, clusters)


def _codes(collected: Collected, task: str, items: Sequence[str]) -> npt.NDArray[np.int64] | None:
    """Return the number of each item's cluster; an item without one is one of its own."""
    names = [collected.clusters.get((task, item)) or f"\0{item}" for item in items]
    found, codes = np.unique(np.array(names, dtype=object), return_inverse=True)
    return None if len(found) == len(names) else np.asarray(codes, dtype=np.int64)


def _mean(scores: list[float] | None) -> float:
    return round(sum(sorted(scores)) / len(scores), _DIGITS) if scores else np.nan
