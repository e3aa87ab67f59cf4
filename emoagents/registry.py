"""From a name to a strategy: "heart:3@neutral", "emotion_prompt:EP02 | gsa", "mine.toml".

A spec is `NAME[:VALUE][@TONE]`, or several joined by `|`: VALUE sets the strategy's primary parameter, TONE its tone.
A name that ends in .toml is a file: a strategy's (see `emoagents.strategy_file`), or a card with `graph = "staged"`.
One that exists may have any name, as "C:\\mine.toml" or "a|b.toml".
Importing this loads no strategy; each is imported when it is first asked for.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import os
import re
import sys
import typing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emoagents.card import Card, card_names, is_file, load_card
from emoagents.errors import ParameterError

if TYPE_CHECKING:
    from emoagents.strategies.base import Strategy
    from emoagents.strategy_file.table import Pipeline

__all__ = [
    "Part",
    "class_named",
    "class_of",
    "leading_file",
    "parse_spec",
    "part_parameters",
    "split_spec",
    "strategy",
    "strategy_class",
    "strategy_names",
    "strategy_parameters",
]

_TONE = re.compile(r"@\s*(\w+)\s*$")
"""Only a last bare word is a tone, so that a sentence of one's own may hold an address."""

_FILE_END = re.compile(r"\.toml(?=\s*(?:[:@|\[#]|$))", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """One strategy of a spec: its card's name or file, and what was written behind it."""

    name: str
    value: str | None = None
    tone: str | None = None


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
    from emoagents.assembly import assembled, slots_of

    return assembled([slot for part in parse_spec(spec) for slot in slots_of(part)], parameters, spec.strip())


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
    types = typing.get_type_hints(cls, _names_around(cls), include_extras=True)
    return {f.name: types[f.name] for f in dataclasses.fields(typing.cast(Any, cls)) if f.init}


def _names_around(cls: type) -> dict[str, Any]:
    """Return what annotations may name: by itself, `get_type_hints` shows a function in them no name of its module."""
    return {name: value for base in reversed(cls.__mro__) for name, value in vars(sys.modules[base.__module__]).items()}


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
        UnknownNameError: no strategy has that name. ParameterError: a part is empty or incomplete, or it is no text.
    """
    if not isinstance(spec, str):
        raise ParameterError(f"a strategy's spec is a text, as 'heart:3' or 'mine.toml', not {spec!r:.80}")
    return [_part(text.strip(), spec) for text in split_spec(spec)]


def split_spec(spec: str) -> list[str]:
    """Return the parts of a spec as they are written."""
    parts, rest, more = list[str](), spec, "|"
    while more:
        file = leading_file(rest)
        end, more, rest = rest[len(file) :].partition("|")
        parts.append(file + end)
    return parts


def leading_file(text: str) -> str:
    """Return the existing file whose name a text begins with, the longest one; else an empty text."""
    heads = [text[: found.end()] for found in _FILE_END.finditer(text)]
    return next((head for head in reversed(heads) if os.path.isfile(os.path.expanduser(head.strip()))), "")


def _part(text: str, spec: str) -> Part:
    file = leading_file(text)
    tone = _TONE.search(text, len(file))
    end, colon, value = text[len(file) : tone.start() if tone else None].partition(":")
    name = file + end
    if not name.strip():
        raise ParameterError(f"strategy {spec!r}: a name is missing; write NAME[:VALUE][@TONE], joined by |")
    known = name.strip() if is_file(name) else load_card(name).name
    if colon and not value.strip():
        raise ParameterError(f"strategy {spec!r}: nothing stands behind {name.strip() + ':'!r}")
    return Part(known, value.strip() if colon else None, tone[1] if tone else None)


def _read(path: str) -> Pipeline:
    from emoagents.strategy_file.table import read_strategy

    return read_strategy(path)
