"""All that is known of one strategy, gathered for a screen or as JSON."""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emoagents.card import Card, is_file, open_card
from emoagents.registry import Part, parse_spec, strategy, strategy_class, strategy_parameters

if typing.TYPE_CHECKING:
    from emoagents.strategies.base import Strategy
    from emoagents.strategy_file.table import Pipeline

__all__ = ["Facts", "Parameter", "facts_of", "in_words", "to_look_at"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a strategy, in words."""

    name: str
    type: str
    default: str
    help: str


@dataclass(frozen=True, slots=True)
class Facts:
    """One strategy.

    Attributes:
        edges: from each node, the nodes it leads to, in order.
        learned: emotion to (tried, repaired), where the adaptive schedule has learned something.
        memory: the file of that.
    """

    card: Card
    parameters: list[Parameter]
    expected_calls: str
    edges: dict[str, list[str]]
    learned: dict[str, tuple[int, int]]
    memory: Path | None

    def as_data(self) -> dict[str, Any]:
        """Return all of it as plain data."""
        return {
            "card": self.card.model_dump(by_alias=True),
            "parameters": [dataclasses.asdict(parameter) for parameter in self.parameters],
            "expected_calls": self.expected_calls,
            "graph": self.edges,
            "learned": {emotion: {"tried": t, "repaired": r} for emotion, (t, r) in self.learned.items()},
        }


def facts_of(name: str, memory: Path | None = None) -> Facts:
    """Gather what is known of a strategy with its default parameters.

    Args:
        name: its card's name or file.
        memory: where the adaptive schedule keeps what it learned, None for the user's state folder.
    """
    cls, made = strategy_class(name), to_look_at(name)
    file, learned = _learned(memory) if "memory" in strategy_parameters(cls) else (None, {})
    return Facts(open_card(name), _parameters(made, _needs(name)), made.expected_calls(), _edges(made), learned, file)


def to_look_at(spec: str) -> Strategy:
    """Return a strategy that is not to run: of one file alone, without what it needs."""
    if parse_spec(spec) != [Part(spec.strip())] or not is_file(spec):
        return strategy(spec)
    from emoagents.assembly import make_strategy
    from emoagents.strategy_file.table import read_strategy

    return make_strategy(_stood_in(read_strategy(spec)), {})


def _stood_in(tables: Pipeline) -> Pipeline:
    return tuple(
        dataclasses.replace(
            table,
            parameters={**table.parameters, **({"verifier": bool} if "verifier" in table.needs else {})},
            needs={},  # of anything else, the class's own default
            solver=_stood_in(table.solver),
        )
        for table in tables
    )


def _needs(name: str) -> Mapping[str, str]:
    from emoagents.strategy_file.table import read_strategy

    return read_strategy(name)[0].needs if is_file(name) else {}


def _parameters(made: Strategy, needs: Mapping[str, str]) -> list[Parameter]:
    helps = _helps(inspect.getdoc(type(made)) or "")
    return [
        Parameter(
            name,
            in_words(type_),
            "none: it has to be given" if name in needs else _default(getattr(made, name)),
            helps.get(name, ""),
        )
        for name, type_ in strategy_parameters(type(made)).items()
    ]


def _default(value: Any) -> str:
    if value is None or isinstance(value, Card):  # the strategy's card stands for no card of one's own
        return "none"
    if hasattr(value, "expected_calls"):  # a solver; its class is not imported here
        return str(value.title)
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _helps(doc: str) -> dict[str, str]:
    """Return the entries of a docstring's Args."""
    section = re.search(r"^Args:\n((?: +.*\n?|\n)+)", doc, re.MULTILINE)
    entries = re.findall(r"^ {4}(\w+): (.*(?:\n {5,}.*)*)", section[1] if section else "", re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}


def in_words(type_: Any) -> str:
    """Return a parameter's type as a person would say it."""
    origin, inner = typing.get_origin(type_), typing.get_args(type_)
    if origin is typing.Annotated:
        return in_words(inner[0]) + _bounds(inner[1:])
    if origin is typing.Literal:
        return ", ".join(map(str, inner))
    if origin is tuple:
        return "a comma list"
    if origin is Mapping:
        return "a mapping"
    if inner and origin not in (Callable, typing.get_origin(Callable[..., Any])):  # a union
        return " or ".join(dict.fromkeys(in_words(t) for t in inner if t not in (type(None), Card)))
    return _WORDS.get(type_, "a Python function" if inner else "a Python object")


_WORDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    Path: "a file",
    Any: "text or a Python object",
}


def _bounds(metadata: tuple[Any, ...]) -> str:
    limits = [limit for field in metadata for limit in getattr(field, "metadata", [field])]
    low = next((m.ge for m in limits if hasattr(m, "ge")), None)
    high = next((m.le for m in limits if hasattr(m, "le")), None)
    if low is None:
        return "" if high is None else f" up to {high}"
    return f" from {low}" if high is None else f" from {low} to {high}"


def _edges(made: Strategy) -> dict[str, list[str]]:
    edges: dict[str, list[str]] = {}
    for edge in made.graph.get_graph().edges:
        edges.setdefault(edge.source.strip("_"), []).append(edge.target.strip("_"))
    return edges


def _learned(memory: Path | None) -> tuple[Path | None, dict[str, tuple[int, int]]]:
    from emoagents.nodes.bandit import EmotionBandit, default_memory

    path = memory or default_memory()
    if memory is None and not path.exists():
        return None, {}
    return path, {emotion: (arm.tried, arm.repaired) for emotion, arm in EmotionBandit(path).arms().items()}
