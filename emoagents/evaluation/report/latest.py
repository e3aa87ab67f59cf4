"""The record that counts where an attempt was recorded more than once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from emoagents.evaluation.record import Record

__all__ = ["Latest"]


class Latest:
    """Each attempt once, as it was recorded last. May be read several times; holds a number for each attempt."""

    def __init__(self, records: Callable[[], Iterable[Record]]) -> None:
        self._records = records
        self._last = {hash(record.key): place for place, record in enumerate(records())}

    def __iter__(self) -> Iterator[Record]:
        for place, record in enumerate(self._records()):
            if self._last.get(hash(record.key)) == place:
                yield record
