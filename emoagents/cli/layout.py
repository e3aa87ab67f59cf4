"""Two columns on a screen: names, and text that wraps beside them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from typing import TypeAlias

__all__ = ["WIDEST", "Row", "print_rows", "quiet_console"]

Row: TypeAlias = "tuple[str, str | Text]"

WIDEST = 100
"""Columns of a page; longer lines are hard to read."""


def quiet_console(stream: TextIO | None = None, *, widest: int | None = None) -> Console:
    """Return a console, on stdout if not told otherwise, that reads no markup in any text."""
    console = Console(file=stream, highlight=False, markup=False, emoji=False)
    if widest is not None and console.width > widest:
        console.width = widest
    return console


def print_rows(console: Console, rows: Iterable[Row], *, indent: int = 2, apart: bool = False) -> None:
    """Print rows of a name and a text.

    Args:
        apart: an empty line between two rows.
    """
    rows = list(rows)
    left = indent + max((len(name) for name, _ in rows), default=0) + 2
    for number, (name, text) in enumerate(rows):
        if apart and number:
            console.print()
        _print_row(console, f"{'':{indent}}{name}".ljust(left), Text() + text)


def _print_row(console: Console, name: str, text: Text) -> None:
    lines = text.wrap(console, max(20, console.width - len(name)))
    for number, line in enumerate(lines):
        line.rstrip()
        left = Text(name, style="cyan") if number == 0 else Text(" " * len(name))
        console.print(left + line, soft_wrap=True)
