"""Compare arms on tasks: make every attempt once, keep all that came, and find out what it shows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from emoagents.context import Context
from emoagents.errors import ParameterError, UnknownNameError
from emoagents.evaluation.arms import MadeArm
from emoagents.evaluation.attempt import MOST_REPLICAS, Attempter, Unit
from emoagents.evaluation.content import context_digests, strategy_digest
from emoagents.evaluation.findings import Findings
from emoagents.evaluation.journal import CallJournal
from emoagents.evaluation.record import Plan, Record, TaskInfo
from emoagents.evaluation.store import PLAN, RecordFile, read_plan, read_records, write_plan
from emoagents.evaluation.task import Task
from emoagents.evaluation.work import InProcess, Outcome, Workers, do_work, units_of

__all__ = ["Comparison", "compare", "fingerprint", "make_plan", "open_comparison"]

OnRecord = Callable[[Record], None]


@dataclass(frozen=True)
class Comparison:
    """A comparison on disk, finished or not.

    Attributes:
        folder: where it lies. plan: what it sets out to do. outcome: how far the last run came, if this is one's.
    """

    folder: Path
    plan: Plan
    outcome: Outcome | None = None

    def records(self) -> Iterator[Record]:
        """Yield the records that belong to the plan, in the order in which they came; of doubles the later counts."""
        arms, tasks = {a.label for a in self.plan.arms}, {t.name for t in self.plan.tasks}
        for record in read_records(self.folder):
            if record.arm in arms and record.task in tasks and record.replica < self.plan.replicas:
                yield record

    @cached_property
    def findings(self) -> Findings:
        """What the records show.

        Raises:
            MissingExtraError: scipy and statsmodels are not installed.
        """
        from emoagents.evaluation.analysis import analyse

        return analyse(self.plan, self.records())

    def write_report(self, folder: Path | None = None) -> Path:
        """Write page, pictures and tables of data; return the page's file.

        Args:
            folder: where to; None: into the comparison's own folder.

        Raises:
            MissingExtraError: the extra "evaluation" is not installed.
        """
        from emoagents.evaluation.report import write_all

        return write_all(folder or self.folder, self.plan, self.findings, self.records)


def open_comparison(folder: Path) -> Comparison:
    """Open a comparison's folder.

    Raises:
        DataError: it is none.
    """
    return Comparison(folder, read_plan(folder))


def make_plan(
    tasks: Sequence[Task],
    arms: Sequence[MadeArm],
    context: Context,
    *,
    baseline: str | None = None,
    limit: int | None = None,
    replicas: int = 1,
    seed: int = 0,
    settings: dict[str, Any] | None = None,
    command: str = "",
) -> Plan:
    """Return the plan of a comparison. Reads the tasks' items once, to count them.

    Args:
        tasks, arms: what is compared on what.
        context: the model and the sampling settings.
        baseline: label of the arm that all are compared with; None: "plain" if it is there, else the first.
        limit: items of each task at most. replicas: repetitions of each attempt. seed: of all that is drawn.
        settings: what else decides the outcome, to be written down.
        command: the command line that runs it again.

    Raises:
        UnknownNameError: no arm has the baseline's label. ParameterError: a number is too small, or there is no item.
    """
    from importlib.metadata import version

    labels = [made.arm.label for made in arms]
    chosen = baseline or ("plain" if "plain" in labels else labels[0])
    if chosen not in labels:
        raise UnknownNameError("arm", chosen, labels)
    for name, number in (("limit", limit), ("replicas", replicas)):
        if number is not None and number < 1:
            raise ParameterError(f"{name} must be a whole number of at least 1, not {number}")
    if replicas > MOST_REPLICAS:
        raise ParameterError(f"replicas must be at most {MOST_REPLICAS}, not {replicas}")
    return Plan(
        tasks=tuple(_info(task, limit) for task in tasks),
        arms=tuple(made.arm.model_copy(update={"digest": strategy_digest(made.strategy)}) for made in arms),
        baseline=chosen,
        model=context.door.name,
        settings=json.loads(json.dumps({**_sampling(context), **(settings or {})})),
        digests=context_digests(context),
        seed=seed,
        replicas=replicas,
        limit=limit,
        command=command,
        emoagents=version("emoagents"),
    )


def _info(task: Task, limit: int | None) -> TaskInfo:
    digest, count = hashlib.sha256(), 0
    for item in task.items():
        asked = json.dumps([item.id, item.messages, item.targets, item.data], default=str)
        digest.update(asked.encode() + b"\0")
        count += 1
    if not count:
        raise ParameterError(f"task {task.name} has no items")
    items = count if limit is None else min(limit, count)
    return TaskInfo(
        name=task.name, metrics=task.metrics, items=items, source=task.source, digest=digest.hexdigest()[:16]
    )


def _sampling(context: Context) -> dict[str, Any]:
    given = {
        "temperature": context.temperature,
        "top_p": context.top_p,
        "max_tokens": context.max_tokens,
        "stop": list(context.stop) or None,
        "roles": {name: _role(context, name) for name in context.models} or None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _role(context: Context, name: str) -> str | dict[str, Any]:
    """Return the name of a role's model, with those sampling settings that differ from the context's."""
    inner = context.in_role(name)
    given = {key: getattr(inner, key) for key in ("temperature", "top_p", "max_tokens")}
    own = {key: value for key, value in given.items() if value != getattr(context, key)}
    return {"model": inner.door.name, **own} if own else inner.door.name


def fingerprint(plan: Plan) -> str:
    """Return 8 hex digits that tell comparisons apart whose attempts can't be mixed: other data, model or settings."""
    suites = sorted({task.name.partition("/")[0] for task in plan.tasks})
    whole = [suites, plan.model, plan.settings, plan.seed]
    return hashlib.sha256(json.dumps(whole, sort_keys=True, default=str).encode()).hexdigest()[:8]


async def compare(
    tasks: Sequence[Task],
    arms: Sequence[MadeArm],
    context: Context,
    folder: Path,
    *,
    plan: Plan | None = None,
    judge: Context | None = None,
    workers: Callable[[], Workers] | None = None,
    slots: int | None = None,
    on_begin: Callable[[int, int], None] | None = None,
    on_record: OnRecord | None = None,
) -> Comparison:
    """Make all attempts that have no record yet, and return the comparison.

    Run again with the same plan it goes on where it stopped, however it stopped: no finished attempt is repeated, and
    calls that were answered within an unfinished one come from the journal. More arms, items or repetitions may be
    added; another model, other settings or another seed need another folder.

    Args:
        tasks, arms, context: as in `make_plan`. The context's budget is for the whole comparison, earlier runs of it
            included.
        folder: where everything is kept.
        plan: None: made with `make_plan`'s defaults.
        judge: model and settings of the judge, for tasks that need one.
        workers: what makes the workers; None: attempts are made in this process.
        slots: attempts side by side; None: as many as the context's concurrency.
        on_begin: told of the attempts there are and of those already made. on_record: told of each record.

    Raises:
        UsageError: the caller's mistake. RunError: the model never answers.
    """
    plan = plan or make_plan(tasks, arms, context)
    _check_judge(tasks, judge)
    with RecordFile(folder) as file:
        _check_same(folder, plan)
        write_plan(folder, plan)
        done = _finished(folder)
        if on_begin is not None:
            on_begin(plan.attempts, sum(_mark(unit.key) in done for unit in _units(plan, tasks)))

        def keep(record: Record) -> None:
            file.append(record)
            if on_record is not None:
                on_record(record)

        left = (unit for unit in _units(plan, tasks) if _mark(unit.key) not in done)
        with closing(CallJournal(folder)) as journal:
            at_work = workers() if workers else _here(tasks, arms, context, judge, journal)
            async with at_work:
                outcome = await do_work(left, at_work, slots=slots or context.concurrency, on_record=keep)
    return Comparison(folder, plan, outcome)


def _units(plan: Plan, tasks: Sequence[Task]) -> Iterator[Unit]:
    return units_of(tasks, plan.arms, limit=plan.limit, seed=plan.seed, replicas=plan.replicas)


def _here(
    tasks: Sequence[Task],
    arms: Sequence[MadeArm],
    context: Context,
    judge: Context | None,
    journal: CallJournal,
) -> Workers:
    strategies = {made.arm.label: made.strategy for made in arms}
    pooled = context.fresh(cache=journal).pooled(journal.spent)
    return InProcess(
        Attempter({t.name: t for t in tasks}, strategies, pooled, None if judge is None else judge.fresh(cache=journal))
    )


def _check_judge(tasks: Sequence[Task], judge: Context | None) -> None:
    """See that a judge is there for those who need one, before anything is paid for.

    Raises:
        ParameterError: it is not.
    """
    if judge is None and (judged := [task.name for task in tasks if task.judged]):
        raise ParameterError(f"{judged[0]} is scored by a judge model: name one with --judge MODEL")


def _check_same(folder: Path, plan: Plan) -> None:
    """See that what is there can be gone on with.

    Raises:
        ParameterError: attempts of two kinds would be mixed.
    """
    if not (folder / PLAN).exists():
        return
    before = read_plan(folder)
    for what in ("model", "settings", "seed"):
        one, other = getattr(before, what), getattr(plan, what)
        if one != other:
            raise _other(folder, f"{what} {one!r}, not {other!r}")
    _check_arms(folder, before, plan)
    tasks = {t.name: t for t in before.tasks}
    for task in plan.tasks:
        known = tasks.get(task.name, task)
        if known.digest != task.digest:
            raise _other(folder, f"other data of the task {task.name}")
        if known.items > task.items:
            raise _other(folder, f"{known.items} items of the task {task.name}, more than {task.items}")


def _check_arms(folder: Path, before: Plan, plan: Plan) -> None:
    """See that arms and roles are made of the same. Plans of earlier versions do not say what of; theirs pass.

    Raises:
        ParameterError: they are not.
    """
    known = {arm.label: arm for arm in before.arms}
    for arm in plan.arms:
        old = known.get(arm.label, arm)
        if old.spec != arm.spec:
            raise _other(folder, f"the arm {old.spec}, not {arm.spec}")
        if old.digest and old.digest != arm.digest:
            raise _other(folder, f"another text of the arm {arm.label}: its card, or a file that it names, was changed")
    if any(arm.digest for arm in before.arms) and before.digests != plan.digests:
        changed = sorted(k for k in {*before.digests, *plan.digests} if before.digests.get(k) != plan.digests.get(k))
        raise _other(folder, f"other parameters, or another address, of the {changed[0]}")


def _other(folder: Path, what: str) -> ParameterError:
    return ParameterError(f"{folder} holds a comparison with {what}: choose another folder with --out")


def _finished(folder: Path) -> set[int]:
    """Return the marks of the attempts that earlier runs in a folder finished."""
    done: set[int] = set()
    for record in read_records(folder):
        (done.discard if record.status == "failed" else done.add)(_mark(record.key))
    return done


def _mark(key: tuple[str, str, str, int]) -> int:
    """Return a number for a key, so that millions of them fit into memory."""
    return int.from_bytes(hashlib.blake2b(json.dumps(key).encode(), digest_size=8).digest(), "big")
