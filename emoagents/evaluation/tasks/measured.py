"""A task made of items and of pure measures: all tasks here have this form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from emoagents.evaluation.task import Item, Judge, Score, Task
from emoagents.result import Result

__all__ = ["Measure", "MeasuredTask", "Source"]

Measure: TypeAlias = Callable[[Item, str], Score]
"""From an item and a reply to a score; never raises on a reply."""

Source: TypeAlias = Callable[[], Iterable[Item]]
"""Reads the items anew at each call."""


class MeasuredTask(Task):
    """Items, read once or at each pass, and measures of the last answer.

    Args:
        name: as "bbh/snarks". source: where the data comes from, and its licence.
        items: the items, or a function that reads them, for a file that is too large to hold.
        measures: from names of metrics to how they are measured; the first is the one that arms are compared by.
    """

    def __init__(self, name: str, source: str, items: Sequence[Item] | Source, measures: Mapping[str, Measure]) -> None:
        self.name, self.source, self.metrics = name, source, tuple(measures)
        self._items = items
        self._measures = dict(measures)

    def items(self) -> Iterable[Item]:
        return self._items() if callable(self._items) else self._items

    def check(self, item: Item, answer: str) -> Score:
        return self._measures[self.metrics[0]](item, answer)

    async def score(self, item: Item, results: Sequence[Result], judge: Judge | None) -> dict[str, Score]:
        return {name: measure(item, results[-1].answer) for name, measure in self._measures.items()}
