"""What a text must hold for a regular expression to match: found once, it spares almost every search.

Only what patterns use is understood: letters, escapes, classes, groups, alternatives, quantifiers, look-arounds. Of
anything else nothing is required, so a search is never spared wrongly.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TypeAlias

__all__ = ["grams", "holds_any", "needles"]

Needles: TypeAlias = frozenset[str]
"""Texts of which a match holds at least one. Empty: nothing is required."""

_TOKEN = re.compile(
    r"(?P<look>\(\?<?[=!])|(?P<open>\(\?:|\((?!\?))|(?P<close>\))|(?P<bar>\|)"
    r"|(?P<class>\[\^?\]?(?:\\.|[^\]\\])*\])|(?P<escape>\\.)|(?P<dot>[.^$])"
    r"|(?P<quantifier>(?:[*+?]|\{\d+(?:,\d*)?\})[?+]?)|(?P<letter>[^()\[\]|\\*+?])"
)
_NOTHING: Needles = frozenset()
_LONG_ENOUGH = 4
_MANY = 600
_SMALL_CLASS = 8
_COMMON = (
    " "
    "the be to of and a in that have i it for not on with he as you do at this but his by from they we say her she "
    "or an will my one all would there their what so up out if about who get which go me when make can like time no "
    "just him know take people into year your good some could them see other than then now look only come its over "
    "think also back after use two how our work first well way even new want because any these give day most us is "
    "was are been has had were said did told friend house home school family really going got im dont much very "
    "more feel every thing life "
)
"""Words that are in nearly every English text: what asks for one of them spares little."""


_GRAM = 3


def grams(text: str) -> frozenset[str]:
    """Return all triples of letters of a text; made once, they answer most questions about it."""
    return frozenset(text[i : i + _GRAM] for i in range(len(text) - _GRAM + 1))


def holds_any(text: str, triples: frozenset[str], wanted: Iterable[str]) -> bool:
    """Return whether a text, whose `grams` are given too, holds any of these."""
    return any((len(needle) < _GRAM or needle[:_GRAM] in triples) and needle in text for needle in wanted)


class _Unknown(Exception):
    """The expression holds what is not understood."""


def needles(regex: str) -> Needles:
    """Return texts of which each match of the expression holds at least one; none where that can't be told."""
    try:
        tokens = list(_tokens(regex))
        found, end = _alternatives(tokens, 0)
    except (_Unknown, RecursionError):
        return _NOTHING
    return found if end == len(tokens) else _NOTHING


def _tokens(regex: str) -> Iterator[tuple[str, str]]:
    place = 0
    while place < len(regex):
        token = _TOKEN.match(regex, place)
        if token is None:
            raise _Unknown
        yield str(token.lastgroup), token[0]
        place = token.end()


def _alternatives(tokens: list[tuple[str, str]], at: int) -> tuple[Needles, int]:
    """Read up to the closing bracket or the end."""
    branches: list[Needles] = []
    while True:
        branch, at = _sequence(tokens, at)
        branches.append(branch)
        if at == len(tokens) or tokens[at][0] == "close":
            break
        at += 1
    union = frozenset().union(*branches) if all(branches) else _NOTHING
    return (union if len(union) <= _MANY else _NOTHING), at


def _sequence(tokens: list[tuple[str, str]], at: int) -> tuple[Needles, int]:
    """Read one branch; of all that it requires the most telling counts."""
    run, required = "", [_NOTHING]
    while at < len(tokens) and tokens[at][0] not in ("bar", "close"):
        kind, text = tokens[at]
        part, at = _part(tokens, at)
        least, at = _least(tokens, at)
        if kind == "letter" and least == 1 and tokens[at - 1][0] == "letter":
            run += text
            continue
        if kind == "look" or text == r"\b":
            continue
        required += [frozenset({run})] if run else []
        run = text if kind == "letter" and least else ""
        if run:  # a letter repeated: what follows it is not joined
            required.append(frozenset({run}))
            run = ""
        required += [part] if least and kind != "letter" else []
    required += [frozenset({run})] if run else []
    return max(required, key=_telling), at


def _part(tokens: list[tuple[str, str]], at: int) -> tuple[Needles, int]:
    kind, _ = tokens[at]
    if kind not in ("open", "look"):
        return (_members(tokens[at][1]) if kind == "class" else _NOTHING), at + 1
    inside, at = _alternatives(tokens, at + 1)
    if at == len(tokens):
        raise _Unknown
    return (inside if kind == "open" else _NOTHING), at + 1


def _members(text: str) -> Needles:
    """Return the letters of a small class; of one with ranges or escapes, or a negated one, nothing is required."""
    letters = text[1:-1]
    plain = len(letters) <= _SMALL_CLASS and not set(letters) & set("\\^-")
    return frozenset(letters) if plain else _NOTHING


def _least(tokens: list[tuple[str, str]], at: int) -> tuple[int, int]:
    """Return how often the part before must be there at least (0 or 1), and where to go on."""
    if at == len(tokens) or tokens[at][0] != "quantifier":
        return 1, at
    optional = tokens[at][1][0] in "*?" or tokens[at][1].startswith("{0")
    return int(not optional), at + 1


def _telling(found: Needles) -> tuple[bool, bool, int, int]:
    if not found:
        return False, False, 0, 0
    rare = not any(needle in _COMMON for needle in found)
    return True, rare, min(min(map(len, found)), _LONG_ENOUGH), -len(found)
