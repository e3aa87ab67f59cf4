"""What differs between two strategies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Change:
    place: str
    old: str | None
    new: str | None


def strategy_changes(old: Any, new: Any) -> list[Change]:
    return []
