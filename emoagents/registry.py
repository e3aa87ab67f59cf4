"""From a name to a strategy: "heart:3@neutral", "emotion_prompt:EP02 | gsa".

A spec is `NAME[:VALUE][@TONE]`, or several joined by `|`: VALUE sets the strategy's primary parameter, TONE its tone.
A name that ends in .toml is the file of a card of one's own with `graph = "staged"`.
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
from emoagents.errors import ParameterError, UnknownNameError, did_you_mean

if TYPE_CHECKING:
    from emoagents.strategies.base import Strategy

__all__ = ["Part", "parse_spec", "strategy", "strategy_class", "strategy_names", "strategy_parameters"]

_TONE = re.compile(r"@\s*(\w+)\s*$")
"""Only a last bare word is a tone, so that a sentence of one's own may hold an address."""


@dataclass(frozen=True, slots=True)
class Part:
    """One strategy of a spec: its card's name or file, and what was written behind it."""

    name: str
    value: str | None = None
    tone: str | None = None


def strategy(spec: str, /, **parameters: Any) -> Strategy:
    """Make a strategy.

    Args:
        spec: as "heart", "gsa:5" or "emotion_prompt:EP02@neutral | gsa:3"; names or aliases of cards, or the file of
            a card with `graph = "staged"`, as "mine.toml".
        parameters: go to the part that has them; `**{"gsa.samples": 5}` says which part is meant. Texts are
            converted ("5", "EP01,EP02"), and a `solver` may be a spec itself.

    Raises:
        UnknownNameError: no strategy, stimulus ... has that name.
        ParameterError: a parameter belongs to no part or to several, is given twice, or has a wrong value.
        CompositionError: these strategies can't be piped. CardError: a card is wrong.
    """
    parts = parse_spec(spec)
    classes = [strategy_class(part.name) for part in parts]
    given = [_written(part, cls) for part, cls in zip(parts, classes, strict=True)]
    for key, value in parameters.items():
        index, name = _owner(key, value, parts, classes)
        if name in given[index]:
            raise ParameterError(f"{name} is given twice, in {spec.strip()!r} and as a parameter")
        given[index][name] = value
    made = [_made(*one) for one in zip(parts, classes, given, strict=True)]
    return functools.reduce(operator.or_, made)


def strategy_names() -> list[str]:
    """Return the names of all strategies."""
    return card_names()


def strategy_class(name: str) -> type[Strategy]:
    """Return the class of a strategy by its card's name, alias or file.

    Raises:
        UnknownNameError: there is none of that name. CardError: the file is no card of a strategy.
    """
    card = open_card(name)
    wanted = card.graph or card.name
    module = importlib.import_module(f"emoagents.strategies.{wanted}")
    found: type[Strategy] = next(
        c for c in vars(module).values() if isinstance(c, type) and vars(c).get("name") == wanted
    )
    return found


def strategy_parameters(cls: type[Strategy]) -> dict[str, Any]:
    """Return the parameters of a strategy's class with their types."""
    types = typing.get_type_hints(cls, include_extras=True)
    return {f.name: types[f.name] for f in dataclasses.fields(typing.cast(Any, cls)) if f.init}


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


def _written(part: Part, cls: type[Strategy]) -> dict[str, Any]:
    """Return the parameters that are written in the spec itself."""
    if part.value is not None and cls.primary is None:
        raise ParameterError(f"{part.name} takes no value behind a colon, so {part.value!r} has no meaning")
    written = {cls.primary: part.value, "tone": part.tone}
    return {str(name): value for name, value in written.items() if value is not None}


def _owner(key: str, value: Any, parts: Sequence[Part], classes: Sequence[type[Strategy]]) -> tuple[int, str]:
    """Return which part a parameter is for, and its bare name."""
    prefix, dot, name = key.rpartition(".")
    meant = _named(prefix, parts) if dot else list(range(len(parts)))
    having = [i for i in meant if name in strategy_parameters(classes[i])]
    if name == "card" and len(having) > 1:
        having = _owner_of_card(value, parts, having)
    if len(having) == 1:
        return having[0], name
    shown = " | ".join(parts[i].name for i in meant)
    if not having:
        known = list(dict.fromkeys(n for i in meant for n in strategy_parameters(classes[i])))
        raise ParameterError(f"{shown} has no parameter {name!r}{did_you_mean(name, known)}")
    choices = list(dict.fromkeys(f"{parts[i].name}.{name}" for i in having))
    if len(choices) == 1:
        raise ParameterError(f"{parts[having[0]].name} stands twice in the pipe, so {name!r} is ambiguous")
    raise ParameterError(f"{name!r} is a parameter of several parts: write {' or '.join(choices)}")


def _named(prefix: str, parts: Sequence[Part]) -> list[int]:
    names = [open_card(part.name).name for part in parts]
    wanted = prefix if prefix in names else _name_of(prefix, names)
    if wanted not in names:
        raise ParameterError(f"{prefix} is no part of {' | '.join(names)}")
    return [i for i, name in enumerate(names) if name == wanted]


def _name_of(prefix: str, names: Sequence[str]) -> str:
    try:
        return open_card(prefix).name
    except UnknownNameError:
        raise UnknownNameError("strategy", prefix, names) from None


def _owner_of_card(source: Any, parts: Sequence[Part], having: list[int]) -> list[int]:
    """Return the parts whose strategy a card names; all where it names none of them."""
    name = _name_in(source, parts[having[0]])
    return [i for i in having if name == open_card(parts[i].name).name] or having


def _name_in(source: Any, part: Part) -> str | None:
    if isinstance(source, Card):
        return source.name
    try:
        with open(source, "rb") as file:
            name = tomllib.load(file).get("name")
    except (OSError, ValueError):
        name = override_card(open_card(part.name), source).name  # says in one sentence what is wrong with the file
    return name if isinstance(name, str) else None


def _made(part: Part, cls: type[Strategy], values: Mapping[str, Any]) -> Strategy:
    types = strategy_parameters(cls)
    if cls.name == "staged":  # one class for many cards
        values = {**values, "card": _overridden(open_card(part.name), values.get("card"))}
    return cls(**{name: _converted(name, value, types.get(name)) for name, value in values.items()})


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
