"""The patterns of the guard: what is looked for, what takes a match back, and in what order it counts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from pydantic import Field

from emoagents.card import read_toml
from emoagents.errors import CardError, did_you_mean
from emoagents.support.crisis.files import Part, Prompt, guard_file, validated
from emoagents.support.crisis.needles import grams, holds_any, needles
from emoagents.support.crisis.normalise import fold_pattern

__all__ = ["CATEGORIES", "Category", "Compiled", "Pattern", "PatternCard", "Patterns", "load_patterns"]

Category: TypeAlias = Literal["emergency", "suicide", "danger_to_others", "abuse", "self_harm"]
"""What a sign is a sign of."""

CATEGORIES: tuple[Category, ...] = get_args(Category)
"""The most severe first."""

Text = Field(min_length=1)

_FRAGMENT = re.compile(r"\{\{(\w+)\}\}")


class Pattern(Part):
    """One sign to look for.

    Attributes:
        regex: searched in plain text, with fragments as {{name}}. unless: idioms, each takes back a match it overlaps.
        examples: texts that it finds. source: "ours", or where it comes from.
    """

    id: str = Text
    language: str = Text
    category: Category
    regex: str = Text
    unless: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    source: str = Text


class PatternCard(Part):
    """The whole card. One of your own replaces the shipped one, or adds to it where it says `extends = true`."""

    name: str = Text
    title: str = ""
    version: str = Text
    date: str = Text
    author: str = Text
    note: str = ""
    extends: bool = False
    masked: tuple[str, ...] = ()
    spelled: tuple[str, ...] = ()
    prompts: dict[str, Prompt] = Field(default_factory=dict)
    languages: dict[str, str] = Field(default_factory=dict)
    fragments: dict[str, str] = Field(default_factory=dict)
    patterns: tuple[Pattern, ...]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A pattern ready for search in plain text. `needles`: a match holds one of them; empty where that is unknown."""

    pattern: Pattern
    regex: re.Pattern[str]
    unless: tuple[re.Pattern[str], ...]
    needles: tuple[str, ...]

    def find(self, text: str, triples: frozenset[str] | None = None) -> str | None:
        """Return what matches and is not taken back, without the spaces around it; None where nothing is.

        Args:
            triples: the text's `grams`, where the caller has them.
        """
        if self.needles and not holds_any(text, grams(text) if triples is None else triples, self.needles):
            return None
        spared: list[tuple[int, int]] | None = None
        found = self.regex.search(text)
        while found:
            if spared is None:
                spared = [idiom.span() for unless in self.unless for idiom in unless.finditer(text)]
            if not any(begin < found.end() and found.start() < end for begin, end in spared):
                return found[0].strip()
            found = self.regex.search(text, found.start() + 1)
        return None


@dataclass(frozen=True, slots=True)
class Patterns:
    """A loaded card: `ordered` has the most severe category first, each category in the card's order."""

    card: PatternCard
    ordered: tuple[Compiled, ...]

    def languages(self) -> list[str]:
        """Return the languages that the patterns know, in the card's order."""
        return list(dict.fromkeys(c.pattern.language for c in sorted(self.ordered, key=_place_in(self.card))))

    def prompt(self, name: str, **values: str) -> str:
        """Return a prompt with its places filled. A value is never read again as a template."""
        text = self.card.prompts[name].text.strip()
        return _FRAGMENT.sub(lambda place: values.get(place[1], place[0]), text)


def load_patterns(path: str | Path | None = None) -> Patterns:
    """Return the shipped patterns, or those of a file, which replaces them or (with `extends = true`) adds to them.

    Raises:
        CardError: the file does not load; names the key of what is wrong.
    """
    return _shipped() if path is None else _of(Path(path).expanduser())


@lru_cache(maxsize=1)
def _direct() -> Patterns:
    return _of(guard_file("patterns.toml"))


@lru_cache(maxsize=1)
def _shipped() -> Patterns:
    """Return the patterns of direct signs, with those of indirect ones added."""
    return _of(guard_file("indirect.toml"), _direct)


def _of(path: Path, base: Callable[[], Patterns] | None = None) -> Patterns:
    """Return the patterns of a file; one that extends adds to `base`, by default to the shipped ones."""
    data = read_toml(path)
    card = validated(PatternCard, {**_defaults(data), **data}, path)
    earlier = (base or _shipped)() if card.extends else None
    whole = _added(earlier.card, card) if earlier else card
    if not whole.prompts:
        whole = whole.model_copy(update={"prompts": _direct().card.prompts})
    _check_ids(whole.patterns, path)
    own = [_compiled(pattern, whole.fragments, path) for pattern in card.patterns]
    every = [*(earlier.ordered if earlier else ()), *own]
    return Patterns(whole, tuple(sorted(every, key=lambda c: CATEGORIES.index(c.pattern.category))))


def _defaults(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a file that only adds need not say again."""
    if data.get("extends") is not True:
        return {}
    return {"name": "extension", "version": "0", "date": "unknown", "author": "user", "patterns": ()}


def _added(base: PatternCard, own: PatternCard) -> PatternCard:
    return own.model_copy(
        update={
            "masked": (*base.masked, *own.masked),
            "spelled": (*base.spelled, *own.spelled),
            "prompts": {**base.prompts, **own.prompts},
            "languages": {**base.languages, **own.languages},
            "fragments": {**base.fragments, **own.fragments},
            "patterns": (*base.patterns, *own.patterns),
        }
    )


def _check_ids(patterns: Iterable[Pattern], path: Path) -> None:
    seen: set[str] = set()
    for pattern in patterns:
        if pattern.id in seen:
            raise CardError(str(path), f"patterns.{pattern.id}", "is there twice; an id names one pattern")
        seen.add(pattern.id)


def _compiled(pattern: Pattern, fragments: Mapping[str, str], path: Path) -> Compiled:
    key = f"patterns.{pattern.id}"
    regex = _regex(pattern.regex, fragments, f"{key}.regex", path)
    unless = [_regex(u, fragments, f"{key}.unless[{number}]", path) for number, u in enumerate(pattern.unless)]
    return Compiled(pattern, regex, tuple(unless), tuple(sorted(needles(regex.pattern), key=len, reverse=True)))


def _regex(text: str, fragments: Mapping[str, str], key: str, path: Path) -> re.Pattern[str]:
    folded = fold_pattern(_expanded(text, fragments, key, path))
    try:
        regex = re.compile(folded)
    except (re.error, OverflowError, RecursionError) as error:
        raise CardError(str(path), key, f"is not a regular expression: {error}") from None
    if regex.search("") or regex.search(" "):
        raise CardError(str(path), key, "matches a text without words, so it would match everything")
    return regex


def _expanded(text: str, fragments: Mapping[str, str], key: str, path: Path) -> str:
    def fragment(place: re.Match[str]) -> str:
        if place[1] not in fragments:
            raise CardError(str(path), key, f"unknown fragment {place[0]}{did_you_mean(place[1], list(fragments))}")
        return fragments[place[1]]

    return _FRAGMENT.sub(fragment, text)


def _place_in(card: PatternCard) -> Any:
    places = {pattern.id: number for number, pattern in enumerate(card.patterns)}
    return lambda compiled: places[compiled.pattern.id]
