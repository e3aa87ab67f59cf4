"""BIG-Bench Hard, 27 tasks of reasoning (Suzgun et al., arXiv 2210.09261).

Zero-shot; the line that asks for the answer is ours. Items whose target is a letter, as "(B)", are scored as multiple
choice over the options in their text; all others, also the few whose options are damaged at the publisher's, by exact
match of what follows "answer is".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from emoagents.errors import DataError
from emoagents.evaluation.metrics import free_text
from emoagents.evaluation.task import Item, Score, Task
from emoagents.evaluation.tasks.choices import chosen
from emoagents.evaluation.tasks.hub import HubSet, fetch
from emoagents.evaluation.tasks.measured import MeasuredTask
from emoagents.evaluation.tasks.rows import Row, find, json_file, missing
from emoagents.evaluation.tasks.suite import Suite, Wanted

__all__ = ["SUITE"]

_SOURCE = "suzgunmirac/BIG-Bench-Hard, MIT"
_REPO = "lukaemon/bbh"
_FOLDERS = ("", "bbh/")
_ASK = 'End your reply with "The answer is" and the answer.'
_OPTION = re.compile(r"^\(([A-Z])\)[ \t]*(.*)$", re.MULTILINE)

PARTS = (
    "boolean_expressions",
    "causal_judgement",
    "date_understanding",
    "disambiguation_qa",
    "dyck_languages",
    "formal_fallacies",
    "geometric_shapes",
    "hyperbaton",
    "logical_deduction_five_objects",
    "logical_deduction_seven_objects",
    "logical_deduction_three_objects",
    "movie_recommendation",
    "multistep_arithmetic_two",
    "navigate",
    "object_counting",
    "penguins_in_a_table",
    "reasoning_about_colored_objects",
    "ruin_names",
    "salient_translation_error_detection",
    "snarks",
    "sports_understanding",
    "temporal_sequences",
    "tracking_shuffled_objects_five_objects",
    "tracking_shuffled_objects_seven_objects",
    "tracking_shuffled_objects_three_objects",
    "web_of_lies",
    "word_sorting",
)


def _load(wanted: Wanted) -> list[Task]:
    return [_task(name, rows) for name, rows in _sets(wanted)]


def _sets(wanted: Wanted) -> Iterator[tuple[str, Iterable[Row]]]:
    if wanted.data is None:
        repo = wanted.options.get("hub", _REPO)
        # The default branch holds a script, which `datasets` no longer runs; the hub's own export does not.
        export = partial(HubSet, repo=repo, split="test", revision=None if Path(repo).is_dir() else _EXPORT)
        for name in wanted.parts or PARTS:
            yield name, fetch(export(files=f"{name}/test/*.parquet"), wanted.announce)
        return
    for name, path in _files(wanted.data, wanted.parts):
        yield name, _rows(path)


_EXPORT = "refs/convert/parquet"


def _files(data: Path, parts: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    if data.is_file():
        if parts not in ((), (data.stem,)):
            raise DataError(str(data), 0, f"this file holds {data.stem}, not {', '.join(parts)}")
        parts = (data.stem,)
    found = {name: find(data, *(f"{folder}{name}.json" for folder in _FOLDERS)) for name in parts or PARTS}
    if not any(found.values()):
        raise missing(data, "bbh", f"{parts[0] if parts else 'snarks'}.json")
    for name, path in found.items():
        if path is not None:
            yield name, path
        elif parts:
            raise missing(data, f"bbh:{name}", f"{name}.json")


def _rows(path: Path) -> Iterator[Row]:
    examples = json_file(path).get("examples")
    if not isinstance(examples, list) or not examples:
        raise DataError(str(path), 0, "there is no list of 'examples'")
    for index, example in enumerate(examples, 1):
        row = Row(example if isinstance(example, dict) else {}, str(path), place=f"example {index}")
        yield row


def _task(name: str, rows: Iterable[Row]) -> Task:
    items = tuple(_item(str(index), row) for index, row in enumerate(rows, 1))
    return MeasuredTask(f"bbh/{name}", _SOURCE, items, {"accuracy": _accuracy})


def _item(name: str, row: Row) -> Item:
    asked, target = row.text("input"), row.text("target")
    options = [text.strip() for _, text in _OPTION.findall(asked)]
    letter = re.fullmatch(r"\(([A-Z])\)", target.strip())
    right = letter.group(1) if letter and ord(letter.group(1)) - ord("A") < len(options) else None
    messages = ({"role": "user", "content": f"{asked}\n\n{_ASK}"},)
    if right is None:
        return Item(id=name, messages=messages, targets=(target,))
    return Item(id=name, messages=messages, targets=(right, target), data={"options": options})


def _accuracy(item: Item, answer: str) -> Score:
    return chosen(item, answer) if "options" in item.data else free_text(answer, item.targets)


SUITE = Suite(name="bbh", load=_load, parts=PARTS, options={"hub": ()})
