"""How far a comparison is: a bar on stderr where that is a terminal, and a line at its beginning and end."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoagents.cli.text import is_terminal, one_line

if TYPE_CHECKING:
    from emoagents.evaluation.arms import MadeArm
    from emoagents.evaluation.comparison import Comparison
    from emoagents.evaluation.findings import Findings
    from emoagents.evaluation.record import Plan, Record
    from emoagents.evaluation.work import Outcome

__all__ = ["Tally"]


class Tally:
    """Counts what comes in. Use it as a context manager around the work.

    Args:
        folder: where the comparison is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._bar: Any = None
        self._task: Any = None
        self._failed = self._bought = self._tokens = 0
        self._usd: float | None = 0.0
        self._reason = ""

    def __enter__(self) -> Tally:
        if is_terminal(sys.stderr):
            self._bar = _bar()
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def headline(self, plan: Plan, arms: Sequence[MadeArm]) -> None:
        """Say what is going to be done, and what it may take."""
        items = sum(task.items for task in plan.tasks)
        counts = [_count(len(plan.arms), "arm"), _count(items, "item")]
        counts += [f"{len(plan.tasks)} tasks"] if len(plan.tasks) > 1 else []
        counts += [f"{plan.replicas} repetitions"] if plan.replicas > 1 else []
        _say(f"{one_line(plan.model)}: {', '.join(counts)}: {_count(plan.attempts, 'attempt')}")
        for calls, labels in _by_calls(arms).items():
            _say(f"  {calls} an attempt: {', '.join(labels)}")
        _say(f"kept in {self._folder}")

    def begin(self, total: int, made: int) -> None:
        """Take in how many attempts there are, and how many were made before."""
        if made:
            _say(f"going on: {made:,} of {total:,} attempts were made before")
        if self._bar is not None:
            self._task = self._bar.add_task("", total=total, completed=made, note="")

    def add(self, record: Record) -> None:
        """Take one attempt in."""
        spent = record.spent
        if record.status == "failed":
            self._failed += 1
            self._reason = record.error or ""
        self._bought += spent.bought
        self._tokens += spent.paid_tokens
        self._usd = None if self._usd is None or spent.paid_usd is None else self._usd + spent.paid_usd
        if self._bar is not None:
            self._bar.update(self._task, advance=1, note=self._note())

    def matched(self, arms: Mapping[str, str]) -> None:
        """Say which arms are added for equal tokens."""
        for arm, spec in arms.items():
            _say(f"as many tokens as {one_line(arm)}: {spec}")

    def unmatched(self) -> None:
        """Say why no arms are added for equal tokens."""
        _say("not all attempts were made, so no arm of equal tokens is added yet")

    def ending(self, comparison: Comparison, outcome: Outcome, findings: Findings) -> None:
        """Say how it ended and what to do next."""
        _say(f"{self._note()}")
        if outcome.stopped_by == "budget":
            _say("the budget ended first: run the same command with a larger one to go on")
        elif outcome.failed:
            _say(f"{_count(outcome.failed, 'attempt')} failed, the last because: {one_line(self._reason)}")
            _say("run the same command again to try them anew")
        elif findings.missing:
            _say(f"{findings.missing:,} attempts are missing: run the same command again to go on")
        _say(f"report: {comparison.folder / 'report.html'}")

    def _note(self) -> str:
        dollars = "price unknown" if self._usd is None else f"${self._usd:.4g}"
        failed = f", {self._failed:,} attempts failed" if self._failed else ""
        return f"{self._bought:,} answers bought, {self._tokens:,} tokens, {dollars}{failed}"


def _by_calls(arms: Sequence[MadeArm]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for made in arms:
        number = made.strategy.answering.expected_calls().removesuffix(" calls")
        calls = f"{number} call{'' if number == '1' else 's'}"
        found.setdefault(calls, []).append(one_line(made.arm.label))
    return found


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _say(text: str) -> None:
    if sys.stderr is not None:
        print(text, file=sys.stderr, flush=True)


def _bar() -> Any:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from emoagents.cli.layout import quiet_console

    return Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=quiet_console(sys.stderr),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
