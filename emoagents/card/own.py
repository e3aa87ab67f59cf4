"""A whole card of one's own: a strategy that needs no Python."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from emoagents.card.checks import check
from emoagents.card.load import build_card, load_card
from emoagents.card.models import Card
from emoagents.card.override import given_card, signed
from emoagents.errors import CardError

__all__ = ["is_file", "open_card"]


def is_file(name: str) -> bool:
    """Whether a card's name is the path of a file."""
    return name.strip().casefold().endswith(".toml")


def open_card(source: str | Path | Mapping[str, Any] | Card, *, graph: Literal["staged"] | None = None) -> Card:
    """Return a whole card: a shipped one by its name, or one's own, which must have `graph = "staged"`.

    In a card of one's own, a text without `source` gets the source "user"; `name` is the file's unless it is given,
    and `title`, `summary` and `kind` may be left out.

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
    if data.get("graph") is None:
        raise CardError(path, "graph", _NO_GRAPH)
    return build_card(_completed(data, path), path)


_NO_GRAPH = (
    'missing; a card that is a strategy of its own has graph = "staged", and one that overrides part of a shipped '
    "strategy goes to it as its `card`: --strategy heart --card FILE"
)


def _of_graph(card: Card, graph: str | None, path: str) -> Card:
    if graph is not None and card.graph != graph:
        raise CardError(path, "graph", _NO_GRAPH)
    return card


def _completed(data: Mapping[str, Any], path: str) -> dict[str, Any]:
    name = data.get("name", Path(path).stem)
    whole = {"name": name, "title": name, "summary": "", "kind": "answer", **data}
    for key in ("prompts", "lists"):
        if isinstance(whole.get(key), Mapping):
            whole[key] = {name: signed(entry) for name, entry in whole[key].items()}
    return whole
