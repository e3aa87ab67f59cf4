"""Which arms asked the very same, as ones that differ in a stage which a task does without: nothing was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from emoagents.evaluation.analysis.collect import Attempt, Collected

__all__ = ["alike"]

_Attempts: TypeAlias = Mapping[tuple[str, int], Attempt]


def alike(collected: Collected) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield (arm, earlier arm, tasks) for arms that asked the same models the very same in each attempt at the tasks.

    They draw the same stream of samples, and were scored the same: arms that read one answer in two ways do differ.
    Attempts that one of the two lacks, and those without a trace, say nothing.
    """
    found: dict[tuple[str, str], list[str]] = {}
    attempts = _by_arm(collected)
    for task in collected.plan.tasks:
        for place, arm in enumerate(collected.plan.arms):
            mine = attempts.get((task.name, arm.label), {})
            for other in collected.plan.arms[:place]:
                if other.stream == arm.stream and _same(mine, attempts.get((task.name, other.label), {})):
                    found.setdefault((arm.label, other.label), []).append(task.name)
                    break
    for (one, two), tasks in found.items():
        yield one, two, tuple(tasks)


def _by_arm(collected: Collected) -> dict[tuple[str, str], dict[tuple[str, int], Attempt]]:
    found: dict[tuple[str, str], dict[tuple[str, int], Attempt]] = {}
    for (task, item, arm, replica), attempt in collected.attempts.items():
        if attempt.asked is not None and attempt.score is not None:
            found.setdefault((task, arm), {})[item, replica] = attempt
    return found


def _same(mine: _Attempts, others: _Attempts) -> bool:
    both = mine.keys() & others.keys()
    return bool(both) and all(
        mine[key].asked == others[key].asked and mine[key].score == others[key].score for key in both
    )
