"""Which items of a comparison are worth reading: those on which the arms disagree, more often than the others."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TypeAlias

from emoagents.evaluation.record import Plan, Record

__all__ = ["Chosen", "Place", "choose"]

Place: TypeAlias = tuple[str, str, int]
"""Task, item, and repetition."""

_AGREED = 0.01
"""Weight of an item on which all arms agree; one on which half of them fail has 0.25."""


@dataclass
class _Scores:
    """Sums over the arms at one place: all that is held of their records."""

    number: int = 0
    total: float = 0.0
    squares: float = 0.0

    def add(self, score: float) -> None:
        self.number += 1
        self.total += score
        self.squares += score * score

    @property
    def variance(self) -> float:
        return max(0.0, self.squares / self.number - (self.total / self.number) ** 2) if self.number else 0.0


@dataclass(frozen=True)
class Chosen:
    """The chosen places, the most telling first.

    Attributes:
        total: how many places there are. disagreed: at how many of them not all arms scored the same.
    """

    places: list[Place] = field(default_factory=list)
    total: int = 0
    disagreed: int = 0


def choose(plan: Plan, records: Iterable[Record], number: int) -> Chosen:
    """Choose some places: the same ones in whatever order the records come, and from all tasks alike.

    It is a draw whose weights are the variance between arms. The "random" numbers are hashes of the places' names, so
    that nobody picks the examples.
    """
    seen: defaultdict[Place, _Scores] = defaultdict(_Scores)
    first = {task.name: task.metrics[0] for task in plan.tasks if task.metrics}
    for record in records:
        scores = seen[record.task, record.item, record.replica]
        if record.status in ("scored", "unparsed") and record.task in first:
            scores.add(record.scores.get(first[record.task], 0.0))
    disagreed = sum(scores.variance > 1e-9 for scores in seen.values())
    return Chosen(_fairly(seen)[:number], len(seen), disagreed)


def _fairly(seen: dict[Place, _Scores]) -> list[Place]:
    """Order the places by their draw, the tasks taking turns."""
    queues: defaultdict[str, list[tuple[float, Place]]] = defaultdict(list)
    for place, scores in seen.items():
        queues[place[0]].append((_draw(place, scores.variance + _AGREED), place))
    turns = zip_longest(*(sorted(queues[task]) for task in sorted(queues)))
    return [entry[1] for turn in turns for entry in turn if entry is not None]


def _draw(place: Place, weight: float) -> float:
    """Return when a place is drawn (Efraimidis and Spirakis: the smallest of -ln(u) / weight come first)."""
    name = "\x00".join(map(str, place)).encode("utf-8", "surrogatepass")
    number = int.from_bytes(hashlib.sha256(name).digest()[:8], "big")
    return -math.log((number + 1) / 2**64) / weight
