"""Whether a stage runs: a condition as data, held against a field."""

from __future__ import annotations

from typing import Any

from emoagents.card.stages import Condition

__all__ = ["holds"]


def holds(condition: Condition, value: Any) -> bool:
    """Return whether a field's value, or one of a list's, is as the condition wants, and none as it does not.

    An empty list counts as the empty text.
    """
    values = {_folded(v) for v in (value if isinstance(value, list) else [value])} or {""}
    wanted, unwanted = set(map(_folded, condition.is_)), set(map(_folded, condition.not_))
    return (not wanted or not wanted.isdisjoint(values)) and unwanted.isdisjoint(values)


def _folded(value: Any) -> Any:
    return value.strip().casefold() if isinstance(value, str) else value
