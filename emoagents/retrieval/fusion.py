"""Reciprocal rank fusion (Cormack, Clarke and Buettcher, SIGIR 2009): the sum of 1 / (k + rank) over rankings."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

__all__ = ["RRF_K", "reciprocal_ranks"]

T = TypeVar("T", bound=Hashable)

RRF_K = 60.0
"""k in the paper: how little the first places count before the later ones."""


def reciprocal_ranks(tables: Sequence[Mapping[T, float]], k: float = RRF_K) -> list[tuple[T, float]]:
    """Return what is in any of the tables with its fused score, the best first; of equal ones the first in the tables.

    Ranks begin at 1. What has the same score in a table has the same rank there, the first of theirs: a ranker that
    can't tell texts apart has no say in their order. What a table lacks gets nothing from it.
    """
    total: dict[T, float] = {}
    for table in tables:
        rank, last = 0, None
        for place, (one, score) in enumerate(sorted(table.items(), key=lambda pair: -pair[1]), start=1):
            if score != last:
                rank, last = place, score
            total[one] = total.get(one, 0.0) + 1 / (k + rank)
    return sorted(total.items(), key=lambda pair: -pair[1])
