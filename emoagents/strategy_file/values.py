"""Parameters of strategies as the data that a file can hold, and what can't be data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from emoagents.errors import ParameterError
from emoagents.model.request import is_secret
from emoagents.nodes.verify import Contains, Exact, Judge, Numeric, Regex, make_verifier

__all__ = ["NoData", "as_data", "described"]


class NoData(ValueError):
    """A value that can't stand in a file: a function, an object, or what may hold a key."""


def as_data(value: Any) -> Any:
    """Return a parameter's value as texts, numbers, lists and tables; None for None.

    Verifiers that a text stands for become this text, as "exact:42".

    Raises:
        NoData: there is no way to write it.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list | tuple):
        return [_inside(one) for one in value]
    if isinstance(value, Mapping):
        return {_key(key): _inside(one) for key, one in value.items()}
    if isinstance(value, BaseModel):
        return {key: _inside(one) for key, one in value.model_dump(exclude_defaults=True, by_alias=True).items()}
    return _verifier_text(value)


def described(value: Any) -> str:
    """Return what a value that can't be data is called: its own name, or its class's."""
    name = getattr(value, "__qualname__", None) or getattr(getattr(value, "function", None), "__qualname__", None)
    return f"<{name or type(value).__qualname__}>"


def _inside(value: Any) -> Any:
    if value is None:
        raise NoData("TOML has no word for nothing")
    return as_data(value)


def _key(key: Any) -> str:
    if not isinstance(key, str) or is_secret(key):
        raise NoData("a key may be a secret's name, or is no text")
    return key


def _number(value: float) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise NoData("not a finite number")
    return int(value) if isinstance(value, int) else float(value)


def _verifier_text(value: Any) -> str:
    text = _written(value)
    try:
        if text is not None and make_verifier(text) == value:  # a Numeric of another tolerance has no text
            return text
    except ParameterError:
        pass
    raise NoData(f"{type(value).__name__} is no text, number, list or table")


def _written(value: Any) -> str | None:
    kind = type(value)  # a class of one's own that inherits from these is something else
    if kind is Judge:
        return "judge"
    if kind is Exact:
        return f"exact:{value.expected}"
    if kind is Contains:
        return f"contains:{value.expected}"
    if kind is Regex:
        return f"regex:{value.pattern}"
    if kind is Numeric:
        short = f"{value.expected:.15g}"
        return f"numeric:{short if float(short) == value.expected else repr(value.expected)}"
    return None
