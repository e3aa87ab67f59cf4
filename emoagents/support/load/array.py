"""A JSON array of dialogues, one after the other: one dialogue and one block of the file are in memory.

Giving the parser one line at a time would tell the line of everything, and takes a third longer. So a file with a
mistake is read a second time, line by line and up to the mistake.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

import ijson

from emoagents.errors import DataError
from emoagents.files import NOT_UTF8
from emoagents.support.dialogue import Dialogue
from emoagents.support.load.fields import Wrong, dialogue_of
from emoagents.support.load.lines import named, skip_blank

__all__ = ["from_array"]

_BLOCK = 1 << 12

_DEEPEST = 5000
"""Brackets that may be open at the end of a block. The parser names each value by all that is around it, so that deep
nesting takes the square of its depth in memory: 100 kB of brackets would take the whole machine. More than a block
has, so that short elements never come to it, whatever their texts."""

_VALUES = frozenset({"start_map", "start_array", "string", "number", "integer", "double", "boolean", "null"})


class _Feed:
    """Gives a file to the parser, and knows the line that it came to.

    Attributes:
        line: number of the line at which the last block ends; by lines, of the line given last.
        deep: brackets opened less brackets closed, those in texts too: a guess, which each whole element sets right.
    """

    def __init__(self, file: BufferedReader, skipped: int, *, by_line: bool = False) -> None:
        self._file, self._by_line = file, by_line
        self._ended = skipped
        self.line, self.deep = skipped + 1, 0

    def read(self, size: int = _BLOCK) -> bytes:
        """Return the next block.

        Raises:
            Wrong: there are brackets within brackets without end.
        """
        return self._next_line(size) if self._by_line else self._next_block(size)

    def _next_line(self, size: int) -> bytes:
        line = self._file.readline(size)
        if line:
            self.line = self._ended + 1
            self._ended += line.endswith(b"\n")
        return line

    def _next_block(self, size: int) -> bytes:
        block = self._file.read(size)
        self._ended += block.count(b"\n")
        self.line = self._ended + 1
        self.deep += block.count(b"[") + block.count(b"{") - block.count(b"]") - block.count(b"}")
        if self.deep > _DEEPEST:
            raise Wrong(f"more than {_DEEPEST} brackets are open; this is not read")
        return block


def from_array(file: BufferedReader, path: Path, skipped: int) -> Iterator[Dialogue]:
    """Yield the dialogue of each element.

    Raises:
        DataError: the array is not UTF-8, not JSON or not whole, or an element is not a dialogue.
    """
    feed = _Feed(file, skipped)
    try:
        for count, value in enumerate(ijson.items(feed, "item", buf_size=_BLOCK, use_float=True)):
            yield _dialogue(value, count, path, feed)
            feed.deep = 0
    except Wrong as wrong:
        raise DataError(str(path), feed.line, wrong.reason) from None
    except (ijson.JSONError, UnicodeDecodeError) as error:
        raise DataError(str(path), _line_of_end(path, feed), _said(error)) from None


def _dialogue(value: object, count: int, path: Path, feed: _Feed) -> Dialogue:
    try:
        return dialogue_of(value, named(count))
    except Wrong as wrong:
        line = _line_of(path, feed, count, wrong.where)
        raise DataError(str(path), line, f"dialogue {named(count)}: {wrong.reason}") from None


def _said(error: Exception) -> str:
    text = str(error)
    if isinstance(error, UnicodeDecodeError) or "UTF8" in text:
        return NOT_UTF8
    if "premature EOF" in text:
        return "the JSON ends in the middle; the file is not whole"
    found = re.search(r"error: ([^\\\n]+)", text)
    return f"not JSON: {found[1].strip() if found else text.splitlines()[0]}"


# ---- the line of a mistake


def _line_of_end(path: Path, feed: _Feed) -> int:
    """Return the line at which the parser gives up."""
    if not path.is_file():
        return feed.line
    with path.open("rb") as file:
        again = _Feed(file, skip_blank(file), by_line=True)
        try:
            for _ in ijson.basic_parse(again, buf_size=_BLOCK, use_float=True):
                pass
        except (ijson.JSONError, UnicodeDecodeError):
            pass
        return again.line


def _line_of(path: Path, feed: _Feed, count: int, where: tuple[str | int, ...]) -> int:
    """Return the line of a value in the element that has `count` others before it, or of what should hold it."""
    if not path.is_file():
        return feed.line
    with path.open("rb") as file:
        again = _Feed(file, skip_blank(file), by_line=True)
        return _followed(again, _steps(count, where))


def _steps(count: int, where: tuple[str | int, ...]) -> Iterator[tuple[str, int]]:
    """Yield each prefix on the way to a value, as the parser calls it, and how many of its kind to pass over."""
    prefix = "item"
    yield prefix, count
    for key in where:
        prefix = f"{prefix}.item" if isinstance(key, int) else f"{prefix}.{key}"
        yield prefix, key if isinstance(key, int) else 0


def _followed(feed: _Feed, steps: Iterator[tuple[str, int]]) -> int:
    line, holder = feed.line, None
    prefix, left = next(steps)
    for at, event, _ in ijson.parse(feed, buf_size=_BLOCK, use_float=True):
        if at == holder and event.startswith("end_"):
            return line
        if at != prefix or event not in _VALUES:
            continue
        if left:
            left -= 1
            continue
        line, holder = feed.line, prefix
        prefix, left = next(steps, ("", 0))
        if not prefix:
            return line
    return line
