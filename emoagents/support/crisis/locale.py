"""Where people write from: a language, a country, or both, as systems and people spell them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from emoagents.errors import ParameterError
from emoagents.support.crisis.helplines import HelplineCard

__all__ = ["Locale", "parse_locale"]

_SHAPE = re.compile(
    r"(?P<first>[A-Za-z]{2,3})(?:[-_](?P<script>[A-Za-z]{4}))?(?:[-_](?P<country>[A-Za-z]{2}))?"
    r"(?:\.[\w-]+)?(?:@[\w-]+)?"
)
_ALSO = {"UK": "GB", "EL": "GR"}


@dataclass(frozen=True, slots=True)
class Locale:
    """A language of the replies and a country of the help lines; None where the text found shall decide."""

    language: str | None = None
    country: str | None = None


def parse_locale(text: str, card: HelplineCard) -> Locale:
    """Return what a locale says: "auto", "de-AT", "en_US.UTF-8", "zh-Hant-TW", a language or a country alone.

    A language without replies is fine beside a known country: then the replies follow what was found. Of two letters
    alone, small ones are a language first ("de"), capitals a country first ("DE").

    Raises:
        ParameterError: neither is known.
    """
    if text.strip().casefold() == "auto":
        return Locale()
    shape = _SHAPE.fullmatch(text.strip())
    if shape is None:
        raise _unknown(text, card)
    if shape["country"] is None:
        return _alone(shape["first"], text, card)
    country = _country(shape["country"], card)
    if country is None:
        raise _unknown(text, card)
    language = shape["first"].lower()
    return Locale(language if language in card.languages else None, country)


def _alone(word: str, text: str, card: HelplineCard) -> Locale:
    language = word.lower() if word.lower() in card.languages else None
    country = _country(word, card)
    if language and not (word.isupper() and country):
        return Locale(language)
    if country is None:
        raise _unknown(text, card)
    return Locale(None, country)


def _country(word: str, card: HelplineCard) -> str | None:
    code = _ALSO.get(word.upper(), word.upper())
    return code if code in card.countries else None


def _unknown(text: str, card: HelplineCard) -> ParameterError:
    return ParameterError(
        f'unknown locale {text!r}; write "auto", a language, a country, or both as in "de-AT". '
        f"Languages: {', '.join(sorted(card.languages))}. Countries: {', '.join(sorted(card.countries))}."
    )
