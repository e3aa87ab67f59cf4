"""Keeps full garbage collections short while model calls are in flight.

litellm leaves about a million objects after its import, and a full collection walks them all: a third of a second,
again and again while many runs are in flight, for their objects live long enough to count as old. Setting aside what
was there before (`gc.freeze`, a matter of microseconds) leaves a full collection only what came since. Measured: a
quarter of the CPU time of 250 runs side by side. What was set aside comes back when the calls have been over for a
while, so nothing of the application's is kept for ever.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["set_aside"]

_IDLE = 5.0
"""Seconds without a call until the heap is whole again; to thaw after each call would cost a full collection."""


class _Heap:
    """Lives on the model loop, so it needs no lock."""

    def __init__(self) -> None:
        self._in_flight = 0
        self._frozen = False
        self._thaw: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        self._in_flight += 1
        if self._thaw is not None:
            self._thaw.cancel()
            self._thaw = None
        if not self._frozen and gc.get_freeze_count() == 0:  # else the application froze its own
            gc.freeze()
            self._frozen = True

    def end(self) -> None:
        self._in_flight -= 1
        if self._in_flight == 0 and self._frozen:
            self._thaw = asyncio.get_running_loop().call_later(_IDLE, self._unfreeze)

    def _unfreeze(self) -> None:
        gc.unfreeze()
        self._frozen = False
        self._thaw = None


_HEAP = _Heap()


@contextmanager
def set_aside() -> Iterator[None]:
    """Set the present heap aside for the time of a call."""
    _HEAP.begin()
    try:
        yield
    finally:
        _HEAP.end()
