"""results.csv, results.parquet and summary.json: all attempts and all findings, for other programs."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from emoagents.errors import MissingExtraError
from emoagents.evaluation.findings import Findings
from emoagents.evaluation.record import Plan, Record
from emoagents.evaluation.report.embed import plain, well_formed
from emoagents.evaluation.report.latest import Latest

if TYPE_CHECKING:
    import pyarrow

__all__ = ["replaced", "write_tables"]

Row: TypeAlias = "dict[str, Any]"
Write: TypeAlias = Callable[[Row], None]

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet take a cell for a formula."""

_GROUP_ROWS, _GROUP_TEXT = 2_000, 16_000_000
"""Rows, and characters of traces, that are held before they go to the Parquet file."""


def write_tables(folder: Path, plan: Plan, findings: Findings, records: Callable[[], Iterable[Record]]) -> list[Path]:
    """Write the tables and return their paths. The records are streamed: they need not fit into memory.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in ("results.csv", "results.parquet", "summary.json")]
    metrics = _metrics(plan)
    with ExitStack() as files:
        parquet = files.enter_context(_parquet(paths[1], metrics))
        spreadsheet = files.enter_context(_spreadsheet(paths[0], metrics))
        for record in Latest(records):
            row = _row(record, metrics)
            spreadsheet(row)
            parquet({**row, "trace": _json(record.trace)})
    with replaced(paths[2]) as new:
        new.write_text(json.dumps(plain(findings.model_dump()), indent=2) + "\n", encoding="utf-8")
    return paths


def _metrics(plan: Plan) -> tuple[str, ...]:
    return tuple(dict.fromkeys(metric for task in plan.tasks for metric in task.metrics))


def _row(record: Record, metrics: Iterable[str]) -> Row:
    """Return one attempt; a metric's column is named score_METRIC, and empty where the task has no such metric."""
    row = {
        "task": record.task,
        "item": record.item,
        "arm": record.arm,
        "replica": record.replica,
        "status": record.status,
        **{f"score_{metric}": record.scores.get(metric) for metric in metrics},
        "answer": record.answer,
        "parsed": record.parsed,
        "stopped_by": record.stopped_by,
        "verified": record.verified,
        **_spent(record),
    }
    return {name: well_formed(value) if isinstance(value, str) else value for name, value in row.items()}


def _spent(record: Record) -> Row:
    spent, judge = record.spent, record.judge
    return {
        "answers": spent.answers,
        "tokens": spent.tokens,
        "usd": spent.usd,
        "seconds": spent.seconds,
        "judge_answers": judge.answers,
        "judge_tokens": judge.tokens,
        "judge_usd": judge.usd,
    }


def _columns(metrics: Iterable[str]) -> list[str]:
    return list(_row(Record(task="", item="", arm="", status="failed"), metrics))


def _json(data: Any) -> str:
    return well_formed(json.dumps(plain(data), ensure_ascii=False, default=str))


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Give a new file that takes the path's place when all went well: nobody reads half a table."""
    new = path.with_name(path.name + ".new")
    try:
        yield new
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


# ---- CSV


@contextmanager
def _spreadsheet(path: Path, metrics: Iterable[str]) -> Iterator[Write]:
    with replaced(path) as new, new.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, _columns(metrics))
        writer.writeheader()
        yield lambda row: writer.writerow({name: _cell(value) for name, value in row.items()})


def _cell(value: Any) -> Any:
    """Return a value for a spreadsheet, which must not take a model's text for a formula."""
    if isinstance(value, str) and value.startswith(_FORMULA) and not _is_number(value):
        return f"'{value}"
    return value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.strip() == text and text.isascii()


# ---- Parquet


@contextmanager
def _parquet(path: Path, metrics: Iterable[str]) -> Iterator[Write]:
    try:
        from pyarrow import parquet
    except ImportError:
        raise MissingExtraError("evaluation", "a Parquet file") from None
    schema = _schema(_columns(metrics))
    with replaced(path) as new, parquet.ParquetWriter(new, schema, compression="zstd") as writer:
        groups = _Groups(writer, schema)
        yield groups.add
        groups.flush()


class _Groups:
    """Gathers rows, and writes them whenever there are enough of them."""

    def __init__(self, writer: Any, schema: pyarrow.Schema) -> None:
        self._writer, self._schema = writer, schema
        self._rows: list[Mapping[str, Any]] = []
        self._text = 0

    def add(self, row: Row) -> None:
        self._rows.append(row)
        self._text += len(row["trace"]) + len(row["answer"] or "")
        if len(self._rows) >= _GROUP_ROWS or self._text >= _GROUP_TEXT:
            self.flush()

    def flush(self) -> None:
        import pyarrow

        if self._rows:
            self._writer.write_table(pyarrow.Table.from_pylist(self._rows, schema=self._schema))
        self._rows, self._text = [], 0


def _schema(columns: Iterable[str]) -> pyarrow.Schema:
    import pyarrow

    whole, real = pyarrow.int64(), pyarrow.float64()
    kinds = {"replica": whole, "verified": pyarrow.bool_(), "answers": whole, "tokens": whole, "usd": real}
    kinds |= {"seconds": real, "judge_answers": whole, "judge_tokens": whole, "judge_usd": real}
    named = [(name, real if name.startswith("score_") else kinds.get(name, pyarrow.string())) for name in columns]
    return pyarrow.schema([*named, ("trace", pyarrow.string())])
