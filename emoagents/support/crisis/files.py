"""Where the guard's two cards lie, and how one is checked: a frozen model, errors that name file and key."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from emoagents.card import cards_dir, place_in
from emoagents.errors import CardError, did_you_mean

__all__ = ["Part", "Prompt", "guard_file", "validated"]

M = TypeVar("M", bound=BaseModel)

_PLAIN_WORDS = {
    "string_type": "must be a string",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "missing": "missing",
    "string_too_short": "must not be empty",
}


class Part(BaseModel):
    """A frozen piece of a card that knows all its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Prompt(Part):
    """A text with places such as {{lines}}, and where it comes from."""

    text: str
    source: str


def guard_file(name: str) -> Path:
    """Return the path of a shipped file of the guard."""
    return cards_dir() / "guard" / name


def validated(model: type[M], data: Mapping[str, Any], path: Path) -> M:
    """Return the data as a model.

    Raises:
        CardError: it does not fit; names the key, with an entry's id where it has one.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        # an unknown key comes first: it is most often the misspelling of the one that is missing
        first = min(error.errors(include_url=False), key=lambda e: e["type"] != "extra_forbidden")
        raise CardError(str(path), place_in(first["loc"], data), _reason(first)) from None


def _reason(error: ErrorDetails) -> str:
    kind = error["type"]
    if kind == "extra_forbidden":
        return "unknown key"
    if kind == "literal_error":
        allowed = error["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        return f"unknown: {error['input']!r}{did_you_mean(str(error['input']), allowed)}"
    message = _PLAIN_WORDS.get(kind, error["msg"]).removeprefix("Value error, ")
    return message[:1].lower() + message[1:]
