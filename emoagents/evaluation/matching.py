"""Equal cost: how many plain samples would have cost as many tokens as an arm does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from emoagents.evaluation.record import Plan, Record

__all__ = ["MOST_SAMPLES", "matched_samples"]

MOST_SAMPLES = 64
"""Samples of a matched arm at most."""
_SEVERAL = 1.5
"""Arms that draw more answers than this, on average, are matched."""


@dataclass(slots=True)
class _Sums:
    n: int = 0
    answers: int = 0
    prompt: int = 0
    completion: int = 0

    def add(self, record: Record) -> None:
        self.n += 1
        self.answers += record.spent.answers
        self.prompt += record.spent.prompt_tokens
        self.completion += record.spent.completion_tokens


def matched_samples(plan: Plan, records: Iterable[Record], *, native_n: bool) -> dict[str, int]:
    """Return, for each arm that draws several answers, the samples of self-consistency that cost as many tokens.

    Arms with an oracle have none: voting knows nothing of the right answer. Neither has self-consistency itself.

    Args:
        native_n: the model brings several samples in one request, whose prompt is then paid once.
    """
    sums = {arm.label: _Sums() for arm in plan.arms}
    for record in records:
        if record.status != "failed":
            sums[record.arm].add(record)
    base = sums[plan.baseline]
    if not base.answers:
        return {}
    prompt, completion = base.prompt / base.answers, base.completion / base.answers
    further = completion if native_n else prompt + completion
    found = {}
    for arm in plan.arms:
        cost = sums[arm.label]
        deployable = "verifier=oracle" not in arm.spec and arm.title != "self_consistency"
        if deployable and further and cost.n and cost.answers / cost.n > _SEVERAL:
            tokens = (cost.prompt + cost.completion) / cost.n
            found[arm.label] = min(MOST_SAMPLES, max(1, 1 + int((tokens - prompt - completion) / further)))
    return found
