"""Parameters inside a strategy by a dotted name: "samples", "emotion_prompt.stimulus", "solver.samples"."""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias, cast

import pydantic

from emoagents.card import Card
from emoagents.card.load import load_card
from emoagents.errors import ParameterError, UnknownNameError, did_you_mean
from emoagents.registry import strategy as made_of_spec
from emoagents.registry import strategy_parameters
from emoagents.strategies.base import Strategy
from emoagents.strategies.pipe import Pipe
from emoagents.tuning.prompts import NESTED

__all__ = ["Place", "checked_value", "declared", "place_of", "value_at", "with_values"]

Place: TypeAlias = tuple["int | str", ...]
"""The way to a parameter: numbers of parts of a pipe, `NESTED` into a nested strategy, and the parameter's name."""


def place_of(strategy: Strategy, name: str) -> Place:
    """Return where the parameter is that a name means.

    A bare name is the parameter's in the part that has it; "PART.NAME" says which part of a pipe is meant, by its
    strategy's name or alias (a second one of a name is NAME_2), and "solver.NAME" goes into the nested strategy.

    Raises:
        ParameterError, UnknownNameError: nothing has that name, or several parts have.
    """
    head, dot, rest = name.partition(".")
    parts = _parts(strategy)
    if not dot:
        return _bare(strategy, parts, name)
    if head == NESTED:
        return _nested(strategy, parts, name, rest)
    found = _named(head, parts)
    if found is None:
        raise UnknownNameError(f"part of {strategy.title}", head, [*parts, NESTED])
    path, part = found
    return (*path, *place_of(part, rest))


def declared(strategy: Strategy) -> Iterator[tuple[str, Card, str, list[Any]]]:
    """Yield what the cards of a strategy declare as choices: dotted name, card, name in the card, values."""
    parts = _parts(strategy)
    for name, (path, part) in parts.items():
        prefix = f"{name}." if path else ""
        card = getattr(part, "card", None)
        if isinstance(card, Card):
            yield from ((prefix + key, card, key, values) for key, values in card.choices.items())
        inner = getattr(part, NESTED, None)
        if isinstance(inner, Strategy):
            yield from ((f"{prefix}{NESTED}.{key}", *rest) for key, *rest in declared(inner))  # type: ignore[misc]


def value_at(strategy: Strategy, place: Place) -> Any:
    """Return a parameter's value."""
    found: Any = strategy
    for one in place:
        found = found.parts[one] if isinstance(one, int) else getattr(found, one)
    return found


def checked_value(strategy: Strategy, place: Place, name: str, value: Any) -> Any:
    """Return a value as the parameter holds it: "3" becomes a number, and a solver's spec a strategy.

    Raises:
        ParameterError: it is not of the parameter's type. UnknownNameError: no strategy has that name.
    """
    parameter = str(place[-1])
    if parameter == NESTED:
        return made_of_spec(value) if isinstance(value, str) else value
    type_ = strategy_parameters(type(_owner(strategy, place)))[parameter]
    try:
        return pydantic.TypeAdapter(type_, config=_config(type_)).validate_python(value)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ParameterError(f"choices: {name}: {first['msg']} (given: {value!r:.80})") from None


def with_values(strategy: Strategy, values: Mapping[Place, Any]) -> Strategy:
    """Return the same strategy with these parameters, all set at once.

    Raises:
        UsageError: the strategy refuses them.
    """
    own = {str(place[0]): value for place, value in values.items() if len(place) == 1}
    within: dict[int | str, dict[Place, Any]] = {}
    for place, value in values.items():
        if len(place) > 1:
            within.setdefault(place[0], {})[place[1:]] = value
    if isinstance(strategy, Pipe):
        parts = [with_values(part, within.get(i, {})) for i, part in enumerate(strategy.parts)]
        return functools.reduce(operator.or_, parts)
    own.update({str(step): with_values(getattr(strategy, str(step)), inner) for step, inner in within.items()})
    return cast(Strategy, dataclasses.replace(cast(Any, strategy), **own)) if own else strategy


def _config(type_: Any) -> pydantic.ConfigDict | None:
    has_own = isinstance(type_, type) and (issubclass(type_, pydantic.BaseModel) or dataclasses.is_dataclass(type_))
    return None if has_own else pydantic.ConfigDict(arbitrary_types_allowed=True)


def _owner(strategy: Strategy, place: Place) -> Strategy:
    return cast(Strategy, value_at(strategy, place[:-1]))


def _parts(strategy: Strategy) -> dict[str, tuple[Place, Strategy]]:
    """Return the parts of a strategy by name; one that is no pipe is its own part."""
    if not isinstance(strategy, Pipe):
        return {_name(strategy): ((), strategy)}
    found: dict[str, tuple[Place, Strategy]] = {}
    for i, part in enumerate(strategy.parts):
        number = 1 + sum(_name(other) == _name(part) for other in strategy.parts[:i])
        found[_name(part) if number == 1 else f"{_name(part)}_{number}"] = ((i,), part)
    return found


def _name(strategy: Strategy) -> str:
    card = getattr(strategy, "card", None)
    return card.name if isinstance(card, Card) and card.graph else strategy.name


def _named(name: str, parts: Mapping[str, tuple[Place, Strategy]]) -> tuple[Place, Strategy] | None:
    if name in parts:
        return parts[name]
    try:
        return parts.get(load_card(name).name)
    except UnknownNameError:
        return None


def _bare(strategy: Strategy, parts: Mapping[str, tuple[Place, Strategy]], name: str) -> Place:
    known = {part_name: strategy_parameters(type(part)) for part_name, (_, part) in parts.items()}
    having = [part_name for part_name, parameters in known.items() if name in parameters]
    if len(having) == 1:
        return (*parts[having[0]][0], name)
    if having:
        several = " or ".join(f"{part_name}.{name}" for part_name in having)
        raise ParameterError(f"choices: {name!r} is a parameter of several parts: write {several}")
    names = list(dict.fromkeys(n for parameters in known.values() for n in parameters))
    raise ParameterError(f"choices: {strategy.title} has no parameter {name!r}{did_you_mean(name, names)}")


def _nested(strategy: Strategy, parts: Mapping[str, tuple[Place, Strategy]], name: str, rest: str) -> Place:
    having = [(path, getattr(part, NESTED, None)) for path, part in parts.values()]
    found = [(path, inner) for path, inner in having if isinstance(inner, Strategy)]
    if not found:
        raise ParameterError(f"choices: {name}: {strategy.title} has no nested strategy, so nothing has that name")
    path, inner = found[0]  # only the last part of a pipe answers, and so can nest
    return (*path, NESTED, *place_of(inner, rest))
