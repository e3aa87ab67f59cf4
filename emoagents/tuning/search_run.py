"""The runs of a search, side by side: a configuration answers an item, and the metric says what that is worth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from emoagents.context import Context
from emoagents.errors import BudgetExceeded, MetricError, RunError, UsageError
from emoagents.evaluation.attempt import Attempter, Unit
from emoagents.evaluation.record import Record
from emoagents.evaluation.task import Item, Score, Solve
from emoagents.model.ledger import Usage
from emoagents.result import Result
from emoagents.together import together
from emoagents.tuning.choices import CONTEXT, Configuration
from emoagents.tuning.metric_task import MetricTask, metric_name
from emoagents.tuning.metrics import Metric
from emoagents.tuning.progress import HOPELESS
from emoagents.tuning.search_journal import Made, SearchJournal, item_key

__all__ = ["Runner"]


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
            if known is not None and known.status != "failed":
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
        if self._failed_now == self._now == HOPELESS == len(self.made):
            raise RunError(f"the first {HOPELESS} runs all failed, the last because: {made.error}")

    async def _make(self, work: _Work) -> Made:
        task = _Booked(self._metric)
        context = _drawing_on(self._pooled, work.configuration)
        attempter = Attempter({task.name: task}, {"": work.configuration.strategy}, context)
        record = await attempter.attempt(Unit(task.name, work.item, "", context.replica))
        return _made(work, record, task)


def _drawing_on(pooled: Context, configuration: Configuration) -> Context:
    settings = {name: getattr(configuration.context, name) for name in CONTEXT}
    return pooled.fresh(**settings)


def _made(work: _Work, record: Record, task: _Booked) -> Made:
    configuration, item = work.key
    unjudged = record.status == "unjudged"
    return Made(
        configuration=configuration,
        item=item,
        status="failed" if unjudged else record.status,
        value=next(iter(record.scores.values()), 0.0) if record.status == "scored" else 0.0,
        answers=record.spent.answers,
        usage=task.usage,
        answer=record.answer,
        error="no verdict on the answer can be read" if unjudged else record.error,
        by_metric=unjudged or task.metric_failed,
    )


class _Booked(MetricTask):
    """The metric for one run, and what that run used."""

    def __init__(self, metric: Metric) -> None:
        super().__init__(metric_name(metric), metric)
        self.usage = Usage()
        self.metric_failed = False

    def check(self, item: Item, answer: str) -> Score:
        try:
            return super().check(item, answer)
        except MetricError:
            self.metric_failed = True
            raise

    async def attempt(self, item: Item, solve: Solve) -> list[Result]:
        try:
            result = await solve(item.messages)
        except (RunError, UsageError) as error:
            self.usage = error.usage or Usage()
            raise
        self.usage = result.usage
        return [result]
