"""The work of a comparison: which attempts there are, and doing them side by side, wherever the workers are."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from emoagents.errors import BudgetExceeded, RunError
from emoagents.evaluation.attempt import Attempter, Unit
from emoagents.evaluation.record import Arm, Record
from emoagents.evaluation.task import Item, Task
from emoagents.together import together

__all__ = ["InProcess", "Outcome", "Workers", "do_work", "selected_items", "units_of"]

_HOPELESS = 20
"""Attempts that fail one after another, before any succeeds, until a run gives up."""


class Workers(Protocol):
    """Where attempts are made."""

    async def __aenter__(self) -> Workers: ...

    async def __aexit__(self, *_: object) -> None: ...

    async def attempt(self, unit: Unit) -> Record:
        """Make an attempt; see `Attempter.attempt`."""


class InProcess:
    """Attempts made here, on the event loop of the caller."""

    def __init__(self, attempter: Attempter) -> None:
        self._attempter = attempter

    async def __aenter__(self) -> InProcess:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def attempt(self, unit: Unit) -> Record:
        """Make an attempt."""
        return await self._attempter.attempt(unit)


@dataclass(slots=True)
class Outcome:
    """How far a run came: attempts made and failed, and what ended it before its end ("budget"), if anything did."""

    made: int = 0
    failed: int = 0
    stopped_by: str | None = None


def selected_items(task: Task, limit: int | None, seed: int) -> Iterable[Item]:
    """Return the items to attempt: all in the task's order, or a sample that a larger limit only adds to."""
    if limit is None:
        return task.items()
    return sorted(task.items(), key=lambda item: _rank(seed, task.name, item.id))[:limit]


def _rank(seed: int, task: str, item: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{task}\0{item}".encode()).digest()


def units_of(
    tasks: Sequence[Task], arms: Sequence[Arm], *, limit: int | None = None, seed: int = 0, replicas: int = 1
) -> Iterator[Unit]:
    """Yield all attempts, item after item.

    The arms of an item follow one another: they share samples, and providers' prompt caches.
    """
    for task in tasks:
        for item in selected_items(task, limit, seed):
            for replica in range(replicas):
                for arm in arms:
                    yield Unit(task.name, item, arm.label, replica, arm.stream)


async def do_work(
    units: Iterable[Unit],
    workers: Workers,
    *,
    slots: int,
    on_record: Callable[[Record], None],
) -> Outcome:
    """Make the attempts, `slots` at a time, and hand over each record as it comes.

    When the budget ends, what is in flight is waited for and the rest is left.

    Raises:
        UsageError: the caller's mistake. RunError: one attempt after another fails, with the last one's reason.
    """
    run = _Run(iter(units), workers, on_record)
    await together(run.slot() for _ in range(slots))
    return run.outcome


class _Run:
    def __init__(self, units: Iterator[Unit], workers: Workers, on_record: Callable[[Record], None]) -> None:
        self.outcome = Outcome()
        self._units, self._workers, self._on_record = units, workers, on_record

    async def slot(self) -> None:
        for unit in self._units:
            try:
                record = await self._workers.attempt(unit)
            except BudgetExceeded:
                self.outcome.stopped_by = "budget"
            else:
                self._take(record)
            if self.outcome.stopped_by:
                return

    def _take(self, record: Record) -> None:
        self._on_record(record)
        self.outcome.made += 1
        self.outcome.failed += record.status == "failed"
        if self.outcome.failed == self.outcome.made >= _HOPELESS:
            raise RunError(f"the first {_HOPELESS} attempts all failed, the last because: {record.error}")
