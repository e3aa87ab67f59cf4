"""Rows of a data set, and the files they come from. Every mistake in them is one sentence with file and line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emoagents.errors import DataError
from emoagents.files import NOT_UTF8, unreadable

__all__ = ["Ids", "Row", "find", "json_file", "json_rows", "json_value", "missing", "text_lines"]


@dataclass(frozen=True, slots=True)
class Row:
    """One example as its publisher gives it.

    Attributes:
        fields: its columns. path: where it is from. line: number of its line, 0 where it has none.
        place: what else says where it is, as "example 3".
    """

    fields: Mapping[str, Any]
    path: str
    line: int = 0
    place: str = ""

    def wrong(self, reason: str) -> DataError:
        """Return the error that says what is wrong with this row."""
        return DataError(self.path, self.line, f"{self.place}: {reason}" if self.place else reason)

    def text(self, name: str) -> str:
        """Return a column as text; a number is written out.

        Raises:
            DataError: there is no such column, or it is no text, empty, or not UTF-8.
        """
        return self._as_text(name, self._value(name))

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a column of one text or of a list of texts.

        Raises:
            DataError: as for `text`, or the list is empty.
        """
        value = self._value(name)
        values = value if isinstance(value, list) else [value]
        if not values:
            raise self.wrong(f"{name!r} is an empty list")
        return tuple(self._as_text(name, v) for v in values)

    def _value(self, name: str) -> Any:
        if name not in self.fields:
            raise self.wrong(f"there is no {name!r}; there are {', '.join(map(str, self.fields)) or 'no columns'}")
        return self.fields[name]

    def _as_text(self, name: str, value: Any) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        if not isinstance(value, str | int | float):
            raise self.wrong(f"{name!r} is not text")
        text = str(value)
        if not text.strip():
            raise self.wrong(f"{name!r} is empty")
        try:
            text.encode()
        except UnicodeEncodeError:  # "\ud800" is valid JSON, and half a character
            raise self.wrong(f"{name!r} is not UTF-8 text") from None
        return text


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield number and text of each line, with its line end; a byte order mark is dropped.

    Raises:
        DataError: there is no such file, it can't be read, or a line is not UTF-8.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                yield number, _decoded(path, number, line)
    except OSError as error:
        raise unreadable(path, error) from None


def _decoded(path: Path, number: int, line: bytes) -> str:
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError:
        raise DataError(str(path), number, NOT_UTF8) from None


def json_file(path: Path) -> dict[str, Any]:
    """Return the object that a JSON file holds.

    Raises:
        DataError: it can't be read, or is not a JSON object.
    """
    value = json_value(path)
    if not isinstance(value, dict):
        raise DataError(str(path), 0, "not a JSON object")
    return value


def json_value(path: Path) -> Any:
    """Return what a JSON file holds.

    Raises:
        DataError: it can't be read, or is not JSON.
    """
    text = "".join(line for _, line in text_lines(path))
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(str(path), error.lineno, f"not JSON: {error.msg}") from None
    except (ValueError, RecursionError):  # an endless number, or brackets within brackets
        raise DataError(str(path), 0, "not JSON that can be read") from None


def json_rows(path: Path) -> Iterator[Row]:
    """Yield the objects of a file with one JSON object a line; blank lines are skipped.

    Raises:
        DataError: the file can't be read, or a line is not a JSON object.
    """
    for number, line in text_lines(path):
        if line.strip():
            yield Row(_object(path, number, line), str(path), number)


def _object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(str(path), number, f"not JSON: {error.msg} at column {error.colno}") from None
    except (ValueError, RecursionError):
        raise DataError(str(path), number, "not JSON that can be read") from None
    if not isinstance(value, dict):
        raise DataError(str(path), number, "not a JSON object; each line holds one, as {...}")
    return value


class Ids:
    """The ids seen so far."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def new(self, row: Row, name: str) -> str:
        """Return the id, and keep it.

        Raises:
            DataError: it was there before.
        """
        if name in self._seen:
            raise row.wrong(f"the id {name!r} comes twice")
        self._seen.add(name)
        return name


def find(data: Path, *names: str) -> Path | None:
    """Return the file that `data` is, or the first of the names that is in the folder `data`; None without one.

    Raises:
        DataError: `data` is nowhere.
    """
    if not data.exists():
        raise DataError(str(data), 0, "there is no such file or folder")
    if data.is_file():
        return data
    return next((data / name for name in names if (data / name).is_file()), None)


def missing(data: Path, what: str, name: str) -> DataError:
    """Return the error for a folder without the file that is wanted."""
    return DataError(str(data), 0, f"there is no {name} here, which {what} needs")
