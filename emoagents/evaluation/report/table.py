"""What a comparison found, on the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emoagents.cli.text import one_line
from emoagents.evaluation.findings import ArmRow, Difference, Findings
from emoagents.evaluation.record import Plan
from emoagents.evaluation.report.headline import headline, notes
from emoagents.evaluation.report.view import View, short_names
from emoagents.evaluation.report.words import cost, count, interval, level, probability, score, share, signed

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Column", "print_columns", "print_findings", "print_title", "sayer"]

_GAP = "  "

_NARROWEST = 27
"""Columns that an arm's name keeps, however narrow the terminal is."""


@dataclass(frozen=True)
class Column:
    """A column: its head, its cells, and when it goes where there is no room (0: never; else the greatest first)."""

    head: str
    cells: Sequence[str]
    goes: int = 0
    left: bool = False

    @property
    def width(self) -> int:
        return max(map(_width, (self.head, *self.cells)))

    @property
    def empty(self) -> bool:
        return all(cell in ("", "-", "0 %", "$0") for cell in self.cells)


def print_findings(console: Console, plan: Plan, findings: Findings) -> None:
    """Print the findings so that they can be read on 80 columns and without colours."""
    view = View(plan, findings)
    say = sayer(console)
    for sentence in headline(plan, findings):
        say(sentence)
    _print_arms(console, say, view)
    _print_tasks(console, say, view)
    _print_selections(console, say, findings)
    _print_repairs(console, say, findings)
    if told := notes(plan, findings):
        print_title(console, say, "Notes")
        for note in told:
            say(f"- {note}")


def sayer(console: Console) -> Callable[..., None]:
    """Return what prints a line: in ASCII where the terminal's encoding has nothing else."""

    def say(text: str, style: str | None = None, *, wrap: bool = True) -> None:
        shown = one_line(text) if wrap else text
        shown = shown.encode(console.encoding, "replace").decode(console.encoding)
        console.print(shown, style=style, markup=False, highlight=False, emoji=False, soft_wrap=not wrap)

    return say


def print_title(console: Console, say: Callable[..., None], text: str) -> None:
    console.print()
    say(text, "bold")


# ---- tables


def print_columns(console: Console, say: Callable[..., None], columns: Sequence[Column], strong: int = -1) -> None:
    """Print columns, the least important left out until the rest fits.

    Args:
        strong: number of the row that stands out.
    """
    shown = _fitting([column for column in columns if column.goes == 0 or not column.empty], console.width)
    say(_line(shown, None), "bold", wrap=False)
    for number in range(len(shown[0].cells)):
        say(_line(shown, number), "bold" if number == strong else None, wrap=False)


def _fitting(columns: list[Column], width: int) -> list[Column]:
    shown = list(columns)
    while _total(shown) - max(0, shown[0].width - _NARROWEST) > width and any(column.goes for column in shown):
        shown.remove(max(shown, key=lambda column: column.goes))
    room = width - (_total(shown) - shown[0].width)
    if shown[0].width > room:
        cells = [_shortened(cell, max(8, room)) for cell in shown[0].cells]
        shown[0] = Column(shown[0].head, cells, left=True)
    return shown


def _total(columns: Sequence[Column]) -> int:
    return sum(column.width for column in columns) + len(_GAP) * (len(columns) - 1)


def _line(columns: Sequence[Column], number: int | None) -> str:
    cells = []
    for column in columns:
        text = column.head if number is None else column.cells[number]
        space = " " * (column.width - _width(text))
        cells.append(text + space if column.left else space + text)
    return _GAP.join(cells).rstrip()


def _width(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)


def _shortened(text: str, width: int) -> str:
    """Return the text, its middle left out where it is too long: names of arms differ at their ends too."""
    from rich.cells import set_cell_size

    if _width(text) <= width:
        return text
    tail = width // 3
    return set_cell_size(text, width - tail - 2).rstrip() + ".." + text[-tail:]


# ---- all arms


def _print_arms(console: Console, say: Callable[..., None], view: View) -> None:
    rows = [row for arm in view.plan.arms if (row := view.row(arm.label)) is not None]
    if not rows:
        return
    print_title(console, say, "All tasks" if len(view.tasks) > 1 else view.tasks[0])
    best = max(range(len(rows)), key=lambda number: rows[number].score or -1.0)
    print_columns(console, say, list(_arm_columns(view, rows)), best)
    alpha = f"{view.findings.alpha:g}"
    say(
        f"* Holm p < {alpha}. F: no arm is as good for fewer tokens. Answers, tokens and usd are means per item.", "dim"
    )


def _arm_columns(view: View, rows: Sequence[ArmRow]) -> Iterator[Column]:
    called = level(view.findings.alpha)
    base = [view.difference("baseline", row.arm) for row in rows]
    twin = [view.difference("twin", row.arm) for row in rows]
    yield Column("arm", [_named(view.plan, row.arm) for row in rows], left=True)
    yield Column("score", [score(row.score) for row in rows])
    yield Column(called, [interval(row.low, row.high) for row in rows], goes=3)
    yield Column("to base", [_marked(d) for d in base])
    yield Column(called, [_spread(d) for d in base], goes=2)
    yield Column("Holm p", [probability(d.p_holm) if d else "" for d in base], goes=8)
    yield Column("to twin", [_marked(d) for d in twin], goes=1)
    yield Column(called, [_spread(d) for d in twin], goes=9)
    yield Column("answers", [count(row.answers) for row in rows], goes=4)
    yield Column("tokens", [count(row.tokens) for row in rows], goes=1)
    yield Column("usd", [cost(row.usd) for row in rows], goes=5)
    yield Column("unparsed", [share(row.unparsed) for row in rows], goes=6)
    yield Column("unjudged", [share(row.unjudged) for row in rows], goes=6)
    yield Column("failed", [share(row.failed) for row in rows], goes=7)
    yield Column("F", ["F" if row.frontier else "" for row in rows], goes=1)


def _marked(difference: Difference | None) -> str:
    if difference is None:
        return ""
    return signed(difference.difference) + ("*" if difference.significant else " ")


def _spread(difference: Difference | None) -> str:
    return "" if difference is None else interval(difference.low, difference.high, sign=True)


# ---- each task


def _print_tasks(console: Console, say: Callable[..., None], view: View) -> None:
    """Print a row a task and a column an arm, in as many blocks as the terminal's width needs."""
    if len(view.tasks) < 2:
        return
    print_title(console, say, "Task by task")
    names = short_names(view.tasks)
    first = Column("task", [one_line(names[task]) for task in view.tasks], left=True)
    columns = [_task_column(view, arm.label, number) for number, arm in enumerate(view.plan.arms, 1)]
    if _numbered(view.plan):
        say("The numbers are the arms' above.", "dim")
    blocks = list(_blocks(first, columns, console.width))
    for place, block in enumerate(blocks):
        if place:
            console.print()
        print_columns(console, say, block)


def _numbered(plan: Plan) -> bool:
    """Return whether the arms have too many or too long names to stand above columns."""
    return len(plan.tasks) > 1 and (len(plan.arms) > 8 or any(_width(one_line(arm.label)) > 14 for arm in plan.arms))


def _named(plan: Plan, label: str) -> str:
    if not _numbered(plan):
        return one_line(label)
    number = next((n for n, arm in enumerate(plan.arms, 1) if arm.label == label), 0)
    return f"{number:>{len(str(len(plan.arms)))}} {one_line(label)}"


def _task_column(view: View, arm: str, number: int) -> Column:
    cells = []
    for task in view.tasks:
        row, difference = view.row(arm, task), view.difference("baseline", arm, task)
        mark = "*" if difference is not None and difference.significant else " "
        cells.append(score(row.score if row else None) + mark)
    return Column(f"{number} " if _numbered(view.plan) else f"{one_line(arm)} ", cells)


def _blocks(first: Column, columns: Sequence[Column], width: int) -> Iterator[list[Column]]:
    block = [first]
    for column in columns:
        if len(block) > 1 and _total([*block, column]) > max(width, 40):
            yield block
            block = [first]
        block.append(column)
    yield block


# ---- selections and repairs


def _print_selections(console: Console, say: Callable[..., None], findings: Findings) -> None:
    if not findings.selections:
        return
    print_title(console, say, "Best of a family, chosen on one half of the items and scored on the other")
    for found in findings.selections:
        spread = interval(found.low, found.high, sign=True)
        say(f"{found.family}: {' and '.join(dict.fromkeys(found.chosen))} of {len(found.members)} arms")
        say(f"- chosen honestly: {signed(found.difference)} {spread} to {found.reference}, p {probability(found.p)}")
        say(f"- flattered (chosen and scored on the same items): {signed(found.flattered)}")


def _print_repairs(console: Console, say: Callable[..., None], findings: Findings) -> None:
    rows = findings.repairs
    if not rows:
        return
    print_title(console, say, "Wrong answers that were right after a retry, by emotion")
    columns = [
        Column("arm", [one_line(row.arm) for row in rows], left=True),
        Column("emotion", [one_line(row.emotion) for row in rows], left=True),
        Column("retries", [str(row.tries) for row in rows], goes=2),
        Column("right", [str(row.repaired) for row in rows], goes=3),
        Column("rate", [score(row.repaired / row.tries if row.tries else None) for row in rows]),
        Column(level(findings.alpha), [interval(row.low, row.high) for row in rows], goes=1),
    ]
    print_columns(console, say, columns)
