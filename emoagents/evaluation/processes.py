"""Workers as processes of this machine, spoken to in JSON lines over their standard input and output."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import sys
from collections.abc import Mapping
from typing import Any

from emoagents.errors import RunError
from emoagents.evaluation.fleet import Fleet, WorkerDied
from emoagents.evaluation.remote import Reply, Setup

__all__ = ["Processes"]

_LONGEST_LINE = 1 << 28
_GRACE = 10.0
"""Seconds that a worker has to end by itself."""


class Processes(Fleet["_Process"]):
    """Attempts made in processes: litellm uses 5 ms of CPU for a call, which is the limit of one process.

    Args:
        setup: what each worker needs.
        size: how many processes.
    """

    def __init__(self, setup: Setup, size: int) -> None:
        super().__init__(size)
        self._setup = setup.model_dump_json().encode()

    async def start(self) -> _Process:
        """Start a process."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "emoagents.evaluation.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LONGEST_LINE,
        )
        return _Process(process, self._setup)

    async def send(self, worker: _Process, unit: Mapping[str, Any]) -> Reply:
        """Send a unit and wait for the reply."""
        return await worker.ask(unit)

    async def stop(self, worker: _Process) -> None:
        """Let the process end, and end it if it does not."""
        await worker.stop()


class _Process:
    """One process, and who waits for which of its replies."""

    def __init__(self, process: asyncio.subprocess.Process, setup: bytes) -> None:
        self._process = process
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[Reply]] = {}
        self._write(setup)
        self._reader = asyncio.create_task(self._read())

    async def ask(self, unit: Mapping[str, Any]) -> Reply:
        if self._reader.done():
            raise WorkerDied
        number = next(self._numbers)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        self._write(json.dumps({"number": number, "unit": unit}).encode())
        try:
            return await self._waiting[number]
        finally:
            self._waiting.pop(number, None)

    async def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(_GRACE):
                await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        self._reader.cancel()

    def _write(self, line: bytes) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, RuntimeError):  # it is gone; the reader will say so
            self._process.stdin.write(line + b"\n")

    async def _read(self) -> None:
        assert self._process.stdout is not None
        try:
            while line := await self._process.stdout.readline():
                number, kind, data = line.split(b" ", 2)
                waiting = self._waiting.get(int(number))
                if waiting is not None and not waiting.done():
                    waiting.set_result((kind.decode(), data))
            self._give_up(WorkerDied())
        except ValueError as error:
            self._give_up(RunError(f"a worker process wrote what is no reply: {error}"))

    def _give_up(self, error: Exception) -> None:
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(error)
