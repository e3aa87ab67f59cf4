"""What DSPy, GEPA and Optuna print while they work, put into a file instead of the terminal."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

__all__ = ["chatter_to"]


@contextlib.contextmanager
def chatter_to(path: Path) -> Iterator[None]:
    """Write what is printed and logged inside the block to a file, appended: for a process with one thing to do.

    Standard output and error of the whole process are meant, so whoever still wants to speak keeps the streams of
    before. All is as before when the block ends.
    """
    with path.open("a", encoding="utf-8", errors="replace") as file, contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(file))
        stack.enter_context(contextlib.redirect_stderr(file))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(_log_to(file, "optuna"))
        yield


@contextlib.contextmanager
def _log_to(file: TextIO, name: str) -> Iterator[None]:
    """Let a logger's handlers that hold a stream of their own write to a file; those of other kinds are not ours."""
    handlers = [h for h in logging.getLogger(name).handlers if type(h) is logging.StreamHandler]
    before = [handler.setStream(file) for handler in handlers]
    try:
        yield
    finally:
        for handler, stream in zip(handlers, before, strict=True):
            if stream is not None:
                handler.setStream(stream)
