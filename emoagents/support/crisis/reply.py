"""The fixed reply to a sign: a text of the card, with the help lines of a country or of a few."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from emoagents.support.crisis.helplines import Country, HelplineCard, Kind, Line, Replies
from emoagents.support.crisis.locale import Locale
from emoagents.support.crisis.patterns import Category
from emoagents.support.crisis.sign import Sign

__all__ = ["is_reply", "reply_to"]

_TEXT: Mapping[Category, str] = {
    "emergency": "emergency_now",
    "suicide": "suicide",
    "self_harm": "suicide",
    "abuse": "abuse",
    "danger_to_others": "danger_to_others",
}

_KINDS: Mapping[Category, tuple[Kind, ...]] = {
    "emergency": ("crisis", "poison"),
    "suicide": ("crisis",),
    "self_harm": ("crisis",),
    "abuse": ("abuse", "child", "crisis"),
    "danger_to_others": ("crisis",),
}
"""Which lines stand in a reply, the most fitting first. A crisis line is in every one."""


def reply_to(sign: Sign, place: Locale, card: HelplineCard) -> str:
    """Return the reply in the place's language, else in the sign's, else in English."""
    replies = _replies(place.language or sign.language, card)
    text: str = getattr(replies, _TEXT[sign.category])
    lines = "\n".join(_lines(sign.category, place, replies, card))
    return text.strip().replace("{{lines}}", lines)


def is_reply(text: str, card: HelplineCard) -> bool:
    """Return whether a text is one of the fixed replies, of whatever sign, language and place: by how it begins."""
    texts = (getattr(replies, name) for replies in card.languages.values() for name in set(_TEXT.values()))
    return any(text.strip().startswith(fixed.strip().partition("{{lines}}")[0].strip()) for fixed in texts)


def _replies(language: str, card: HelplineCard) -> Replies:
    for code in (language, "en"):
        if code in card.languages:
            return card.languages[code]
    return next(iter(card.languages.values()))


def _lines(category: Category, place: Locale, replies: Replies, card: HelplineCard) -> Iterator[str]:
    if place.country is not None:
        yield from _of_country(category, card.countries[place.country], replies)
    else:
        yield f"- {replies.emergency}: {replies.local}"
        for code in replies.countries:
            yield _in_short(category, card.countries[code], replies)
    yield from (f"- {_contact(line, replies)}" for line in card.international.lines)


def _of_country(category: Category, country: Country, replies: Replies) -> Iterator[str]:
    yield f"- {replies.emergency} ({country.name}): {country.emergency}"
    yield from (f"- {_contact(line, replies)}" for line in _fitting(category, country))


def _in_short(category: Category, country: Country, replies: Replies) -> str:
    """Return a country in one line: its emergency numbers and the most fitting line."""
    best = [_contact(line, replies) for line in _fitting(category, country)[:1]]
    return f"- {country.name}: " + "; ".join([f"{replies.emergency} {country.emergency}", *best])


def _fitting(category: Category, country: Country) -> list[Line]:
    return [line for kind in _KINDS[category] for line in country.lines if line.kind == kind]


def _contact(line: Line, replies: Replies) -> str:
    ways = [
        f"{replies.call} {line.call}" if line.call else "",
        f"{replies.sms} {line.text}" if line.text else "",
        line.url,
    ]
    note = f" ({line.note})" if line.note else ""
    return f"{line.name}: {', '.join(filter(None, ways))}{note}"
