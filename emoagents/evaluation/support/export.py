"""predictions.jsonl, support.json and preferences-ARM.json: all choices and all findings, for other programs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from emoagents.evaluation.record import Plan, Record
from emoagents.evaluation.report.embed import plain, well_formed
from emoagents.evaluation.report.export import replaced
from emoagents.evaluation.report.latest import Latest
from emoagents.evaluation.support.choices import SUITE, dialogue_of
from emoagents.evaluation.support.findings import SupportFindings
from emoagents.support.labels import canonical

__all__ = ["PREDICTIONS", "SUMMARY", "file_names", "write_files"]

PREDICTIONS = "predictions.jsonl"
SUMMARY = "support.json"

_LONGEST = 80


def write_files(
    folder: Path, plan: Plan, found: SupportFindings, records: Callable[[], Iterable[Record]]
) -> list[Path]:
    """Write the files and return their paths. The records are streamed: they need not fit into memory."""
    folder.mkdir(parents=True, exist_ok=True)
    with replaced(folder / PREDICTIONS) as new, new.open("w", encoding="utf-8") as file:
        file.writelines(_line(row) for row in _rows(plan, records))
    preferences = [_write(folder / f"preferences-{name}.json", one) for name, one in _preferences(plan, found)]
    return [folder / PREDICTIONS, _write(folder / SUMMARY, found.model_dump()), *preferences]


def file_names(arms: Iterable[str]) -> dict[str, str]:
    """Return a part of a file's name for each arm: no two alike, whatever the letters' case."""
    names: dict[str, str] = {}
    for arm in arms:
        bare = re.sub(r"[^\w.+=-]+", "-", arm).strip("-.")[:_LONGEST] or "arm"
        taken = {name.casefold() for name in names.values()}
        numbered = (f"{bare}-{number}" if number > 1 else bare for number in range(1, len(names) + 2))
        names[arm] = next(name for name in numbered if name.casefold() not in taken)
    return names


def _rows(plan: Plan, records: Callable[[], Iterable[Record]]) -> Iterator[dict[str, Any]]:
    arms, tasks = {arm.label for arm in plan.arms}, {task.name for task in plan.tasks}
    for record in Latest(records):
        if record.task.partition("/")[0] == SUITE and record.task in tasks and record.arm in arms:
            yield _row(record)


def _row(record: Record) -> dict[str, Any]:
    answer = record.answer or ""
    return {
        "task": record.task,
        "item": record.item,
        "dialogue": dialogue_of(record.item),
        "arm": record.arm,
        "replica": record.replica,
        "stage": record.groups.get("stage"),
        "progress": record.groups.get("progress"),
        "truth": record.targets[0] if record.targets else None,
        "predicted": record.parsed if record.status == "scored" else None,
        "status": record.status,
        "reply": answer if answer.strip() and canonical(answer) is None else None,
        "reference": record.targets[1] if len(record.targets) > 1 else None,
    }


def _line(row: dict[str, Any]) -> str:
    return well_formed(json.dumps(row, ensure_ascii=False)) + "\n"


def _preferences(plan: Plan, found: SupportFindings) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each arm's preferences; an arm that was never understood has none."""
    names = file_names(arm.arm for arm in found.arms)
    for arm in found.arms:
        if arm.preferences:
            yield (
                names[arm.arm],
                {
                    "preferences": arm.preferences,
                    "model": _model(plan, arm.arm),
                    "arm": arm.arm,
                    "n": arm.n,
                },
            )


def _model(plan: Plan, arm: str) -> str:
    """Return the model of an arm: in a joined report of several models its label ends with it."""
    return next((model for model in plan.model.split(", ") if arm.endswith(f" ({model})")), plan.model)


def _write(path: Path, data: Any) -> Path:
    with replaced(path) as new:
        new.write_text(well_formed(json.dumps(plain(data), indent=2, ensure_ascii=False)) + "\n", encoding="utf-8")
    return path
