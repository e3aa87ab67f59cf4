"""One attempt: an arm works on an item, its answer is scored, and what it cost is written down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emoagents.context import Context
from emoagents.errors import BudgetExceeded, NoAnswerError, RunError
from emoagents.evaluation.oracle import at_hand
from emoagents.evaluation.record import Record, Spent
from emoagents.evaluation.task import Item, Score, Task
from emoagents.model.ledger import Usage
from emoagents.model.request import Message
from emoagents.result import Result
from emoagents.strategies.base import Strategy

__all__ = ["MOST_REPLICAS", "Attempter", "Unit"]

MOST_REPLICAS = 1000
"""Repetitions that each stream of samples has to itself."""


@dataclass(frozen=True, slots=True)
class Unit:
    """The smallest piece of work: one attempt of one arm at one item."""

    task: str
    item: Item
    arm: str
    replica: int = 0
    stream: int = 1

    @property
    def key(self) -> tuple[str, str, str, int]:
        """Return what names this attempt within a comparison; the same as its record's."""
        return self.task, self.item.id, self.arm, self.replica


class Attempter:
    """Makes attempts.

    Args:
        tasks, strategies: by name and by arm's label.
        context: the model and the settings, the same for all arms.
        judge: the judge's model and settings, for tasks that need one.
    """

    def __init__(
        self,
        tasks: Mapping[str, Task],
        strategies: Mapping[str, Strategy],
        context: Context,
        judge: Context | None = None,
    ) -> None:
        self._tasks, self._strategies = tasks, strategies
        self._context, self._judge = context, judge

    async def attempt(self, unit: Unit) -> Record:
        """Return the record of an attempt; a model that does not answer is a record, too.

        Raises:
            BudgetExceeded: the budget ended first; there is no record, the work is left to a later run.
            UsageError: the caller's mistake, which no other attempt would survive either.
        """
        task = self._tasks[unit.task]
        arm = _Asked(self._strategies[unit.arm], self._context.fresh(replica=_replica(unit)))
        judge = _Asked(_plain(), self._judge.fresh()) if self._judge is not None else None
        try:
            with at_hand(task, unit.item):
                results = await task.attempt(unit.item, arm.ask)
                scores = await task.score(unit.item, results, judge.ask if judge else None)
        except RunError as error:
            if _out_of_budget(error):
                raise error if isinstance(error, BudgetExceeded) else BudgetExceeded("calls", 0, 0) from error
            return _failed(unit, error, arm, judge)
        if any(_cut_short(result) for result in [*arm.results, *(judge.results if judge else [])]):
            raise BudgetExceeded("calls", 0, 0)
        return _scored(unit, results, scores, arm, judge)


def _cut_short(result: Result) -> bool:
    """Return whether the budget ended within the run, be it for a verifier's call only."""
    return result.stopped_by == "budget" or any(e["event"] == "failure" and e.get("budget") for e in result.trace)


def _replica(unit: Unit) -> int:
    """Return the number of the samples to draw: those of two streams never meet."""
    return unit.replica + (unit.stream - 1) * MOST_REPLICAS


class _Asked:
    """A strategy as a task asks it, with an account of what that cost."""

    def __init__(self, strategy: Strategy, context: Context) -> None:
        self._strategy, self._context = strategy, context
        self.results: list[Result] = []
        self._lost = Usage()

    async def ask(self, messages: Sequence[Message]) -> Result:
        try:
            result = await self._strategy.arun(messages, context=self._context)
        except RunError as error:
            self._lost += error.usage or Usage()
            raise
        self.results.append(result)
        return result

    def spent(self) -> Spent:
        usage = sum((r.usage for r in self.results), self._lost)
        answers = list(_answers(event for r in self.results for event in r.trace))
        return Spent(
            answers=len(answers),
            bought=sum(not answer["cached"] for answer in answers),
            prompt_tokens=usage.prompt_tokens + usage.saved_prompt_tokens,
            completion_tokens=usage.completion_tokens + usage.saved_completion_tokens,
            usd=None if usage.cost_usd is None or usage.saved_usd is None else usage.cost_usd + usage.saved_usd,
            paid_tokens=usage.prompt_tokens + usage.completion_tokens,
            paid_usd=usage.cost_usd,
            seconds=round(usage.seconds, 4),
        )


def _answers(trace: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    return (answer for event in trace if event["event"] == "call" for answer in event["answers"])


def _plain() -> Strategy:
    from emoagents.strategies.plain import Plain

    return Plain()


def _scored(
    unit: Unit, results: Sequence[Result], scores: Mapping[str, Score], arm: _Asked, judge: _Asked | None
) -> Record:
    first, last = next(iter(scores.values())), results[-1]
    unjudged = any(score.unjudged for score in scores.values())
    return Record(
        **_what(unit),
        status="unjudged" if unjudged else "unparsed" if first.unparsed else "scored",
        scores={} if unjudged else {name: score.value for name, score in scores.items()},
        answer=last.answer,
        parsed=first.parsed,
        stopped_by=last.stopped_by,
        verified=last.verified,
        spent=arm.spent(),
        judge=judge.spent() if judge else Spent(),
        trace=[event for result in [*results, *(judge.results if judge else [])] for event in result.trace],
    )


def _failed(unit: Unit, error: RunError, arm: _Asked, judge: _Asked | None) -> Record:
    return Record(
        **_what(unit),
        status="failed",
        error=str(error),
        spent=arm.spent(),
        judge=judge.spent() if judge else Spent(),
        trace=[event for result in arm.results for event in result.trace],
    )


def _what(unit: Unit) -> dict[str, Any]:
    asked = [m for m in unit.item.messages if m.get("role") == "user"]
    return {
        "task": unit.task,
        "item": unit.item.id,
        "arm": unit.arm,
        "replica": unit.replica,
        "question": _question(asked[-1].get("content")) if asked else "",
        "targets": unit.item.targets,
        "groups": dict(unit.item.groups),
        "cluster": unit.item.cluster,
    }


def _question(content: object) -> str:
    """Return a message's text, the texts of its parts one below the other."""
    parts = content if isinstance(content, list) else [content]
    return "\n\n".join(str(part.get("text", "")) if isinstance(part, Mapping) else str(part) for part in parts)


def _out_of_budget(error: RunError) -> bool:
    if isinstance(error, NoAnswerError):
        return any(isinstance(cause, BudgetExceeded) for cause in error.causes)
    return isinstance(error, BudgetExceeded)
