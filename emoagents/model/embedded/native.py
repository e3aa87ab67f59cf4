"""Two things that Python can't say to native code: never free this, and end without your destructors."""

from __future__ import annotations

import ctypes
import sys
from typing import Any

__all__ = ["end_without_destructors", "keep_for_ever"]


def keep_for_ever(thing: Any) -> None:
    """Never let the object be freed, not even when the interpreter ends."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def end_without_destructors() -> None:
    """When this process ends, let Python finish as ever, then leave before native libraries tear down.

    For a forked child: the engine's library would wait there for threads that only the parent has. Needs
    glibc, whose `on_exit` passes the exit status on to the `_exit` that is registered here.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "on_exit"):
        libc.on_exit(libc._exit, None)
