"""Passages: what the stages hand on to each other, as the plain data that checkpoints need.

A chunk is `[source, start, end]`, offsets in characters into one of the material's texts: the text itself stands in the
messages and is not kept twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from typing_extensions import TypedDict

from emoagents.state import AnswerState

__all__ = ["Passage", "Retrieval", "of_query", "retrieval_of"]


class Passage(TypedDict):
    """A passage that was found for a query.

    `source` is the number of the text, or the name of a corpus' source. `score` is None where all passages stayed, so
    that none was ranked. `insight` is what Sage said of it; None where Sage was not asked or did not answer.
    """

    query: str
    source: int | str
    start: int
    end: int
    text: str
    score: float | None
    insight: str | None


class Retrieval(TypedDict, total=False):
    """What was done so far. `reading` is what Sage said of all passages together."""

    chunks: list[list[int]]
    passages: list[Passage]
    reading: str | None


def retrieval_of(state: AnswerState) -> Retrieval:
    """Return what was done so far; nothing, where no stage ran before."""
    found: Any = state.get("retrieval") or {}
    return found  # type: ignore[no-any-return]


def of_query(passages: Sequence[Passage], query: str) -> list[Passage]:
    """Return the passages of one query, in their order."""
    return [p for p in passages if p["query"] == query]
