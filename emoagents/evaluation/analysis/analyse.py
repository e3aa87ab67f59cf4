"""From the records of a comparison to its findings: means, paired differences, selections, repairs, and notes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from emoagents.errors import ParameterError
from emoagents.evaluation.analysis.alike import alike
from emoagents.evaluation.analysis.collect import Collected, collect
from emoagents.evaluation.analysis.differences import differences
from emoagents.evaluation.analysis.repair import repair_rows
from emoagents.evaluation.analysis.rows import arm_rows, group_rows
from emoagents.evaluation.analysis.scores import Scores, tabulate
from emoagents.evaluation.analysis.selection import selections
from emoagents.evaluation.findings import ALL_TASKS, ArmRow, Difference, Findings
from emoagents.evaluation.record import Plan, Record

__all__ = ["FEW", "analyse"]

FEW = 20
"""Fewer pairs than this get a note."""


def analyse(plan: Plan, records: Iterable[Record], *, alpha: float = 0.05, resamples: int = 5000) -> Findings:
    """Return what the records of a plan show, by each task's first metric.

    The records are read once, as a stream. Of two records of one attempt the later counts. The unit is the item: its
    repetitions are averaged first. Failed attempts are in no mean. With one task, the rows of all tasks repeat the
    task's numbers. The same records in another order give the same findings.

    Args:
        alpha: 1 minus the intervals' coverage, and the level of the tests after Holm's correction.
        resamples: bootstrap samples, and the least number of sign patterns of a permutation test.

    Raises:
        ParameterError: alpha is not between 0 and 1, or there are fewer than 100 resamples.
        MissingExtraError: the extra "evaluation" is not installed (on import of this module).
    """
    if not 0 < alpha < 1:
        raise ParameterError(f"alpha must be between 0 and 1, not {alpha!r}")
    if resamples < 100:
        raise ParameterError(f"resamples must be at least 100, not {resamples!r}")
    collected = collect(plan, records)
    counted = Findings(
        arms=(),
        differences=(),
        attempts=len(collected.attempts),
        missing=_missing(collected),
        answers=sum(a.answers for a in collected.attempts.values()),
        bought=sum(a.bought for a in collected.attempts.values()),
        alpha=alpha,
    )
    return _analysed(collected, counted, alpha, resamples) if plan.tasks and plan.arms else counted


def _analysed(collected: Collected, counted: Findings, alpha: float, resamples: int) -> Findings:
    plan, scores = collected.plan, tabulate(collected)
    rows = arm_rows(collected, scores, alpha, resamples)
    found = counted.model_copy(
        update={
            "arms": tuple(rows),
            "differences": tuple(differences(plan, scores, rows, alpha, resamples)),
            "selections": tuple(selections(plan, scores, alpha, resamples)),
            "repairs": tuple(repair_rows(collected, alpha)),
            "groups": tuple(group_rows(collected, scores)),
        }
    )
    return found.model_copy(update={"notes": tuple(_notes(collected, scores, found))})


def _missing(collected: Collected) -> int:
    """Return how many attempts have no record. More items than the plan says make up for none of another task."""
    plan = collected.plan
    have = Counter((task, arm) for task, _, arm, _ in collected.attempts)
    return sum(
        max(0, task.items * plan.replicas - have[task.name, arm.label]) for task in plan.tasks for arm in plan.arms
    )


# -- notes ------------------------------------------------------------------------------------------------------------


def _notes(collected: Collected, scores: Scores, found: Findings) -> Iterator[str]:
    attempts = collected.attempts.values()
    if failed := sum(a.score is None and not a.unjudged for a in attempts):
        yield f"{_count(failed, 'attempt')} failed: counted, and in no mean."
    if unjudged := sum(a.unjudged for a in attempts):
        yield f"{_count(unjudged, 'answer')} without a verdict of the judge that can be read: in no mean."
    if unparsed := sum(a.unparsed for a in attempts):
        yield f"{_count(unparsed, 'answer')} could not be read: each counts as 0."
    if found.missing:
        yield f"{_count(found.missing, 'attempt')} of the plan {_are(found.missing)} not there yet."
    if collected.strangers:
        yield f"{_count(collected.strangers, 'record')} of other tasks, arms or repetitions than the plan's left out."
    if unpriced := sum(a.usd is None for a in attempts):
        yield f"{_count(unpriced, 'attempt')} used a model whose price is not known: their arms have no cost in USD."
    yield from _note_tasks(collected, found.arms)
    yield from _note_clusters(scores)
    yield from _note_alike(collected)
    yield from _note_pairs(found.differences)
    if any("oracle" in arm.spec for arm in collected.plan.arms):
        yield "Arms with an oracle verifier see the right answer: an upper bound, not a deployable score."
    if found.bought < found.answers:
        yield (
            f"{found.bought} of {_count(found.answers, 'answer')} were bought; the others are samples that arms share, "
            "or come from an earlier run."
        )


def _note_tasks(collected: Collected, rows: Sequence[ArmRow]) -> Iterator[str]:
    empty = {row.arm for row in rows if row.n == 0 and row.task != ALL_TASKS}
    if empty and len(collected.plan.tasks) > 1:
        yield f"{_count(len(empty), 'arm')} without a score in some task: all tasks means the others there."
    elif empty:
        yield f"{_count(len(empty), 'arm')} {_have(len(empty))} no score at all."


def _note_clusters(scores: Scores) -> Iterator[str]:
    for task, items, codes in zip(scores.tasks, scores.items, scores.clusters, strict=True):
        if codes is None:
            continue
        count = len(set(codes.tolist()))
        few = "" if count >= FEW else f" There are fewer than {FEW}: intervals are rough, and often too short."
        yield (
            f"The {_count(len(items), 'item')} of {task} come in {_count(count, 'cluster')}, as replies in one "
            f"conversation do: intervals and tests draw and swap whole clusters.{few}"
        )


def _note_alike(collected: Collected) -> Iterator[str]:
    for arm, other, tasks in alike(collected):
        where = "" if len(tasks) == len(collected.plan.tasks) else f" on {', '.join(tasks)}"
        yield f"{arm} asked exactly what {other} asked{where}: a difference of 0 between them is no finding."


def _note_pairs(rows: Sequence[Difference]) -> Iterator[str]:
    few = [row.n for row in rows if row.n < FEW]
    if few:
        yield (
            f"Some differences rest on fewer than {FEW} pairs (the smallest on {min(few)}): "
            "their intervals are rough, and only large effects could show."
        )


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _are(n: int) -> str:
    return "is" if n == 1 else "are"


def _have(n: int) -> str:
    return "has" if n == 1 else "have"
