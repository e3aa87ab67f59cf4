"""Workers in other processes: each item goes to one of them, and a worker that dies is replaced."""

from __future__ import annotations

import asyncio
import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from emoagents.errors import RunError
from emoagents.evaluation.attempt import Unit
from emoagents.evaluation.record import Record
from emoagents.evaluation.remote import Reply, record_of, unit_as_data

__all__ = ["Fleet", "WorkerDied"]

W = TypeVar("W")

_LIVES = 5
"""Workers that one unit may cost; then the unit itself is to blame."""


class WorkerDied(Exception):
    """A worker is gone; what it had in hand goes to the next."""


class Fleet(ABC, Generic[W]):
    """A fixed number of workers of one kind.

    Args:
        size: how many.
    """

    def __init__(self, size: int) -> None:
        self.replaced = 0
        self._workers: list[W | None] = [None] * size
        self._starting = [asyncio.Lock() for _ in range(size)]

    @abstractmethod
    async def start(self) -> W:
        """Start a worker."""

    @abstractmethod
    async def send(self, worker: W, unit: Mapping[str, Any]) -> Reply:
        """Let a worker make an attempt and return its reply.

        Raises:
            WorkerDied: it is gone.
        """

    @abstractmethod
    async def stop(self, worker: W) -> None:
        """End a worker."""

    async def __aenter__(self) -> Fleet[W]:
        return self

    async def __aexit__(self, *_: object) -> None:
        for worker in filter(None, self._workers):
            await self.stop(worker)

    async def attempt(self, unit: Unit) -> Record:
        """Make an attempt. See `Attempter.attempt`.

        Raises:
            RunError: workers die of this unit, or fail.
        """
        number = _worker_of(unit, len(self._workers))
        for _ in range(_LIVES):
            worker = await self._at(number)
            try:
                return record_of(await self.send(worker, unit_as_data(unit)))
            except WorkerDied:
                self._bury(number, worker)
        raise RunError(f"{_LIVES} workers died one after another at item {unit.item.id!r} of {unit.task}")

    async def _at(self, number: int) -> W:
        async with self._starting[number]:
            worker = self._workers[number]
            if worker is None:
                worker = self._workers[number] = await self.start()
            return worker

    def _bury(self, number: int, worker: W) -> None:
        if self._workers[number] is worker:  # of all that waited for it, the first to notice
            self._workers[number] = None
            self.replaced += 1


def _worker_of(unit: Unit, size: int) -> int:
    """Return the number of a unit's worker: all arms of an item go to one, since they share samples."""
    return zlib.crc32(f"{unit.task}\0{unit.item.id}\0{unit.replica}".encode()) % size
