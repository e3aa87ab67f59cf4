"""A comparison's folder: the plan, and the records as they came, one JSON line each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO

from filelock import FileLock, Timeout
from pydantic import ValidationError

from emoagents.errors import DataError
from emoagents.evaluation.record import Plan, Record

__all__ = ["PLAN", "RECORDS", "RecordFile", "open_locked", "read_plan", "read_records", "write_plan"]

PLAN = "plan.json"
RECORDS = "records.jsonl"

_FLUSH_EVERY = 0.2
"""Seconds."""


def read_plan(folder: Path) -> Plan:
    """Return the plan of a comparison's folder.

    Raises:
        DataError: there is none, or it can't be read.
    """
    path = folder / PLAN
    try:
        return Plan.model_validate_json(path.read_bytes())
    except OSError:
        raise DataError(str(path), 0, "there is no plan: this is not the folder of a comparison") from None
    except ValidationError as error:
        raise DataError(str(path), 0, str(error.errors(include_url=False)[0]["msg"])) from None


def write_plan(folder: Path, plan: Plan) -> None:
    """Write the plan, in one step.

    Raises:
        DataError: it can't be written.
    """
    new = folder / (PLAN + ".new")
    try:
        new.write_text(plan.model_dump_json(indent=2) + "\n", encoding="utf-8")
        new.replace(folder / PLAN)
    except OSError as error:
        raise DataError(str(folder / PLAN), 0, f"can't write it: {error.strerror}") from None


def read_records(folder: Path) -> Iterator[Record]:
    """Yield the records in the order in which they came; a last line cut off by a crash is left out.

    The same attempt may stand there twice: failed first, and answered later. The later one counts.

    Raises:
        DataError: a line in the middle is damaged.
    """
    path = folder / RECORDS
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                yield Record.from_json(line)
            except ValueError as error:
                raise DataError(str(path), number, f"not a record ({type(error).__name__})") from None


class RecordFile:
    """The file of records, open for appending, for one run at a time.

    A line that a crash cut off is removed when the file is opened again.

    Raises:
        DataError: the folder can't be written to, or another run is at work in it.
    """

    def __init__(self, folder: Path) -> None:
        self._lock = FileLock(folder / ".lock", timeout=0)
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._flush_at = 0.0

    def __enter__(self) -> RecordFile:
        file = self._folder / RECORDS
        self._file = open_locked(file, self._lock, self._folder, "another run is at work in this folder")
        _cut_half_line(self._file)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
        self._lock.release()

    def append(self, record: Record) -> None:
        """Write one record.

        A killed process may lose the records of its last moments, not what they cost: the calls' journal has that.
        """
        assert self._file is not None
        self._file.write(record.as_json() + b"\n")
        if time.monotonic() > self._flush_at:
            self._file.flush()
            self._flush_at = time.monotonic() + _FLUSH_EVERY


def open_locked(file: Path, lock: FileLock, named: Path, busy: str) -> IO[bytes]:
    """Open a file for reading and appending that one process writes at a time; its folder is made.

    Args:
        named: what an error names. busy: what it says where somebody else has the lock.

    Raises:
        DataError: somebody has it, or the file can't be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        return open(file, "ab+")
    except Timeout:
        raise DataError(str(named), 0, busy) from None
    except OSError as error:
        raise DataError(str(named), 0, f"can't write there: {error.strerror}") from None


def _cut_half_line(file: IO[bytes]) -> None:
    end = position = file.seek(0, 2)
    while position > 0:
        start = max(0, position - 65536)
        file.seek(start)
        newline = file.read(position - start).rfind(b"\n")
        if newline >= 0:
            position = start + newline + 1
            break
        position = start
    if position < end:
        file.truncate(position)
    file.seek(0, 2)
