"""Text that comes in pieces, on a screen that is only so wide."""

from __future__ import annotations

import re
from typing import TextIO

from rich.cells import cell_len

from emoagents.cli.text import harmless

__all__ = ["Flow"]

_PARTS = re.compile(r"[ \n]|[^ \n]+")


class Flow:
    """Prints text as it comes, broken between words. A word that turns out too long for its line moves to the next.

    Args:
        width: columns of the screen. margin: stands before each line.
    """

    def __init__(self, stream: TextIO, width: int, margin: str = "") -> None:
        self._stream, self._margin = stream, margin
        self._room = max(10, width - 1 - cell_len(margin))  # in the last column terminals differ
        self._column = 0
        self._word = ""
        self._held = ""
        self._fresh = True

    @property
    def fresh(self) -> bool:
        """Whether nothing stands in the line that is being written."""
        return self._fresh

    def write(self, text: str) -> None:
        """Print a piece."""
        text = self._held + text
        self._held = "\r" if text.endswith("\r") else ""  # perhaps the first half of a line's end
        for part in _PARTS.findall(harmless(text.removesuffix("\r")).replace("\t", "    ")):
            self._make_room(part)
            for sign in part:
                self._put(sign)
        self._stream.flush()

    def end(self) -> None:
        """End the line, if one was begun."""
        if not self._fresh:
            self._next_line()
        self._stream.flush()

    def _make_room(self, part: str) -> None:
        """Begin a line for a word that is known to be too long for this one, so that nothing has to be moved."""
        cells = cell_len(part)
        if part not in " \n" and not self._word and self._column and self._column + cells > self._room >= cells:
            self._next_line()

    def _put(self, sign: str) -> None:
        if sign == "\n":
            self._next_line()
        elif sign == " ":
            self._space()
        else:
            self._sign(sign)

    def _space(self) -> None:
        self._word = ""
        if self._column < self._room:
            self._print(" ", 1)

    def _sign(self, sign: str) -> None:
        cells = cell_len(sign)
        if self._column + cells > self._room:
            self._carry_over()
        self._print(sign, cells)
        # signs that are not one column wide are no Latin words: between them any place is good for a break
        self._word = self._word + sign if cells == 1 else ""

    def _carry_over(self) -> None:
        word = self._word if len(self._word) < self._column else ""
        self._stream.write("\b" * len(word) + " " * len(word))
        self._next_line()
        if word:
            self._print(word, len(word))
            self._word = word

    def _print(self, text: str, cells: int) -> None:
        self._stream.write(f"{self._margin}{text}" if self._fresh else text)
        self._fresh = False
        self._column += cells

    def _next_line(self) -> None:
        self._stream.write(f"{self._margin.rstrip()}\n" if self._fresh else "\n")
        self._fresh, self._column, self._word = True, 0, ""
