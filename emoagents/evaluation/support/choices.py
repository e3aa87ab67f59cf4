"""Read records as they pass and keep who chose which strategy where: small numbers, and texts of replies only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from emoagents.evaluation.record import Plan, Record
from emoagents.support.labels import STAGES, STRATEGIES, canonical

__all__ = ["ABSENT", "FAILED", "SUITE", "UNPARSED", "Attempt", "Choices", "Codes", "dialogue_of", "read_choices"]

SUITE = "esconv"
"""What the names of the tasks begin with, up to a slash."""

UNPARSED, FAILED, ABSENT = 8, 9, 10
"""What stands in place of a strategy's number (0 to 7): no strategy could be read; no answer; no record."""

Codes: TypeAlias = npt.NDArray[np.int64]

_Place: TypeAlias = tuple[str, str, int]
_LABELS: Mapping[str, int] = {label: code for code, label in enumerate(STRATEGIES)}
_STAGES: Mapping[str, int] = {stage: code for code, stage in enumerate(STAGES)}


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is kept of one record. `reply` is None where the answer is nothing but a strategy's name."""

    code: int
    answers: int
    tokens: int
    usd: float | None
    seconds: float
    reply: str | None


@dataclass(frozen=True, slots=True)
class _Instance:
    truth: int
    stage: int
    progress: str
    reference: str


@dataclass(frozen=True)
class Choices:
    """All choices of a comparison, sorted: the same records in another order are the same choices.

    Attributes:
        arms: labels in the plan's order. names: each instance's item.
        dialogue, truth, stage, progress: number of each instance's dialogue, strategy, stage (3: none) and part of the
            conversation, shape (instances,); `bins` names the parts.
        said: what each arm chose, shape (arms, instances).
        attempts: of each arm, by number of instance. references: the human replies.
        strangers: records left out, as no arm or task of the plan's or without a known strategy.
        tasks: of how many tasks of the suite these are; they are counted together.
    """

    arms: tuple[str, ...]
    names: tuple[str, ...]
    bins: tuple[str, ...]
    dialogues: int
    dialogue: Codes
    truth: Codes
    stage: Codes
    progress: Codes
    said: Codes
    attempts: tuple[Mapping[int, Attempt], ...]
    references: tuple[str, ...]
    strangers: int
    tasks: int = 1

    @property
    def answered(self) -> npt.NDArray[np.bool_]:
        """Return where each arm answered, with a strategy or without; shape (arms, instances)."""
        return self.said <= UNPARSED


def read_choices(plan: Plan, records: Iterable[Record]) -> Choices:
    """Return the choices in the records of the suite's tasks; of two records of one attempt the later counts."""
    reader = _Reader(plan)
    for record in records:
        if record.task.partition("/")[0] == SUITE:
            reader.take(record)
    return reader.choices()


def dialogue_of(item: str) -> str:
    """Return the dialogue that an item comes from: what stands before its last slash."""
    return item.rpartition("/")[0] or item


@dataclass
class _Reader:
    plan: Plan
    instances: dict[_Place, _Instance] = field(default_factory=dict)
    strangers: int = 0

    def __post_init__(self) -> None:
        self.tasks = {task.name for task in self.plan.tasks}
        self.arms = {arm.label: place for place, arm in enumerate(self.plan.arms)}
        self.attempts: list[dict[_Place, Attempt]] = [{} for _ in self.arms]

    def take(self, record: Record) -> None:
        truth = _LABELS.get(record.targets[0]) if record.targets else None
        known = record.task in self.tasks and record.arm in self.arms and 0 <= record.replica < self.plan.replicas
        if truth is None or not known:
            self.strangers += 1
            return
        place = (record.task, record.item, record.replica)
        if place not in self.instances:
            self.instances[place] = _instance(record, truth)
        self.attempts[self.arms[record.arm]][place] = _attempt(record)

    def choices(self) -> Choices:
        places = sorted(self.instances)
        number = {place: n for n, place in enumerate(places)}
        rows = [self.instances[place] for place in places]
        dialogues, dialogue = _numbered([dialogue_of(item) for _, item, _ in places])
        bins, progress = _numbered([row.progress for row in rows])
        attempts = tuple({number[place]: one for place, one in own.items()} for own in self.attempts)
        return Choices(
            arms=tuple(self.arms),
            names=tuple(item for _, item, _ in places),
            bins=bins,
            dialogues=len(dialogues),
            dialogue=dialogue,
            truth=np.array([row.truth for row in rows], dtype=np.int64),
            stage=np.array([row.stage for row in rows], dtype=np.int64),
            progress=progress,
            said=_said(attempts, len(places)),
            attempts=attempts,
            references=tuple(row.reference for row in rows),
            strangers=self.strangers,
            tasks=len({task for task, _, _ in places}),
        )


def _said(attempts: Sequence[Mapping[int, Attempt]], instances: int) -> Codes:
    said = np.full((len(attempts), instances), ABSENT, dtype=np.int64)
    for arm, own in enumerate(attempts):
        for place, one in own.items():
            said[arm, place] = one.code
    return said


def _instance(record: Record, truth: int) -> _Instance:
    stage = _STAGES.get(record.groups.get("stage", ""), len(STAGES))
    reference = record.targets[1] if len(record.targets) > 1 else ""
    return _Instance(truth, stage, record.groups.get("progress", ""), reference)


def _attempt(record: Record) -> Attempt:
    spent, answer = record.spent, (record.answer or "").strip()
    bare = record.status == "failed" or not answer or canonical(answer) is not None
    reply = None if bare else answer
    return Attempt(_code(record), spent.answers, spent.tokens, spent.usd, spent.seconds, reply)


def _code(record: Record) -> int:
    if record.status == "failed":
        return FAILED
    return _LABELS.get(record.parsed or "", UNPARSED) if record.status == "scored" else UNPARSED


def _numbered(names: list[str]) -> tuple[tuple[str, ...], Codes]:
    """Return the different names, sorted by the number that they begin with, and the place of each."""
    order = tuple(sorted(set(names), key=_by_number))
    place = {name: n for n, name in enumerate(order)}
    return order, np.array([place[name] for name in names], dtype=np.int64)


def _by_number(name: str) -> tuple[int, str]:
    found = re.match(r"\d+", name)
    return int(found[0]) if found else -1, name
