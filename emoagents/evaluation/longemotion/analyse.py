"""From records of LongEmotion's tasks to the figures of the paper's table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from emoagents.evaluation.judging import MEAN
from emoagents.evaluation.longemotion.findings import ArmResult, LongEmotionFindings, TaskResult
from emoagents.evaluation.longemotion.overall import TASKS, overall_score
from emoagents.evaluation.record import Plan, Record, TaskInfo
from emoagents.evaluation.report.latest import Latest
from emoagents.evaluation.report.words import plural
from emoagents.evaluation.tasks.longemotion_items import HALVES, STAND_IN

__all__ = ["analyse_longemotion", "scale_of"]

_SUITE = "longemotion"


def scale_of(task: str) -> float:
    """Return what a score of 1 is on the paper's scale; stages 1 to 3 of the conversation are as its fourth."""
    scales = {one.name: one.scale for one in TASKS.values()}
    return scales.get(task, scales["longemotion/conversation"] if "/conversation_" in task else 100)


def _short(task: TaskInfo) -> str:
    """Return a task's name in the paper; of other data, or of half of it, another name."""
    if STAND_IN in task.source:
        return "EU"
    if half := next((half for half in HALVES.values() if half in task.source), None):
        return f"EC, {half}"
    known = {one.name: short for short, one in TASKS.items()}
    return known.get(task.name) or f"MC-{task.name[-1]}"


@dataclass(slots=True)
class _Sums:
    """What is kept of the attempts of an arm at a task: for each item the scores of each metric."""

    scores: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    attempts: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    answers: int = 0
    tokens: int = 0
    usd: float | None = 0.0

    def add(self, record: Record) -> None:
        self.attempts += 1
        self.counts[record.status] = self.counts.get(record.status, 0) + 1
        self.answers += record.judge.answers
        self.tokens += record.judge.tokens
        self.usd = None if self.usd is None or record.judge.usd is None else self.usd + record.judge.usd
        for metric, value in record.scores.items():
            self.scores.setdefault(metric, {}).setdefault(record.item, []).append(value)

    def mean(self, metric: str) -> float:
        """Return the mean over items; repetitions of an item are averaged first."""
        return fmean(fmean(values) for values in self.scores[metric].values())


def analyse_longemotion(plan: Plan, records: Callable[[], Iterable[Record]]) -> LongEmotionFindings:
    """Return what the records show of LongEmotion's tasks; of two records of one attempt the later counts."""
    tasks = [task for task in plan.tasks if task.name.partition("/")[0] == _SUITE]
    sums = {(arm.label, task.name): _Sums() for arm in plan.arms for task in tasks}
    for record in Latest(records):
        if (record.arm, record.task) in sums and record.replica < plan.replicas:
            sums[record.arm, record.task].add(record)
    arms = [_of_arm(arm.label, [_of_task(task, sums[arm.label, task.name]) for task in tasks]) for arm in plan.arms]
    missing = tuple(short for short in TASKS if not any(short in _figures(arm.tasks) for arm in arms))
    return LongEmotionFindings(arms=tuple(arms), missing=missing, notes=tuple(_notes(plan, arms, missing)))


def _of_task(task: TaskInfo, sums: _Sums) -> TaskResult:
    scale, first = scale_of(task.name), task.metrics[0]
    items = sums.scores.get(first, {})
    criteria = [metric for metric in task.metrics if metric in sums.scores] if first == MEAN else []
    return TaskResult(
        task=task.name,
        short=_short(task),
        n=len(items),
        figure=scale * sums.mean(first) if items else None,
        criteria={metric: scale * sums.mean(metric) for metric in criteria if metric != MEAN},
        attempts=sums.attempts,
        **{status: sums.counts.get(status, 0) for status in ("unparsed", "unjudged", "failed")},
        judge_answers=sums.answers,
        judge_tokens=sums.tokens,
        judge_usd=sums.usd,
    )


def _of_arm(arm: str, results: Sequence[TaskResult]) -> ArmResult:
    return ArmResult(arm=arm, tasks=tuple(results), overall=overall_score(_figures(results)))


def _figures(results: Iterable[TaskResult]) -> dict[str, float]:
    return {one.short: one.figure for one in results if one.figure is not None}


def _notes(plan: Plan, arms: Sequence[ArmResult], missing: Sequence[str]) -> Iterator[str]:
    ran = {one.short for arm in arms for one in arm.tasks}
    if missing:
        yield f"There is no overall score: {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing."
    elif without := [arm.arm for arm in arms if arm.overall is None]:
        yield f"No overall score for {', '.join(without)}: a task has no figure there."
    yield from _note_overall(plan, arms)
    if "EU" in ran:
        yield "Classification was run on EmoBench's short scenarios (EU), which are not the paper's long texts: no EC."
    if half := next((short for short in ran if short.startswith("EC, ")), None):
        yield f"Classification was run on half of the paper's data ({half.removeprefix('EC, ')}): no EC."
    if plan.limit is not None:
        yield f"At most {plural(plan.limit, 'item')} of each task: figures of a sample."
    if unjudged := sum(one.unjudged for arm in arms for one in arm.tasks):
        answers = f"{plural(unjudged, 'answer')} {'has' if unjudged == 1 else 'have'}"
        yield f"{answers} no usable verdict of the judge, who was asked twice: in no figure."
    if "ED" in ran:
        yield (
            "Detection has a shortcut: in the published data the odd label is Relaxation in 113 of 136 items and "
            "Anxiety in 23. Chance is about 3 %."
        )


def _note_overall(plan: Plan, arms: Sequence[ArmResult]) -> Iterator[str]:
    """Say of each overall score what it does not rest on yet."""
    planned = {task.name: task.items * plan.replicas for task in plan.tasks}
    for arm in arms:
        counted = [one for one in arm.tasks if one.short in TASKS] if arm.overall is not None else []
        gaps = {
            "not made yet": sum(max(0, planned[one.task] - one.attempts) for one in counted),
            "failed": sum(one.failed for one in counted),
            "unjudged": sum(one.unjudged for one in counted),
        }
        if told := [f"{number:,} {what}" for what, number in gaps.items() if number]:
            whole = sum(planned[one.task] for one in counted)
            yield f"The overall score of {arm.arm} is of a part: of {whole:,} attempts {', '.join(told)}."
