"""Before and after: two strategies on the same examples, by the comparison's own attempts, accounts and statistics."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emoagents.context import Context
from emoagents.evaluation.arms import MadeArm
from emoagents.evaluation.comparison import Comparison, compare, make_plan
from emoagents.evaluation.content import strategy_digest
from emoagents.evaluation.findings import ArmRow, Difference
from emoagents.evaluation.record import Arm, Record
from emoagents.evaluation.task import Item
from emoagents.model.budget import Budget, Hold
from emoagents.strategies.base import Strategy
from emoagents.tuning.metric_task import MetricTask
from emoagents.tuning.metrics import Metric

__all__ = ["BEFORE", "Row", "left_for_search", "measure", "rows", "spent_on"]

BEFORE = "before"
_AFTER = "after"

_MARGIN = 1.5
"""What the last measurement may cost, over what the first did: demonstrations make prompts longer."""


@dataclass(frozen=True, slots=True)
class Row:
    """Before and after on one set of examples; None where there is no scored pair."""

    name: str
    before: ArmRow | None
    after: ArmRow | None
    difference: Difference | None


async def measure(
    strategies: Sequence[Strategy],
    sets: Mapping[str, Sequence[Item]],
    metric: Metric,
    context: Context,
    folder: Path,
    *,
    seed: int = 0,
    command: str = "",
    on_begin: Callable[[int, int], None] | None = None,
    on_record: Callable[[Record], None] | None = None,
) -> Comparison:
    """Measure a strategy, or the one before and the one after, on each set; what was measured in the folder is kept.

    Args:
        strategies: the one as it began, and perhaps the tuned one.
        sets: examples by name. metric: what an answer is worth.
        context: model, settings and budget, which is for all that was ever paid in this folder.
        folder: of the comparison. seed, command: written down in its plan.
        on_begin, on_record: as in `compare`.

    Raises:
        UsageError: the caller's mistake. RunError: the model never answers.
    """
    tasks = [MetricTask(name, metric, list(items)) for name, items in sets.items()]
    arms = [_arm(strategy, BEFORE if not number else _after(strategy)) for number, strategy in enumerate(strategies)]
    plan = make_plan(tasks, arms, context, baseline=BEFORE, seed=seed, command=command)
    return await compare(tasks, arms, context, folder, plan=plan, on_begin=on_begin, on_record=on_record)


def _after(strategy: Strategy) -> str:
    """Return the label of what was tuned: another result in the same folder is another arm."""
    return f"{_AFTER}-{strategy_digest(strategy)[:8]}"


def _arm(strategy: Strategy, label: str) -> MadeArm:
    return MadeArm(Arm(label=label, spec=label, title=strategy.title), strategy)


def rows(comparison: Comparison) -> list[Row]:
    """Return before and after for each set."""
    findings = comparison.findings
    return [
        Row(
            task.name,
            next((a for a in findings.arms if a.task == task.name and a.arm == BEFORE), None),
            next((a for a in findings.arms if a.task == task.name and a.arm != BEFORE), None),
            next((d for d in findings.differences if d.task == task.name and d.kind == "baseline"), None),
        )
        for task in comparison.plan.tasks
    ]


def spent_on(comparison: Comparison) -> Hold:
    """Return what the attempts of a comparison cost, or would have, had nothing been shared."""
    total = Hold(calls=0)
    for record in comparison.records():
        total.add(Hold(record.spent.answers, record.spent.tokens, record.spent.usd or 0.0))
    return total


def left_for_search(budget: Budget | None, before: Hold, seconds: float) -> Budget | None:
    """Return the budget without what the measurement of the tuned strategy may take: one and a half of the first.

    Args:
        before: what the first measurement cost. seconds: how long it took.
    """
    if budget is None:
        return None
    return Budget(
        calls=_whole(_without(budget.calls, before.calls * _MARGIN)),
        tokens=_whole(_without(budget.tokens, before.tokens * _MARGIN)),
        usd=_without(budget.usd, before.usd * _MARGIN),
        seconds=_without(budget.seconds, seconds * (1 + _MARGIN)),
    )


def _whole(limit: float | None) -> int | None:
    return None if limit is None else math.floor(limit)


def _without(limit: float | None, kept: float) -> float | None:
    return None if limit is None else max(0.0, limit - kept)
