"""The runs of a search, side by side: a configuration answers an item, and the metric says what that is worth."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from emoagents.context import Context
from emoagents.errors import BudgetExceeded, EmoagentsError, MetricError, RunError, UsageError
from emoagents.evaluation.attempt import Attempter, Unit
from emoagents.evaluation.record import Record
from emoagents.evaluation.task import Item, Judge, Score, Solve, Task
from emoagents.model.ledger import Usage
from emoagents.result import Result
from emoagents.together import together
from emoagents.tuning.choices import CONTEXT, Configuration
from emoagents.tuning.metrics import Metric
from emoagents.tuning.search_journal import Made, SearchJournal, item_key

__all__ = ["Runner", "metric_name"]

_HOPELESS = 20
"""Runs that fail one after another, before any succeeds, until a search gives up."""


def metric_name(metric: object) -> str:
    """Return what a metric is called."""
    found = getattr(metric, "name", None) or getattr(metric, "__qualname__", None) or type(metric).__qualname__
    return str(found)


@dataclass(frozen=True, slots=True)
class _Work:
    configuration: Configuration
    item: Item
    key: tuple[str, str]


class Runner:
    """Makes runs, each once, and keeps what came of them.

    Args:
        pooled: a context whose budget all runs draw on.
        metric: what answers are worth. journal: where runs are kept, and those of earlier processes.
        on_made: told of each run that is made now.
    """

    def __init__(
        self,
        pooled: Context,
        metric: Metric,
        journal: SearchJournal,
        on_made: Callable[[Configuration, Item, Made], None],
    ) -> None:
        self._pooled, self._metric, self._journal, self._on_made = pooled, metric, journal, on_made
        self.made: dict[tuple[str, str], Made] = {}
        """Runs of this search, also those that the journal had."""
        self.ended: BudgetExceeded | None = None
        """What ended the budget, if it has ended."""
        self._item_keys: dict[int, tuple[Item, str]] = {}
        self._now = self._failed_now = 0

    def of(self, configuration: Configuration, item: Item) -> Made | None:
        """Return what came of a run."""
        return self.made.get(self._work(configuration, item).key)

    async def run(self, configurations: Sequence[Configuration], items: Iterable[Item]) -> None:
        """Run all configurations on all items, item after item; what was run before is not run again.

        Raises:
            UsageError: the caller's mistake. RunError: the first runs of the search all fail.
        """
        works = (self._work(one, item) for item in items for one in configurations)
        left = self._left(works)
        await together(self._slot(left) for _ in range(self._pooled.concurrency))

    def _work(self, configuration: Configuration, item: Item) -> _Work:
        if id(item) not in self._item_keys:
            self._item_keys[id(item)] = item, item_key(item)  # with the item, lest another one gets its number
        return _Work(configuration, item, (configuration.key, self._item_keys[id(item)][1]))

    def _left(self, works: Iterable[_Work]) -> Iterator[_Work]:
        for work in works:
            known = self._journal.made.get(work.key)
            if known is not None:
                self.made[work.key] = known
            elif work.key not in self.made:
                yield work

    async def _slot(self, works: Iterator[_Work]) -> None:
        for work in works:
            if self.ended:
                return
            try:
                made = await self._make(work)
            except BudgetExceeded as error:
                self.ended = self.ended or error
            else:
                self._take(work, made)

    def _take(self, work: _Work, made: Made) -> None:
        self.made[work.key] = made
        self._journal.append(made)
        self._on_made(work.configuration, work.item, made)
        self._now += 1
        self._failed_now += made.status == "failed"
        if self._failed_now == self._now == _HOPELESS == len(self.made):
            raise RunError(f"the first {_HOPELESS} runs all failed, the last because: {made.error}")

    async def _make(self, work: _Work) -> Made:
        task = _MetricTask(self._metric)
        context = _drawing_on(self._pooled, work.configuration)
        attempter = Attempter({task.name: task}, {"": work.configuration.strategy}, context)
        record = await attempter.attempt(Unit(task.name, work.item, "", context.replica))
        return _made(work, record, task.usage)


def _drawing_on(pooled: Context, configuration: Configuration) -> Context:
    settings = {name: getattr(configuration.context, name) for name in CONTEXT}
    return pooled.fresh(**settings)


def _made(work: _Work, record: Record, usage: Usage) -> Made:
    configuration, item = work.key
    unjudged = record.status == "unjudged"
    return Made(
        configuration=configuration,
        item=item,
        status="failed"
        if unjudged or record.status == "failed"
        else "unparsed"
        if record.status == "unparsed"
        else "scored",
        value=next(iter(record.scores.values()), 0.0) if record.status == "scored" else 0.0,
        answers=record.spent.answers,
        usage=usage,
        answer=record.answer,
        error="no verdict on the answer can be read" if unjudged else record.error,
    )


class _MetricTask(Task):
    """A metric as a task, for one run: so that verifiers and votes that read answers as the task does can be used."""

    metrics = ("metric",)

    def __init__(self, metric: Metric) -> None:
        self._metric = metric
        self.name = metric_name(metric)
        self.usage = Usage()

    def items(self) -> Iterable[Item]:
        return ()

    def check(self, item: Item, answer: str) -> Score:
        try:
            return self._metric(item, answer)
        except MetricError:
            raise
        except Exception as error:
            told = str(error) if isinstance(error, EmoagentsError) else f"{type(error).__name__}: {error}"
            raise MetricError(f"metric {self.name} failed on example {item.id}: {told}") from error

    async def attempt(self, item: Item, solve: Solve) -> list[Result]:
        try:
            result = await solve(item.messages)
        except (RunError, UsageError) as error:
            self.usage = error.usage or Usage()
            raise
        self.usage = result.usage
        return [result]

    async def score(self, item: Item, results: Sequence[Result], judge: Judge | None) -> dict[str, Score]:
        return {self.metrics[0]: await asyncio.to_thread(self.check, item, results[-1].answer)}
