"""What LongEmotion's tasks add to a comparison: the paper's scales, its overall score, its figures, unjudged counts."""

from __future__ import annotations

from emoagents.evaluation.longemotion.analyse import analyse_longemotion
from emoagents.evaluation.longemotion.findings import ArmResult, LongEmotionFindings, TaskResult
from emoagents.evaluation.longemotion.overall import TASKS, LongEmotionTask, overall_score
from emoagents.evaluation.longemotion.published import PUBLISHED, Published

__all__ = [
    "PUBLISHED",
    "TASKS",
    "ArmResult",
    "LongEmotionFindings",
    "LongEmotionTask",
    "Published",
    "TaskResult",
    "analyse_longemotion",
    "overall_score",
]
