"""JSON Lines: one dialogue a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any

from emoagents.errors import DataError
from emoagents.support.dialogue import Dialogue
from emoagents.support.load.fields import Wrong, dialogue_of
from emoagents.support.load.lines import named, numbered

__all__ = ["from_rows"]


def from_rows(file: BufferedReader, path: Path, skipped: int) -> Iterator[Dialogue]:
    """Yield the dialogue of each line that is not blank.

    Raises:
        DataError: a line is not UTF-8, not JSON, or not a dialogue.
    """
    for count, (number, line) in enumerate(numbered(file, path, skipped)):
        value = _parsed(path, number, line)
        try:
            dialogue = dialogue_of(value, named(count))
        except Wrong as wrong:
            raise DataError(str(path), number, wrong.reason) from None
        yield dialogue


def _parsed(path: Path, number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        place = f"{error.msg} (column {error.colno}); each line holds one whole object, as {{...}}"
        raise DataError(str(path), number, f"not JSON: {place}") from None
    except (ValueError, RecursionError):  # an endless number, or brackets within brackets
        raise DataError(str(path), number, "not JSON that can be read") from None
