"""`emoagents data esconv`: what a file of support dialogues holds, as tables for 80 columns or as one JSON object."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emoagents.support.describe import Description, Mean

__all__ = ["describe_esconv"]

_NAME = 34
"""Columns of a name. It comes from a file and may be any text; a longer one is cut off."""


def describe_esconv(path: Path, *, as_json: bool) -> int:
    """Print the counts of a file of support dialogues; return the exit status.

    Raises:
        DataError: the file can't be read, or something in it is wrong.
    """
    from emoagents.support.describe import describe
    from emoagents.support.load import read_dialogues

    found = describe(read_dialogues(path))
    if as_json:
        print(found.model_dump_json())
    else:
        _print(found)
    return 0


def _print(found: Description) -> None:
    from emoagents.cli.layout import WIDEST, quiet_console

    console = quiet_console(sys.stdout, widest=WIDEST)

    def say(text: str, style: str | None = None) -> None:
        shown = text.encode(console.encoding, "replace").decode(console.encoding)
        console.print(shown, style=style, soft_wrap=True)

    words = "" if found.words is None else f", {found.words:.1f} words a turn"
    say(f"{found.dialogues:,} dialogues, {found.turns:,} turns{words}", "bold")
    say(f"{found.seeker_turns:,} of seekers, {found.supporter_turns:,} of supporters")
    _print_counts(say, "strategy", found.strategies)
    _print_counts(say, "stage by vote", found.stages)
    _print_counts(say, "problem", found.problems)
    _print_counts(say, "emotion", found.emotions)
    _print_scores(say, found.scores)


def _print_counts(say: Callable[..., None], head: str, counts: Mapping[str, int]) -> None:
    """Print counts with their shares of all; nothing where nothing was counted."""
    total = sum(counts.values())
    if total:
        rows = [(name, f"{count:,}", f"{100 * count / total:.1f} %") for name, count in counts.items()]
        _print_table(say, (head, "n", "share"), rows)


def _print_scores(say: Callable[..., None], scores: Mapping[str, Mean]) -> None:
    given = {name.replace("_", " "): score for name, score in scores.items() if score.mean is not None}
    if given:
        rows = [(name, f"{score.n:,}", f"{score.mean:.2f}") for name, score in given.items()]
        _print_table(say, ("rating, 1 to 5", "n", "mean"), rows)


def _print_table(say: Callable[..., None], head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    say("")
    say(_line(head), "bold")
    for row in rows:
        say(_line(row))


def _line(cells: Sequence[str]) -> str:
    from rich.cells import set_cell_size

    from emoagents.cli.text import one_line

    return f"{set_cell_size(one_line(cells[0]), _NAME)}  {cells[1]:>9}  {cells[2]:>8}"
