"""LongEmotion's figures on the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from emoagents.cli.text import one_line
from emoagents.evaluation.longemotion.analyse import scale_of
from emoagents.evaluation.longemotion.findings import ArmResult, LongEmotionFindings
from emoagents.evaluation.longemotion.overall import TASKS
from emoagents.evaluation.longemotion.published import PUBLISHED, Published
from emoagents.evaluation.report.table import Column, print_columns, print_title, sayer
from emoagents.evaluation.report.words import cost, count

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["figure", "print_longemotion", "shown_tasks"]

_QUOTED = "GPT-4o"
"""The published rows that the terminal has room for; the page has all."""


def figure(value: float | None) -> str:
    """Return a figure of the paper's table, as "24.51" or "4.62"."""
    return "-" if value is None else f"{value:.2f}"


def shown_tasks(found: LongEmotionFindings) -> list[tuple[str, str]]:
    """Return name and short name of the tasks that were run, in the order of the paper's table."""
    names = [(one.task, one.short) for one in found.arms[0].tasks] if found.arms else []
    order = [task.name for task in TASKS.values()]
    return sorted(names, key=lambda one: (order.index(one[0]) if one[0] in order else len(order), one[0]))


def print_longemotion(console: Console, found: LongEmotionFindings) -> None:
    """Print the figures so that they can be read on 80 columns and without colours."""
    say, tasks = sayer(console), shown_tasks(found)
    quoted = [row for row in PUBLISHED if row.model == _QUOTED]
    print_title(console, say, "LongEmotion, on the paper's scales")
    print_columns(console, say, list(_figures(found, tasks, quoted)))
    say("Percent, but ES and MC of 5. (published): quoted from the paper, other prompts, model and judge.", "dim")
    judged = [task for task, _ in tasks if any(_judged(arm, task) for arm in found.arms)]
    if judged:
        print_title(console, say, "What the judge said and cost, in sum")
        print_columns(console, say, list(_verdicts(found, judged)))
    print_title(console, say, "Notes on LongEmotion")
    for note in found.notes:
        say(f"- {note}")


def _figures(
    found: LongEmotionFindings, tasks: Sequence[tuple[str, str]], quoted: Sequence[Published]
) -> Iterator[Column]:
    names = [one_line(arm.arm) for arm in found.arms]
    yield Column("arm", [*names, *(f"{row.model} {row.arm} (published)" for row in quoted)], left=True)
    for task, short in tasks:
        ours = [figure(one.figure) if (one := arm.result(task)) else "-" for arm in found.arms]
        yield Column(short, [*ours, *(figure(row.figures.get(short)) for row in quoted)], goes=int(short not in TASKS))
    yield Column("overall", [*(figure(arm.overall) for arm in found.arms), *(figure(row.average) for row in quoted)])


def _judged(arm: ArmResult, task: str) -> bool:
    one = arm.result(task)
    return one is not None and bool(one.judge_answers or one.unjudged or one.criteria)


def _verdicts(found: LongEmotionFindings, tasks: Sequence[str]) -> Iterator[Column]:
    rows = [(arm, one) for task in tasks for arm in found.arms if (one := arm.result(task)) is not None]
    yield Column("arm", [one_line(arm.arm) for arm, _ in rows], left=True)
    yield Column("task", [one.short for _, one in rows])
    yield Column(
        "figure", [f"{figure(one.figure)} of {scale_of(one.task):g}" if one.n else "-" for _, one in rows], goes=1
    )
    yield Column("judged", [str(one.attempts - one.unparsed - one.unjudged - one.failed) for _, one in rows])
    for status in ("unjudged", "unparsed", "failed"):
        yield Column(status, [str(getattr(one, status)) for _, one in rows])
    yield Column("judge calls", [count(one.judge_answers) for _, one in rows], goes=3)
    yield Column("tokens", [count(one.judge_tokens) for _, one in rows], goes=2)
    yield Column("usd", [cost(one.judge_usd) for _, one in rows], goes=4)
