"""What may be chosen: the tables of cards, or what a caller gives, checked before anything is asked of a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import pydantic

from emoagents.card import Card
from emoagents.context import Context
from emoagents.errors import CardError, ParameterError, UnknownNameError, UsageError
from emoagents.strategies.base import Strategy
from emoagents.tuning.configuration import shown, told
from emoagents.tuning.places import checked_value, declared, place_of, with_values
from emoagents.tuning.prompts import NESTED

__all__ = ["CONTEXT", "Choices", "declared_choices", "is_setting", "setting_of", "table_of"]

Choices: TypeAlias = "Mapping[str, Sequence[Any]] | Iterable[str]"
"""From names to the values to try; or names only, whose values are those of the cards."""

CONTEXT: Mapping[str, Any] = {"temperature": float | None, "top_p": float | None, "max_tokens": int | None}
"""Settings of the context that may be chosen, each as "context.NAME", with their types."""

_PREFIX = "context."


def is_setting(name: str) -> bool:
    """Whether a name means a setting of the context."""
    return name.startswith(_PREFIX)


def setting_of(name: str) -> str:
    """Return the context's own name of a setting."""
    return name.removeprefix(_PREFIX)


def declared_choices(strategy: Strategy) -> dict[str, list[Any]]:
    """Return what the cards of a strategy, of its parts and of what it nests declare, by dotted names.

    Raises:
        CardError: a card names a parameter that its strategy has not, or a value that it can't have.
    """
    found = {}
    for name, card, key, values in declared(strategy):
        if values:  # a card of one's own takes a choice out with an empty list
            found[key if is_setting(key) else name] = list(values)
            _check_declared(strategy, name, card, key, list(values))
    return found


def _check_declared(strategy: Strategy, name: str, card: Card, key: str, values: Sequence[Any]) -> None:
    try:
        _checked(strategy, Context(), key if is_setting(key) else name, values)
    except UsageError as error:
        raise CardError(card.name, f"choices.{key}", str(error).removeprefix("choices: ")) from None


def table_of(strategy: Strategy, context: Context, choices: Choices | None) -> tuple[dict[str, list[Any]], list[str]]:
    """Return the values to try by name, as they are held, and notes on what was left out.

    Raises:
        UsageError: a name or a value is wrong.
    """
    if isinstance(choices, str):
        raise ParameterError(f"choices: give a mapping or a list of names, not the text {choices!r:.80}")
    if isinstance(choices, Mapping):
        given = {str(name): _listed(name, values) for name, values in choices.items()}
        table = {name: _checked(strategy, context, name, values) for name, values in given.items()}
        _check_apart(strategy, table)
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
    places = {place_of(strategy, name): name for name in known if not is_setting(name)}
    found = {}
    for name in names:
        own = name if name in known else places.get(place_of(strategy, name)) if not is_setting(name) else None
        if own is None:
            raise ParameterError(f"choices: no card declares values of {name!r}: give them, as {{{name!r}: [...]}}")
        found[own] = known[own]
    return found


def _checked(strategy: Strategy, context: Context, name: str, values: Sequence[Any]) -> list[Any]:
    """Return values as they are held; that some do not go together is found out later.

    Raises:
        UsageError: the name or a value is wrong.
    """
    if is_setting(name):
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
    setting = setting_of(name)
    if setting not in CONTEXT:
        raise UnknownNameError("setting of the context to choose", setting, CONTEXT)
    try:
        held = pydantic.TypeAdapter(CONTEXT[setting]).validate_python(value)
    except pydantic.ValidationError:
        raise ParameterError(f"choices: {name} must be a number or None, not {value!r:.80}") from None
    context.fresh(**{setting: held})
    return held


def _check_apart(strategy: Strategy, table: Mapping[str, list[Any]]) -> None:
    """See that no parameter goes by two names, and that no two values go by one."""
    places: dict[Any, str] = {}
    for name, values in table.items():
        other = places.setdefault(name if is_setting(name) else place_of(strategy, name), name)
        if other != name:
            raise ParameterError(f"choices: {other} and {name} are the same parameter: name it once")
        known: list[tuple[Any, Any]] = []
        for value in values:
            if any(told(value) == key and value != one for key, one in known):
                raise ParameterError(
                    f"choices: {name}: two values are both called {shown(value)}: give each its own name"
                )
            known.append((told(value), value))


def _own_temperature(name: str) -> bool:
    return name.rpartition(".")[2] == "temperature" and not is_setting(name)


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
