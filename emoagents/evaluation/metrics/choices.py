"""Which option of several a reply chooses. The reading is ours."""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache

from emoagents.evaluation.task import Score
from emoagents.nodes.extract import normalized

__all__ = ["choice", "read_choice"]

_LEAD = re.compile(r"(?:[\s*_`\"'$\[({<:]|\\[a-z]+)*(?:(?:option|choice|answer|选项)\b[\s*_`\"'$\[({<]*)?", re.I)
_MARK = re.compile(
    r"\b(?:answer|choice|option)(?:\(s\))?[\"'*_`\s]*(?:is|would be|should be|[:=]|[-–—](?=\s))"
    r"|\b(?:must be|has to be|(?:thus|therefore|hence|so|sure)[,:!])|(?<!不)是(?=\s*\(?[A-Z](?![A-Za-z]))"
    r"|(?:答案|选择)[\"'*_`\s]*(?:应该是|应为|应该|是|为|:)|选项(?:是|为)|(?<!不)选择?"
    r"|\\boxed(?=\{)|(?<!not )(?<!n't )(?<!never )\b(?:choose|pick|select|go with)\b",
    re.I,
)
_SAID = re.compile(
    r"(?<![\w'])\(?([A-Z])\)?(?=\s+(?:is|would be|seems|looks)\s+(?:clearly\s+)?(?:the\s+)?"
    r"(?:correct|right|best|most|answer)\b)"
)
_LETTER_END = re.compile(
    r"\s*(?:[)\]}>*_`\".,:;!$]|'(?!\w)|$|\n)|[^\x00-\x7f]|\s+(?:because|since|as|for|so|but|is)\b|\s+[-–—(]"
)
_ONE_OF_TWO = re.compile(r"[)\]*]*\s*(?:,|/|&|\bor\b|\band\b|和|或)\s*(?:option\s+)?\(?[A-Za-z](?![A-Za-z'])")
_NAMED = re.compile(
    r"\(([A-Za-z])\)|^[ \t*_]*([A-Z])[).:](?=\s|\*|$)|\*\*\(?([A-Z])\)?[.:]?\*\*"
    r"|\b(?:[Oo]ption|[Cc]hoice|[Aa]nswer)\s+([A-Z])\b|选项\s*([A-Z])(?![A-Za-z])",
    re.M,
)


def choice(reply: str, options: Sequence[str], target: str) -> Score:
    """Return 1 where the option read from the reply has the letter `target`; unparsed where none can be read."""
    said = read_choice(reply, options)
    return Score(value=float(said == target), parsed=said, unparsed=said is None)


def read_choice(reply: str, options: Sequence[str]) -> str | None:
    """Return the letter of the chosen option (A for the first), or None where the reply does not settle on one.

    In this order, the first that can be read: the last marked one ("Answer: B", "the answer is (B)", "B is correct",
    "I choose B", \\boxed{B}, {"answer": "B"}, also in Chinese); a last line, or else a first line, that is one option
    and nothing more; the only option named by its letter, as "(B)" or "B."; the only option whose text is in the
    reply. The words "A" and "I" in a sentence name no option.
    """
    text = unicodedata.normalize("NFKC", reply).replace("’", "'")
    shown = _folded_options(tuple(options))
    found = _marked(text, shown)
    if found is None:
        found = _alone(text, shown)
    if found is None:
        named = _named(text, len(shown))
        found = min(named) if len(named) == 1 else None if named else _by_text(text, shown)
    return None if found is None else string.ascii_uppercase[found]


@lru_cache(maxsize=1024)
def _folded_options(options: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_folded(unicodedata.normalize("NFKC", option).replace("’", "'")) for option in options[:26])


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _marked(text: str, options: Sequence[str]) -> int | None:
    """Return the option that the last readable mark points at."""
    places = [(m.end(), _head(text[m.end() : m.end() + 400], options)) for m in _MARK.finditer(text)]
    places += [(m.end(), _index(m.group(1), len(options))) for m in _SAID.finditer(text)]
    return next((index for _, index in sorted(places, key=lambda p: p[0], reverse=True) if index is not None), None)


def _head(text: str, options: Sequence[str]) -> int | None:
    """Return the option that a text begins with: by its own text, or by its letter where no sentence goes on."""
    lead = _LEAD.match(text)
    rest = text[lead.end() :] if lead else text
    if (index := _starts_with(_folded(rest), options)) is not None:
        return index
    index = _index(rest[:1], len(options))
    if index is None or _ONE_OF_TWO.match(rest, 1):
        return None
    if _LETTER_END.match(rest, 1) or _starts_with(_folded(rest[1:]), options) == index:
        return index
    return None


def _starts_with(folded: str, options: Sequence[str]) -> int | None:
    """Return the longest option that the text starts with. One letter is no text to go by: it may be a label."""
    for index in sorted(range(len(options)), key=lambda i: -len(options[i])):
        option = options[index]
        if len(option) > 1 and folded.startswith(option) and not _goes_on(folded, len(option)):
            return index
    return None


def _goes_on(text: str, end: int) -> bool:
    """Return whether a word of an alphabet that has spaces between words runs over this place."""
    return all(c.isalnum() and c < "\u2e80" for c in (text[end - 1], text[end : end + 1]))


def _index(letter: str, count: int) -> int | None:
    place = string.ascii_uppercase.find(letter.upper()) if len(letter) == 1 else -1
    return place if 0 <= place < count else None


def _alone(text: str, options: Sequence[str]) -> int | None:
    """Return the option that the last line, or else the first, consists of."""
    lines = [line for line in text.splitlines() if line.strip()]
    found = (_whole_line(line, options) for line in (*lines[-1:], *lines[:1]))
    return next((index for index in found if index is not None), None)


def _whole_line(line: str, options: Sequence[str]) -> int | None:
    bare = line.strip(" 。，\t*_`\"'$<>[]{}().,:;!")
    if len(bare) == 1:
        return _index(bare, len(options))
    plain = normalized(line)
    for index, option in enumerate(options):
        if plain and plain == normalized(option):
            return index
    lettered = re.match(r"\W*([A-Za-z])[).:\]*_]+\s*(.*)", line)
    named = _index(lettered.group(1), len(options)) if lettered else None
    same = lettered and named is not None and normalized(lettered.group(2)) == normalized(options[named])
    return named if same else None


def _named(text: str, count: int) -> set[int]:
    letters = (next(filter(None, m)) for m in _NAMED.findall(text))
    return {index for letter in letters if (index := _index(letter, count)) is not None}


def _by_text(text: str, options: Sequence[str]) -> int | None:
    """Return the only option whose text is in the reply; "anger" within "anger & joy" does not count."""
    folded, found = _folded(text), []
    for index in sorted(range(len(options)), key=lambda i: -len(options[i])):
        places = list(_places(folded, options[index])) if len(options[index]) > 1 else []
        if places:
            found.append(index)
            folded = folded.replace(options[index], "\0")
    return found[0] if len(found) == 1 else None


def _places(text: str, option: str) -> Iterator[int]:
    place = text.find(option)
    while place >= 0:
        end = place + len(option)
        if not _goes_on(text, end) and not (place and _goes_on(text, place)):
            yield place
        place = text.find(option, end)
