"""LongEmotion's six tasks, the scale that each is reported on, and the overall score (Liu et al., arXiv 2509.07403)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["TASKS", "LongEmotionTask", "overall_score"]


@dataclass(frozen=True, slots=True)
class LongEmotionTask:
    """A task of the paper.

    Attributes:
        short: its name in the paper's table. name: its name here. scale: what a score of 1 here is there.
        weight: what its figure counts in the overall score, so that each task counts up to 100.
    """

    short: str
    name: str
    scale: float

    @property
    def weight(self) -> float:
        return 100 / self.scale


TASKS: Mapping[str, LongEmotionTask] = {
    task.short: task
    for task in (
        LongEmotionTask("EC", "longemotion/classification", 100),
        LongEmotionTask("ED", "longemotion/detection", 100),
        LongEmotionTask("QA", "longemotion/qa", 100),
        LongEmotionTask("ES", "longemotion/summary", 5),
        LongEmotionTask("MC-4", "longemotion/conversation", 5),
        LongEmotionTask("EE", "longemotion/expression", 100),
    )
}
"""By their short names, in the order of the paper's Table 2."""


def overall_score(figures: Mapping[str, float]) -> float | None:
    """Return (EC + ED + EE + QA + 20 MC-4 + 20 ES) / 6, or None where one of the six is missing.

    Args:
        figures: by short name, on the paper's scales: percent, but ES and MC-4 of 5.
    """
    if any(short not in figures for short in TASKS):
        return None
    return sum(task.weight * figures[short] for short, task in TASKS.items()) / len(TASKS)
