"""A metric as a task: so that measurements, and verifiers and votes that read answers as a task does, can use it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from emoagents.errors import EmoagentsError, MetricError
from emoagents.evaluation.task import Item, Judge, Score, Task
from emoagents.result import Result
from emoagents.tuning.metrics import Metric

__all__ = ["MetricTask", "metric_name"]


def metric_name(metric: object) -> str:
    """Return what a metric is called."""
    found = getattr(metric, "name", None) or getattr(metric, "__qualname__", None) or type(metric).__qualname__
    return str(found)


class MetricTask(Task):
    """Items that are scored by a metric, outside the event loop: one of your own may take its time.

    Args:
        name: of the task. metric: what an answer is worth. items: what is asked.
    """

    def __init__(self, name: str, metric: Metric, items: Sequence[Item] = ()) -> None:
        self.name, self.metrics = name, (metric_name(metric),)
        self._metric, self._items = metric, items

    def items(self) -> Iterable[Item]:
        return self._items

    def check(self, item: Item, answer: str) -> Score:
        try:
            return self._metric(item, answer)
        except MetricError:
            raise
        except Exception as error:
            told = str(error) if isinstance(error, EmoagentsError) else f"{type(error).__name__}: {error}"
            raise MetricError(f"metric {self.metrics[0]} failed on example {item.id}: {told}") from error

    async def score(self, item: Item, results: Sequence[Result], judge: Judge | None) -> dict[str, Score]:
        return {self.metrics[0]: await asyncio.to_thread(self.check, item, results[-1].answer)}
