"""What may be chosen that is no text: parameters of a strategy, and how the context samples.

A card's table `[choices]` gives a parameter's name and the values to try; `choices=` of a search takes its place.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import pydantic

from emoagents.card import Card
from emoagents.context import Context
from emoagents.errors import CardError, CompositionError, ParameterError, UnknownNameError, UsageError
from emoagents.evaluation.content import strategy_digest
from emoagents.strategies.base import Strategy
from emoagents.tuning.places import NESTED, checked_value, declared, place_of, value_at, with_values

__all__ = ["CONTEXT", "MOST", "Choices", "Configuration", "Space", "configurations", "declared_choices", "told"]

Choices: TypeAlias = "Mapping[str, Sequence[Any]] | Iterable[str]"
"""From names to the values to try; or names only, whose values are those of the cards."""

CONTEXT: Mapping[str, Any] = {"temperature": float | None, "top_p": float | None, "max_tokens": int | None}
"""Settings of the context that may be chosen, each as "context.NAME", with their types."""

_PREFIX = "context."
MOST = 10_000
"""Combinations that are looked at, and so configurations, at most."""


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
        return self.title or ", ".join(f"{name}={_shown(value)}" for name, value in self.values.items())

    @cached_property
    def key(self) -> str:
        """Its values as JSON: the same in every process."""
        own = (
            {"strategy": told(self.strategy), "content": strategy_digest(self.strategy)}
            if self.title
            else told(dict(self.values))
        )
        return json.dumps(own, sort_keys=True)


@dataclass(frozen=True, slots=True)
class Space:
    """What a search may try.

    Attributes:
        configurations: the default first, then in the order given.
        total: combinations that there are. refused: of those looked at, how many the strategy refuses, the first
            because of `reason`. left_out: how many were not drawn.
        notes: what was decided on the way.
    """

    configurations: tuple[Configuration, ...]
    total: int
    refused: int = 0
    reason: str = ""
    left_out: int = 0
    notes: tuple[str, ...] = ()


def declared_choices(strategy: Strategy) -> dict[str, list[Any]]:
    """Return what the cards of a strategy, of its parts and of what it nests declare, by dotted names.

    Raises:
        CardError: a card names a parameter that its strategy has not, or a value that it can't have.
    """
    found = {}
    for name, card, key, values in declared(strategy):
        if values:  # a card of one's own takes a choice out with an empty list
            found[key if _is_setting(key) else name] = list(values)
            _check_declared(strategy, name, card, key, list(values))
    return found


def _check_declared(strategy: Strategy, name: str, card: Card, key: str, values: Sequence[Any]) -> None:
    try:
        _checked(strategy, Context(), key if _is_setting(key) else name, values)
    except UsageError as error:
        raise CardError(card.name, f"choices.{key}", str(error).removeprefix("choices: ")) from None


def configurations(
    strategy: Strategy,
    context: Context,
    choices: Choices | None = None,
    *,
    most: int = MOST,
    seed: int = 0,
    also: Sequence[Strategy] = (),
) -> Space:
    """Return the configurations to try; nothing is asked of a model.

    Args:
        strategy, context: the default configuration, which is always the first.
        choices: what is tried, and nothing else; of names alone the cards' values; None: all that the cards declare.
            A value of "solver" may be a spec. What is given with its values must all have an effect; of what cards
            declare, a temperature without any is left out with a note.
        most: configurations at most; where there are more, they are drawn with the seed.
        also: strategies that are tried as they are.

    Raises:
        UsageError: a name or value is wrong, or there is nothing to choose.
    """
    table, notes = _table(strategy, context, choices)
    maker = _Maker(strategy, context, table)
    room = most - 1 - len(also)
    if table and room < 1:
        raise ParameterError(f"there is room for {most} configurations only: give a larger number of runs")
    maker.draw(max(room, 0), seed)
    if isinstance(choices, Mapping) and maker.looked_at_all:
        maker.check_all_used()
    made = [maker.default, *(one for _, one in sorted(maker.made.items()))]
    others = [Configuration(one, context, {}, title=one.title) for one in also]
    numbered = tuple(_numbered(i, one) for i, one in enumerate([*made, *others]))
    if len(numbered) < 2:
        why = f"; {maker.refused} refused, the first because: {maker.reason}" if maker.refused else ""
        raise ParameterError(
            f"{strategy.title}: there is nothing to choose from{why}. Declare [choices] in a card, or give "
            "choices={'samples': [1, 3]}"
        )
    left_out = max(0, maker.total - len(maker.made) - maker.refused - maker.doubles - maker.default_unmet)
    return Space(numbered, maker.total, maker.refused, maker.reason, left_out, tuple(notes))


def _numbered(index: int, one: Configuration) -> Configuration:
    return Configuration(one.strategy, one.context, one.values, index, index == 0, one.title)


# -- what is tried ---------------------------------------------------------------------------------------------------


def _table(strategy: Strategy, context: Context, choices: Choices | None) -> tuple[dict[str, list[Any]], list[str]]:
    if isinstance(choices, str):
        raise ParameterError(f"choices: give a mapping or a list of names, not the text {choices!r:.80}")
    if isinstance(choices, Mapping):
        given = {str(name): _listed(name, values) for name, values in choices.items()}
        table = {name: _checked(strategy, context, name, values) for name, values in given.items()}
        _check_alive(table, context)
        return table, []
    known = declared_choices(strategy)
    chosen = known if choices is None else _of_cards(known, list(choices), strategy)
    alive, notes = _without_dead(chosen, context)
    return {name: _checked(strategy, context, name, values) for name, values in alive.items()}, notes


def _listed(name: object, values: object) -> list[Any]:
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise ParameterError(f"choices: {name}: give a list of values, not {values!r:.80}")
    found = list(values)
    if not found:
        raise ParameterError(f"choices: {name}: there are no values to try")
    return found


def _of_cards(known: Mapping[str, list[Any]], names: Sequence[str], strategy: Strategy) -> dict[str, list[Any]]:
    places = {place_of(strategy, name): name for name in known if not name.startswith(_PREFIX)}
    found = {}
    for name in names:
        own = name if name in known else places.get(place_of(strategy, name)) if not _is_setting(name) else None
        if own is None:
            raise ParameterError(f"choices: no card declares values of {name!r}: give them, as {{{name!r}: [...]}}")
        found[own] = known[own]
    return found


def _is_setting(name: str) -> bool:
    return name.startswith(_PREFIX)


def _checked(strategy: Strategy, context: Context, name: str, values: Sequence[Any]) -> list[Any]:
    """Return values as they are held; that some do not go together is found out later.

    Raises:
        UsageError: the name or a value is wrong.
    """
    if _is_setting(name):
        return [_checked_setting(context, name, value) for value in values]
    place = place_of(strategy, name)
    found = [checked_value(strategy, place, name, value) for value in values]
    for value in found:
        try:
            with_values(strategy, {place: value})
        except UnknownNameError as error:
            raise ParameterError(f"choices: {name}: {error}") from None
        except UsageError:
            continue  # may be right beside another value
    return found


def _checked_setting(context: Context, name: str, value: Any) -> Any:
    setting = name.removeprefix(_PREFIX)
    if setting not in CONTEXT:
        raise UnknownNameError("setting of the context to choose", setting, CONTEXT)
    try:
        held = pydantic.TypeAdapter(CONTEXT[setting]).validate_python(value)
    except pydantic.ValidationError:
        raise ParameterError(f"choices: {name} must be a number or None, not {value!r:.80}") from None
    context.fresh(**{setting: held})
    return held


def _own_temperature(name: str) -> bool:
    return name.rpartition(".")[2] == "temperature" and not _is_setting(name)


def _without_dead(table: dict[str, list[Any]], context: Context) -> tuple[dict[str, list[Any]], list[str]]:
    """Leave out temperatures that the context's takes the place of."""
    dead = [name for name in table if _own_temperature(name)]
    if not dead or (context.temperature is None and f"{_PREFIX}temperature" not in table):
        return table, []
    note = f"{', '.join(dead)} not tried: the context's temperature takes its place"
    return {name: values for name, values in table.items() if name not in dead}, [note]


def _check_alive(table: Mapping[str, list[Any]], context: Context) -> None:
    dead = next((name for name in table if _own_temperature(name)), None)
    both = f"{_PREFIX}temperature" in table
    if dead is not None and (both or context.temperature is not None):
        other = "it is among the choices, too" if both else f"it is {context.temperature:g}"
        raise ParameterError(
            f"choices: {dead} has no effect where the context has a temperature, and {other}: choose one of the two"
        )
    for name in table:
        inside = [other for other in table if other.startswith(f"{name}.")]
        if name.rpartition(".")[2] == NESTED and inside:
            raise ParameterError(f"choices: {name} and {inside[0]} can't both be chosen: write solvers out in full")


# -- combinations ----------------------------------------------------------------------------------------------------


class _Maker:
    """Makes configurations of combinations, by number: those of equal values once, those refused not at all."""

    def __init__(self, strategy: Strategy, context: Context, table: Mapping[str, list[Any]]) -> None:
        self._strategy, self._context, self._table = strategy, context, table
        self._places = {name: place_of(strategy, name) for name in table if not _is_setting(name)}
        self.total = math.prod(len(values) for values in table.values()) if table else 0
        self.default = Configuration(strategy, context, self._read(strategy, context))
        self.made: dict[int, Configuration] = {}
        self.refused, self.doubles, self.reason = 0, 0, ""
        self.looked_at_all = self._met_default = False
        self._seen = {self.default.key}
        self._used: set[tuple[str, int]] = set()

    def draw(self, most: int, seed: int) -> None:
        """Make at most so many, drawn at random where there are more."""
        looked = 0
        for number in self._order(most, seed):
            if len(self.made) >= most:
                break
            self._take(number)
            looked += 1
        self.looked_at_all = looked == self.total

    def _order(self, most: int, seed: int) -> Sequence[int]:
        if self.total <= most:
            return range(self.total)
        return random.Random(seed).sample(range(self.total), min(self.total, MOST))

    def _take(self, number: int) -> None:
        picks = dict(self._picks(number))
        values = {name: self._table[name][pick] for name, pick in picks.items()}
        try:
            one = self._made(values)
        except UnknownNameError as error:
            told_values = ", ".join(f"{name}={_shown(values[name])}" for name in self._table)
            raise ParameterError(f"choices: {told_values}: {error}") from None
        except (ParameterError, CompositionError) as error:
            self.refused += 1
            self.reason = self.reason or str(error)
            return
        self._used.update(picks.items())
        self._met_default |= one.key == self.default.key
        if one.key in self._seen:
            self.doubles += 1
            return
        self._seen.add(one.key)
        self.made[number] = one

    def _picks(self, number: int) -> Iterator[tuple[str, int]]:
        """Yield the place of each name's value in a combination; the last name changes fastest."""
        for name in reversed(list(self._table)):
            number, pick = divmod(number, len(self._table[name]))
            yield name, pick

    def _made(self, values: Mapping[str, Any]) -> Configuration:
        parameters = {place: values[name] for name, place in self._places.items()}
        settings = {name.removeprefix(_PREFIX): value for name, value in values.items() if _is_setting(name)}
        strategy = with_values(self._strategy, parameters)
        context = self._context.fresh(**settings) if settings else self._context
        return Configuration(strategy, context, self._read(strategy, context))

    def _read(self, strategy: Strategy, context: Context) -> dict[str, Any]:
        """Return the values as they are held, in the table's order."""
        return {
            name: getattr(context, name.removeprefix(_PREFIX))
            if _is_setting(name)
            else value_at(strategy, self._places[name])
            for name in self._table
        }

    @property
    def default_unmet(self) -> bool:
        """Whether the default is one of the combinations, and was not drawn as such; it is tried all the same."""
        held = {name: told(value) for name, value in self.default.values.items()}
        among = bool(held) and all(held[name] in map(told, values) for name, values in self._table.items())
        return among and not self._met_default

    def check_all_used(self) -> None:
        """See that each value stands in a combination that the strategy takes.

        Raises:
            ParameterError: one does not: it was asked for, and would never be tried.
        """
        for name, values in self._table.items():
            for pick, value in enumerate(values):
                if (name, pick) not in self._used:
                    raise ParameterError(f"choices: {name}={_shown(value)} can't be tried: {self.reason}")


# -- values in words -------------------------------------------------------------------------------------------------


def _shown(value: Any) -> str:
    if isinstance(value, Strategy):
        return value.title
    if isinstance(value, tuple | list):
        return "+".join(map(_shown, value))
    return "none" if value is None else getattr(value, "name", None) or " ".join(str(value).split())


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
