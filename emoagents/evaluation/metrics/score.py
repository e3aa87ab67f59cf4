"""What all metrics share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import TypeAlias

from emoagents.evaluation.task import Score

__all__ = ["Metric", "f1"]

Metric: TypeAlias = Callable[[str, Sequence[str]], Score]
"""From a reply and its references to a score."""


def f1(said: Collection[str], gold: Collection[str]) -> float:
    """Return the F1 of words or labels, counted with repetitions."""
    same = sum((Counter(said) & Counter(gold)).values())
    if not same:
        return 0.0
    precision, recall = same / len(said), same / len(gold)
    return 2 * precision * recall / (precision + recall)
