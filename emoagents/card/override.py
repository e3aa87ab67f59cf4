"""Cards of one's own: they take the place of parts of a shipped one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emoagents.card.checks import LISTS, check, check_fits, check_ids
from emoagents.card.load import build_card, read_toml
from emoagents.card.models import Card
from emoagents.card.words import toml_type
from emoagents.errors import CardError, ParameterError

__all__ = ["STRATEGY_KEYS", "given_card", "override_card", "signed"]

STRATEGY_KEYS = ("strategy", "needs", "parameters", "solver", "pipe")
"""What stands in a strategy's file beside its card."""


def override_card(base: Card, source: str | Path | Mapping[str, Any] | Card) -> Card:
    """Return a card in which the caller's texts take the place of the base's.

    Args:
        base: the card to start from.
        source: a TOML file, or its content as a mapping, that holds only what changes. Tables merge by key;
            `[[stimuli]]`, `[[variations]]` and `[[stages]]` merge by `id`: a known id replaces only the keys given, a
            new one is added at the end; other lists are replaced. `replace = ["stimuli"]` drops the base's entries
            first. A text without `source` gets the source "user". A Card is taken whole, if it fits the strategy.

    Raises:
        CardError: the source does not load, does not validate, or asks for what the strategy does not have.
    """
    if isinstance(source, Card):
        card, path = source, source.name
        check(card, path)
    else:
        given, path = given_card(source)
        _check_is_card(given, path)
        card = build_card(_merged(base.model_dump(exclude_unset=True, by_alias=True), given, path), path)
    check_fits(base, card, path)
    return card


def given_card(source: str | Path | Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """Return what a card of one's own holds, and the name of its file.

    Raises:
        CardError: it can't be read, or is not valid TOML. ParameterError: it is no card at all.
    """
    if isinstance(source, Mapping):
        return source, "(given in code)"
    if not isinstance(source, str | Path):
        raise ParameterError(f"a card or a strategy's file is a path, or what the file holds, not {source!r:.80}")
    try:
        path = Path(source).expanduser()
    except RuntimeError as error:  # no such user
        raise CardError(str(source), "", f"cannot be read: {error}") from None
    return read_toml(path), str(path)


def _check_is_card(given: Mapping[str, Any], path: str) -> None:
    for key in STRATEGY_KEYS:
        if key in given:
            raise CardError(path, key, "is no part of a card: this file is a whole strategy, run as --strategy FILE")


def _merged(base: dict[str, Any], given: Mapping[str, Any], path: str) -> dict[str, Any]:
    merged = {**base, **{key: [] for key in _replaced(given, path)}}
    for key, value in given.items():
        if key in LISTS and isinstance(value, list):
            merged[key] = _merged_by_id(merged.get(key, []), value, key, path)
        elif key in ("prompts", "placements", "lists") and isinstance(value, Mapping):
            merged[key] = _merged_tables(merged.get(key), {name: signed(entry) for name, entry in value.items()})
        elif key != "replace":
            merged[key] = _merged_tables(merged.get(key), value)
    return merged


def _replaced(given: Mapping[str, Any], path: str) -> list[str]:
    names = given.get("replace", [])
    if not isinstance(names, list):
        raise CardError(path, "replace", f"must be a list, not {toml_type(names)}")
    for name in names:
        if name not in LISTS:
            raise CardError(path, "replace", f"cannot replace {name!r}; there are {', '.join(LISTS)}")
    return names


def _merged_tables(old: Any, new: Any) -> Any:
    """Merge two tables by key, all the way down; anything else is replaced."""
    if not (isinstance(old, Mapping) and isinstance(new, Mapping)):
        return new
    return {**old, **{key: _merged_tables(old.get(key), value) for key, value in new.items()}}


def _merged_by_id(old: list[Any], new: list[Any], key: str, path: str) -> list[Any]:
    check_ids(new, key, path)  # before merging, which would hide a duplicate
    entries = {entry["id"].casefold(): entry for entry in old}
    for entry in map(signed, new):
        known = entries.get(entry["id"].casefold())
        entries[entry["id"].casefold()] = {**known, **entry, "id": known["id"]} if known else entry
    return list(entries.values())


def signed(entry: Any) -> Any:
    """Put the user's name under a text that comes without a source, lest it pass for the paper's."""
    if isinstance(entry, Mapping) and not {"text", "separator", "values"}.isdisjoint(entry):
        return {"source": "user", **entry}
    return entry
