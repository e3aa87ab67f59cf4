"""What goes on while no word comes: a line on a terminal that says so and goes away."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import time
from typing import TextIO

from emoagents.cli.loading import is_loading
from emoagents.cli.text import one_line
from emoagents.state import Event

__all__ = ["Waiting"]

_PACE = 0.1
"""Seconds between two signs."""


class Waiting:
    """A quiet line with a turning sign. It hides no cursor and leaves nothing to tidy up if the process is killed.

    Args:
        doing: what is done while nothing else is known.
    """

    def __init__(self, stream: TextIO, model: str, doing: str) -> None:
        self._stream, self._model, self._doing = stream, model, doing
        signs = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏" if (stream.encoding or "").lower().startswith("utf") else "-\\|/"
        self._signs = itertools.cycle(signs)
        self._until = 0.0
        self._shown = 0
        self.wanted = True
        """Whether it may be shown: whoever begins to print says no."""

    async def keep_showing(self) -> None:
        """Show it until cancelled."""
        while True:
            if self.wanted:
                self._draw()
            await asyncio.sleep(_PACE)

    def follow(self, event: Event) -> None:
        """Take an event in."""
        if event["event"] == "retry":
            self._until = time.monotonic() + event["seconds"]
        elif event["event"] in ("call", "token", "restart"):
            self._until = 0.0

    def clear(self) -> None:
        """Take the line off the screen."""
        self._stream.write("\r" + " " * self._shown + "\r" if self._shown else "")
        self._stream.flush()
        self._shown = 0

    def _draw(self) -> None:
        text = f"{next(self._signs)} {self._words()}"[: shutil.get_terminal_size().columns - 1]
        self._stream.write("\r" + text.ljust(self._shown))
        self._stream.flush()
        self._shown = max(self._shown, len(text))

    def _words(self) -> str:
        left = self._until - time.monotonic()
        if left > 0:
            return f"asking again in {left:.0f} s"
        return f"loading {one_line(self._model)} ..." if is_loading(self._model) else self._doing
