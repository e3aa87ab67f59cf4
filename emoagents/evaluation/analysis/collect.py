"""Read records as they pass and keep their numbers only: what an analysis holds grows with neither texts nor traces."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from math import isfinite
from typing import Any, TypeAlias

from emoagents.evaluation.record import Plan, Record

__all__ = ["Attempt", "Collected", "Key", "collect"]

Key: TypeAlias = tuple[str, str, str, int]
"""Task, item, arm, replica."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is kept of one record.

    Attributes:
        score: the task's first metric; None for a failed or unjudged attempt, and for one without that metric.
        asked: a number that stands for all that was asked, of which models, and how often; None without a trace.
        retries: for each of HEART's judged retries the emotion, and whether it was then right.
    """

    score: float | None
    unparsed: bool
    unjudged: bool
    answers: int
    bought: int
    tokens: int
    usd: float | None
    seconds: float
    asked: int | None
    retries: tuple[tuple[str, bool], ...]


@dataclass(slots=True)
class Collected:
    """The attempts of a comparison, each once, and its items' groups and clusters.

    Attributes:
        strangers: records left out because the plan has no such task, arm or replica.
    """

    plan: Plan
    attempts: dict[Key, Attempt] = field(default_factory=dict)
    groups: dict[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)
    clusters: dict[tuple[str, str], str] = field(default_factory=dict)
    strangers: int = 0


def collect(plan: Plan, records: Iterable[Record]) -> Collected:
    """Return the numbers of the records; of two records of one attempt the later counts."""
    found = Collected(plan)
    metrics = {task.name: task.metrics[0] for task in plan.tasks}
    arms = {arm.label: arm.label for arm in plan.arms}
    tasks = {task.name: task.name for task in plan.tasks}
    items: dict[str, str] = {}
    for record in records:
        if record.task not in metrics or record.arm not in arms or not 0 <= record.replica < plan.replicas:
            found.strangers += 1
            continue
        # one object for each name: a hundred thousand keys share a few thousand texts
        task, item, arm = tasks[record.task], items.setdefault(record.item, record.item), arms[record.arm]
        found.attempts[task, item, arm, record.replica] = _kept(record, metrics[task])
        found.groups.setdefault((task, item), record.groups)
        if record.cluster:
            found.clusters.setdefault((task, item), record.cluster)
    return found


def _kept(record: Record, metric: str) -> Attempt:
    score, spent = _score(record, metric), record.spent
    return Attempt(
        score=score,
        unparsed=record.status == "unparsed",
        unjudged=record.status == "unjudged",
        answers=spent.answers,
        bought=spent.bought,
        tokens=spent.tokens,
        usd=spent.usd,
        seconds=spent.seconds,
        asked=_asked(record.trace),
        retries=() if score is None else tuple(_retries(record.trace)),
    )


def _score(record: Record, metric: str) -> float | None:
    if record.status == "unparsed":
        return 0.0
    score = record.scores.get(metric) if record.status == "scored" else None
    return score if score is not None and isfinite(score) else None


def _asked(trace: Iterable[Mapping[str, Any]]) -> int | None:
    """Return a number for the prompts of all calls, in whatever order; a prompt counts once for each answer to it."""
    calls = [event for event in trace if event.get("event") == "call"]
    told = [[call.get("model"), call.get("prompt"), len(call.get("answers") or ())] for call in calls]
    sent = sorted(json.dumps(one, sort_keys=True, default=str) for one in told)
    return int.from_bytes(blake2b("\0".join(sent).encode(), digest_size=8).digest(), "big") if sent else None


def _retries(trace: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, bool]]:
    """Yield the verdicts on retries: HEART only retries what was not right. One without a verdict tells nothing."""
    for event in trace:
        if event.get("event") != "verdict" or event.get("ok") is None:
            continue
        if (event.get("round") or 0) >= 1 and event.get("emotion"):
            yield str(event["emotion"]), bool(event["ok"])
