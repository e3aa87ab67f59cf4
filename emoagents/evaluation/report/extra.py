"""What a suite of tasks adds to the report of a comparison, beside what every comparison has.

A suite in `_MAKERS` names the module that makes its part, which is imported only for a plan with tasks of that suite.
That module has `make_extra(plan, records) -> Extra`.
"""

from __future__ import annotations

import base64
import importlib
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from emoagents.evaluation.record import Plan, Record

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Column", "Extra", "Picture", "Section", "Table", "find_extras", "section_data"]

_MAKERS: Mapping[str, str] = {
    "esconv": "emoagents.evaluation.support.section",
    "longemotion": "emoagents.evaluation.longemotion.section",
}


@dataclass(frozen=True)
class Column:
    """A column of a table in the page. `note` is told where the head is pointed at."""

    head: str
    kind: Literal["head", "number", "text"] = "number"
    note: str | None = None


@dataclass(frozen=True)
class Table:
    """A table in the page: each row has a text for each column."""

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Picture:
    """A PNG file that the page holds in itself. `alt` says in words what it shows."""

    path: Path
    title: str
    alt: str


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        id: of the section, a word. text: paragraphs. notes: what a reader must know.
        tables, pictures: in their order. more: further tables and pictures, folded away.
    """

    id: str
    title: str
    text: Sequence[str] = ()
    notes: Sequence[str] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    more: Sequence[Table | Picture] = ()


class Extra(Protocol):
    """What a suite adds. `name` is its key in the JSON that the terminal prints."""

    @property
    def name(self) -> str: ...

    def as_data(self) -> dict[str, Any]:
        """Return all that was found, as plain data."""
        ...

    def print(self, console: Console) -> None:
        """Print it so that it can be read on 80 columns and without colours."""
        ...

    def write(self, folder: Path, records: Callable[[], Iterable[Record]]) -> Section:
        """Write its files into the comparison's folder, and return its part of the page."""
        ...


def find_extras(plan: Plan, records: Callable[[], Iterable[Record]]) -> list[Extra]:
    """Return what the suites of a plan's tasks add to its report.

    Raises:
        MissingExtraError: an optional part that one of them needs is not installed.
    """
    suites = dict.fromkeys(task.name.partition("/")[0] for task in plan.tasks)
    modules = [importlib.import_module(_MAKERS[suite]) for suite in suites if suite in _MAKERS]
    return [module.make_extra(plan, records) for module in modules]


def section_data(section: Section) -> dict[str, Any]:
    """Return a section as plain data for the page, its pictures in it."""
    shown: list[Table | Picture] = [*section.tables, *section.pictures]
    return {
        "id": section.id,
        "title": section.title,
        "text": list(section.text),
        "notes": list(section.notes),
        "shown": [_shown(part) for part in shown],
        "more": [_shown(part) for part in section.more],
    }


def _shown(part: Table | Picture) -> dict[str, Any]:
    return {"kind": "table", **asdict(part)} if isinstance(part, Table) else _picture(part)


def _picture(picture: Picture) -> dict[str, Any]:
    data = picture.path.read_bytes()
    width, height = struct.unpack(">II", data[16:24])  # of a PNG's first chunk
    address = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    size = {"width": width, "height": height}
    return {"kind": "picture", "title": picture.title, "alt": picture.alt, "address": address, **size}
