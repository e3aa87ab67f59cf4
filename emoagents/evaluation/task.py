"""A task: items, how a strategy attempts one, and exact metrics for what it answered."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from emoagents.model.request import Message
from emoagents.result import Result

__all__ = ["Item", "Judge", "Score", "Solve", "Task"]

Solve: TypeAlias = Callable[[Sequence[Message]], Awaitable[Result]]
"""The arm that is being measured: from a conversation to its answer. May be awaited once for each turn."""

Judge: TypeAlias = Callable[[Sequence[Message]], Awaitable[Result]]
"""A judge model, whose calls are booked apart from the arm's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One question of a task.

    Attributes:
        id: names it within its task; the same on every machine and in every run.
        messages: what is asked, in OpenAI's format.
        targets: reference answers; which of them count, and how, is the metric's.
        groups: columns by which results can be broken down, as {"emotion": "anger", "language": "en"}.
        cluster: what several items share, as a text that all ask about: those of one cluster are resampled together.
        data: what else the task needs to attempt or score it; plain JSON data.
    """

    id: str
    messages: tuple[Message, ...]
    targets: tuple[str, ...] = ()
    groups: Mapping[str, str] = field(default_factory=dict)
    cluster: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What a metric says of one attempt.

    Attributes:
        value: 0 (worst) to 1 (best).
        parsed: what was read from the reply, in the metric's normal form.
        unparsed: nothing could be read: counts as 0, and is counted apart as well.
        unjudged: there is an answer, and no verdict of the judge on it that can be read: `value` means nothing, and the
            attempt is in no mean.
    """

    value: float
    parsed: str | None = None
    unparsed: bool = False
    unjudged: bool = False


class Task(ABC):
    """Items with a way to attempt and to score them.

    A task with one question an item and one metric implements `items` and `check`. One with several turns overrides
    `attempt`; one with several metrics, or with a judge, overrides `score`.

    Attributes:
        name: as "instruction_induction/antonyms"; what stands before the slash names the suite.
        metrics: names of its metrics; the first is the one that arms are compared by.
        source: where the data comes from, and its licence.
        judged: a judge model scores it; without one it can't be run.
    """

    name: str
    metrics: tuple[str, ...]
    source: str = ""
    judged: bool = False

    @abstractmethod
    def items(self) -> Iterable[Item]:
        """Return the items, in an order that is the same in every run. May be called several times.

        Raises:
            DataError: the data can't be read; names the file and the line.
        """

    @abstractmethod
    def check(self, item: Item, answer: str) -> Score:
        """Return the first metric's score of one answer; unjudged where it takes a judge to tell.

        Pure: an oracle verifier calls it too.
        """

    async def attempt(self, item: Item, solve: Solve) -> list[Result]:
        """Let an arm work on an item; return the result of each turn."""
        return [await solve(item.messages)]

    async def score(self, item: Item, results: Sequence[Result], judge: Judge | None) -> dict[str, Score]:
        """Return a score for each metric."""
        return {self.metrics[0]: self.check(item, results[-1].answer)}
