"""Values inside of a row: objects in lists, whole numbers, labels. A mistake says in which of them it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from emoagents.evaluation.tasks.rows import Row

__all__ = ["label_of", "members", "objects", "optional", "whole"]


def objects(row: Row, name: str, *, may_be_empty: bool = False) -> list[Row]:
    """Return a column of objects as rows that know their place.

    Raises:
        DataError: there is no such column, it is no list or an empty one, or it holds something else.
    """
    values = _list(row, name)
    if not values and not may_be_empty:
        raise row.wrong(f"{name!r} is an empty list")
    found = []
    for number, value in enumerate(values):
        place = f"{row.place}, {name} {number}" if row.place else f"{name} {number}"
        if not isinstance(value, dict):
            raise row.wrong(f"{name!r} {number} is not an object")
        found.append(Row(value, row.path, row.line, place))
    return found


def members(row: Row, name: str) -> tuple[str, ...]:
    """Return the texts of a column that is a list, or an object of numbered texts, in their order.

    Raises:
        DataError: there is no such column, it is empty, or it holds what is no text.
    """
    value = _value(row, name)
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        raise row.wrong(f"{name!r} is not a list")
    return Row({name: value}, row.path, row.line, row.place).texts(name)


def whole(row: Row, name: str) -> int:
    """Return a column that is a whole number.

    Raises:
        DataError: there is no such column, or it is something else.
    """
    value = _value(row, name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise row.wrong(f"{name!r} is not a whole number")
    return value


def optional(row: Row, name: str) -> str:
    """Return a column as text, "" where it is missing, null or empty.

    Raises:
        DataError: it is there, and is no text.
    """
    return "" if row.fields.get(name) in (None, "") else row.text(name)


def label_of(row: Row, name: str, choices: Sequence[str]) -> str:
    """Return the choice that a column names; case and outer spaces do not count.

    Raises:
        DataError: there is no such column, or it is none of the choices.
    """
    label = row.text(name)
    found = label if label in choices else next((c for c in choices if _folded(c) == _folded(label)), None)
    if found is None:
        raise row.wrong(f"{name!r} is {label[:80]!r}, which is none of the choices")
    return found


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()


def _list(row: Row, name: str) -> list[Any]:
    value = _value(row, name)
    if not isinstance(value, list):
        raise row.wrong(f"{name!r} is not a list")
    return value


def _value(row: Row, name: str) -> Any:
    if name not in row.fields:
        raise row.wrong(f"there is no {name!r}; there are {', '.join(map(str, row.fields)) or 'no columns'}")
    return row.fields[name]
