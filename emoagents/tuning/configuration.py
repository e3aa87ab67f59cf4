"""A configuration: a strategy and a context with some of what may be chosen set."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from emoagents.context import Context
from emoagents.evaluation.content import strategy_digest
from emoagents.strategies.base import Strategy

__all__ = ["Configuration", "shown", "told"]


@dataclass(frozen=True)
class Configuration:
    """One way to set what may be chosen.

    Attributes:
        strategy, context: with these values.
        values: by name, as the strategy and the context hold them.
        index: its place in the order given; 0 is the default.
        is_default: it is the strategy as it was given.
        title: what it is called where it is a strategy of its own beside the choices; else "".
    """

    strategy: Strategy = field(repr=False)
    context: Context = field(repr=False)
    values: Mapping[str, Any]
    index: int = 0
    is_default: bool = False
    title: str = ""

    @property
    def label(self) -> str:
        """Its values in one line, as "stimulus=EP03, placement=end"."""
        return self.title or ", ".join(f"{name}={shown(value)}" for name, value in self.values.items())

    @cached_property
    def key(self) -> str:
        """Its values as JSON: the same in every process."""
        own = (
            {"strategy": told(self.strategy), "content": strategy_digest(self.strategy)}
            if self.title
            else told(dict(self.values))
        )
        return json.dumps(own, sort_keys=True)


def shown(value: Any) -> str:
    """Return a value in one line."""
    if isinstance(value, Strategy):
        return value.title
    if isinstance(value, tuple | list):
        return "+".join(map(shown, value))
    if value is None:
        return "none"
    name = getattr(value, "name", None) or getattr(value, "__name__", None)
    return name if isinstance(name, str) else " ".join(str(value).split())


def told(value: Any) -> Any:
    """Return a value as JSON that is the same in every process: functions and objects by their names."""
    if isinstance(value, Strategy):
        own = {f.name: getattr(value, f.name) for f in fields(value) if f.name != "card"}  # type: ignore[arg-type]
        return [value.title, told(own)]
    if isinstance(value, Mapping):
        return {str(key): told(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [told(one) for one in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Path):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return [type(value).__qualname__, told({f.name: getattr(value, f.name) for f in fields(value) if f.repr})]
    return str(getattr(value, "__qualname__", None) or getattr(value, "name", None) or type(value).__qualname__)
