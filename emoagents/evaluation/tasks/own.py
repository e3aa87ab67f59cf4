"""Tasks from a person's own file: CSV with a header, or one JSON object a line. Read anew at each pass, never held."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from emoagents.errors import DataError, ParameterError, UnknownNameError
from emoagents.evaluation.metrics import Metric, number, read_number, text_contains, text_exact, text_f1
from emoagents.evaluation.task import Item, Score, Task
from emoagents.evaluation.tasks.choices import chosen, letter_of, lettered
from emoagents.evaluation.tasks.measured import Measure, MeasuredTask
from emoagents.evaluation.tasks.rows import Ids, Row, json_rows, text_lines
from emoagents.model.request import Message

__all__ = ["KINDS", "own_task"]

_COLUMNS = ("input", "target", "id", "choices", "group")
_METRICS: dict[str, Metric] = {"exact": text_exact, "numeric": number, "contains": text_contains, "f1": text_f1}
_OPTIONS = ("metric", "separator", "instruction")
_ASK = "Answer with the letter of one option."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Columns:
    """Which column is what. Without an `id` a row's column "id" names it, else its line."""

    input: str = "input"
    target: str = "target"
    id: str | None = None
    choices: str | None = None
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """A person's file and how it is to be read."""

    path: Path
    rows: Callable[[Path], Iterator[Row]]
    columns: _Columns
    separator: str | None
    instruction: str | None
    metric: str

    def items(self) -> Iterator[Item]:
        """Yield the items, one row at a time; only the ids are held.

        Raises:
            DataError: a row can't be read, an id comes twice, or there is no row.
        """
        ids, row = Ids(), None
        for row in self.rows(self.path):
            yield self._item(ids.new(row, self._id(row)), row)
        if row is None:
            raise DataError(str(self.path), 0, "there are no rows")

    def _id(self, row: Row) -> str:
        if self.columns.id is None and "id" not in row.fields:
            return str(row.line)
        return row.text(self.columns.id or "id")

    def _item(self, name: str, row: Row) -> Item:
        asked, targets = row.text(self.columns.input), self._several(row, self.columns.target)
        groups = {column: row.text(column) for column in self.columns.groups}
        if self.columns.choices is None:
            self._check_numbers(row, targets)
            return Item(id=name, messages=self._messages(asked), targets=targets, groups=groups)
        options = self._several(row, self.columns.choices)
        shown = f"{asked}\n{lettered(options)}\n\n{_ASK}"
        data, right = {"options": list(options)}, targets[0]
        if self.metric == "choice":
            targets = (letter_of(row, options, right), right)
        return Item(id=name, messages=self._messages(shown), targets=targets, groups=groups, data=data)

    def _check_numbers(self, row: Row, targets: tuple[str, ...]) -> None:
        if self.metric == "numeric" and any(read_number(target) is None for target in targets):
            raise row.wrong(f"the target {targets[0]!r} is no number, which metric=numeric needs")

    def _several(self, row: Row, column: str) -> tuple[str, ...]:
        texts = row.texts(column)
        if self.separator is None or len(texts) > 1:
            return texts
        return tuple(part.strip() for part in texts[0].split(self.separator) if part.strip()) or texts

    def _messages(self, asked: str) -> tuple[Message, ...]:
        user: Message = {"role": "user", "content": asked}
        return ({"role": "system", "content": self.instruction}, user) if self.instruction else (user,)


def own_task(kind: str, path: Path, columns: Mapping[str, str], options: Mapping[str, str]) -> Task:
    """Return the task of a file; its first row is read, so that a wrong column shows now.

    Args:
        kind: "csv" or "jsonl".
        columns: from roles (input, target, id, choices, group) to names of columns; group takes several with commas.
        options: metric (exact, numeric, contains, f1, choice), separator (splits several targets or choices in one
            cell), instruction (a system message).

    Raises:
        UnknownNameError, ParameterError: a role, option or metric that there is not.
        DataError: the file can't be read, or has no such column.
    """
    chosen_columns = _columns(columns)
    metric = _metric(options, chosen_columns)
    file = _File(
        path=path,
        rows=KINDS[kind],
        columns=chosen_columns,
        separator=options.get("separator") or ("|" if kind == "csv" and chosen_columns.choices else None),
        instruction=options.get("instruction") or None,
        metric=metric,
    )
    next(iter(file.items()))
    return MeasuredTask(f"{kind}/{path.stem}", str(path), file.items, {metric: _measure(metric)})


def _columns(columns: Mapping[str, str]) -> _Columns:
    for role, name in columns.items():
        if role not in _COLUMNS:
            raise UnknownNameError("column role", role, _COLUMNS)
        if not name.strip():
            raise ParameterError(f"columns: {role}= has no name of a column")
    groups = tuple(name.strip() for name in columns.get("group", "").split(",") if name.strip())
    return _Columns(**{role: name for role, name in columns.items() if role != "group"}, groups=groups)


def _metric(options: Mapping[str, str], columns: _Columns) -> str:
    for option in options:
        if option not in _OPTIONS:
            raise UnknownNameError("option of a task from a file", option, _OPTIONS)
    metric = options.get("metric") or ("choice" if columns.choices else "exact")
    if metric not in (*_METRICS, "choice"):
        raise UnknownNameError("metric", metric, (*_METRICS, "choice"))
    if metric == "choice" and columns.choices is None:
        raise ParameterError("metric=choice needs a column of choices: choices=COLUMN")
    return metric


def _measure(metric: str) -> Measure:
    return chosen if metric == "choice" else partial(_compare, _METRICS[metric])


def _compare(rule: Metric, item: Item, answer: str) -> Score:
    return rule(answer, item.targets)


def _csv_rows(path: Path) -> Iterator[Row]:
    lines = (line for _, line in text_lines(path))
    reader = csv.reader(lines, strict=True)
    header = _next(path, reader)
    if header is None:
        raise DataError(str(path), 0, "the file is empty")
    _check_header(path, header)
    while True:
        line = reader.line_num + 1
        cells = _next(path, reader)
        if cells is None:
            return
        if cells:
            yield _csv_row(path, line, header, cells)


def _next(path: Path, reader: Iterator[list[str]]) -> list[str] | None:
    """Return the next row; [] for a blank line, None at the end."""
    start = getattr(reader, "line_num", 0) + 1
    try:
        return next(reader, None)
    except csv.Error as error:
        raise DataError(str(path), start, f"not CSV: {error}") from None


def _check_header(path: Path, header: list[str]) -> None:
    twice = {name for name in header if header.count(name) > 1}
    if twice:
        raise DataError(str(path), 1, f"the column {min(twice)!r} comes twice")


def _csv_row(path: Path, line: int, header: list[str], cells: list[str]) -> Row:
    if len(cells) != len(header):
        raise DataError(str(path), line, f"{len(cells)} cells, but the header has {len(header)}")
    return Row(dict(zip(header, cells, strict=True)), str(path), line)


KINDS: Mapping[str, Callable[[Path], Iterator[Row]]] = {"csv": _csv_rows, "jsonl": json_rows}
"""Forms of a person's own file, with how each is read."""
