"""Limits shared by everything in this process that talks to the same endpoint."""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

__all__ = ["Endpoint", "endpoint"]

_MINUTE = 60.0


@dataclass(slots=True)
class Endpoint:
    """Calls in flight and requests of the last minute at one endpoint, and what was learned about it.

    Callers may come with different limits; each is held to its own, counted over the calls of all. Callers are
    served in the order in which they came. Lives on the model loop, so it needs no lock.
    """

    in_flight: int = 0
    ignores_n: set[str] = field(default_factory=set)
    """Models whose answer to a request with n > 1 held one choice."""
    _sent: deque[float] = field(default_factory=deque)
    _waiting: deque[tuple[int, asyncio.Future[None]]] = field(default_factory=deque)

    @asynccontextmanager
    async def slot(self, concurrency: int, rpm: int | None) -> AsyncIterator[None]:
        """Hold one of `concurrency` places for one request, at most `rpm` of which start in any minute."""
        await self._enter(concurrency)
        try:
            await self._pace(rpm)
            yield
        finally:
            self.in_flight -= 1
            self._wake()

    async def _enter(self, concurrency: int) -> None:
        if not self._waiting and self.in_flight < concurrency:
            self.in_flight += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((concurrency, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # the place was given at the same moment: hand it on
                self.in_flight -= 1
            self._wake()
            raise

    def _wake(self) -> None:
        while self._waiting:
            concurrency, turn = self._waiting[0]
            if not turn.done():  # else its caller was cancelled
                if self.in_flight >= concurrency:
                    return
                self.in_flight += 1
                turn.set_result(None)
            self._waiting.popleft()

    async def _pace(self, rpm: int | None) -> None:
        while (wait := self._too_early(rpm)) > 0:  # noqa: ASYNC110  # time passes; nothing is set
            await asyncio.sleep(wait)
        self._sent.append(time.monotonic())

    def _too_early(self, rpm: int | None) -> float:
        """Return the seconds until one more request keeps to `rpm`."""
        now = time.monotonic()
        while self._sent and self._sent[0] <= now - _MINUTE:
            self._sent.popleft()
        if rpm is None or len(self._sent) < rpm:
            return 0.0
        return self._sent[len(self._sent) - rpm] + _MINUTE - now


_ENDPOINTS: dict[str, Endpoint] = {}
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_ENDPOINTS.clear)  # the parent's calls in flight are not the child's


def endpoint(name: str) -> Endpoint:
    """Return the endpoint of that name; the same object for the whole process."""
    return _ENDPOINTS.setdefault(name, Endpoint())
