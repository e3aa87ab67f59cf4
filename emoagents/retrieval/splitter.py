"""semantic-text-splitter behind what chunking needs: cut by some tokenizer, and find the graphemes it broke."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoagents.errors import MissingExtraError, ParameterError, UnknownNameError

if TYPE_CHECKING:
    from semantic_text_splitter import TextSplitter

__all__ = ["ENCODINGS", "Splitter", "broken_graphemes"]

ENCODINGS = {
    "cl100k_base": "gpt-4",
    "gpt2": "gpt2",
    "o200k_base": "gpt-4o",
    "p50k_base": "text-davinci-003",
    "r50k_base": "davinci",
}
"""Encodings of tiktoken, each with a model that has it. All are compiled into the library: nothing is downloaded."""

_WORD = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]|[^\W\u2e80-\u9fff\uf900-\ufaff]+|[^\w\s]")
"""A CJK character, a word, or a mark of punctuation."""

_JOINING = r"[^\p{GCB=Other}\p{GCB=Control}\p{GCB=LV}\p{GCB=LVT}\x00-\x7f]"
"""One of these is in every grapheme of several characters, but for the line's end of two."""


class Splitter:
    """Cuts texts into pieces of at most `size` tokens.

    Raises:
        ParameterError: the tokenizer's file does not load.
        UnknownNameError: there is no such tokenizer.
        MissingExtraError: the extra "retrieval" is not installed.
    """

    def __init__(self, tokenizer: str, size: int, overlap: int) -> None:
        self._splitter = _made(tokenizer, size, overlap)

    def cut(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Return offset and length, in characters, of the pieces of each text."""
        return [[(at, len(piece)) for at, piece in found] for found in self._splitter.chunk_all_indices(texts)]


def broken_graphemes(text: str, places: Iterable[int]) -> list[tuple[int, int]]:
    """Return start and end of the graphemes that one of these places is inside of, in their order, each once.

    The library cuts inside a grapheme that is above the size, sometimes inside one that is not, and takes white space
    off that carries a combining mark.
    """
    if text.isascii():
        return []
    import regex  # type: ignore[import-untyped, unused-ignore]

    joins = regex.compile(_JOINING).match
    found: list[tuple[int, int]] = []
    for place in sorted(places):
        if found and place < found[-1][1]:
            continue
        at = place
        while 0 < at < len(text) and (joins(text, at - 1) or joins(text, at)):
            at -= 1  # between two characters that join nothing a grapheme surely begins
        while at < place:
            start, at = at, regex.match(r"\X", text, pos=at).end()
            if at > place:
                found.append((start, at))
    return found


def _made(tokenizer: str, size: int, overlap: int) -> TextSplitter:
    try:
        from semantic_text_splitter import TextSplitter
    except ImportError:
        raise MissingExtraError("retrieval", "cutting texts into chunks") from None
    if tokenizer == "characters":
        return TextSplitter(size, overlap)
    if tokenizer == "words":
        return TextSplitter.from_callback(_words, size, overlap)
    if tokenizer in ENCODINGS:
        return TextSplitter.from_tiktoken_model(ENCODINGS[tokenizer], size, overlap)
    if not tokenizer.endswith(".json") and "/" not in tokenizer and not Path(tokenizer).is_file():
        raise UnknownNameError("tokenizer", tokenizer, [*ENCODINGS, "characters", "words", "PATH/tokenizer.json"])
    try:
        return TextSplitter.from_huggingface_tokenizer_str(_untruncated(tokenizer), size, overlap)
    except Exception as e:  # the library raises a plain Exception for a file it can't use
        raise ParameterError(f"tokenizer {tokenizer} does not load: give a Hugging Face tokenizer.json ({e})") from None


def _untruncated(path: str) -> str:
    """Return the tokenizer without the limits that would make it count a long text as a short one."""
    whole: Any = json.loads(Path(path).read_text(encoding="utf-8"))
    if not isinstance(whole, dict):
        raise ValueError("it holds no object")
    return json.dumps({**whole, "truncation": None, "padding": None})


def _words(text: str) -> int:
    return len(_WORD.findall(text))
