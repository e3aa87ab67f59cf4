"""Scoring an answer while an optimiser runs: what failed is counted with its reason, and is never a silent 0."""

from __future__ import annotations

import threading
from collections import Counter

from emoagents.errors import MetricError
from emoagents.evaluation.task import Item, Score
from emoagents.tuning.metrics import Metric

__all__ = ["Failures", "judged", "score_of"]

_REASONS = 20
"""Different reasons that are kept; more are counted only."""


class Failures:
    """How often something failed, and why. May be used from several threads.

    Attributes:
        count: failures so far.
    """

    def __init__(self) -> None:
        self.count = 0
        self._reasons: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, reason: object) -> None:
        """Count a failure; an exception is its own reason."""
        text = f"{reason}" or type(reason).__name__
        with self._lock:
            self.count += 1
            if text in self._reasons or len(self._reasons) < _REASONS:
                self._reasons[text] += 1

    @property
    def reasons(self) -> dict[str, int]:
        """The first different reasons, in the order in which they came, and how often each did."""
        with self._lock:
            return dict(self._reasons)

    def __str__(self) -> str:
        first = next(iter(self.reasons), "")
        return f"{self.count} failed{f'; the first: {first}' if first else ''}"


def judged(metric: Metric, item: Item, answer: str) -> Score:
    """Return the metric's score of an answer.

    Raises:
        MetricError: the metric failed, or came to no verdict.
    """
    score = metric(item, answer)
    if score.unjudged:
        raise MetricError(f"metric {metric.name} came to no verdict on example {item.id}")
    return score


def score_of(metric: Metric, item: Item, answer: str, failures: Failures) -> float:
    """Return the metric's score of an answer, 0 to 1. What goes wrong in it is counted and raised.

    Raises:
        MetricError: the metric failed, or came to no verdict.
    """
    try:
        return judged(metric, item, answer).value
    except MetricError as error:
        failures.add(error)
        raise
