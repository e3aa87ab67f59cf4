"""The live part of the screen, on stderr: lines that stay, and below them what is going on now."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from emoagents.cli.events import Event, every_line, telling_line
from emoagents.cli.progress import Progress
from emoagents.cli.text import harmless, is_terminal, one_line

__all__ = ["Screen", "View"]

_PREVIEW_LINES = 12
_PREVIEW_CHARACTERS = 4000
_LABEL_WIDTH = 10
_NODE_WIDTH = 18
_TURNS = 10
"""Redraws in a second, each with the next sign."""


class Screen:
    """Shows a run while it goes on. Where stderr is no terminal it shows nothing, or with `verbose` plain lines.

    Use it as a context manager: what it draws below the lines is gone at the end.
    """

    def __init__(self, *, verbose: bool = False) -> None:
        self.progress = Progress()
        self.shown = is_terminal(sys.stderr)
        self._verbose = verbose
        self._lines = 0
        self._live: Any = None

    def __enter__(self) -> Screen:
        if self.shown:
            self._start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the screen to somebody else meanwhile."""
        if self._live is None:
            yield
            return
        self._live.stop()
        yield
        self._live.start()

    def headline(self, title: str, note: str) -> None:
        """Say what is going to happen."""
        if self._live is not None:
            self._live.console.print(one_line(title), style="bold")
            self._live.console.print(note, style="dim")

    def show(self, event: Event) -> None:
        """Show an event."""
        self.progress.follow(event)
        line = every_line(event) if self._verbose else telling_line(event)
        if line is not None:
            self._show_line(*line)

    def _show_line(self, label: str, text: str) -> None:
        if self._live is not None:
            self._print_line(label, text)
        elif self._verbose and sys.stderr is not None:
            print(label, text, file=sys.stderr, flush=True)

    def _start(self) -> None:
        from rich.live import Live

        from emoagents.cli.layout import quiet_console

        console = quiet_console(sys.stderr)
        view = View(self.progress, console.encoding)
        # stdout is the answer's alone: rich must not carry it over to stderr
        self._live = Live(view, console=console, transient=True, redirect_stdout=False, refresh_per_second=_TURNS)
        self._live.start()

    def _print_line(self, label: str, text: str) -> None:
        from rich.text import Text

        if not self._lines:
            self._live.console.print()
        self._lines += 1
        room = _NODE_WIDTH if self._verbose else _LABEL_WIDTH
        line = Text.assemble((f"{label:<{room}}  ", "cyan"), (text, "dim"))
        self._live.console.print(line, no_wrap=True, overflow="ellipsis")


class View:
    """The part that changes: the end of the answer that is coming, and the status under it."""

    def __init__(self, progress: Progress, encoding: str) -> None:
        self._progress = progress
        self._signs = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏" if encoding.startswith("utf") else "-\\|/"

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        from rich.text import Text

        yield ""
        preview = Text(harmless(self._progress.answer[-_PREVIEW_CHARACTERS:]))
        lines = preview.wrap(console, options.max_width)
        room = max(1, min(_PREVIEW_LINES, console.height - 4))
        if self._progress.answer:
            yield from lines[-room:]
            yield ""
        sign = self._signs[int(console.get_time() * _TURNS) % len(self._signs)]
        parts = ((sign, "cyan"), " ", (self._progress.status(), "dim"))
        yield Text.assemble(*parts, no_wrap=True, overflow="ellipsis")
