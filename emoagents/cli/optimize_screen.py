"""What is seen while `emoagents optimize` works: one line that moves on a terminal, else a line for what is new."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO

from emoagents.cli.text import is_terminal, one_line

if TYPE_CHECKING:
    from emoagents.evaluation.record import Record
    from emoagents.tuning.progress import Failures, Progress

__all__ = ["Screen", "failures_in_words"]

_EVERY = 30.0
"""Seconds between two lines where no terminal shows the bar."""


class Screen:
    """Use it as a context manager around the work. It keeps the stderr that it found: others may redirect it."""

    def __init__(self) -> None:
        self._stream: TextIO | None = sys.stderr
        self._bar: Any = None
        self._task: Any = None
        self._said = time.monotonic()
        self._best: float | None = None
        self._failed = 0
        self.spent: Callable[[], str] = lambda: ""
        """Returns what was spent so far, in words."""

    def __enter__(self) -> Screen:
        if is_terminal(self._stream):
            self._bar = _bar(self._stream)
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, text: str) -> None:
        """Say a line."""
        if self._bar is not None:
            self._bar.console.print(one_line(text), highlight=False, markup=False)
        elif self._stream is not None:
            print(one_line(text), file=self._stream, flush=True)

    def begin(self, what: str, total: int | None = None, made: int = 0) -> None:
        """Begin a part of the work."""
        if self._bar is None:
            self.say(what if total is None else f"{what}: {total - made:,} of {total:,} runs to make")
            return
        if self._task is not None:
            self._bar.refresh()  # it is drawn ten times a second: the last step is not to be lost
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(what, total=total, completed=made, note="")

    def recorded(self, record: Record) -> None:
        """Take in an attempt of a measurement."""
        self._failed += record.status == "failed"
        if self._bar is not None:
            note = f"{self._failed} failed: {one_line(record.error or '')}" if self._failed else ""
            self._bar.update(self._task, advance=1, note=note)

    def progressed(self, progress: Progress) -> None:
        """Take in how far an optimiser is; from any thread."""
        note = _note(progress, self.spent())
        if self._bar is not None:
            total = None if progress.total is None else max(progress.total, progress.runs)
            self._bar.update(self._task, completed=progress.runs, total=total, note=note)
            return
        now, better = time.monotonic(), progress.best != self._best
        if better or now - self._said > _EVERY:
            self._best, self._said = progress.best, now
            self.say(f"  {progress.runs:,} runs, {note}")

    def found(self, progress: Progress) -> None:
        """Say how the optimisation ended."""
        runs = (
            f"{progress.runs:,} run{'' if progress.runs == 1 else 's'}" if progress.runs else "nothing was left to run"
        )
        self.say(f"optimised: {', '.join(filter(None, [runs, _note(progress, self.spent())]))}")


def _note(progress: Progress, spent: str) -> str:
    failures = (progress.failed_runs, progress.failed_metrics, progress.failed_proposals)
    failed = sum(one.count for one in failures)
    best = "" if progress.best is None else f"best {progress.best:.3f} of {progress.tried} tried"
    return ", ".join(filter(None, [best, f"{failed} failed" if failed else "", spent]))


def failures_in_words(progress: Progress) -> list[str]:
    """Return a sentence for each kind of failure that there was."""
    kinds: list[tuple[Failures, str]] = [
        (progress.failed_runs, "runs failed, and scored 0"),
        (progress.failed_metrics, "answers could not be scored, and count as 0"),
        (progress.failed_proposals, "proposals of the reflecting model failed"),
    ]
    return [
        one_line(f"{failures.count} {what}; {'as' if failures.count == 1 else 'first'}: {' / '.join(failures.reasons)}")
        for failures, what in kinds
        if failures.count
    ]


def _bar(stream: TextIO | None) -> Any:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from emoagents.cli.layout import quiet_console

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        console=quiet_console(stream),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
