"""A file from its first byte that says something, and its lines as text. It is opened once: a pipe will do."""

from __future__ import annotations

from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

from emoagents.errors import DataError
from emoagents.files import NOT_UTF8

__all__ = ["named", "numbered", "skip_blank"]

_MARK = b"\xef\xbb\xbf"


def named(count: int) -> str:
    """Return the id of the dialogue before which `count` others came."""
    return f"{count:04d}"


def skip_blank(file: BufferedReader) -> int:
    """Read over a byte order mark and blank lines at the beginning; return how many lines ended there."""
    if file.peek(3).startswith(_MARK):
        file.read(3)
    lines = 0
    while begin := file.peek(1):
        blank = file.read(len(begin) - len(begin.lstrip()))
        lines += blank.count(b"\n")
        if len(blank) < len(begin):
            break
    return lines


def numbered(file: BufferedReader, path: Path, skipped: int) -> Iterator[tuple[int, str]]:
    """Yield number and text of each line that is not blank, without its line end.

    Raises:
        DataError: a line is not UTF-8.
    """
    for number, line in enumerate(file, skipped + 1):
        try:
            text = line.decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise DataError(str(path), number, NOT_UTF8) from None
        if text and not text.isspace():
            yield number, text
