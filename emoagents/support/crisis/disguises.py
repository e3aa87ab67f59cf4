"""What a text reads as behind the usual disguises: spaced-out letters, digits for letters, masks, misspelling.

People disguise what they write to get past filters, and misspell what hurts to write. Each reading is plain text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice

from emoagents.support.crisis.normalise import letters_of, plain, single, words_of

__all__ = ["parted", "readings", "respelled"]

_SPACED = re.compile(r"(?<= )(?:[^\W\d_] ){2,}[^\W\d_](?= )")
_TORN = re.compile(r"(?<!\S)[^\W\d_](?:(?:(?:[^\w\s]{1,3}|_{1,3})[^\W\d_](?![^\W_]))+|(?: [^\W\d_](?!\S))+)(?!\S)")
"""Letters of one word with signs or one space between them; more than one space parts words."""

_DIGITS = {"0": "o", "3": "e", "4": "a", "5": "s", "7": "t", "8": "b", "@": "a", "$": "s", "€": "e", "+": "t"}
_LEET = tuple(str.maketrans({**_DIGITS, "1": one, "!": one, "|": one}) for one in "il")
_LEET_SIGN = re.compile(r"[a-z][0-9@$€!|+*#%•]|[0-9@$€|+!][a-z]|(?<!\w)[24](?!\w)")
_AS_WORDS = {"2": "to", "4": "for", "70": "to", "+0": "to", "7o": "to", "1": "i"}
_MASK = re.compile(r"[*#%•]+")
_BEFORE, _AFTER = '"([¡¿', '!?.,;:")]…'
_LONGEST_MASKED = 24


def readings(text: str, masked: Sequence[str] = (), spelled: Sequence[str] = ()) -> Iterator[str]:
    """Yield the plain text, then what else it reads as, each once; a long text in overlapping pieces.

    Args:
        masked: words that a mask as in "s**cide" may hide.
        spelled: words that are also told with one letter missing, too many or swapped, without vowels, or run together.
    """
    yield from dict.fromkeys(r for piece in _pieces(letters_of(text)) for r in _readings(piece, masked, spelled))


def _readings(letters: str, masked: Sequence[str], spelled: Sequence[str]) -> list[str]:
    base = words_of(letters)
    closed = _closed_up(base)
    unmasked = list(_unmasked(letters, tuple(masked)))
    known = tuple(spelled)
    others = [closed, words_of(_TORN.sub(_joined, letters)), *unmasked]
    others += [respelled(reading, known) for reading in (base, *unmasked[:1])]
    others += [parted(reading, known) for reading in (base, closed)]
    return [base, *others]


_PIECE = 3500
_OVERLAP = 700  # letters; more than any sign is long
_STRETCHED = re.compile(r"(.)\1{3,}", re.DOTALL)


def _pieces(letters: str) -> Iterator[str]:
    """Cut a long text at spaces into overlapping pieces: most of them have one reading, and few patterns apply."""
    letters = _STRETCHED.sub(r"\1\1\1", letters)
    begin = 0
    while len(letters) - begin > _PIECE:
        end = letters.rfind(" ", begin + _PIECE - _OVERLAP, begin + _PIECE) + 1 or begin + _PIECE
        yield letters[begin:end]
        word = letters.rfind(" ", begin + 1, end - _OVERLAP)
        begin = word if word > begin else end - _OVERLAP  # there may be no spaces
    yield letters[begin:]


# --- torn letters and digits -----------------------------------------------------------------------------------


def _closed_up(words: str) -> str:
    """Close up letters that stand alone: "d i e" becomes "die"."""
    return single(_SPACED.sub(lambda run: run[0].replace(" ", ""), words))


def _joined(run: re.Match[str]) -> str:
    return "".join(letter for letter in run[0] if letter.isalpha())


def _unmasked(letters: str, masked: tuple[str, ...]) -> Iterator[str]:
    if not _LEET_SIGN.search(letters):
        return
    tokens = letters.split()
    for table in _LEET:
        yield _closed_up(words_of(" ".join(_unmasked_word(token, table, masked) for token in tokens)))


def _unmasked_word(token: str, table: dict[int, str], masked: tuple[str, ...]) -> str:
    if token in _AS_WORDS or not _LEET_SIGN.search(token):
        return _AS_WORDS.get(token, token)
    word = token.rstrip(_AFTER).lstrip(_BEFORE).translate(table)
    if _MASK.search(word) and len(word) <= _LONGEST_MASKED:
        return _hidden(word, masked)
    return word


@lru_cache(maxsize=1024)
def _hidden(word: str, masked: tuple[str, ...]) -> str:
    """Return the word behind a mask; a mask of n signs stands for n letters, or for a few more or less."""
    spans = _MASK.split(word)
    masks = [len(mask) for mask in _MASK.findall(word)]
    ranges = [rf"\w{{{max(0, n - 1)},{n + 2}}}" for n in masks]
    regex = "".join(re.escape(s) + r for s, r in zip(spans, [*ranges, ""], strict=True))
    return next((known for known in masked if re.fullmatch(regex, known)), word)


# --- misspelt words --------------------------------------------------------------------------------------------

_LONG_WORD = 5
_LONGEST_WORD = 16


def respelled(plain_text: str, words: tuple[str, ...]) -> str:
    """Return plain text in which what is nearly one of the words is that word.

    One letter may be missing or be one too many (in words of five letters or more) or be swapped with the next one, or
    all vowels may be missing. The first letter must be right: "draped" is no misspelling of a worse word.
    """
    known, near = _spellings(words)
    return " ".join(token if token in known else _respelled_word(token, known, near) for token in plain_text.split(" "))


@lru_cache(maxsize=8)
def _spellings(words: tuple[str, ...]) -> tuple[frozenset[str], Mapping[str, str]]:
    """Return the words in plain spelling, and what they look like with a letter missing or two swapped."""
    known = frozenset(plain(word).strip() for word in words)
    near: dict[str, str] = {}
    for word in sorted(known):
        near.update({skeleton: word} if len(skeleton := _skeleton(word)) > 2 else {})
        near.update(dict.fromkeys(_swapped(word), word))
        near.update(dict.fromkeys(_shortened(word) if len(word) >= _LONG_WORD else (), word))
    return known, near


def _respelled_word(token: str, known: frozenset[str], near: Mapping[str, str]) -> str:
    if token in near:
        return near[token]
    if _LONG_WORD < len(token) <= _LONGEST_WORD:
        return next((short for short in _shortened(token) if len(short) >= _LONG_WORD and short in known), token)
    return token


def _skeleton(word: str) -> str:
    """Return a word without the vowels after its first letter: "myslf"."""
    return word[0] + re.sub("[aeiou]", "", word[1:])


def _shortened(word: str) -> Iterator[str]:
    return (word[:i] + word[i + 1 :] for i in range(1, len(word)))


def _swapped(word: str) -> Iterator[str]:
    # the first letter stays, save in the very short words, where little else is left to be swapped
    first = 1 if len(word) > 3 else 0
    return (word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(first, len(word) - 1))


# --- words run together ----------------------------------------------------------------------------------------

_RUN_TOGETHER = range(6, 61)
_MOST_RUNS = 400
_SMALL = frozenset(
    [
        "i",
        "im",
        "ive",
        "id",
        "il",
        "a",
        "am",
        "is",
        "was",
        "are",
        "be",
        "my",
        "me",
        "he",
        "she",
        "they",
        "him",
        "her",
        "them",
        "it",
        "this",
        "the",
        "to",
        "of",
        "of",
        "on",
        "in",
        "at",
        "up",
        "and",
        "or",
        "so",
        "no",
        "not",
        "dont",
        "cant",
        "wont",
        "just",
        "realy",
        "going",
        "gona",
        "wana",
        "want",
        "live",
        "lived",
        "life",
        "dead",
        "death",
        "off",
        "end",
        "it",
        "al",
        "out",
        "over",
        "now",
        "tonight",
        "today",
        "again",
        "them",
        "everyone",
        "god",
        "please",
        "help",
        "hate",
        "hits",
        "hit",
        "hurts",
        "beats",
        "school",
        "self",
        "harm",
        "gun",
        "rope",
        "jump",
        "of",
        "beter",
        "than",
        "wish",
        "never",
        "born",
        "sleep",
        "wake",
        "world",
        "without",
        "you",
        "go",
        "had",
        "has",
        "have",
        "been",
        "do",
        "did",
        "will",
        "would",
        "if",
        "one",
        "more",
        "day",
        "for",
        "pain",
        "stop",
    ]
)


def parted(plain_text: str, words: tuple[str, ...]) -> str:
    """Return plain text in which words that are run together, as "#iwanttodie", stand apart, where all are known."""
    known, _ = _spellings(words)
    runs = (token for token in plain_text.split(" ") if len(token) in _RUN_TOGETHER and token not in known)
    apart = {run: parts for run in islice(dict.fromkeys(runs), _MOST_RUNS) if (parts := _parts(run, words))}
    return " ".join(apart.get(token, token) for token in plain_text.split(" ")) if apart else plain_text


@lru_cache(maxsize=4096)
def _parts(run: str, words: tuple[str, ...]) -> str:
    """Return the fewest known words that make up a run, "" where there are none."""
    known = _spellings(words)[0] | _SMALL
    best: list[list[str] | None] = [[], *([None] * len(run))]
    for end in range(1, len(run) + 1):
        ways = (
            [*before, word]
            for begin in range(max(0, end - _LONGEST_WORD), end)
            if (before := best[begin]) is not None
            # the letter in which one word ends and the next begins stands only once in plain text: "wantodie"
            for word in (run[begin:end], run[max(0, begin - 1) : end])
            if word in known
        )
        best[end] = min(ways, key=len, default=None)
    return " ".join(best[-1] or ())
