"""What the paper reports (Liu et al., arXiv 2509.07403, Table 2), quoted as published; nothing here was measured by us.

Other prompts, other models, another judge, and its own data: figures to know, not to subtract from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from emoagents.evaluation.longemotion.overall import TASKS

__all__ = ["PUBLISHED", "Published"]


@dataclass(frozen=True, slots=True)
class Published:
    """A row of the paper's table; `figures` by task, on the paper's scales, and `average` as printed."""

    arm: Literal["base", "rag", "coem"]
    model: str
    figures: Mapping[str, float]
    average: float


def _row(arm: Literal["base", "rag", "coem"], model: str, *numbers: float) -> Published:
    return Published(arm, model, dict(zip(TASKS, numbers, strict=False)), numbers[-1])


PUBLISHED: tuple[Published, ...] = (
    _row("base", "GPT-4o-mini", 37.00, 16.42, 48.61, 4.54, 3.75, 86.77, 59.10),
    _row("base", "GPT-4o", 50.09, 19.12, 50.12, 4.60, 3.77, 81.03, 61.29),
    _row("base", "DeepSeek-V3", 56.50, 24.51, 45.53, 4.62, 3.99, 81.75, 63.42),
    _row("base", "Qwen3-8B", 48.00, 18.14, 44.75, 4.51, 3.97, 73.40, 58.98),
    _row("base", "Llama3.1-8B", 39.34, 9.80, 44.56, 4.29, 4.00, 75.61, 55.85),
    _row("base", "GPT-5", 73.75, 22.79, 43.22, 4.42, 4.67, 86.77, 68.06),
    _row("base", "Qwen3-14B", 50.00, 20.83, 46.35, 4.55, 3.95, 84.49, 61.95),
    _row("base", "Qwen3-32B", 58.25, 20.59, 43.11, 4.53, 4.17, 84.81, 63.46),
    _row("rag", "GPT-4o-mini", 51.67, 21.57, 50.72, 4.53, 3.78, 80.41, 61.76),
    _row("rag", "GPT-4o", 61.34, 22.55, 51.81, 4.52, 3.80, 79.49, 63.60),
    _row("rag", "DeepSeek-V3", 62.59, 23.53, 50.44, 4.63, 4.34, 81.83, 66.30),
    _row("rag", "Qwen3-8B", 41.59, 19.12, 44.34, 4.54, 4.14, 73.28, 58.65),
    _row("rag", "Llama3.1-8B", 44.00, 11.27, 43.21, 4.26, 3.94, 75.16, 56.27),
    _row("coem", "GPT-4o-mini", 59.50, 20.59, 49.12, 4.52, 3.77, 80.38, 62.57),
    _row("coem", "GPT-4o", 61.42, 25.00, 51.07, 4.53, 3.81, 80.41, 64.12),
    _row("coem", "DeepSeek-V3", 64.17, 23.04, 50.39, 4.65, 4.34, 82.83, 66.70),
    _row("coem", "Qwen3-8B", 62.92, 18.14, 51.11, 4.55, 4.14, 73.59, 63.26),
    _row("coem", "Llama3.1-8B", 55.09, 11.27, 44.79, 4.17, 4.00, 75.71, 58.38),
)
