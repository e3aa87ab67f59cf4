"""GSM8K: grade-school word problems with a number as the answer (Cobbe et al., arXiv 2110.14168).

The request for "#### NUMBER" is ours; the mark is the data set's own. Demonstrations are the publisher's training
examples, without the calculator's marks (<<...>>).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from emoagents.errors import ParameterError
from emoagents.evaluation.metrics import number, number_strict, read_number
from emoagents.evaluation.task import Item, Score, Task
from emoagents.evaluation.tasks.demonstrations import Pair, draw
from emoagents.evaluation.tasks.hub import HubSet, fetch
from emoagents.evaluation.tasks.measured import MeasuredTask
from emoagents.evaluation.tasks.rows import Row, find, json_rows, missing
from emoagents.evaluation.tasks.suite import Suite, Wanted
from emoagents.model.request import Message

__all__ = ["SUITE"]

_ASK = 'End your reply with the answer on a line of its own, as "#### NUMBER".'
_SOURCE = "openai/grade-school-math, MIT"
_REPO = "openai/gsm8k"
_FOLDERS = ("", "gsm8k/", "grade_school_math/data/")


def _load(wanted: Wanted) -> list[Task]:
    pool = [_demonstration(row) for row in _rows(wanted, "train")] if wanted.shots else []
    items = tuple(_items(_rows(wanted, "test"), pool, wanted))
    if not items:
        raise ParameterError(f"there are no questions in {wanted.data or _REPO}")
    return [MeasuredTask("gsm8k", _SOURCE, items, {"accuracy": _number, "strict": _strict})]


def _rows(wanted: Wanted, split: str) -> Iterable[Row]:
    if wanted.data is None:
        repo = wanted.options.get("hub", _REPO)
        return fetch(HubSet(repo=repo, config="main", split=split), wanted.announce)
    return json_rows(_file(wanted.data, split))


def _file(data: Path, split: str) -> Path:
    if split == "train" and data.is_file():
        data = data.parent
    found = find(data, *(f"{folder}{split}.jsonl" for folder in _FOLDERS))
    if found is None and split == "train":
        raise ParameterError(f"gsm8k draws demonstrations from train.jsonl, which is not in {data}: use shots=0")
    if found is None:
        raise missing(data, "gsm8k", f"{split}.jsonl")
    return found


def _demonstration(row: Row) -> Pair:
    return row.text("question"), re.sub(r"<<[^<>]*>>", "", row.text("answer"))


def _items(rows: Iterable[Row], pool: list[Pair], wanted: Wanted) -> Iterator[Item]:
    for index, row in enumerate(rows, 1):
        question, gold = row.text("question"), read_number(row.text("answer").rpartition("####")[2])
        if gold is None or "####" not in row.text("answer"):
            raise row.wrong("the answer has no number after ####")
        shown = draw(pool, wanted.shots, task="gsm8k", item=str(index), asked=question, seed=wanted.seed)
        yield Item(id=str(index), messages=_messages(shown, question), targets=(gold,))


def _messages(shown: list[Pair], question: str) -> tuple[Message, ...]:
    turns: list[Message] = []
    for asked, answered in shown:
        turns += [{"role": "user", "content": f"{asked}\n\n{_ASK}"}, {"role": "assistant", "content": answered}]
    return (*turns, {"role": "user", "content": f"{question}\n\n{_ASK}"})


def _number(item: Item, answer: str) -> Score:
    return number(answer, item.targets)


def _strict(item: Item, answer: str) -> Score:
    return number_strict(answer, item.targets)


SUITE = Suite(name="gsm8k", load=_load, options={"hub": ()}, shots=True)
