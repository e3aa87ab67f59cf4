"""What is wrong with a TOML file, in words: the dotted place, and the reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from emoagents.card.models import Card, Placement, Prompt, Source, Stimulus, Variation
from emoagents.card.stages import Condition, Labels, Stage
from emoagents.errors import CardError, did_you_mean
from emoagents.fields import Field

__all__ = ["explained", "explained_field", "place_in", "toml_type"]

_PARTS: dict[str, type[BaseModel]] = {
    "sources": Source,
    "prompts": Prompt,
    "placements": Placement,
    "stimuli": Stimulus,
    "variations": Variation,
    "lists": Labels,
    "stages": Stage,
}

_WANTED = {
    "string_type": "a string",
    "int_type": "a whole number",
    "list_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
}

_TOML_TYPES: dict[type, str] = {
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "a table",
    type(None): "nothing",
}


def explained(error: ValidationError, data: Mapping[str, Any], path: str) -> CardError:
    """Return the error that says which key of the file is wrong, and why."""
    first = _first(error)
    return CardError(path, place_in(first["loc"], data), _reason(first, _table_of(first["loc"])))


def explained_field(error: ValidationError, data: Mapping[str, Any], key: str, path: str) -> CardError:
    """Return the error that says what is wrong with a stage's field, whose place is the key."""
    first = _first(error)
    place = place_in(first["loc"], data)
    return CardError(path, f"{key}.{place}" if place else key, _reason(first, Field))


def _first(error: ValidationError) -> ErrorDetails:
    # An unknown key comes first: it is most often the misspelling of the one that is missing.
    return min(error.errors(include_url=False), key=lambda e: e["type"] != "extra_forbidden")


def _reason(error: ErrorDetails, table: type[BaseModel]) -> str:
    kind, given = error["type"], error["input"]
    if kind == "missing":
        return "missing"
    if kind == "extra_forbidden":
        known = [field.alias or name for name, field in table.model_fields.items()]
        return f"unknown key{did_you_mean(str(error['loc'][-1]), known)}"
    if kind == "string_too_short":
        return "must not be empty"
    if kind == "string_unicode":
        return "is not valid Unicode text"
    if kind == "literal_error":
        return f"must be {error['ctx']['expected']}, not {given!r}"
    if kind in _WANTED:
        return f"must be {_WANTED[kind]}, not {toml_type(given)}"
    said = error["msg"].removeprefix("Value error, ")
    return said[:1].lower() + said[1:]


def _table_of(loc: tuple[int | str, ...]) -> type[BaseModel]:
    if loc[0] == "stages" and "when" in loc:
        return Condition
    return _PARTS.get(str(loc[0]), Card) if len(loc) > 1 else Card


def place_in(loc: tuple[int | str, ...], data: Any) -> str:
    """Return the dotted place, with an entry's id where it has one: people do not count entries."""
    key = ""
    for step in loc:
        data = _inside(data, step)
        if isinstance(step, int):
            id = data.get("id") if isinstance(data, Mapping) else None
            key += f".{id}" if isinstance(id, str) and id else f"[{step}]"
        else:
            key += f".{step}"
    return key.removeprefix(".")


def _inside(data: Any, step: int | str) -> Any:
    try:
        return data[step]
    except (KeyError, IndexError, TypeError):
        return None


def toml_type(value: Any) -> str:
    """Return what a value is called in TOML."""
    return _TOML_TYPES.get(type(value), f"a {type(value).__name__}")
