"""Which arms are compared with which, on each task and on all of them, with Holm's correction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from math import ceil

from emoagents.evaluation.analysis.compare import Compared, compare
from emoagents.evaluation.analysis.resampling import generator
from emoagents.evaluation.analysis.scores import Scores
from emoagents.evaluation.analysis.statistics import holm
from emoagents.evaluation.findings import ALL_TASKS, ArmRow, Difference
from emoagents.evaluation.record import Plan

__all__ = ["SEVERAL", "differences"]

SEVERAL = 1.5
"""Arms that draw more answers than this, on average, are compared with each other as well."""

_RANDOM = 2
_MOST = 100_000


@dataclass(frozen=True, slots=True)
class _Pair:
    kind: str
    arm: int
    reference: int


def differences(plan: Plan, scores: Scores, rows: Sequence[ArmRow], alpha: float, resamples: int) -> list[Difference]:
    """Return the differences of each task, and then those of all tasks; none where two arms share no scored item.

    With one task the differences of all tasks repeat the task's numbers. Holm's correction is over the differences of
    one kind and one task row. At least 4/alpha sign patterns for each comparison are drawn (100,000 at most), so that
    the smallest p-value that can come out passes it.
    """
    costs = {(row.arm, row.task): row for row in rows}
    pairs = list(_pairs(plan, costs))
    if not pairs:
        return []
    first, second = [pair.arm for pair in pairs], [pair.reference for pair in pairs]
    each = [(task, [v], [c]) for task, v, c in zip(scores.tasks, scores.values, scores.clusters, strict=True)]
    whole = [(ALL_TASKS, list(scores.values), list(scores.clusters))] if len(scores.tasks) > 1 else []
    found: list[Difference] = []
    for part, (task, strata, clusters) in enumerate([*each, *whole]):
        compared = compare(
            [values[first] for values in strata],
            [values[second] for values in strata],
            single=scores.single,
            alpha=alpha,
            resamples=resamples,
            flips=max(resamples, min(_MOST, ceil(4 * len(pairs) / alpha))),
            rng=generator(plan.seed, _RANDOM, part),
            clusters=clusters,
        )
        kept = [(pair, one) for pair, one in zip(pairs, compared, strict=True) if one is not None]
        found += _corrected(scores.arms, task, kept, costs, alpha)
    if not whole:
        found += [one.model_copy(update={"task": ALL_TASKS}) for one in found]
    return found


def _pairs(plan: Plan, costs: Mapping[tuple[str, str], ArmRow]) -> Iterator[_Pair]:
    places = {arm.label: place for place, arm in enumerate(plan.arms)}
    for place, arm in enumerate(plan.arms):
        base = places.get(plan.baseline_of(arm.label))
        if base is not None and place != base:
            yield _Pair("baseline", place, base)
    for place, arm in enumerate(plan.arms):
        if arm.tone == "emotional" and arm.twin in places and arm.twin != arm.label:
            yield _Pair("twin", place, places[arm.twin])
    several = [place for place, arm in enumerate(plan.arms) if costs[arm.label, ALL_TASKS].answers > SEVERAL]
    for earlier, later in combinations(several, 2):
        if len({plan.baseline_of(plan.arms[place].label) for place in (earlier, later)}) == 1:
            yield _Pair("pair", later, earlier)


def _corrected(
    arms: Sequence[str],
    task: str,
    compared: Sequence[tuple[_Pair, Compared]],
    costs: Mapping[tuple[str, str], ArmRow],
    alpha: float,
) -> list[Difference]:
    adjusted: dict[_Pair, float] = {}
    for kind in dict.fromkeys(pair.kind for pair, _ in compared):
        own = [(pair, one.p) for pair, one in compared if pair.kind == kind]
        adjusted.update(zip((pair for pair, _ in own), holm([p for _, p in own]), strict=True))
    return [
        Difference(
            arm=arms[pair.arm],
            reference=arms[pair.reference],
            kind=pair.kind,
            task=task,
            **asdict(one),
            p_holm=adjusted[pair],
            significant=adjusted[pair] < alpha,
            **_ratios(costs[arms[pair.arm], task], costs[arms[pair.reference], task]),
        )
        for pair, one in compared
    ]


def _ratios(arm: ArmRow, reference: ArmRow) -> dict[str, float | None]:
    """Return the arm's cost over the reference's. Where the reference drew no answers: 1 if neither did, else 0."""
    answers = arm.answers / reference.answers if reference.answers else float(arm.answers == 0)
    return {"answers_ratio": answers, "tokens_ratio": arm.tokens / reference.tokens if reference.tokens else None}
