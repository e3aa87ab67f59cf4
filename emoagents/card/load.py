"""From a name or a file to a card."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from emoagents.card.checks import check
from emoagents.card.models import Card
from emoagents.card.words import explained
from emoagents.errors import CardError, UnknownNameError

__all__ = ["build_card", "card_names", "cards_dir", "load_card", "read_toml"]


def card_names() -> list[str]:
    """Return the names of the cards that come with emoagents."""
    return sorted(path.stem for path in cards_dir().glob("*.toml"))


def load_card(name: str) -> Card:
    """Return a shipped card by its name or alias. Case does not matter, nor does `-` for `_`."""
    wanted = _folded(name)
    names = card_names()
    found = wanted if wanted in names else _by_alias(wanted, names)
    if found is None:
        raise UnknownNameError("strategy", name, names)
    # A copy, because lists and dicts inside a frozen model can still be changed.
    return _shipped(found).model_copy(deep=True)


def cards_dir() -> Path:
    """Return where the cards lie: inside the package in a wheel, at the root in a checkout."""
    package = Path(__file__).parent.parent
    packed = package / "cards"
    return packed if packed.is_dir() else package.parent / "strategies"


@cache
def _shipped(name: str) -> Card:
    path = cards_dir() / f"{name}.toml"
    return build_card(read_toml(path), str(path))


def _by_alias(wanted: str, names: Iterable[str]) -> str | None:
    return next((n for n in names if wanted in map(_folded, _shipped(n).aliases)), None)


def _folded(name: str) -> str:
    return name.strip().casefold().replace("-", "_")


def read_toml(path: Path) -> dict[str, Any]:
    """Return what a TOML file holds.

    Raises:
        CardError: it can't be read, or is not valid TOML.
    """
    try:
        # utf-8-sig: editors on Windows begin a file with a byte-order mark.
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except tomllib.TOMLDecodeError as error:
        raise CardError(str(path), "", f"not valid TOML: {error}") from None
    except UnicodeDecodeError as error:
        raise CardError(str(path), "", f"not UTF-8 text (at byte {error.start})") from None
    except OSError as error:
        raise CardError(str(path), "", f"cannot be read: {error.strerror or error}") from None
    except RecursionError:
        raise CardError(str(path), "", "not valid TOML: nested too deeply") from None
    except ValueError as error:  # a null byte in the path
        raise CardError(str(path), "", f"cannot be read: {error}") from None


def build_card(data: Mapping[str, Any], path: str) -> Card:
    """Return the card that a TOML file holds, checked.

    Raises:
        CardError: a key or a value is wrong.
    """
    try:
        card = Card.model_validate(data)
    except ValidationError as error:
        raise explained(error, data, path) from None
    check(card, path)
    return card
