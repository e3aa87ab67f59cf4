"""The examples that a strategy is tuned and measured on: a file of one's own, or a task as `compare` takes it."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from emoagents import state
from emoagents.errors import DataError, ParameterError
from emoagents.evaluation.task import Item, Task
from emoagents.evaluation.tasks.load import load_tasks

__all__ = ["check_apart", "open_source", "question_of", "read_items", "split"]

_KINDS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}


def read_items(
    source: str | Path, *, columns: Mapping[str, str] | None = None, metric: str | None = None
) -> list[Item]:
    """Return the examples of a file or a task.

    Args:
        source, columns, metric: as in `open_source`.

    Raises:
        UsageError: as in `open_source`; or the file has no rows.
    """
    return list(open_source(source, columns=columns, metric=metric).items())


def open_source(source: str | Path, *, columns: Mapping[str, str] | None = None, metric: str | None = None) -> Task:
    """Return the task of a file or of a spec.

    Args:
        source: a file of rows with the columns input and target (.csv with a header, .jsonl), or a task's spec as
            "gsm8k", "instruction_induction:antonyms", "csv:FILE".
        columns: for files, from input, target, id, choices and group to names of columns.
        metric: for files, the metric's name, if it is exact, numeric, contains or f1: targets that it can't use are
            found now.

    Raises:
        UnknownNameError: there is no such task or column role. ParameterError: the spec names several tasks, or the
            file is of another kind. DataError: the file can't be read; names the file and the line.
    """
    spec = _spec(str(source).strip())
    own = spec.partition(":")[0] in ("csv", "jsonl")
    options = {"metric": metric} if own and metric else None
    tasks = load_tasks(spec, columns=columns if own else None, options=options)
    if len(tasks) > 1:
        raise ParameterError(f"{spec} is {len(tasks)} tasks: name one of them, as {_as_spec(tasks[0].name)}")
    return tasks[0]


def split(items: Sequence[Item], share: float, seed: int) -> tuple[list[Item], list[Item]]:
    """Split items in two by a seed; those that ask the same stay together, and each part keeps the items' order.

    Args:
        share: of the second part, above 0 and below 1.

    Raises:
        ParameterError: there are not two different questions.
    """
    questions = list(dict.fromkeys(map(_asked, items)))
    if len(questions) < 2:
        raise ParameterError("one example can't be split in two: give more, or a file of its own for each part")
    random.Random(seed).shuffle(questions)
    second = set(questions[: min(len(questions) - 1, max(1, round(share * len(questions))))])
    return [i for i in items if _asked(i) not in second], [i for i in items if _asked(i) in second]


def check_apart(**parts: Sequence[Item]) -> None:
    """See that no two parts, as train= and dev=, have a question in common.

    Raises:
        ParameterError: they have; a measurement on what was learned from tells nothing.
    """
    names = list(parts)
    for number, one in enumerate(names):
        seen = set(map(_asked, parts[one]))
        for other in names[number + 1 :]:
            both = [item for item in parts[other] if _asked(item) in seen]
            if both:
                raise ParameterError(
                    f"{len(both)} of {len(parts[other])} examples of {other} stand in {one}, too, as "
                    f"{question_of(both[0])[:60]!r}: take them out of one of the two"
                )


def question_of(item: Item) -> str:
    """Return the text of an item's last user message; "" where there is none."""
    asked = any(message.get("role") == "user" for message in item.messages)
    return state.question_of(item.messages) if asked else ""


def _asked(item: Item) -> str:
    return json.dumps(item.messages, sort_keys=True, default=str)


def _spec(source: str) -> str:
    """Return the spec of a task; a file's name is one by its ending."""
    if not source:
        raise ParameterError("examples: name a .jsonl or .csv file, or a task")
    ending = Path(source).suffix.lower()
    if source.partition(":")[0] in ("csv", "jsonl"):
        return source
    if ending in _KINDS:
        return f"{_KINDS[ending]}:{source}"
    if Path(source).exists():
        raise DataError(source, 0, "examples come as .jsonl or .csv; of another name, say which: csv:FILE")
    return source


def _as_spec(name: str) -> str:
    return name.replace("/", ":", 1)
