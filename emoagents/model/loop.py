"""The one event loop that every model call of this process runs on, in a thread of its own.

Why one: connection pools, limits and budgets belong to a loop, and people call strategies from many: a script,
a notebook's loop, the threads of an optimiser, a web server. With a loop of our own there is one pool and one
queue for each endpoint, synchronous callers work where a loop already runs, and the slow import of litellm
never blocks the caller's loop.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from emoagents.errors import CompositionError

__all__ = ["on_model_loop", "run_sync"]

T = TypeVar("T")

_LETTING_GO = 5.0
"""Seconds that Ctrl-C waits for cancelled work."""


class _LoopThread:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def get(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="emoagents", daemon=True)
                self._thread.start()
            return self._loop

    def is_current(self) -> bool:
        return self._thread is threading.current_thread()

    def reset(self) -> None:
        self.__init__()  # type: ignore[misc]  # a forked child has the object but not its thread


_THREAD = _LoopThread()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_THREAD.reset)


async def on_model_loop(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Await `work()` on the model loop from any loop; cancelling here cancels it there."""
    if _THREAD.is_current():
        return await work()
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work(), _THREAD.get()))


def run_sync(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run `work()` to its end for a caller that is not async. Works in notebooks and in worker threads.

    Ctrl-C cancels the work and waits until it has let go of what it held.

    Raises:
        CompositionError: called from inside a running strategy, where it would wait for itself.
    """
    if _THREAD.is_current():
        raise CompositionError("a strategy was run synchronously inside an async step: await its arun() there")
    finished = threading.Event()

    async def tracked() -> T:
        try:
            return await work()
        finally:
            finished.set()

    future = asyncio.run_coroutine_threadsafe(tracked(), _THREAD.get())
    try:
        return future.result()
    except KeyboardInterrupt:
        future.cancel()
        finished.wait(_LETTING_GO)
        raise
