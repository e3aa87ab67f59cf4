"""A whole card of one's own: a strategy that needs no Python, or the card in a strategy's file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from emoagents.card.checks import check, check_fits
from emoagents.card.load import build_card, load_card
from emoagents.card.models import Card
from emoagents.card.override import STRATEGY_KEYS, given_card, signed
from emoagents.card.words import toml_type
from emoagents.errors import CardError, UnknownNameError, did_you_mean

__all__ = ["card_in", "is_file", "open_card"]


def is_file(name: str) -> bool:
    """Whether a card's name is the path of a file."""
    return name.strip().casefold().endswith(".toml")


def open_card(source: str | Path | Mapping[str, Any] | Card, *, graph: Literal["staged"] | None = None) -> Card:
    """Return a whole card: a shipped one by its name, one's own with `graph = "staged"`, or that of a strategy's file.

    In a card of one's own, a text without `source` gets the source "user"; `name` is the file's unless it is given,
    and `title`, `summary` and `kind` may be left out. See `emoagents.strategy_file` for strategies' files.

    Args:
        source: a name, a file (a text that ends in .toml is one), what a file holds, or a card.
        graph: what the card must be.

    Raises:
        UnknownNameError: no shipped card has that name. CardError: the card is wrong, or not what it must be.
    """
    if isinstance(source, Card):
        check(source, source.name)
        return _of_graph(source, graph, source.name)
    if isinstance(source, str) and not is_file(source):
        return _of_graph(load_card(source), graph, source)
    data, path = given_card(source.strip() if isinstance(source, str) else source)
    return _of_graph(card_in(data, path), graph, path)


def card_in(data: Mapping[str, Any], path: str) -> Card:
    """Return the whole card in a table of a strategy's file, or in a card with `graph = "staged"`.

    Raises:
        CardError: the card is wrong or incomplete, or belongs to no strategy.
    """
    if "pipe" in data:
        raise CardError(path, "pipe", "holds several strategies, each with a card of its own")
    for key in data:
        if key not in (*Card.model_fields, *STRATEGY_KEYS):
            choices = [name for name in (*Card.model_fields, *STRATEGY_KEYS) if name != "pipe"]
            raise CardError(path, str(key), f"unknown key{did_you_mean(str(key), choices)}")
    texts = {key: value for key, value in data.items() if key not in STRATEGY_KEYS}
    named = data.get("strategy")
    if named in (None, "staged"):
        if data.get("graph") is None:
            raise CardError(path, "graph", _NO_GRAPH)
        return build_card(_completed(texts, path), path)
    base = _shipped(named, path)
    known = {"name": base.name, "title": base.title, "kind": base.kind}
    card = build_card(_completed({**known, **texts}, path), path)
    check_fits(base, card, path)
    return card


def _shipped(name: Any, path: str) -> Card:
    if not isinstance(name, str):
        raise CardError(path, "strategy", f"must be a string, not {toml_type(name)}")
    try:
        return load_card(name)
    except UnknownNameError as error:
        raise CardError(path, "strategy", str(error)) from None


_NO_GRAPH = (
    'missing; a file that is a strategy of its own has strategy = "NAME" and its whole card, or graph = "staged", and '
    "one that overrides part of a shipped strategy's card goes to it as its `card`: --strategy heart --card FILE"
)


def _of_graph(card: Card, graph: str | None, path: str) -> Card:
    if graph is not None and card.graph != graph:
        raise CardError(path, "graph", _NO_GRAPH)
    return card


def _completed(data: Mapping[str, Any], path: str) -> dict[str, Any]:
    name = data.get("name", Path(path).stem)
    whole = {"name": name, "title": name, "summary": "", "kind": "answer", **data}
    for key in ("prompts", "placements", "lists"):
        if isinstance(whole.get(key), Mapping):
            whole[key] = {name: signed(entry) for name, entry in whole[key].items()}
    for key in ("stimuli", "variations"):
        if isinstance(whole.get(key), list):
            whole[key] = [signed(entry) for entry in whole[key]]
    return whole
