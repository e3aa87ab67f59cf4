"""Text as the guard's patterns read it: one plain spelling, and the readings behind the usual disguises.

A pattern is folded in the same way, so whoever writes one may write as people do, with accents and capitals aside.
All steps take time linear in the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache

__all__ = ["fold_pattern", "plain", "readings"]

_INVISIBLE = re.compile("[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff]+")  # fmt: skip # noqa: E501, PLE2502
_MARKS = re.compile("[\u0300-\u036f\u0483-\u0489\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u093c\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]+")  # fmt: skip # noqa: E501
"""Accents, Arabic vowels, piled-up marks and the dot of Hindi's loaned letters; not the vowels of Indic scripts."""

_APOSTROPHES = "'’‘‛`´ʼʹ′＇ʻ"
_LETTERS = str.maketrans(
    {
        **dict.fromkeys(_APOSTROPHES, ""),
        "\u0640": "",  # Arabic's line that only stretches a word
        **dict(zip("łøđħıɪ", "lodhii", strict=True)),
        **{"æ": "ae", "œ": "oe", "ß": "ss", "þ": "th", "ð": "d"},
        **dict(zip("ᴀʙᴄᴅᴇꜰɢʜᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢɑɡɩʋ", "abcdefghjklmnoprstuvwyzagiv", strict=True)),
        **{"ى": "ي", "ة": "ه", "ٱ": "ا", "ک": "ك", "ی": "ي"},
        **{"ँ": "ं"},
        **{chr(base + i): chr(97 + i) for base in (0x1F130, 0x1F150, 0x1F170, 0x1F1E6) for i in range(26)},
    }
)
_TWINS = str.maketrans("аеорсухіѕјкмтнвԁԛԝɡαοειικνρτυχβω", "aeopcyxisjkmthbdqwgaoeiikvptuxbw")
"""Cyrillic and Greek letters that look like Latin ones."""
_LATIN_AMONG = re.compile("[a-z][\u0370-\u052f]|[\u0370-\u052f][a-z]")
_MIXED_WORD = re.compile("[a-z\u0370-\u052f]+")

_NOT_WORDS = re.compile("[^\\w\u0900-\u097f]+|_+")
_DOUBLED = re.compile(r"([^\W\d_])\1+")
_SIGNS = r"[\u3040-\u30ff\u3400-\u9fff]"
_BETWEEN_SIGNS = re.compile(rf"(?<={_SIGNS}) (?={_SIGNS})")
_SPACED = re.compile(r"(?<= )(?:[^\W\d_] ){2,}[^\W\d_](?= )")

_DIGIT_LETTERS = {"0": "o", "3": "e", "4": "a", "5": "s", "7": "t", "8": "b", "@": "a", "$": "s", "€": "e", "+": "t"}
_LEET = tuple(str.maketrans({**_DIGIT_LETTERS, "1": one, "!": one, "|": one}) for one in "il")
_LEET_SIGN = re.compile(r"[a-z][0-9@$€!|+*#%•]|[0-9@$€|+!][a-z]")
_MASK = re.compile(r"[*#%•]+")
_EDGES = '!?.,;:"()[]…'
_LONGEST_MASKED = 24


def plain(text: str) -> str:
    """Return the text in lower case without accents, apostrophes, punctuation and doubled letters, between spaces."""
    return _words(_letters(text))


def readings(text: str, masked: Sequence[str] = ()) -> Iterator[str]:
    """Yield the plain text, then what it reads as where letters are spaced out, are digits, or are masked.

    Args:
        masked: words that a mask as in "s**cide" may hide.
    """
    letters = _letters(text)
    seen = [base := _words(letters)]
    yield base
    for other in (_closed_up(base), *_unmasked(letters, tuple(masked))):
        if other not in seen:
            seen.append(other)
            yield other


def fold_pattern(regex: str) -> str:
    """Return a regular expression that finds in plain text what this one says; escapes stay as they are."""
    parts = re.split(r"(\\.)", regex)
    folded = "".join(part if part.startswith("\\") else _folded_part(part) for part in parts)
    # plain text has a space before each word, and a search for a fixed first letter is several times faster
    return re.sub(r"^\\b", " ", folded)


def _folded_part(part: str) -> str:
    part = unicodedata.normalize("NFKD", part).translate(_LETTERS)
    part = unicodedata.normalize("NFC", _MARKS.sub("", part.casefold()))
    return _single(part)


def _letters(text: str) -> str:
    text = unicodedata.normalize("NFKD", _INVISIBLE.sub("", text)).casefold()
    text = unicodedata.normalize("NFC", _MARKS.sub("", text)).translate(_LETTERS)
    return _MIXED_WORD.sub(_latin, text) if _LATIN_AMONG.search(text) else text


def _latin(word: re.Match[str]) -> str:
    return word[0].translate(_TWINS) if _LATIN_AMONG.search(word[0]) else word[0]


def _words(letters: str) -> str:
    text = _BETWEEN_SIGNS.sub("", _NOT_WORDS.sub(" ", letters).strip())
    return f" {_single(text)} "


def _single(text: str) -> str:
    return _DOUBLED.sub(r"\1", text)


def _closed_up(words: str) -> str:
    """Close up letters that stand alone: "d i e" becomes "die"."""
    joined = _SPACED.sub(lambda run: run[0].replace(" ", ""), words)
    return _single(joined)


def _unmasked(letters: str, masked: tuple[str, ...]) -> Iterator[str]:
    if not _LEET_SIGN.search(letters):
        return
    tokens = letters.split()
    for table in _LEET:
        yield _closed_up(_words(" ".join(_unmasked_word(token, table, masked) for token in tokens)))


def _unmasked_word(token: str, table: dict[int, str], masked: tuple[str, ...]) -> str:
    if not _LEET_SIGN.search(token):
        return token
    word = token.strip(_EDGES).translate(table)
    if _MASK.search(word) and len(word) <= _LONGEST_MASKED:
        return _hidden(word, masked)
    return word


@lru_cache(maxsize=1024)
def _hidden(word: str, masked: tuple[str, ...]) -> str:
    """Return the word behind a mask; a mask of n signs stands for n letters, or a few more or less."""
    spans = _MASK.split(word)
    masks = [len(mask) for mask in _MASK.findall(word)]
    ranges = [rf"\w{{{max(0, n - 1)},{n + 2}}}" for n in masks]
    regex = "".join(re.escape(s) + r for s, r in zip(spans, [*ranges, ""], strict=True))
    return next((known for known in masked if re.fullmatch(regex, known)), word)
