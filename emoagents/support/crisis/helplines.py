"""Help lines by country, and the fixed replies by language."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import Field

from emoagents.card import read_toml
from emoagents.errors import CardError
from emoagents.support.crisis.files import Part, guard_file, validated

__all__ = ["Country", "HelplineCard", "International", "Kind", "Line", "Replies", "load_helplines"]

Kind: TypeAlias = Literal["crisis", "abuse", "child", "poison"]
"""Whom a line is for: suicide and any crisis, violence at home or sexual violence, children, poisoning."""

Text = Field(min_length=1)


class Line(Part):
    """One help line. At least one of call, text and url is there.

    Attributes:
        call: number to call. text: what to send where, as "HOME to 741741". note: hours or languages.
        source: address of a page that tells the number.
    """

    name: str = Text
    kind: Kind
    call: str = ""
    text: str = ""
    url: str = ""
    note: str = ""
    source: str = Field(pattern=r"^https?://")


class Country(Part):
    """A country's emergency numbers and lines."""

    name: str = Text
    emergency: str = Text
    source: str = Field(pattern=r"^https?://")
    lines: tuple[Line, ...]


class International(Part):
    """What helps where the country is not known: directories of lines, by name."""

    lines: tuple[Line, ...]


class Replies(Part):
    """The fixed texts of a language. {{lines}} is the place of the help lines.

    Attributes:
        countries: whose lines stand in a reply where the country is not known, at most four.
        call, sms: words before a number. emergency: name of the emergency services. local: their number elsewhere.
        suicide: also for self-harm.
    """

    countries: tuple[str, ...] = Field(max_length=4)
    call: str = Text
    sms: str = Text
    emergency: str = Text
    local: str = Text
    suicide: str = Text
    emergency_now: str = Text
    abuse: str = Text
    danger_to_others: str = Text
    source: str = Text


class HelplineCard(Part):
    """The whole card. One of your own replaces the shipped one, or adds to it where it says `extends = true`."""

    name: str = Text
    version: str = Text
    checked: str = Text
    author: str = Text
    note: str = ""
    extends: bool = False
    countries: dict[str, Country] = Field(default_factory=dict)
    languages: dict[str, Replies] = Field(default_factory=dict)
    international: International


def load_helplines(path: str | Path | None = None) -> HelplineCard:
    """Return the shipped help lines, or those of a file, which replaces them or (with `extends = true`) adds to them.

    A country or a language in a file that extends takes the place of the shipped one.

    Raises:
        CardError: the file does not load; names the key of what is wrong.
    """
    return _shipped() if path is None else _of(Path(path).expanduser())


@lru_cache(maxsize=1)
def _shipped() -> HelplineCard:
    return _of(guard_file("helplines.toml"))


def _of(path: Path) -> HelplineCard:
    data = read_toml(path)
    card = validated(HelplineCard, {**_defaults(data), **data}, path)
    if card.extends:
        card = _added(_shipped(), card)
    _check(card, path)
    return card


def _defaults(data: Mapping[str, Any]) -> dict[str, Any]:
    if data.get("extends") is not True:
        return {}
    shipped = _shipped().international.model_dump()
    return {"name": "extension", "version": "0", "checked": "unknown", "author": "user", "international": shipped}


def _added(base: HelplineCard, own: HelplineCard) -> HelplineCard:
    return own.model_copy(
        update={
            "countries": {**base.countries, **own.countries},
            "languages": {**base.languages, **own.languages},
        }
    )


def _check(card: HelplineCard, path: Path) -> None:
    if not card.languages:
        raise CardError(str(path), "languages", "there must be at least one, whose replies are given")
    for code, country in card.countries.items():
        if len(code) != 2 or not code.isascii() or not code.isupper():
            raise CardError(str(path), f"countries.{code}", "must be named by two capitals, as US or DE")
        for number, line in enumerate(country.lines):
            _check_line(line, f"countries.{code}.lines[{number}]", path)
    for code, replies in card.languages.items():
        _check_replies(card, code, replies, path)


def _check_line(line: Line, key: str, path: Path) -> None:
    if not (line.call or line.text or line.url):
        raise CardError(str(path), key, "names no way to reach it; give call, text or url")


def _check_replies(card: HelplineCard, code: str, replies: Replies, path: Path) -> None:
    for name in ("suicide", "emergency_now", "abuse", "danger_to_others"):
        if getattr(replies, name).count("{{lines}}") != 1:
            raise CardError(str(path), f"languages.{code}.{name}", "must hold {{lines}} once")
    for country in replies.countries:
        if country not in card.countries:
            raise CardError(str(path), f"languages.{code}.countries", f"no country {country!r} in this card")
