"""Support dialogues from files in the three shapes that ESConv is published in. None is ever held as a whole.

The authors' JSON (`array`), rows of the Hugging Face hub (`rows`) and the authors' TSV of windows (`windows`).
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

from emoagents.errors import DataError
from emoagents.files import unreadable
from emoagents.support.dialogue import Dialogue
from emoagents.support.load.array import from_array
from emoagents.support.load.lines import skip_blank
from emoagents.support.load.rows import from_rows
from emoagents.support.load.windows import from_windows

__all__ = ["read_dialogues"]

_SHAPES = "a JSON array, JSON Lines, or the authors' TSV of windows"


def read_dialogues(path: Path) -> Iterator[Dialogue]:
    """Yield the dialogues of a file in file order, as they are read; what the file holds says which shape it has.

    - A JSON array or JSON Lines. An element is an object as in ESConv.json, one as in the rows of `thu-coai/esconv`,
      or a row whose column `text` holds such an object as a string. A strategy is read for supporters only, feedback
      for seekers only; questions after the dialogue are left out.
    - The authors' TSV: a line is a window of up to five utterances. See `windows` for how dialogues come of them.

    Texts are stripped of space at both ends. Ids count dialogues from "0000".

    Raises:
        DataError: as soon as the reading comes to it, with file and line: the file is not there, a folder, empty, not
            UTF-8, of no known shape or not whole; a field has the wrong type; a strategy, role or rating is unknown.
            In an array, the line is that of the wrong value; in a pipe, which can't be read twice, one near it.
    """
    try:
        with path.open("rb") as file:
            yield from _not_none(_dialogues(file, path), path)
    except OSError as error:
        raise unreadable(path, error) from None


def _dialogues(file: BufferedReader, path: Path) -> Iterator[Dialogue]:
    skipped = skip_blank(file)
    begin = file.peek(4)[:4]
    if begin.startswith(b"["):
        return from_array(file, path, skipped)
    if begin.startswith(b"{"):
        return from_rows(file, path, skipped)
    if begin[:1].isdigit():
        return from_windows(file, path, skipped)
    if begin == b"PAR1":
        raise DataError(str(path), 0, f"Parquet is not read; save it as {_SHAPES}")
    raise DataError(str(path), skipped + 1 if begin else 0, f"not {_SHAPES}" if begin else "the file is empty")


def _not_none(dialogues: Iterator[Dialogue], path: Path) -> Iterator[Dialogue]:
    first = next(dialogues, None)
    if first is None:
        raise DataError(str(path), 0, "there are no dialogues in this file")
    yield first
    yield from dialogues
