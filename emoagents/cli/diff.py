"""`emoagents diff`: what differs between two strategies, word by word."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, TypeAlias

from rich.console import Console
from rich.text import Text

from emoagents.card import is_file
from emoagents.cli.layout import quiet_console
from emoagents.cli.text import harmless, one_line
from emoagents.errors import ParameterError

if TYPE_CHECKING:
    from emoagents.strategy_file import Change
    from emoagents.strategy_file.table import Pipeline

__all__ = ["diff", "show_changes"]

_CONTEXT = 2
"""Unchanged lines shown around a changed one."""

_ALIKE = 0.3
"""Texts with less in common are shown one after the other, not woven into each other."""

_SHORT = 60
"""Characters of a change that stands behind its place, in one line."""

_MANY = 40_000
"""Words above which only lines are compared: the time grows with the square."""

_Piece: TypeAlias = "tuple[str, str]"
"""What became of a text (" ", "-" or "+"), and the text."""

_STYLES = {"-": "red strike", "+": "green", " ": ""}
_MARKS = {"-": ("[-", "-]"), "+": ("{+", "+}"), " ": ("", "")}
"""As git's word diff marks them where there is no colour."""


def diff(old: str, new: str, *, as_json: bool) -> int:
    """Show what differs; return 0 where nothing does, else 1, as `diff` does.

    Raises:
        UsageError: one of them is no strategy.
    """
    from emoagents.strategy_file.changes import table_changes

    changes = table_changes(_read(old), _read(new))
    if as_json:
        found = [dataclasses.asdict(change) for change in changes]
        print(json.dumps({"old": old, "new": new, "alike": not changes, "changes": found}))
    else:
        show_changes(quiet_console(sys.stdout), changes)
    return 1 if changes else 0


def _read(spec: str) -> Pipeline:
    """Return a strategy as a file has it, so that a file that needs a function can be shown without it."""
    from emoagents.registry import Part, parse_spec, strategy
    from emoagents.strategy_file.save import tables_of
    from emoagents.strategy_file.table import read_strategy

    if not spec.strip():
        raise ParameterError("diff takes two strategies: names, specs, or files as mine.toml")
    parts = parse_spec(spec)
    if is_file(parts[0].name) and parts == [Part(parts[0].name)]:
        return read_strategy(parts[0].name)
    return tables_of(strategy(spec))


def show_changes(console: Console, changes: Sequence[Change]) -> None:
    """Print changes: in colour, or with the marks of git's word diff where the console has none."""
    if not changes:
        _print(console, Text("no difference"))
    place = None
    for change in changes:
        shown = _shown(change, marked=not _has_colour(console))
        if change.place == place:
            _print(console, _indented(shown))
            continue
        place = change.place
        head = Text(one_line(place), style="bold")
        if len(shown) == 1 and len(shown[0]) <= _SHORT:
            _print(console, Text.assemble(head, ": ", shown[0]))
        else:
            _print(console, head)
            _print(console, _indented(shown))


def _has_colour(console: Console) -> bool:
    return console.is_terminal and console.color_system is not None and not console.no_color


def _print(console: Console, text: Text) -> None:
    if _has_colour(console):
        console.print(text)
    else:
        console.print(Text(text.plain), soft_wrap=True)  # a style without a colour is an escape code, too


def _indented(lines: Sequence[Text]) -> Text:
    return Text("\n").join(Text("  ") + line for line in lines)


# -- one change ------------------------------------------------------------------------------------------------------


def _shown(change: Change, *, marked: bool) -> list[Text]:
    """Return a change's lines."""
    old, new = change.old, change.new
    if old is None or new is None:
        return list(_whole("+" if old is None else "-", new or old or ""))
    pieces = _woven(harmless(old), harmless(new))
    same = sum(len(text) for mark, text in pieces if mark == " ")
    if same < _ALIKE * max(len(old), len(new)) and "\n" in old + new:
        return [*_whole("-", old), *_whole("+", new)]
    return _near_changes(_lines(pieces), marked)


def _whole(mark: str, text: str) -> Iterator[Text]:
    for number, line in enumerate(harmless(text).split("\n")):
        yield Text(f"{mark if number == 0 else ' '} {line}", style=_STYLES[mark].removesuffix(" strike"))


def _woven(old: str, new: str) -> list[_Piece]:
    """Return the words of both texts: what both have, what was taken away, what was added."""
    before, after = _words(old), _words(new)
    if len(before) + len(after) > _MANY:
        before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    pieces: list[_Piece] = []
    gone = come = ""
    for kind, a, b, c, d in SequenceMatcher(None, before, after).get_opcodes():
        removed, added = "".join(before[a:b]), "".join(after[c:d])
        if kind != "equal" or (gone and come and removed == " "):  # a blank alone between changed words goes with them
            gone, come = gone + removed, come + added
            continue
        pieces += [piece for piece in (("-", gone), ("+", come), (" ", removed)) if piece[1]]
        gone = come = ""
    return [*pieces, *(piece for piece in (("-", gone), ("+", come)) if piece[1])]


def _words(text: str) -> list[str]:
    return re.findall(r"\n|[^\S\n]+|\w+|[^\w\s]", text)


def _lines(pieces: Sequence[_Piece]) -> list[list[_Piece]]:
    """Return the pieces of each line; the sign ↵ stands for a line's end that was added or taken away."""
    lines: list[list[_Piece]] = [[]]
    for mark, text in pieces:
        parts = text.split("\n")
        for number, part in enumerate(parts):
            ends = number < len(parts) - 1
            shown = f"{part}↵" if ends and mark != " " else part
            if shown:
                lines[-1].append((mark, shown))
            if ends:
                lines.append([])
    return lines


def _near_changes(lines: Sequence[Sequence[_Piece]], marked: bool) -> list[Text]:
    """Return the changed lines with some around them; dots for what is left out."""
    changed = [n for n, line in enumerate(lines) if any(mark != " " for mark, _ in line)]
    near = sorted({n for c in changed for n in range(c - _CONTEXT, c + _CONTEXT + 1) if 0 <= n < len(lines)})
    shown: list[Text] = []
    for previous, number in zip([-1, *near], near, strict=False):
        shown += [Text("...", style="dim")] if number != previous + 1 else []
        shown.append(_line(lines[number], marked))
    return [*shown, Text("...", style="dim")] if near and near[-1] < len(lines) - 1 else shown


def _line(pieces: Sequence[_Piece], marked: bool) -> Text:
    if marked:
        return Text("".join(f"{_MARKS[mark][0]}{text}{_MARKS[mark][1]}" for mark, text in pieces))
    return Text().join(Text(text, style=_style(mark, text)) for mark, text in pieces)


def _style(mark: str, text: str) -> str:
    return _STYLES[mark] if text.strip() or mark == " " else f"{_STYLES[mark]} reverse"  # else blanks can't be seen
