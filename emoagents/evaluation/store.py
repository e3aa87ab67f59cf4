"""A comparison's folder: the plan, and the records as they came, one JSON line each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from emoagents.errors import DataError
from emoagents.evaluation.record import Plan, Record

__all__ = ["PLAN", "RECORDS", "read_plan", "read_records", "write_plan"]

PLAN = "plan.json"
RECORDS = "records.jsonl"


def read_plan(folder: Path) -> Plan:
    """Return the plan of a comparison's folder.

    Raises:
        DataError: there is none, or it can't be read.
    """
    path = folder / PLAN
    try:
        return Plan.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise DataError(str(path), 0, "there is no plan: this is not the folder of a comparison") from None
    except ValidationError as error:
        raise DataError(str(path), 0, str(error.errors(include_url=False)[0]["msg"])) from None


def write_plan(folder: Path, plan: Plan) -> None:
    """Write the plan, in one step."""
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / (PLAN + ".new")
    new.write_text(plan.model_dump_json(indent=2) + "\n", encoding="utf-8")
    new.replace(folder / PLAN)


def read_records(folder: Path) -> Iterator[Record]:
    """Yield the records in the order in which they came; a last line cut off by a crash is left out.

    The same attempt may stand there twice: failed first, and answered later. The later one counts.

    Raises:
        DataError: a line in the middle is damaged.
    """
    path = folder / RECORDS
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                yield Record.model_validate(json.loads(line))
            except (ValueError, ValidationError) as error:
                raise DataError(str(path), number, f"not a record ({type(error).__name__})") from None
