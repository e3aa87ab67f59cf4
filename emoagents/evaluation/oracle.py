"""What a strategy may learn of the item at hand: nothing by itself. These two hand it what an arm was asked to have."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from emoagents.card import Card
from emoagents.errors import CompositionError
from emoagents.evaluation.task import Item, Task
from emoagents.nodes.verify import Verdict
from emoagents.step import Run

__all__ = ["Oracle", "at_hand", "read_as_task"]

_AT_HAND: ContextVar[tuple[Task, Item]] = ContextVar("emoagents_item_at_hand")


@contextmanager
def at_hand(task: Task, item: Item) -> Iterator[None]:
    """Say which item is attempted inside this block. Graphs that run in it see the same."""
    token = _AT_HAND.set((task, item))
    try:
        yield
    finally:
        _AT_HAND.reset(token)


@dataclass(frozen=True, slots=True)
class Oracle:
    """A verifier that knows the right answer: the task's first metric. Its arms are upper bounds, not deployable."""

    async def verify(self, run: Run, card: Card, question: str, answer: str) -> Verdict:
        """Return the verdict, with no reason that could give the right answer away.

        Raises:
            CompositionError: the task has no right answer to know.
        """
        task, item = _current()
        score = task.check(item, answer)
        if score.unjudged:
            raise CompositionError(f"{task.name} is scored by a judge model: an oracle knows no right answer to it")
        return Verdict(score.value >= 1.0, score.value)


def read_as_task(answer: str) -> str | None:
    """Read an answer as the task's metric does, so that a vote counts what is scored, be it right or wrong."""
    task, item = _current()
    return task.check(item, answer).parsed


def _current() -> tuple[Task, Item]:
    try:
        return _AT_HAND.get()
    except LookupError:
        raise CompositionError("an oracle knows the items of a comparison only: use it in a comparison") from None
