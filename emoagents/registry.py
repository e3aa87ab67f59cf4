"""From a name to a strategy: "heart:3@neutral", "emotion_prompt:EP02 | gsa", "mine.toml".

A spec is `NAME[:VALUE][@TONE]`, or several joined by `|`: VALUE sets the strategy's primary parameter, TONE its tone.
A name that ends in .toml is a file: a strategy's (see `emoagents.strategy_file`), or a card with `graph = "staged"`.
Importing this loads no strategy; each is imported when it is first asked for.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import operator
import re
import tomllib
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emoagents.card import Card, card_names, is_file, load_card, open_card, override_card
from emoagents.errors import CardError, ParameterError, UnknownNameError, UsageError, did_you_mean

if TYPE_CHECKING:
    from emoagents.strategies.base import Strategy
    from emoagents.strategy_file.table import Pipeline, Table

__all__ = [
    "Part",
    "class_named",
    "class_of",
    "make_strategy",
    "parse_spec",
    "part_parameters",
    "strategy",
    "strategy_class",
    "strategy_names",
    "strategy_parameters",
]

_TONE = re.compile(r"@\s*(\w+)\s*$")
"""Only a last bare word is a tone, so that a sentence of one's own may hold an address."""


@dataclass(frozen=True, slots=True)
class Part:
    """One strategy of a spec: its card's name or file, and what was written behind it."""

    name: str
    value: str | None = None
    tone: str | None = None


@dataclass(frozen=True, slots=True)
class _Slot:
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


def strategy(spec: str, /, **parameters: Any) -> Strategy:
    """Make a strategy.

    Args:
        spec: as "heart", "gsa:5" or "emotion_prompt:EP02@neutral | gsa:3"; names or aliases of cards, or files, as
            "mine.toml".
        parameters: go to the part that has them; `**{"gsa.samples": 5}` says which part is meant, and
            `**{"solver.samples": 5}` the solver. Texts are converted ("5", "EP01,EP02"), and a `solver` may be a spec
            itself.

    Raises:
        UnknownNameError: no strategy, stimulus ... has that name.
        ParameterError: a parameter belongs to no part or to several, is given twice, or has a wrong value.
        CompositionError: these strategies can't be piped. CardError: a card or a file is wrong.
    """
    return _assembled([slot for part in parse_spec(spec) for slot in _slots(part)], parameters, spec.strip())


def make_strategy(tables: Pipeline, parameters: Mapping[str, Any]) -> Strategy:
    """Make the strategy that a file holds. See `emoagents.strategy_file.open_strategy`."""
    return _assembled([_slot_of(table) for table in tables], parameters, tables[0].path)


def strategy_names() -> list[str]:
    """Return the names of all strategies."""
    return card_names()


def strategy_class(name: str) -> type[Strategy]:
    """Return the class of a strategy by its card's name, alias or file; of a file with several, that of a pipe.

    Raises:
        UnknownNameError: there is none of that name. CardError: the file is no strategy.
    """
    if not is_file(name):
        return class_of(load_card(name))
    tables = _read(name)
    return tables[0].cls if len(tables) == 1 else class_named("pipe")


def class_of(card: Card) -> type[Strategy]:
    """Return the class of the strategy that a shipped or staged card is made for."""
    return class_named(card.graph or card.name)


@functools.cache
def class_named(name: str) -> type[Strategy]:
    """Return the class with this `name`, which is that of its module, too."""
    module = importlib.import_module(f"emoagents.strategies.{name}")
    classes = (c for c in vars(module).values() if isinstance(c, type))
    found: type[Strategy] = next(c for c in classes if vars(c).get("name") == name)
    return found


def strategy_parameters(cls: type[Strategy]) -> dict[str, Any]:
    """Return the parameters of a strategy's class with their types."""
    types = typing.get_type_hints(cls, include_extras=True)
    return {f.name: types[f.name] for f in dataclasses.fields(typing.cast(Any, cls)) if f.init}


def part_parameters(name: str) -> dict[str, Any]:
    """Return the parameters that can be set for a part of a spec, with their types.

    Args:
        name: its card's name, alias or file; of a file with several strategies, the parameters of all of them.

    Raises:
        UnknownNameError: there is none of that name. CardError: the file is no strategy.
    """
    classes = [table.cls for table in _read(name)] if is_file(name) else [strategy_class(name)]
    return {key: type_ for cls in reversed(classes) for key, type_ in strategy_parameters(cls).items()}


def parse_spec(spec: str) -> list[Part]:
    """Return the parts of a spec, with the names of their cards, or their files.

    Raises:
        UnknownNameError: no strategy has that name. ParameterError: a part is empty or incomplete.
    """
    return [_part(text.strip(), spec) for text in spec.split("|")]


def _part(text: str, spec: str) -> Part:
    tone = _TONE.search(text)
    name, colon, value = (text[: tone.start()] if tone else text).partition(":")
    if not name.strip():
        raise ParameterError(f"strategy {spec!r}: a name is missing; write NAME[:VALUE][@TONE], joined by |")
    known = name.strip() if is_file(name) else load_card(name).name
    if colon and not value.strip():
        raise ParameterError(f"strategy {spec!r}: nothing stands behind {name.strip() + ':'!r}")
    return Part(known, value.strip() if colon else None, tone[1] if tone else None)


def _read(path: str) -> Pipeline:
    from emoagents.strategy_file.table import read_strategy

    return read_strategy(path)


# -- what a spec names -----------------------------------------------------------------------------------------------


def _slots(part: Part) -> list[_Slot]:
    if not is_file(part.name):
        card = load_card(part.name)
        cls = class_of(card)
        return [_Slot(card.name, cls, card, _written(part, cls))]
    slots = [_slot_of(table) for table in _read(part.name)]
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


def _slot_of(table: Table) -> _Slot:
    return _Slot(table.name, table.cls, table.card, {}, table)


def _written(part: Part, cls: type[Strategy]) -> dict[str, Any]:
    """Return the parameters that are written in the spec itself."""
    if part.value is not None and cls.primary is None:
        raise ParameterError(f"{part.name} takes no value behind a colon, so {part.value!r} has no meaning")
    written = {cls.primary: part.value, "tone": part.tone}
    return {str(name): value for name, value in written.items() if value is not None}


# -- what parameters are for -----------------------------------------------------------------------------------------


def _assembled(slots: Sequence[_Slot], parameters: Mapping[str, Any], shown: str, inside: str = "") -> Strategy:
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


def _owner(key: str, value: Any, slots: Sequence[_Slot]) -> tuple[int, str]:
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


def _named(prefix: str, slots: Sequence[_Slot]) -> list[int]:
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


def _owner_of_card(source: Any, slots: Sequence[_Slot], having: list[int]) -> list[int]:
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


def _made(slot: _Slot, given: Mapping[str, Any], inside: str) -> Strategy:
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


def _nested(slot: _Slot, given: Mapping[str, Any], nested: Mapping[str, Any], inside: str) -> Strategy:
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
    return _assembled([_slot_of(one) for one in table.solver], given, table.path, f"{inside}solver.")


def _from_table(slot: _Slot, table: Table, given: Mapping[str, Any], inside: str) -> Strategy:
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
    return f"{path} needs {' and '.join(names)}, which can't stand in a file; give it: open_strategy({path!r}, {shown})"


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
