"""GoEmotions: emotions of short comments, 27 and neutral (Demszky et al., arXiv 2005.00547).

Labels stand in the publisher's order (their numbers are places in it), and the Ekman classes are the publisher's
`ekman_mapping.json`. The prompts are ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from emoagents.errors import DataError, ParameterError
from emoagents.evaluation.metrics import label_f1, label_sets_equal, read_labels
from emoagents.evaluation.task import Item, Score, Task
from emoagents.evaluation.tasks.hub import HubSet, fetch
from emoagents.evaluation.tasks.measured import Measure, MeasuredTask
from emoagents.evaluation.tasks.rows import Ids, Row, find, missing, text_lines
from emoagents.evaluation.tasks.suite import Suite, Wanted

__all__ = ["EKMAN", "LABELS", "SUITE", "ekman"]

_SOURCE = "google-research goemotions, Apache-2.0 repository; see the publisher's terms for the comments"
_REPO = "google-research-datasets/go_emotions"
_FILES = ("test.tsv", "goemotions/test.tsv", "data/test.tsv", "data/original/test.tsv")

LABELS = (
    "admiration",
    "amusement",
    "anger",
    "annoyance",
    "approval",
    "caring",
    "confusion",
    "curiosity",
    "desire",
    "disappointment",
    "disapproval",
    "disgust",
    "embarrassment",
    "excitement",
    "fear",
    "gratitude",
    "grief",
    "joy",
    "love",
    "nervousness",
    "optimism",
    "pride",
    "realization",
    "relief",
    "remorse",
    "sadness",
    "surprise",
    "neutral",
)
"""The 28 labels; a label's number is its place."""

EKMAN = {
    "anger": ("anger", "annoyance", "disapproval"),
    "disgust": ("disgust",),
    "fear": ("fear", "nervousness"),
    "joy": (
        "joy",
        "amusement",
        "approval",
        "excitement",
        "gratitude",
        "love",
        "optimism",
        "relief",
        "pride",
        "admiration",
        "desire",
        "caring",
    ),
    "sadness": ("sadness", "disappointment", "embarrassment", "grief", "remorse"),
    "surprise": ("surprise", "realization", "confusion", "curiosity"),
    "neutral": ("neutral",),
}
"""Ekman's six emotions and neutral, with the labels that belong to each."""

_CLASS_OF = {label: name for name, labels in EKMAN.items() for label in labels}


def ekman(labels: Iterable[str]) -> tuple[str, ...]:
    """Return the Ekman classes of some labels, in the order of `EKMAN`."""
    classes = {_CLASS_OF[label] for label in labels}
    return tuple(name for name in EKMAN if name in classes)


def _load(wanted: Wanted) -> list[Task]:
    coarse, single = wanted.options.get("labels") == "ekman", wanted.options.get("answer") == "single"
    items = tuple(_items(_rows(wanted), coarse, single))
    if not items:
        raise ParameterError(f"there are no comments in {wanted.data or _REPO}")
    name = "goemotions/ekman" if coarse else "goemotions"
    return [MeasuredTask(name, _SOURCE, items, _COARSE if coarse else _FINE)]


def _rows(wanted: Wanted) -> Iterable[Row]:
    if wanted.data is None:
        repo = wanted.options.get("hub", _REPO)
        return fetch(HubSet(repo=repo, config="simplified", split="test"), wanted.announce)
    path = find(wanted.data, *_FILES)
    if path is None:
        raise missing(wanted.data, "goemotions", "test.tsv")
    return _lines(path)


def _lines(path: Path) -> Iterator[Row]:
    for number, line in text_lines(path):
        cells = line.rstrip("\r\n").split("\t")
        if not line.strip():
            continue
        if len(cells) != 3:
            raise DataError(str(path), number, f"{len(cells)} columns, not 3 (text, label numbers, id)")
        yield Row({"text": cells[0], "labels": cells[1].split(","), "id": cells[2]}, str(path), number)


def _items(rows: Iterable[Row], coarse: bool, single: bool) -> Iterator[Item]:
    ids = Ids()
    for row in rows:
        name = ids.new(row, row.text("id"))
        fine = tuple(_label(row, text) for text in row.texts("labels"))
        gold = ekman(fine) if coarse else fine
        if not single or len(gold) == 1:
            groups = {"emotion": _CLASS_OF[fine[0]]}
            message = {"role": "user", "content": _prompt(row.text("text"), tuple(EKMAN) if coarse else LABELS, single)}
            yield Item(id=name, messages=(message,), targets=gold, groups=groups)


def _label(row: Row, text: str) -> str:
    number = text.strip()
    if not number.isascii() or not number.isdigit() or int(number[:3]) >= len(LABELS):
        raise row.wrong(f"{text!r} is no label's number, which is 0 to {len(LABELS) - 1}")
    return LABELS[int(number)]


def _prompt(text: str, labels: Sequence[str], single: bool) -> str:
    ask = "Which emotion does" if single else "Which emotions does"
    form = "the one name only" if single else "the names only, separated by commas"
    return f"{ask} this comment express? Choose from: {', '.join(labels)}. Answer with {form}.\n\nComment: {text}"


def _f1(item: Item, answer: str) -> Score:
    return label_f1(read_labels(answer, LABELS), item.targets)


def _exact(item: Item, answer: str) -> Score:
    return label_sets_equal(read_labels(answer, LABELS), item.targets)


def _ekman(item: Item, answer: str) -> Score:
    return label_f1(ekman(read_labels(answer, LABELS)), ekman(item.targets))


def _coarse_f1(item: Item, answer: str) -> Score:
    return label_f1(read_labels(answer, tuple(EKMAN)), item.targets)


def _coarse_exact(item: Item, answer: str) -> Score:
    return label_sets_equal(read_labels(answer, tuple(EKMAN)), item.targets)


_FINE: dict[str, Measure] = {"f1": _f1, "exact": _exact, "ekman": _ekman}
_COARSE: dict[str, Measure] = {"f1": _coarse_f1, "exact": _coarse_exact}

SUITE = Suite(
    name="goemotions",
    load=_load,
    options={"labels": ("28", "ekman"), "answer": ("multi", "single"), "hub": ()},
)
