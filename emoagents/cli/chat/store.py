"""Where conversations are kept: one SQLite file of LangGraph checkpoints, shared between processes.

A turn is written once, when it is over: a thread's rows are the ends of its turns, oldest first by their ids. To go
back is to delete the newer rows; what was taken back is then really gone from the file.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import aiosqlite
from filelock import FileLock, Timeout
from langchain_core.messages import AnyMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from platformdirs import user_state_path

from emoagents.errors import ParameterError, RunError

__all__ = ["Point", "Store", "alone_with", "checked_thread", "default_store", "place_of", "prepared"]

_PATIENCE = 30.0
"""Seconds to wait while another process writes."""
_THREAD = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
_CUT = (
    "DELETE FROM checkpoints WHERE thread_id = ? AND checkpoint_id > ?",
    "DELETE FROM writes WHERE thread_id = ? AND checkpoint_id > ?",
)
_LATEST_FIRST = (
    "SELECT thread_id FROM checkpoints WHERE checkpoint_ns = '' GROUP BY thread_id ORDER BY MAX(checkpoint_id) DESC"
)


def default_store() -> Path:
    """Return where conversations are kept if no file is given."""
    return user_state_path("emoagents") / "chat.sqlite"


def checked_thread(name: str) -> str:
    """Return a thread's name.

    Raises:
        ParameterError: it can't be one; it is also the name of a file.
    """
    if not _THREAD.fullmatch(name):
        raise ParameterError(f"--thread takes up to 64 letters, digits and - _ . (not first), not {name!r:.80}")
    return name


def place_of(thread: str) -> RunnableConfig:
    """Return LangGraph's name for a thread."""
    return {"configurable": {"thread_id": thread, "checkpoint_ns": ""}}


@contextmanager
def prepared(path: Path) -> Iterator[None]:
    """Hold a store's file for the one who opens it: two that make its tables at once would disturb each other.

    The file is made here, for its owner's eyes only.

    Raises:
        ParameterError: it can't be made, or is something else. RunError: somebody else does not let go of it.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600, exist_ok=True)
        with FileLock(f"{path}.lock", timeout=_PATIENCE):
            _look_into(path)
            yield
    except Timeout:
        raise RunError(f"store {path}: another process has been opening it for {_PATIENCE:.0f} s") from None
    except FileExistsError:
        raise ParameterError(f"store {path}: {path.parent} is no folder") from None
    except OSError as error:
        raise ParameterError(f"store {path}: {error.strerror or error}") from None


def _look_into(path: Path) -> None:
    """Find out here what is wrong with a file: an async connection that fails may fail in a thread of its own."""
    try:
        with closing(sqlite3.connect(path, timeout=_PATIENCE)) as connection:
            connection.execute("PRAGMA schema_version")
    except sqlite3.Error as error:
        raise ParameterError(f"store {path}: {error}; give another file by --store") from None


@contextmanager
def alone_with(path: Path, thread: str) -> Iterator[None]:
    """Keep other processes out of a thread. A process that is killed lets go of it.

    Raises:
        RunError: it is open in another chat.
    """
    folder = path.with_name(f"{path.name}.locks")
    folder.mkdir(mode=0o700, exist_ok=True)
    lock = FileLock(folder / f"{thread}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise RunError(f"thread {thread} is open in another chat: close it there, or take another one") from None
    try:
        yield
    finally:
        lock.release()


@dataclass(frozen=True, slots=True)
class Point:
    """A thread as it was at one time.

    Attributes:
        id: orders the points of a thread. when: with a time zone. values: the channels of the strategy's graph.
    """

    id: str
    when: datetime
    values: Mapping[str, Any]

    @property
    def messages(self) -> list[AnyMessage]:
        """The conversation, oldest message first."""
        return self.values.get("messages") or []

    @property
    def settled(self) -> bool:
        """Whether nobody waits for an answer."""
        return not self.messages or self.messages[-1].type in ("ai", "system")


class Store:
    """An open store. It belongs to the event loop that opened it."""

    def __init__(self, path: Path, saver: AsyncSqliteSaver) -> None:
        self.path = path
        self.saver = saver

    @classmethod
    async def open(cls, path: Path) -> Store:
        """Open a store. Call it under `prepared`.

        Raises:
            RunError: it can't be opened or written.
        """
        with _explained(path):
            connection = await aiosqlite.connect(path, timeout=_PATIENCE)
            store = cls(path, AsyncSqliteSaver(connection))
            try:
                await store._set_up()
            except BaseException:
                await connection.close()
                raise
            return store

    async def _set_up(self) -> None:
        await self.saver.conn.execute("PRAGMA secure_delete = ON")  # what was taken back leaves no trace
        await self.saver.setup()

    async def close(self) -> None:
        """Close the file."""
        await self.saver.conn.close()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Run a graph that writes here.

        Raises:
            RunError: the file can't be read or written.
        """
        with _explained(self.path):
            yield

    async def newest(self, thread: str) -> Point | None:
        """Return how a thread is now, None if there is none of that name."""
        with _explained(self.path):
            found = await self.saver.aget_tuple(place_of(thread))
        return None if found is None else _point(found)

    async def points(self, thread: str) -> list[Point]:
        """Return all points of a thread, newest first."""
        with _explained(self.path):
            return [_point(found) async for found in self.saver.alist(place_of(thread))]

    async def cut(self, thread: str, behind: str | None) -> None:
        """Delete what is newer than a point, or with None the whole thread."""
        with _explained(self.path):
            async with self.saver.lock:
                await self._delete(thread, behind or "")

    async def _delete(self, thread: str, behind: str) -> None:
        try:
            for statement in _CUT:
                await self.saver.conn.execute(statement, (thread, behind))
            await self.saver.conn.commit()
        except BaseException:
            await self.saver.conn.rollback()  # or other processes would wait for the end of it
            raise

    async def threads(self) -> dict[str, Point]:
        """Return how each thread is now, the latest first."""
        with _explained(self.path):
            async with self.saver.lock, self.saver.conn.execute(_LATEST_FIRST) as rows:
                names = [str(name) for (name,) in await rows.fetchall()]
        found = {name: await self.newest(name) for name in names}
        return {name: point for name, point in found.items() if point is not None}


def _point(found: CheckpointTuple) -> Point:
    saved = found.checkpoint
    return Point(saved["id"], datetime.fromisoformat(saved["ts"]), saved["channel_values"])


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise RunError(f"store {path}: {error}") from None
