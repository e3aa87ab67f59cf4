"""semantic-text-splitter behind what chunking needs: cut by some tokenizer, and find the graphemes it would break."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoagents.errors import MissingExtraError, ParameterError, UnknownNameError

if TYPE_CHECKING:
    from semantic_text_splitter import TextSplitter

__all__ = ["ENCODINGS", "Splitter"]

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
_PREPEND = r"\p{GCB=Prepend}"


class Splitter:
    """Cuts texts into pieces of at most `size` tokens.

    Raises:
        ParameterError: the tokenizer's file does not load.
        UnknownNameError: there is no such tokenizer.
        MissingExtraError: the extra "retrieval" is not installed.
    """

    def __init__(self, tokenizer: str, size: int, overlap: int) -> None:
        self._splitter = _made(tokenizer, size, overlap)
        self._size = size
        self._fits: dict[str, bool] = {}

    def cut(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Return offset and length, in characters, of the pieces of each text."""
        return [[(at, len(piece)) for at, piece in found] for found in self._splitter.chunk_all_indices(texts)]

    def unbreakable(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield start and end of the graphemes that the library would break.

        It cuts those above the size into characters, and takes white space off that carries a combining mark.
        """
        if text.isascii():
            return
        import regex  # type: ignore[import-untyped, unused-ignore]

        at = 0
        for run in regex.finditer(_suspects(self._size), text):
            if not regex.search(_JOINING, text, 0, run.start(), run.end()):
                continue
            at = max(at, run.start())
            while at < run.end():
                end = regex.match(r"\X", text, pos=at).end()
                if end - at > 1 and self._is_broken(text[at:end]):
                    yield at, end
                at = end

    def _is_broken(self, grapheme: str) -> bool:
        return grapheme != grapheme.strip() or not self._fit(grapheme)

    def _fit(self, grapheme: str) -> bool:
        if grapheme not in self._fits:
            self._fits[grapheme] = len(self._splitter.chunks(grapheme)) <= 1
        return self._fits[grapheme]


def _suspects(size: int) -> str:
    """Return the pattern of white space that carries a mark, and of runs in which a grapheme above the size may be.

    A token has one byte at least and a character four at most: a run below a quarter of the size holds none.
    """
    run = rf"(?:{_PREPEND}*[\x00-\x7f])?[^\x00-\x7f]{{{max(1, size // 4 - 1)},}}"
    return rf"{_PREPEND}*\s{_JOINING}|{_PREPEND}+\s|{run}"


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
