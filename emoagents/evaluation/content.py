"""What an arm or a role is made of that its name does not tell: the text of cards, the bytes of files, settings."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel

from emoagents.card import Card
from emoagents.context import Context
from emoagents.model.request import is_secret
from emoagents.strategies.base import Strategy
from emoagents.strategy_file.values import NoData, as_data

__all__ = ["context_digests", "strategy_digest"]

_WRITTEN = frozenset({"memory"})
"""Parameters that name a file which a run itself writes: what stands in it differs before and after."""

_TOLD = {"title", "summary", "notes", "aliases", "sources", "choices"}
"""What of a card is for people to read, or for a search, and reaches no model."""


def strategy_digest(strategy: Strategy) -> str:
    """Return 16 hex digits of a strategy's card, its parameters, and the files that they name; parts and solvers as
    well.

    A parameter names a file where it is a Path, or a text that is the path of one that is there; of a folder it is the
    files in it. Of numbers and other texts those count that are not the class's defaults: they may stand in a
    strategy's own file, which an arm only names. Functions and objects are left out, and so is HEART's memory, to which
    a run itself writes.
    """
    return _digest(_content(strategy))


def context_digests(context: Context) -> dict[str, str]:
    """Return digests of the context's extra parameters, and of each role's, with its address where it has its own.

    Keys and headers are left out. What has neither is not listed.
    """
    found = {"model": _public(context.extra)}
    for name in context.models:
        inner = context.in_role(name)
        address = inner.api_base if inner.api_base != context.api_base else None
        own = _public({key: value for key, value in inner.extra.items() if context.extra.get(key) != value})
        found[f"role {name}"] = {**own, **({"api_base": address} if address else {})}
    return {name: _digest(value) for name, value in found.items() if value}


def _public(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _public(one) for key, one in value.items() if not is_secret(str(key))}
    return [_public(one) for one in value] if isinstance(value, list | tuple) else value


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=repr).encode()).hexdigest()[:16]


def _content(value: Any) -> Any:
    """Return what counts of a value as JSON; None for nothing."""
    if isinstance(value, Strategy):
        return [value.name, {name: found for name, one in _parameters(value) if (found := _setting(one)) is not None}]
    if isinstance(value, Card):
        return value.model_dump(mode="json", exclude=_TOLD, exclude_defaults=True)
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_defaults=True)
    if isinstance(value, Mapping):
        return {str(key): one if isinstance(one, int | float) else _content(one) for key, one in value.items()} or None
    if isinstance(value, list | tuple):
        found = [_content(one) for one in value]
        return found if any(one is not None for one in found) else None
    return _bytes_of(Path(value)) if isinstance(value, str | Path) and str(value) else None


def _setting(value: Any) -> Any:
    """Return what counts of a parameter: the bytes of a file, else the value where it can be written."""
    found = _content(value)
    if found is not None:
        return found
    try:
        return as_data(value)
    except NoData:
        return None


def _parameters(strategy: Strategy) -> list[tuple[str, Any]]:
    fields = [one for one in dataclasses.fields(cast(Any, strategy)) if one.name not in _WRITTEN]
    return [(one.name, value) for one in fields if (value := getattr(strategy, one.name)) != one.default]


def _bytes_of(path: Path) -> str | None:
    """Return the digest of a file, or of all files in a folder; None where there is none that can be read."""
    try:
        path = path.expanduser()
        if path.is_file():
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        inside = sorted(one for one in path.iterdir() if one.is_file())
        return _digest([[one.name, _bytes_of(one)] for one in inside])
    except (OSError, RuntimeError, ValueError):  # no path at all, no such user, or a name too long for one
        return None
