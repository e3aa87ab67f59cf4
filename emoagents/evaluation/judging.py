"""Asking a judge model for a verdict by a rubric: validated, asked for once again, and then given up."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean

from emoagents.card import Value
from emoagents.evaluation.rubric import Rubric
from emoagents.evaluation.task import Judge, Score
from emoagents.model.request import Message

__all__ = ["MEAN", "judged", "metrics_of", "unparsed"]

MEAN = "score"
"""The metric that is the mean of all of a rubric's."""


def metrics_of(rubric: Rubric) -> tuple[str, ...]:
    """Return the metrics of a task that is judged by a rubric: the mean, then one for each key."""
    return (MEAN, *rubric.keys)


async def judged(
    judge: Judge, rubric: Rubric, values: Mapping[str, Value], parsed: str | None = None
) -> dict[str, Score]:
    """Return a score for each metric, 0 to 1: the judge's number as a share of the scale's highest.

    A verdict that can't be used is asked for once again, with the reason. If the second can't be used either, all are
    unjudged.

    Args:
        values: what fills the places of the rubric's prompt.
        parsed: what was read of the answer, for the record.

    Raises:
        RunError: the judge did not answer.
    """
    asked: list[Message] = [{"role": "user", "content": rubric.request(**values)}]
    reply = (await judge(asked)).answer
    found, reason = rubric.read(reply)
    if reason:
        said = {"role": "assistant", "content": reply.strip() or "(nothing)"}
        again = {"role": "user", "content": rubric.again(reason)}
        found, reason = rubric.read((await judge([*asked, said, again])).answer)
    if reason:
        return {metric: Score(value=0.0, parsed=parsed, unjudged=True) for metric in metrics_of(rubric)}
    shares = {key: number / rubric.scale.high for key, number in found.items()}
    scores = {MEAN: fmean(shares.values()), **shares}
    return {metric: Score(value=value, parsed=parsed) for metric, value in scores.items()}


def unparsed(rubric: Rubric) -> dict[str, Score]:
    """Return the scores of an answer of which nothing can be read: 0, and no judge is asked."""
    return {metric: Score(value=0.0, unparsed=True) for metric in metrics_of(rubric)}
