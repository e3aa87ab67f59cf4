"""Where the guard's two cards lie, and how one is read: TOML, a frozen model, errors that name file and key."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from emoagents.card import cards_dir
from emoagents.errors import CardError, did_you_mean

__all__ = ["Part", "Prompt", "guard_file", "read_toml", "validated"]

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


def read_toml(path: Path) -> dict[str, Any]:
    """Return a file's content.

    Raises:
        CardError: it can't be read, or is no TOML in UTF-8.
    """
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except tomllib.TOMLDecodeError as error:
        raise CardError(str(path), "", f"not valid TOML: {error}") from None
    except UnicodeDecodeError as error:
        raise CardError(str(path), "", f"not UTF-8 text (at byte {error.start})") from None
    except RecursionError:
        raise CardError(str(path), "", "not valid TOML: nested too deeply") from None
    except (OSError, ValueError) as error:
        raise CardError(str(path), "", f"cannot be read: {error}") from None


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
        raise CardError(str(path), _place(first["loc"], data), _reason(first)) from None


def _reason(error: ErrorDetails) -> str:
    kind = error["type"]
    if kind == "extra_forbidden":
        return "unknown key"
    if kind == "literal_error":
        allowed = error["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        return f"unknown: {error['input']!r}{did_you_mean(str(error['input']), allowed)}"
    message = _PLAIN_WORDS.get(kind, error["msg"]).removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _place(loc: tuple[int | str, ...], data: Any) -> str:
    key = ""
    for step in loc:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            data = None
        id = data.get("id") if isinstance(step, int) and isinstance(data, Mapping) else None
        key += f".{id}" if id else f"[{step}]" if isinstance(step, int) else f".{step}"
    return key.removeprefix(".")
