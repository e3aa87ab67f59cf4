"""The one event loop that every model call of this process runs on, in a thread of its own.

Why one: connection pools, limits and budgets belong to a loop, and people call strategies from many: a script,
a notebook's loop, the threads of an optimiser, a web server. With a loop of our own there is one pool and one
queue for each endpoint, synchronous callers work where a loop already runs, and the slow import of litellm
never blocks the caller's loop.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import os
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from emoagents.errors import CompositionError

__all__ = ["before_exit", "on_model_loop", "run_sync"]

T = TypeVar("T")

_LETTING_GO = 5.0
"""Seconds that a caller who was cancelled waits for its work to let go of what it held."""
_THREADS = 32
"""Some of litellm's providers block a thread for each call; the usual number is that of the cores plus 4."""
_LOST_IN_FORK: list[asyncio.AbstractEventLoop] = []
"""Kept in a forked child: collecting a loop that another process runs would close what they share."""


class _LoopThread:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def get(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._loop.set_default_executor(concurrent.futures.ThreadPoolExecutor(_THREADS, "emoagents"))
                self._thread = threading.Thread(target=_run, args=(self._loop,), name="emoagents", daemon=True)
                self._thread.start()
            return self._loop

    @property
    def runs(self) -> bool:
        return self._loop is not None

    def is_current(self) -> bool:
        return self._thread is threading.current_thread()

    def reset(self) -> None:
        if self._loop is not None:
            _LOST_IN_FORK.append(self._loop)
        self.__init__()  # type: ignore[misc]  # a forked child has the object but not its thread


def _run(loop: asyncio.AbstractEventLoop) -> None:
    while True:
        try:
            return loop.run_forever()
        except (KeyboardInterrupt, SystemExit):
            continue  # some task raised it: that task's caller gets it, and the calls of others go on


_THREAD = _LoopThread()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_THREAD.reset)


class _Remote:
    """Work on the model loop, seen from another thread."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self.future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        self._work = work
        self._loop = _THREAD.get()
        self._loop.call_soon_threadsafe(self._start)

    def cancel(self) -> None:
        """Cancel the work; `future` is done once it has let go of what it held."""
        self._loop.call_soon_threadsafe(lambda: self._task.cancel())

    def _start(self) -> None:
        self._task = self._loop.create_task(self._whole())
        self._task.add_done_callback(self._finished)

    async def _whole(self) -> Any:
        return await self._work()

    def _finished(self, task: asyncio.Task[Any]) -> None:
        error = None if task.cancelled() else task.exception()
        if task.cancelled():
            self.future.cancel()
        if not self.future.set_running_or_notify_cancel():
            return
        if error is not None:
            self.future.set_exception(error)
        else:
            self.future.set_result(task.result())


async def on_model_loop(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Await `work()` on the model loop from any loop.

    Cancelling here cancels it there, and waits until it is over: its account is settled then.
    """
    if _THREAD.is_current():
        return await work()
    remote = _Remote(work)
    outcome: asyncio.Future[T] = asyncio.wrap_future(remote.future)
    try:
        return await asyncio.shield(outcome)
    except asyncio.CancelledError:
        remote.cancel()
        await asyncio.wait([outcome], timeout=_LETTING_GO)
        raise
    finally:
        if not outcome.cancel() and not outcome.cancelled():  # else this loop, perhaps closed, would be told later
            outcome.exception()  # seen, though nobody may want it any more


def run_sync(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run `work()` to its end for a caller that is not async. Works in notebooks and in worker threads.

    Ctrl-C cancels the work and waits until it has let go of what it held.

    Raises:
        CompositionError: called from inside a running strategy, where it would wait for itself.
    """
    if _THREAD.is_current():
        raise CompositionError("a strategy was run synchronously inside an async step: await its arun() there")
    remote = _Remote(work)
    try:
        result: T = remote.future.result()
        return result
    except BaseException:
        if not remote.future.done():  # Ctrl-C, here and not there
            remote.cancel()
            concurrent.futures.wait([remote.future], timeout=_LETTING_GO)
        raise


def before_exit(work: Callable[[], Coroutine[Any, Any, object]]) -> None:
    """Run `work()` on the model loop, if there is one, when the process ends; what fails then is of no use to tell."""
    atexit.register(_finish, work)


def _finish(work: Callable[[], Coroutine[Any, Any, object]]) -> None:
    if _THREAD.runs:
        with suppress(Exception):
            _Remote(work).future.result(_LETTING_GO)
