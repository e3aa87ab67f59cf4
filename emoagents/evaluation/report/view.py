"""Findings, looked up the way that tables and pictures need them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from emoagents.evaluation.findings import ALL_TASKS, ArmRow, Difference, Findings
from emoagents.evaluation.record import Arm, Plan

__all__ = ["View", "short_names"]


@dataclass(frozen=True)
class View:
    """A plan with what was found.

    Attributes:
        tasks: names of the tasks in the plan's order.
        overall: the name of the row that stands for the whole comparison.
    """

    plan: Plan
    findings: Findings
    tasks: tuple[str, ...] = field(init=False)
    overall: str = field(init=False)
    _rows: Mapping[tuple[str, str], ArmRow] = field(init=False, repr=False)
    _differences: Mapping[tuple[str, str, str], Difference] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rows = {(row.arm, row.task): row for row in self.findings.arms}
        differences = {(d.kind, d.arm, d.task): d for d in self.findings.differences}
        tasks = tuple(task.name for task in self.plan.tasks)
        alone = len(tasks) == 1 and not any(task == ALL_TASKS for _, task in rows)
        object.__setattr__(self, "tasks", tasks)
        object.__setattr__(self, "overall", tasks[0] if alone else ALL_TASKS)
        object.__setattr__(self, "_rows", rows)
        object.__setattr__(self, "_differences", differences)

    def row(self, arm: str, task: str | None = None) -> ArmRow | None:
        """Return an arm's row on a task, or on all of them."""
        return self._rows.get((arm, task or self.overall))

    def difference(self, kind: str, arm: str, task: str | None = None) -> Difference | None:
        """Return an arm's difference to its baseline or to its twin."""
        return self._differences.get((kind, arm, task or self.overall))

    def differences(self, kind: str, task: str | None = None) -> list[Difference]:
        """Return all differences of a kind, the greatest first."""
        found = [d for d in self.findings.differences if d.kind == kind and d.task == (task or self.overall)]
        return sorted(found, key=lambda d: -d.difference)

    def measured(self) -> list[tuple[int, Arm, ArmRow]]:
        """Return the arms that have an overall score, each with its number in the plan, from 1."""
        rows = ((number, arm, self.row(arm.label)) for number, arm in enumerate(self.plan.arms, 1))
        return [(number, arm, row) for number, arm, row in rows if row is not None and row.score is not None]


def short_names(tasks: Sequence[str]) -> dict[str, str]:
    """Return the tasks' names without the suite's, where that leaves no two alike."""
    short = {task: task.partition("/")[2] or task for task in tasks}
    return short if len(set(short.values())) == len(short) else {task: task for task in tasks}
