"""The rows of an analysis that are about one arm: on each task, on all of them, and within groups of items."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from emoagents.evaluation.analysis.collect import Attempt, Collected
from emoagents.evaluation.analysis.compare import Estimate, estimate
from emoagents.evaluation.analysis.resampling import Array, Clusters, generator
from emoagents.evaluation.analysis.scores import Scores
from emoagents.evaluation.findings import ALL_TASKS, ArmRow, GroupRow

__all__ = ["arm_rows", "group_rows"]

_RANDOM = 1  # this part's own random numbers


def arm_rows(collected: Collected, scores: Scores, alpha: float, resamples: int) -> list[ArmRow]:
    """Return a row of each arm for each task, and then one for all tasks.

    With one task the row of all tasks repeats the task's numbers. Costs are means of the attempts that were answered;
    in the row of all tasks each task has the same weight in them, as in the score, and the shares of unparsed and
    failed attempts are shares of the attempts of all tasks.
    """
    attempts = _attempts(collected)

    def estimates(strata: Sequence[Array], clusters: Clusters, part: int) -> list[Estimate]:
        rng = generator(collected.plan.seed, _RANDOM, part)
        return estimate(strata, scores.single, alpha, resamples, rng, clusters)

    single = (estimates([v], [c], k) for k, (v, c) in enumerate(zip(scores.values, scores.clusters, strict=True)))
    tasks = [
        [_row(arm, task, one, attempts.get((task, arm), [])) for arm, one in zip(scores.arms, found, strict=True)]
        for task, found in zip(scores.tasks, single, strict=True)
    ]
    if len(tasks) == 1:
        whole = [row.model_copy(update={"task": ALL_TASKS}) for row in tasks[0]]
    else:
        found = estimates(scores.values, scores.clusters, len(tasks))
        whole = [
            _whole(rows, one, [a for task in scores.tasks for a in attempts.get((task, rows[0].arm), [])])
            for rows, one in zip(zip(*tasks, strict=True), found, strict=True)
        ]
    return [row for rows in tasks for row in rows] + _with_frontier(whole)


def group_rows(collected: Collected, scores: Scores) -> list[GroupRow]:
    """Return the mean score of each arm in each group of each task's items."""
    return [
        GroupRow(arm=arm, task=task, column=column, group=group, n=len(found), score=sum(found) / len(found))
        for k, task in enumerate(scores.tasks)
        for (column, group), places in _groups(collected, task, scores.items[k])
        for arm, row in zip(scores.arms, scores.values[k], strict=True)
        if (found := [float(row[place]) for place in places if row[place] == row[place]])
    ]


def _attempts(collected: Collected) -> dict[tuple[str, str], list[Attempt]]:
    found: dict[tuple[str, str], list[Attempt]] = {}
    for (task, _, arm, _), attempt in collected.attempts.items():
        found.setdefault((task, arm), []).append(attempt)
    return found


def _row(arm: str, task: str, found: Estimate, attempts: Sequence[Attempt]) -> ArmRow:
    answered = [a for a in attempts if a.score is not None]
    prices = [a.usd for a in answered if a.usd is not None]
    return ArmRow(
        arm=arm,
        task=task,
        **_score(found),
        unparsed=_mean(a.unparsed for a in attempts),
        failed=_mean(a.score is None and not a.unjudged for a in attempts),
        unjudged=_mean(a.unjudged for a in attempts),
        answers=_mean(a.answers for a in answered),
        tokens=_mean(a.tokens for a in answered),
        usd=_mean(prices) if prices and len(prices) == len(answered) else None,
        seconds=_mean(a.seconds for a in answered),
    )


def _whole(rows: Sequence[ArmRow], found: Estimate, attempts: Sequence[Attempt]) -> ArmRow:
    scored = [row for row in rows if row.n]
    prices = [row.usd for row in scored if row.usd is not None]
    costs = {
        "answers": _mean(row.answers for row in scored),
        "tokens": _mean(row.tokens for row in scored),
        "usd": _mean(prices) if prices and len(prices) == len(scored) else None,
        "seconds": _mean(row.seconds for row in scored),
    }
    return _row(rows[0].arm, ALL_TASKS, found, attempts).model_copy(update=costs)


def _score(found: Estimate) -> dict[str, Any]:
    ends = {"score": found.mean, "low": found.low, "high": found.high}
    return {"n": found.n, **(ends if found.n else dict.fromkeys(ends))}


def _with_frontier(rows: Sequence[ArmRow]) -> list[ArmRow]:
    return [row.model_copy(update={"frontier": row.n > 0 and not _beaten(row, rows)}) for row in rows]


def _beaten(row: ArmRow, rows: Iterable[ArmRow]) -> bool:
    """Return whether another arm is as good for fewer tokens, or better for as many."""
    mine = (row.score or 0.0, -row.tokens)
    return any(
        other.n and (it := (other.score or 0.0, -other.tokens)) != mine and it[0] >= mine[0] and it[1] >= mine[1]
        for other in rows
    )


def _groups(collected: Collected, task: str, items: Sequence[str]) -> Iterator[tuple[tuple[str, str], list[int]]]:
    """Yield each group with the places of its items, in alphabetic order."""
    found: dict[tuple[str, str], list[int]] = {}
    for place, item in enumerate(items):
        for group in collected.groups.get((task, item), {}).items():
            found.setdefault(group, []).append(place)
    yield from sorted(found.items())


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found) if found else 0.0
