"""A strategy as a file has it: read and checked, and nothing made of it yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pydantic

from emoagents.card import Card, load_card
from emoagents.card.override import given_card
from emoagents.card.own import card_in
from emoagents.card.words import toml_type
from emoagents.errors import CardError, did_you_mean
from emoagents.registry import class_of, strategy_parameters

if TYPE_CHECKING:
    from emoagents.strategies.base import Strategy

__all__ = ["DEEPEST", "Pipeline", "Table", "read_strategy"]

DEEPEST = 32
"""Strategies nested in each other at most."""


@dataclass(frozen=True, slots=True)
class Table:
    """One strategy of a file.

    Attributes:
        cls: its class. card: its whole card.
        parameters: those that a file gives, as plain data; of a strategy, those that differ from the card's and the
            class's defaults.
        needs: parameters that can't be data; each with what it was, where that is known.
        solver: what it nests; empty: nothing.
        path, place: the file and the dotted place in it, for errors.
    """

    cls: type[Strategy]
    card: Card
    parameters: Mapping[str, Any] = field(default_factory=dict)
    needs: Mapping[str, str] = field(default_factory=dict)
    solver: Pipeline = ()
    path: str = ""
    place: str = ""

    @property
    def name(self) -> str:
        """What the strategy is called: a staged one as its card."""
        return self.card.name if self.cls.name == "staged" else self.cls.name

    def error(self, key: str, reason: str) -> CardError:
        """Return the error about a key of this table."""
        return CardError(self.path, _joined(self.place, key), reason)


Pipeline: TypeAlias = tuple[Table, ...]
"""Strategies that feed each other, mostly one alone."""


def read_strategy(path: str | Path) -> Pipeline:
    """Return what a strategy's file holds.

    Raises:
        CardError: it can't be read, or a key or a value is wrong.
    """
    data, name = given_card(path.strip() if isinstance(path, str) else path)
    return _pipeline(data, name, "", 1)


def _pipeline(data: Any, path: str, place: str, depth: int) -> Pipeline:
    if depth > DEEPEST:
        raise CardError(path, "solver", f"more than {DEEPEST} strategies are nested in each other")
    if not isinstance(data, Mapping):
        raise CardError(path, place, f"must be a table, not {toml_type(data)}")
    if "pipe" not in data:
        return (_table(data, path, place, depth),)
    for key in data:
        if key != "pipe":
            raise CardError(path, _joined(place, key), "can't stand beside [[pipe]]; it belongs into one of its tables")
    return _piped(data["pipe"], path, _joined(place, "pipe"), depth)


def _piped(tables: Any, path: str, place: str, depth: int) -> Pipeline:
    if not isinstance(tables, list) or not tables:
        raise CardError(path, place, "must be tables, each headed [[pipe]]")
    read: list[Table] = []
    for number, data in enumerate(tables):
        here = f"{place}[{number}]"
        if isinstance(data, Mapping) and "pipe" in data:
            raise CardError(path, f"{here}.pipe", "a pipe's part can't be a pipe; write its tables one after another")
        read += _pipeline(data, path, here, depth)
    return tuple(read)


def _table(data: Mapping[str, Any], path: str, place: str, depth: int) -> Table:
    try:
        card = card_in(data, path)
    except CardError as error:
        raise CardError(path, _joined(place, error.key), error.reason) from None
    cls = class_of(card if card.graph else load_card(data["strategy"]))  # a card's name may be one's own
    table = Table(cls, card, path=path, place=place)
    types = strategy_parameters(table.cls)
    solver: Pipeline = ()
    if "solver" in data:
        if "solver" not in types:
            raise table.error("solver", f"{table.name} takes no solver")
        solver = _pipeline(data["solver"], path, _joined(place, "solver"), depth + 1)
    parameters = _parameters(data.get("parameters", {}), table, types)
    needs = _needs(data.get("needs", []), table, types)
    return Table(table.cls, card, parameters, needs, solver, path, place)


def _parameters(given: Any, table: Table, types: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise table.error("parameters", f"must be a table, not {toml_type(given)}")
    for name, value in given.items():
        key = f"parameters.{name}"
        if name not in types:
            raise table.error(key, f"{table.name} has no such parameter{did_you_mean(name, _writable(types))}")
        if name not in _writable(types):
            where = "in the table [solver]" if name == "solver" else "in the keys and tables of its own"
            raise table.error(key, f"a strategy's {name} stands {where}")
        _check_value(value, types[name], table, key)
    return dict(given)


def _check_value(value: Any, type_: Any, table: Table, key: str) -> None:
    try:
        pydantic.TypeAdapter(type_).validate_python(value)
    except pydantic.ValidationError as error:
        said = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise table.error(key, f"{said[:1].lower()}{said[1:]} (given: {value!r:.80})") from None


def _needs(given: Any, table: Table, types: Mapping[str, Any]) -> dict[str, str]:
    if not isinstance(given, list):
        raise table.error("needs", f"must be a list, not {toml_type(given)}")
    for name in given:
        if not isinstance(name, str) or name not in types or name == "card":
            known = [*_writable(types), *(["solver"] if "solver" in types else [])]
            raise table.error("needs", f"{table.name} has no parameter {name!r:.80}{did_you_mean(str(name), known)}")
    return dict.fromkeys(given, "")


def _writable(types: Mapping[str, Any]) -> list[str]:
    return [name for name in types if name not in ("card", "solver")]


def _joined(place: str, key: str) -> str:
    return ".".join(filter(None, (place, key)))
