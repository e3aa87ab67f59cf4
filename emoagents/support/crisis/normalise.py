"""Text as the guard's patterns read it: lower case, no accents, no signs, no doubled letters.

A pattern is folded in the same way, so whoever writes one may write as people do, with capitals aside. All steps take
time linear in the text.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["fold_pattern", "letters_of", "plain", "single", "words_of"]

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff]+"
)
_MARKS = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u093c\u1ab0-\u1aff"
    "\u1dc0-\u1dff\u20d0-\u20ff]+"
)
"""Accents, Arabic vowels, piled-up marks and the dot of Hindi's loaned letters; not the vowels of Indic scripts."""

_APOSTROPHES = "'’‘‛`´ʼʹ′＇ʻ"
_PICTURES = {
    "🔪": " knife ",
    "🩸": " blood ",
    "💊": " pills ",
    "🔫": " gun ",
    "⚰": " coffin ",
    "🪦": " grave ",
    "🪒": " razor ",
    "☠": " skull ",
    "💀": " skull ",
    "🍇": " grape",
}
"""What people draw instead of a word that a filter may look for."""

_LETTERS = str.maketrans(
    {
        **dict.fromkeys(_APOSTROPHES, ""),
        "\u0640": "",  # Arabic's line that only stretches a word
        **dict(zip("łøđħıɪ", "lodhii", strict=True)),
        "æ": "ae",
        "œ": "oe",
        "ß": "ss",
        "þ": "th",
        "ð": "d",
        **dict(zip("ᴀʙᴄᴅᴇꜰɢʜᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢɑɡɩʋ", "abcdefghjklmnoprstuvwyzagiv", strict=True)),
        "ى": "ي",
        "ة": "ه",
        "ٱ": "ا",
        "ک": "ك",
        "ی": "ي",
        "ँ": "ं",
        **{chr(base + i): chr(97 + i) for base in (0x1F130, 0x1F150, 0x1F170, 0x1F1E6) for i in range(26)},
        **_PICTURES,
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


def plain(text: str) -> str:
    """Return the text in lower case without accents, apostrophes, punctuation and doubled letters, between spaces."""
    return words_of(letters_of(text))


def letters_of(text: str) -> str:
    """Return the text in lower case and plain letters, with its signs and spaces."""
    text = unicodedata.normalize("NFKD", _INVISIBLE.sub("", text)).casefold()
    text = unicodedata.normalize("NFC", _MARKS.sub("", text)).translate(_LETTERS)
    return _MIXED_WORD.sub(_latin, text) if _LATIN_AMONG.search(text) else text


def words_of(letters: str) -> str:
    """Return what `letters_of` returned as plain text: words with single letters and one space between them."""
    return f" {single(_BETWEEN_SIGNS.sub('', _NOT_WORDS.sub(' ', letters).strip()))} "


def single(text: str) -> str:
    """Return the text with each doubled letter once."""
    return _DOUBLED.sub(r"\1", text)


def fold_pattern(regex: str) -> str:
    """Return a regular expression that finds in plain text what this one says; escapes stay as they are."""
    parts = re.split(r"(\\.)", regex)
    folded = "".join(part if part.startswith("\\") else _folded_part(part) for part in parts)
    # plain text has a space before each word, and a search for a fixed first letter is several times faster
    return re.sub(r"^\\b", " ", folded)


def _folded_part(part: str) -> str:
    part = unicodedata.normalize("NFKD", part).translate(_LETTERS)
    return single(unicodedata.normalize("NFC", _MARKS.sub("", part.casefold())))


def _latin(word: re.Match[str]) -> str:
    return word[0].translate(_TWINS) if _LATIN_AMONG.search(word[0]) else word[0]
