"""The one engine of this process: started on first use, shared by all callers, closed in order at exit.

Every call works in a thread of its own, because the engine blocks and calls back on its caller's thread.
What must hold, each of it met in practice without this care:

- At exit no call may be at work: calls are told to stop and waited for, then the server goes.
- A forked child has the server's memory and none of its threads: it gets an error, never frees the server,
  and skips the library's own teardown, which would wait for those threads.
- A cancelled call must give its slot back: the callback ends it with the next sign of life.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import suppress
from typing import Any, TypeAlias

from emoagents.errors import RunError, UsageError
from emoagents.model.embedded.native import end_without_destructors, keep_for_ever
from emoagents.model.embedded.server import open_server, require_engine
from emoagents.model.embedded.tokens import TokenCounter
from emoagents.model.embedded.weights import ensure_weights, find_weights

__all__ = ["ENGINE", "Chunk", "Engine", "EngineError"]

Chunk: TypeAlias = dict[str, Any]
"""One piece of an answer as the engine streams it: OpenAI's `chat.completion.chunk`."""

Emit: TypeAlias = Callable[["Chunk | Exception | None"], None]

_LAST_WAIT = 30.0
"""Seconds that the exit waits for each call to stop; it takes one token, or 128 tokens of a prompt."""


class EngineError(Exception):
    """The engine refused or broke off a request.

    Attributes:
        status: HTTP status that the engine gives it. kind: its name for the error, or "". facts: all it said.
    """

    def __init__(self, message: str, status: int, kind: str = "", facts: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status, self.kind, self.facts = status, kind, dict(facts or {})


class _Call:
    """One request at work in a thread."""

    def __init__(self, engine: Engine, body: Mapping[str, Any], emit: Emit) -> None:
        self._engine, self._body, self._emit = engine, body, emit
        self._stopped = threading.Event()
        self.thread = threading.Thread(target=self._work, name="emoagents-embedded", daemon=True)

    def stop(self) -> None:
        self._stopped.set()

    def _work(self) -> None:
        try:
            self._engine.serve(self._body, self._hear)
        except Exception as error:  # the caller waits, whatever it is
            self._tell(error)
        finally:
            self._tell(None)
            self._engine.forget(self)

    def _tell(self, item: Chunk | Exception | None) -> None:
        """Pass something on, but not at exit: the daemon threads that are left just stop, as all such do."""
        if not self._engine.at_exit:
            self._emit(item)

    def _hear(self, chunk: Chunk) -> bool:
        """Take one piece; return whether the engine shall stop. The engine swallows what is raised here."""
        if self._stopped.is_set():
            return True
        error = chunk.get("error")
        self._tell(chunk if error is None else _engine_error(error))
        return error is not None


class Engine:
    """Holds the server. There is one instance, `ENGINE`."""

    def __init__(self) -> None:
        self._starting = threading.Lock()
        self._counting = threading.Lock()
        self._calls: set[_Call] = set()
        self._closing = threading.Event()
        self._server: Any = None
        self._counter: TokenCounter | None = None
        self._counter_sought = False
        self._touched = False
        self._forked = False
        self.at_exit = False

    @property
    def running(self) -> bool:
        """Whether the weights are loaded."""
        return self._server is not None

    def start(self) -> None:
        """Find or fetch the weights and load them, unless that was done. Blocks; safe from any thread.

        Raises:
            MissingExtraError: xllamacpp is missing.
            UsageError: the process was forked from one that had started the engine.
            RunError: the weights can't be fetched or loaded, or the process is ending.
        """
        self._check_process()
        if self.running:
            return
        with self._starting:
            if self._server is None:
                require_engine()  # before 98 MB are fetched in vain
                path = ensure_weights(stop=self._closing)
                self._check_process()
                self._touched = True
                self._server = open_server(path)
        self.counter()

    async def stream(self, body: Mapping[str, Any]) -> AsyncGenerator[Chunk, None]:
        """Yield the pieces of the answer to one request; starts the engine if need be. Never blocks the loop.

        Leaving the iteration early, by cancelling or closing, makes the engine stop and frees the slot.

        Raises:
            EngineError: the engine refused the request. Others: see `start`.
        """
        self._check_process()
        loop = asyncio.get_running_loop()
        arrived: asyncio.Queue[Chunk | Exception | None] = asyncio.Queue()

        def emit(item: Chunk | Exception | None) -> None:
            with suppress(RuntimeError):  # the loop was closed: nobody listens any more
                loop.call_soon_threadsafe(arrived.put_nowait, item)

        call = self._begin(body, emit)
        try:
            while (item := await arrived.get()) is not None:
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            call.stop()

    def _begin(self, body: Mapping[str, Any], emit: Emit) -> _Call:
        call = _Call(self, body, emit)
        self._calls.add(call)
        try:
            call.thread.start()
        except RuntimeError as error:  # no thread to be had, or the interpreter starts none any more
            self._calls.discard(call)
            raise RunError(f"the embedded model can't start a thread: {error}") from error
        return call

    def counter(self) -> TokenCounter | None:
        """Return the exact token counter, None without weights on this machine. First use: 0.2 s."""
        with self._counting:
            if not self._counter_sought and (path := find_weights()):
                self._counter = TokenCounter.load(path)
                self._counter_sought = True
            return self._counter

    @property
    def ready_counter(self) -> TokenCounter | None:
        """The exact token counter if it is loaded already."""
        return self._counter

    def close(self) -> None:
        """Stop the calls, wait for them, and free the server. For the end of the process."""
        if self._forked:
            return
        self._closing.set()
        for call in list(self._calls):
            call.stop()
        for call in list(self._calls):
            call.thread.join(_LAST_WAIT)
        with self._starting:
            if self._calls:
                keep_for_ever(self._server)  # freeing it under a working call would crash
            self._server = None

    def end(self) -> None:
        """Close at exit."""
        self.at_exit = True
        self.close()

    def serve(self, body: Mapping[str, Any], hear: Callable[[Chunk], bool]) -> None:
        """Work on one request in the calling thread. Part of `stream`."""
        self.start()
        if self._closing.is_set():
            raise RunError("the process is ending: the embedded model takes no more calls")

        def hear_or_end(chunk: Chunk) -> bool:
            return hear(chunk) or self._closing.is_set()

        try:
            self._server.handle_chat_completions(dict(body), hear_or_end)
        except (RuntimeError, TypeError, ValueError) as error:  # faults of the request that do not come back
            raise EngineError(str(error), status=400) from None

    def forget(self, call: _Call) -> None:
        """Strike off a call that ended. Part of `stream`."""
        self._calls.discard(call)

    def after_fork(self) -> None:
        """Make the copy in a forked child safe: it can't be used, and must never be freed."""
        server, touched = self._server, self._touched
        self.__init__()  # type: ignore[misc]  # its locks may be held by threads that the child does not have
        self._forked = self._touched = touched
        if touched:
            end_without_destructors()
        if server is not None:
            keep_for_ever(server)

    def _check_process(self) -> None:
        if self._forked:
            raise UsageError(
                "the embedded model was started before this process was forked, and can't be used in it: "
                "start worker processes by spawn, as multiprocessing.get_context('spawn') does",
                model="embedded/smollm2",
            )
        if self._closing.is_set():
            raise RunError("the process is ending: the embedded model takes no more calls")


def _engine_error(error: Mapping[str, Any]) -> EngineError:
    status, kind = int(error.get("code", 500)), str(error.get("type", ""))
    return EngineError(str(error.get("message", "unknown error")), status=status, kind=kind, facts=error)


ENGINE = Engine()
"""The engine of this process."""

atexit.register(ENGINE.end)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=ENGINE.after_fork)
