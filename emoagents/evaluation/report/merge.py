"""Several runs in one report."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from emoagents.errors import DataError
from emoagents.evaluation.record import Arm, Plan, Record, TaskInfo
from emoagents.evaluation.store import PLAN, read_plan, read_records

__all__ = ["merge"]

_Run: TypeAlias = tuple[Path, Plan]


def merge(folders: Sequence[Path]) -> tuple[Plan, Callable[[], Iterator[Record]]]:
    """Join the runs in some folders.

    Arms, tasks and models that are the same are joined; where an attempt was answered in two, the later folder's
    counts.
    Arms of different models become "label (model)", each with its twin and its family among its own model's arms.
    What the runs do not have in common is told in the plan's settings, as "notes". With several models, each arm's
    baseline is among its own model's arms.

    Raises:
        DataError: a folder holds no comparison, or two of them contradict each other.
    """
    runs = [(folder, read_plan(folder)) for folder in folders]
    if not runs:
        raise DataError("", 0, "there is no folder to report on")
    if len(runs) == 1:
        return runs[0][1], lambda: read_records(runs[0][0])
    label = _labels(runs)
    return _joined(runs, label), lambda: _records(runs, label)


# ---- arms

_Label: TypeAlias = Callable[[str, Plan], str]


def _labels(runs: Sequence[_Run]) -> _Label:
    """Return how an arm of a run is named in the joined one."""
    several = len({plan.model for _, plan in runs}) > 1
    return lambda label, plan: f"{label} ({plan.model})" if several else label


def _arms(runs: Sequence[_Run], label: _Label) -> tuple[Arm, ...]:
    arms: dict[str, Arm] = {}
    for folder, plan in runs:
        for arm in plan.arms:
            new = _renamed(arm, plan, label)
            old = arms.setdefault(new.label, new)
            if old.spec != new.spec:
                reason = f"arm {new.label!r} is {new.spec} here, and {old.spec} in another of the runs"
                raise DataError(str(folder / PLAN), 0, reason)
            arms[new.label] = old.model_copy(update={"twin": old.twin or new.twin, "family": old.family or new.family})
    return tuple(arms.values())


def _renamed(arm: Arm, plan: Plan, label: _Label) -> Arm:
    links = {
        name: None if old is None else label(old, plan) for name, old in (("twin", arm.twin), ("family", arm.family))
    }
    return arm.model_copy(update={"label": label(arm.label, plan), **links})


# ---- the plan


def _joined(runs: Sequence[_Run], label: _Label) -> Plan:
    plans = [plan for _, plan in runs]
    models = list(dict.fromkeys(plan.model for plan in plans))
    return plans[0].model_copy(
        update={
            "tasks": _tasks(runs),
            "arms": _arms(runs, label),
            "baseline": label(plans[0].baseline, plans[0]),
            "baselines": _baselines(plans, label) if len(models) > 1 else {},
            "model": ", ".join(models),
            "settings": _settings(plans),
            "replicas": max(plan.replicas for plan in plans),
            "command": "\n".join(dict.fromkeys(plan.command for plan in plans if plan.command)),
        }
    )


def _baselines(plans: Sequence[Plan], label: _Label) -> dict[str, str]:
    return {label(arm.label, plan): label(plan.baseline, plan) for plan in plans for arm in plan.arms}


def _tasks(runs: Sequence[_Run]) -> tuple[TaskInfo, ...]:
    tasks: dict[str, TaskInfo] = {}
    for folder, plan in runs:
        for task in plan.tasks:
            old = tasks.setdefault(task.name, task)
            if old.metrics[:1] != task.metrics[:1]:
                reason = f"task {task.name!r} is scored by {task.metrics[0]} here, and by {old.metrics[0]} elsewhere"
                raise DataError(str(folder / PLAN), 0, reason)
            metrics = tuple(dict.fromkeys((*old.metrics, *task.metrics)))
            tasks[task.name] = old.model_copy(update={"metrics": metrics, "items": max(old.items, task.items)})
    return tuple(_counted(task, runs) for task in tasks.values())


def _counted(task: TaskInfo, runs: Sequence[_Run]) -> TaskInfo:
    """Return the task with the number of its different items, read from the records where the runs' data differ."""
    having = [(folder, plan) for folder, plan in runs if any(t.name == task.name for t in plan.tasks)]
    if len({_data(plan, task.name) for _, plan in having}) < 2:
        return task
    items = {r.item for folder, _ in having for r in read_records(folder) if r.task == task.name}
    return task.model_copy(update={"items": max(task.items, len(items))})


def _data(plan: Plan, task: str) -> tuple[int, int]:
    return plan.seed, next((t.items for t in plan.tasks if t.name == task), 0)


# ---- what the runs do not have in common


def _settings(plans: Sequence[Plan]) -> dict[str, Any]:
    settings = {name: value for plan in reversed(plans) for name, value in plan.settings.items()}
    settings["notes"] = [*(note for plan in plans for note in plan.settings.get("notes", ())), *_notes(plans)]
    return settings


def _notes(plans: Sequence[Plan]) -> Iterator[str]:
    yield f"{len(plans)} runs are joined here."
    seeds = list(dict.fromkeys(plan.seed for plan in plans))
    if len(seeds) > 1:
        yield f"The runs have different seeds ({', '.join(map(str, seeds))}): their items and samples may differ."
    for task in dict.fromkeys(task.name for plan in plans for task in plan.tasks):
        yield from _task_notes(task, plans)
    for name in dict.fromkeys(name for plan in plans for name in plan.settings if name != "notes"):
        values = list(dict.fromkeys(json.dumps(plan.settings.get(name), default=str) for plan in plans))
        if len(values) > 1:
            yield f"The runs differ in the setting {name}: {', '.join(values)}."
    baselines = list(dict.fromkeys(plan.baseline for plan in plans))
    if len(baselines) > 1 and len({plan.model for plan in plans}) == 1:
        yield f"The runs have different baselines ({', '.join(baselines)}); the first one's is used."


def _task_notes(task: str, plans: Sequence[Plan]) -> Iterator[str]:
    items = [found.items for plan in plans for found in plan.tasks if found.name == task]
    if len(items) < len(plans):
        yield f"Task {task} is in {len(items)} of the {len(plans)} runs."
    if len(set(items)) > 1:
        yield f"Task {task} has different numbers of items in the runs ({', '.join(map(str, dict.fromkeys(items)))})."


# ---- records


def _records(runs: Sequence[_Run], label: _Label) -> Iterator[Record]:
    """Yield all records; of an attempt that was answered in two runs, the later folder's."""
    later: list[set[int]] = [set()]
    for folder, plan in reversed(runs[1:]):
        answered = {_key(r, plan, label) for r in read_records(folder) if r.status != "failed"}
        later.insert(0, later[0] | answered)
    for (folder, plan), taken in zip(runs, later, strict=True):
        for record in read_records(folder):
            if _key(record, plan, label) not in taken:
                yield record.model_copy(update={"arm": label(record.arm, plan)})


def _key(record: Record, plan: Plan, label: _Label) -> int:
    """Return a number for an attempt: millions of them fit into memory."""
    return hash((record.task, record.item, label(record.arm, plan), record.replica))
