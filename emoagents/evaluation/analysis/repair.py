"""How often a retry under one emotion was right: HEART's verdicts."""

from __future__ import annotations

from collections import Counter

from emoagents.evaluation.analysis.collect import Collected
from emoagents.evaluation.analysis.statistics import wilson
from emoagents.evaluation.findings import RepairRow

__all__ = ["repair_rows"]


def repair_rows(collected: Collected, alpha: float) -> list[RepairRow]:
    """Return a row for each arm and emotion, the emotions in alphabetic order, with Wilson's interval.

    A retry is a candidate that was judged in a later round. The retries of one attempt are counted as if they were
    independent: the intervals are on the narrow side.
    """
    tries: Counter[tuple[str, str]] = Counter()
    repaired: Counter[tuple[str, str]] = Counter()
    for (_, _, arm, _), attempt in collected.attempts.items():
        for emotion, ok in attempt.retries:
            tries[arm, emotion] += 1
            repaired[arm, emotion] += ok
    order = {arm.label: place for place, arm in enumerate(collected.plan.arms)}
    return [
        _row(arm, emotion, tries[arm, emotion], repaired[arm, emotion], alpha)
        for arm, emotion in sorted(tries, key=lambda key: (order[key[0]], key[1]))
    ]


def _row(arm: str, emotion: str, tries: int, repaired: int, alpha: float) -> RepairRow:
    low, high = wilson(repaired, tries, alpha)
    return RepairRow(arm=arm, emotion=emotion, tries=tries, repaired=repaired, low=low, high=high)
