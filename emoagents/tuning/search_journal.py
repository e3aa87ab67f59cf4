"""A search's journal: one JSON line that says which search it is, and one for each run that was made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, ValidationError

from emoagents.context import Context
from emoagents.errors import DataError, ParameterError
from emoagents.evaluation.content import context_digests, strategy_digest
from emoagents.evaluation.store import open_locked
from emoagents.evaluation.task import Item
from emoagents.model.ledger import Usage
from emoagents.strategies.base import Strategy
from emoagents.tuning.choices import told

__all__ = ["Made", "SearchJournal", "identity_of", "item_key"]


_BEGIN = b'{"search": '


class Made(BaseModel):
    """One run that was made: a configuration at an item.

    Attributes:
        configuration, item: what names them, the same in every process.
        status: "scored", "unparsed" (nothing could be read from the answer: 0) or "failed" (the run, or the metric
            failed: 0).
        value: the score, 0 to 1.
        answers: samples drawn from the model: calls at one sample each, whether paid now or answered by a cache.
        usage: what it used. error: why it failed; by_metric: it was answered, and the metric failed on the answer.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    configuration: str
    item: str
    status: Literal["scored", "unparsed", "failed"]
    value: float
    answers: int = 0
    usage: Usage = Usage()
    answer: str | None = None
    error: str | None = None
    by_metric: bool = False


def item_key(item: Item) -> str:
    """Return what names an item by its content."""
    content = json.dumps([item.id, item.messages, item.targets, told(item.data)], default=str, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def identity_of(
    strategy: Strategy, context: Context, items: Sequence[Item], metric: str, seed: int
) -> dict[str, dict[str, Any] | str | int]:
    """Return what must be the same for runs of two searches to be mixed. Choices and the number of runs need not be."""
    settings = {
        name: getattr(context, name) for name in ("temperature", "top_p", "max_tokens", "stop", "seed", "replica")
    }
    roles = {name: context.in_role(name).door.name for name in context.models}
    parts: dict[str, Any] = {
        "strategy": {"content": strategy_digest(strategy), "parameters": told(strategy)},
        "model": {"name": context.door.name, "roles": roles, **context_digests(context)},
        "settings": told(settings),
        "items": hashlib.sha256("".join(sorted(map(item_key, items))).encode()).hexdigest()[:16],
        "metric": metric,
        "seed": seed,
    }
    found: dict[str, Any] = json.loads(json.dumps(parts))
    return found


class SearchJournal:
    """The file of runs, open for one search at a time; with None it keeps nothing.

    A line that a killed process left half written is cut off when the file is opened again.

    Args:
        path: the file; it is made where it is not there. identity: see `identity_of`.

    Raises:
        DataError: the file can't be read or written, is no journal, or another search is at work with it.
        ParameterError: it is another search's.
    """

    def __init__(self, path: Path | None, identity: dict[str, Any]) -> None:
        self._path, self._identity = path, identity
        self._file: IO[bytes] | None = None
        self._lock: FileLock | None = None
        self.made: dict[tuple[str, str], Made] = {}
        """Runs that earlier processes made, by configuration and item; of doubles the later."""
        self.usage = Usage()
        """What all of them used."""

    def __enter__(self) -> SearchJournal:
        if self._path is not None:
            try:
                self._open(self._path)
            except BaseException:
                self.__exit__(None, None, None)
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
        if self._lock is not None:
            self._lock.release()

    def append(self, made: Made) -> None:
        """Write one run; it is with the operating system when this returns."""
        self._write(made.model_dump_json(exclude_defaults=True))

    def _open(self, path: Path) -> None:
        self._lock = FileLock(f"{path}.lock", timeout=0)
        self._file = open_locked(path, self._lock, path, "another search is at work with this journal")
        self._read(path, self._file)

    def _read(self, path: Path, file: IO[bytes]) -> None:
        file.seek(0)
        end, known = 0, False
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n") and (number > 1 or _BEGIN.startswith(line[: len(_BEGIN)])):
                break  # cut off by a crash
            if number == 1:
                self._check(path, line)
                known = True
            else:
                self._take(path, number, line)
            end += len(line)
        file.truncate(end)
        file.seek(0, 2)
        if not known:
            self._write(json.dumps({"search": self._identity}))

    def _check(self, path: Path, line: bytes) -> None:
        try:
            before = json.loads(line)["search"]
            different = [name for name in self._identity if before.get(name) != self._identity[name]]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise DataError(str(path), 1, "this is no journal of a search") from None
        if different:
            raise ParameterError(
                f"{path} is the journal of another search: {_differs(different)}; give another file, or the same search"
            )

    def _take(self, path: Path, number: int, line: bytes) -> None:
        try:
            made = Made.model_validate_json(line)
        except ValidationError:
            raise DataError(str(path), number, "not a run of a search") from None
        self.made[made.configuration, made.item] = made
        self.usage += made.usage

    def _write(self, line: str) -> None:
        if self._file is not None:
            self._file.write(line.encode("utf-8", "replace") + b"\n")
            self._file.flush()


def _differs(names: Sequence[str]) -> str:
    said = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    return f"the {said} {'differ' if len(names) > 1 or said.endswith('s') else 'differs'}"
