"""From names, files and parameters to a strategy: which part a parameter is for, and what is made of them.

Imported when the first strategy is made: see `emoagents.registry`, which is what others use.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
import re
import tomllib
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emoagents.card import Card, is_file, load_card, open_card, override_card
from emoagents.errors import CardError, ParameterError, UnknownNameError, UsageError, did_you_mean
from emoagents.registry import Part, class_of, strategy, strategy_parameters
from emoagents.strategies.base import Strategy
from emoagents.strategy_file.table import Pipeline, Table, read_strategy

__all__ = ["Slot", "assembled", "make_strategy", "slots_of"]


@dataclass(frozen=True, slots=True)
class Slot:
    """One strategy to be made.

    Attributes:
        name: what a parameter's prefix names it by. given: what a spec wrote behind its name. table: what its file
            holds, where it has one.
    """

    name: str
    cls: type[Strategy]
    card: Card
    given: dict[str, Any]
    table: Table | None = None


def make_strategy(tables: Pipeline, parameters: Mapping[str, Any]) -> Strategy:
    """Make the strategy that a file holds. See `emoagents.strategy_file.open_strategy`."""
    return assembled([_slot_of(table) for table in tables], parameters, tables[0].path)


# -- what a spec names -----------------------------------------------------------------------------------------------


def slots_of(part: Part) -> list[Slot]:
    if not is_file(part.name):
        card = load_card(part.name)
        cls = class_of(card)
        return [Slot(card.name, cls, card, _written(part, cls))]
    slots = [_slot_of(table) for table in read_strategy(part.name)]
    if len(slots) == 1:
        return [dataclasses.replace(slots[0], given=_written(part, slots[0].cls))]
    if part.value is not None:
        raise ParameterError(f"{part.name} holds several strategies, so {part.value!r} behind a colon has no meaning")
    toned = [slot for slot in slots if "tone" in strategy_parameters(slot.cls)]
    if part.tone is not None and not toned:
        raise ParameterError(f"no part of {part.name} has a parameter 'tone'")
    for slot in toned if part.tone is not None else []:
        slot.given["tone"] = part.tone
    return slots


def _slot_of(table: Table) -> Slot:
    return Slot(table.name, table.cls, table.card, {}, table)


def _written(part: Part, cls: type[Strategy]) -> dict[str, Any]:
    """Return the parameters that are written in the spec itself."""
    if part.value is not None and cls.primary is None:
        raise ParameterError(f"{part.name} takes no value behind a colon, so {part.value!r} has no meaning")
    written = {cls.primary: part.value, "tone": part.tone}
    return {str(name): value for name, value in written.items() if value is not None}


# -- what parameters are for -----------------------------------------------------------------------------------------


def assembled(slots: Sequence[Slot], parameters: Mapping[str, Any], shown: str, inside: str = "") -> Strategy:
    """Make strategies and pipe them.

    Args:
        shown: the spec or the file. inside: what stands before the names of parameters, as "solver.".
    """
    given = [dict(slot.given) for slot in slots]
    for key, value in parameters.items():
        index, name = _owner(key, value, slots)
        if name in given[index]:
            raise ParameterError(f"{name} is given twice, in {shown!r} and as a parameter")
        given[index][name] = value
    made = [_made(slot, values, inside) for slot, values in zip(slots, given, strict=True)]
    return functools.reduce(operator.or_, made)


def _owner(key: str, value: Any, slots: Sequence[Slot]) -> tuple[int, str]:
    """Return which slot a parameter is for, and its name there."""
    prefix, name = _split_key(key)
    meant = _named(prefix, slots) if prefix else list(range(len(slots)))
    bare = name.partition(".")[0]
    having = [i for i in meant if bare in strategy_parameters(slots[i].cls)]
    if name == "card" and len(having) > 1:
        having = _owner_of_card(value, slots, having)
    if len(having) == 1:
        return having[0], name
    if not having:
        shown = " | ".join(slots[i].name for i in meant)
        known = list(dict.fromkeys(n for i in meant for n in strategy_parameters(slots[i].cls)))
        raise ParameterError(f"{shown} has no parameter {bare!r}{did_you_mean(bare, known)}")
    choices = list(dict.fromkeys(f"{slots[i].name}.{name}" for i in having))
    if len(choices) == 1:
        raise ParameterError(f"{slots[having[0]].name} stands twice in the pipe, so {name!r} is ambiguous")
    raise ParameterError(f"{name!r} is a parameter of several parts: write {' or '.join(choices)}")


def _split_key(key: str) -> tuple[str, str]:
    """Split "gsa.solver.samples" into the part's name and the parameter's; a part's name may be a file."""
    if key.startswith("solver."):
        return "", key
    part, inner, rest = key.partition(".solver.")
    if inner:
        return part, f"solver.{rest}"
    prefix, _, name = key.rpartition(".")
    return prefix, name


def _named(prefix: str, slots: Sequence[Slot]) -> list[int]:
    names = [slot.name for slot in slots]
    wanted = prefix if prefix in names else _name_of(prefix, names)
    if wanted not in names:
        raise ParameterError(f"{prefix} is no part of {' | '.join(names)}")
    return [i for i, name in enumerate(names) if name == wanted]


def _name_of(prefix: str, names: Sequence[str]) -> str:
    try:
        return open_card(prefix).name
    except UnknownNameError:
        raise UnknownNameError("strategy", prefix, names) from None


def _owner_of_card(source: Any, slots: Sequence[Slot], having: list[int]) -> list[int]:
    """Return the slots whose strategy a card names; all where it names none of them."""
    name = _name_in(source, slots[having[0]].card)
    return [i for i in having if name == slots[i].name] or having


def _name_in(source: Any, base: Card) -> str | None:
    if isinstance(source, Card):
        return source.name
    try:
        with open(source, "rb") as file:
            name = tomllib.load(file).get("name")
    except (OSError, ValueError):
        name = override_card(base, source).name  # says in one sentence what is wrong with the file
    return name if isinstance(name, str) else None


# -- what becomes of them --------------------------------------------------------------------------------------------


def _made(slot: Slot, given: Mapping[str, Any], inside: str) -> Strategy:
    types = strategy_parameters(slot.cls)
    nested = {key.removeprefix("solver."): value for key, value in given.items() if key.startswith("solver.")}
    values = {k: _converted(k, v, types.get(k)) for k, v in given.items() if not k.startswith("solver.")}
    if nested:
        values["solver"] = _nested(slot, given, nested, inside)
    if slot.table is not None:
        return _from_table(slot, slot.table, values, inside)
    if slot.cls.name == "staged":  # one class for many cards
        values["card"] = _overridden(slot.card, values.get("card"))
    return slot.cls(**values)


def _nested(slot: Slot, given: Mapping[str, Any], nested: Mapping[str, Any], inside: str) -> Strategy:
    """Return the solver with parameters of its own."""
    source = given.get("solver")
    if isinstance(source, str):
        return strategy(source, **nested)
    if "solver" not in given and slot.table is not None and slot.table.solver:
        return _solver(slot.table, nested, inside)
    if source is None:
        raise ParameterError(f"{slot.name} has no solver, so {f'solver.{next(iter(nested))}'!r} has no meaning")
    raise ParameterError(f"solver.{next(iter(nested))}: give it to the solver itself, which is a strategy already")


def _solver(table: Table, given: Mapping[str, Any], inside: str) -> Strategy:
    return assembled([_slot_of(one) for one in table.solver], given, table.path, f"{inside}solver.")


def _from_table(slot: Slot, table: Table, given: Mapping[str, Any], inside: str) -> Strategy:
    missing = [name for name in table.needs if name not in given]
    if missing:
        raise ParameterError(_needed(table.path, [f"{inside}{name}" for name in missing]))
    values = {**table.parameters, **given, "card": _overridden(slot.card, given.get("card"))}
    if table.solver and "solver" not in given:
        values["solver"] = _solver(table, {}, inside)
    try:
        return slot.cls(**values)
    except CardError:
        raise
    except UsageError as error:
        if given:  # may be the caller's mistake
            raise
        raise table.error("parameters" if table.parameters else "", str(error)) from None


def _needed(path: str, names: Sequence[str]) -> str:
    keywords = ", ".join(f"{name}=..." for name in names if "." not in name)
    dotted = ", ".join(f"{name!r}: ..." for name in names if "." in name)
    shown = ", ".join(filter(None, (keywords, f"**{{{dotted}}}" if dotted else "")))
    how = f"give it, as open_strategy({path!r}, {shown}) or --param {names[0]}=TEXT"
    return f"{path} needs {' and '.join(names)}, which can't stand in a file; {how}"


def _overridden(card: Card, source: Any) -> Card:
    return card if source is None else override_card(card, source)


def _converted(name: str, value: Any, type_: Any) -> Any:
    """Turn a text into what pydantic can't make of it: a strategy, or several values."""
    if not isinstance(value, str):
        return value
    if name == "solver":
        return strategy(value)
    pieces = [piece.strip() for piece in value.split(",")]
    if len(pieces) > 1 and _takes_several(type_) and not any(re.search(r"\s", piece) for piece in pieces):
        return tuple(filter(None, pieces))  # a piece with a space in it is part of a sentence
    return value


def _takes_several(type_: Any) -> bool:
    return typing.get_origin(type_) is tuple or any(_takes_several(t) for t in typing.get_args(type_))
