"""What is found about LongEmotion's tasks. Plain data."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

__all__ = ["ArmResult", "LongEmotionFindings", "TaskResult"]

_DATA = ConfigDict(frozen=True, extra="ignore")


class TaskResult(BaseModel):
    """How one arm did on one task.

    Attributes:
        task: its name here, as "longemotion/summary". short: its name in the paper, as "ES"; "EU" where EmoBench's
            scenarios stand in for the paper's long texts, "EC, Emobench only" where half of them is missing.
        n: items with a score.
        figure: the mean on the paper's scale (percent; ES and MC of 5); None where n is 0.
        criteria: mean of each of the judge's criteria, on the same scale; empty for tasks without a judge.
        attempts: made so far; unparsed, unjudged and failed: how many of them.
        judge_answers, judge_tokens, judge_usd: what the judge cost, in sum; usd is None where its price is unknown.
    """

    model_config = _DATA

    task: str
    short: str
    n: int
    figure: float | None
    criteria: dict[str, float] = {}
    attempts: int = 0
    unparsed: int = 0
    unjudged: int = 0
    failed: int = 0
    judge_answers: int = 0
    judge_tokens: int = 0
    judge_usd: float | None = 0.0


class ArmResult(BaseModel):
    """How one arm did on all tasks. `overall` is None where one of the six has no figure."""

    model_config = _DATA

    arm: str
    tasks: tuple[TaskResult, ...]
    overall: float | None = None

    def result(self, task: str) -> TaskResult | None:
        """Return the result on a task."""
        return next((one for one in self.tasks if one.task == task), None)


class LongEmotionFindings(BaseModel):
    """All that was found.

    Attributes:
        arms: in the plan's order. missing: short names of the paper's tasks that have no figure to enter the overall
            score with. notes: what a reader must know, one sentence each.
    """

    model_config = _DATA

    arms: tuple[ArmResult, ...]
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def unjudged(self) -> int:
        """Return how many answers have no usable verdict."""
        return sum(task.unjudged for arm in self.arms for task in arm.tasks)
