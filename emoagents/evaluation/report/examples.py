"""The items that a page shows, with all arms' answers and the raw calls behind them, in bounded space."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from emoagents.evaluation.record import Plan, Record
from emoagents.evaluation.report.choose import Chosen, Place
from emoagents.evaluation.report.embed import embedded_json
from emoagents.evaluation.report.steps import steps

__all__ = ["SPACE", "Examples"]

SPACE = 4_000_000
"""Bytes that all examples together may take in the page."""

_LONGEST = 20_000
"""Characters of one text; what is longer is cut, and says so."""


@dataclass
class _Example:
    """One item: what was asked, and each arm's attempt. Texts of the calls are held once, and named by number."""

    head: dict[str, Any]
    attempts: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    texts: dict[str, int] = field(default_factory=dict)
    size: int = 0
    raw_size: int = 0

    def number(self, text: str) -> int:
        if text not in self.texts:
            self.raw_size += _size(text)
        return self.texts.setdefault(text, len(self.texts))

    def drop_calls(self) -> None:
        self.calls, self.texts, self.raw_size = {}, {}, 0


class Examples:
    """Takes records as they come, and keeps of them what fits into the page.

    When space runs out, first the raw calls of the last examples go, then the last examples themselves: the order is
    the draw's, so the same records always leave the same page.
    """

    def __init__(self, plan: Plan, chosen: Chosen, space: int = SPACE) -> None:
        self._chosen, self._space, self._used = chosen, space, 0
        self._rank = {place: rank for rank, place in enumerate(chosen.places)}
        self._arms = {arm.label: str(number) for number, arm in enumerate(plan.arms)}
        self._kept: dict[int, _Example] = {}
        self._first_without_calls = self._first_without = len(chosen.places)
        self._longest = min(_LONGEST, max(400, space // (2 * max(1, len(chosen.places) * len(plan.arms)))))

    def take(self, records: Iterable[Record]) -> None:
        """Keep what belongs to a chosen place."""
        for record in records:
            rank = self._rank.get((record.task, record.item, record.replica))
            if rank is not None and rank < self._first_without and record.arm in self._arms:
                self._add(rank, record)
                self._make_room()

    def as_data(self) -> dict[str, Any]:
        """Return plain data for the page."""
        kept = [self._kept[rank] for rank in sorted(self._kept)]
        return {
            "total": self._chosen.total,
            "disagreed": self._chosen.disagreed,
            "with_calls": sum(bool(example.calls) for example in kept),
            "list": [_example_data(example) for example in kept],
        }

    def _add(self, rank: int, record: Record) -> None:
        example = self._kept.get(rank) or self._kept.setdefault(rank, _Example(self._head(record)))
        before, arm = example.size + example.raw_size, self._arms[record.arm]
        if not example.attempts:
            example.size += _size(example.head)
        example.attempts[arm] = self._attempt(record)
        example.size += _size(example.attempts[arm])
        if rank < self._first_without_calls:
            example.calls[arm] = list(steps(record.trace, lambda text: example.number(self._cut(text))))
            example.raw_size += _size(example.calls[arm])
        self._used += example.size + example.raw_size - before

    def _head(self, record: Record) -> dict[str, Any]:
        task, item, replica = place_of(record)
        targets = [self._cut(target) for target in record.targets[:50]]
        head = {"task": task, "item": item, "replica": replica, "groups": record.groups}
        return {**head, "question": self._cut(record.question), "targets": targets}

    def _attempt(self, record: Record) -> dict[str, Any]:
        return {
            "status": record.status,
            "scores": record.scores,
            "answer": None if record.answer is None else self._cut(record.answer),
            "parsed": None if record.parsed is None else self._cut(record.parsed),
            "stopped_by": record.stopped_by,
            "verified": record.verified,
            "error": None if record.error is None else self._cut(record.error),
            "answers": record.spent.answers,
            "tokens": record.spent.tokens,
            "usd": record.spent.usd,
        }

    def _cut(self, text: str) -> str:
        if len(text) <= self._longest:
            return text
        return f"{text[: self._longest]} … [{len(text) - self._longest:,} more characters are left out here]"

    def _make_room(self) -> None:
        while self._used > self._space and self._first_without_calls > 0:
            self._first_without_calls -= 1
            if (example := self._kept.get(self._first_without_calls)) is not None:
                self._used -= example.raw_size
                example.drop_calls()
        while self._used > self._space and self._first_without > 1:
            self._first_without -= 1
            if (gone := self._kept.pop(self._first_without, None)) is not None:
                self._used -= gone.size


def place_of(record: Record) -> Place:
    """Return where a record belongs."""
    return record.task, record.item, record.replica


def _example_data(example: _Example) -> dict[str, Any]:
    return {**example.head, "attempts": example.attempts, "calls": example.calls, "texts": list(example.texts)}


def _size(data: Any) -> int:
    return len(embedded_json(data).encode())
