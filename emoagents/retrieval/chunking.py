"""Texts cut into chunks of so many tokens, with offsets into their source.

LongEmotion (Liu et al., arXiv 2509.07403) cuts at 128 tokens with an overlap of 50. The cutting is done by
semantic-text-splitter: the largest of paragraphs, lines, sentences, words and graphemes that fit, merged with their
neighbours as long as the whole fits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

from emoagents.errors import ParameterError
from emoagents.retrieval.splitter import Splitter, broken_graphemes

__all__ = ["Chunk", "check_sizes", "chunk_texts", "without_surrogates"]

Span: TypeAlias = tuple[int, int]

_SLICE = 64_000
"""Characters after which a text is cut at the next paragraph's end: the library works on slices side by side."""
_STRETCH = 8_000
"""Characters of a stretch without any seam, which is cut anyway: the library's time grows with the square of it."""
_BATCH = 16
"""Slices given to the library at once, so that what it holds meanwhile stays small."""
_SEAM = re.compile(r"(\n[ \t\r]*\n)|\n|(?:[.!?।؟۔]\s+|[。！？])(?=[^\W\u0e33\u0eb3\uff9e\uff9f])")
"""Where a long text may be cut: a paragraph's end, a line's or a sentence's. None is inside a grapheme: the four
letters join what stands before them."""
_SPACE = re.compile(r"\s")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a text.

    Attributes:
        index: its place among all chunks of the call.
        text: the piece itself, without white space around it: `source_text[start:end]`.
        start, end: offsets into its source, in characters.
        source: which of the texts it is from.
    """

    index: int
    text: str
    start: int
    end: int
    source: int = 0


def chunk_texts(
    texts: Sequence[str], *, size: int = 128, overlap: int = 50, tokenizer: str = "cl100k_base"
) -> list[Chunk]:
    """Cut texts into chunks, in the order of the texts.

    No chunk begins or ends inside a grapheme cluster, and none is above `size`, except where one grapheme alone is.
    All that is not white space is in some chunk. A text of white space has none. Takes about half a second for a
    million characters and core; on an event loop call it in a thread.

    Args:
        size: tokens in a chunk at most.
        overlap: tokens that a chunk repeats of the one before at most. Only whole units (sentences, or words where
            sentences are too long) are repeated, so it may be less or nothing. It is nothing where long texts are cut
            for speed: after about 64,000 characters, or 8,000 of a text without lines and sentences.
        tokenizer: what is counted: an encoding of tiktoken ("cl100k_base", "o200k_base" ...), the path of a Hugging
            Face tokenizer.json, "words" (each CJK character and each punctuation mark is one too) or "characters".

    Raises:
        ParameterError: size or overlap is out of range, or the tokenizer's file does not load.
        UnknownNameError: there is no such tokenizer.
        MissingExtraError: the extra "retrieval" is not installed.
    """
    if isinstance(texts, str):
        raise ParameterError("chunk_texts takes a list of texts: write chunk_texts([text])")
    check_sizes(size, overlap)
    splitter = Splitter(tokenizer, size, overlap)
    found: list[Chunk] = []
    for source, text in enumerate(texts):
        for start, end in _spans(text, splitter):
            found.append(Chunk(len(found), text[start:end], start, end, source))
    return found


def check_sizes(size: int, overlap: int) -> None:
    """Raise where these are no sizes for chunks.

    Raises:
        ParameterError: they are not.
    """
    for name, value, low in (("the chunk size", size, 1), ("overlap", overlap, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < low:
            raise ParameterError(f"{name} must be a whole number of at least {low}, not {value!r}")
    if overlap >= size:
        raise ParameterError(f"overlap ({overlap}) must be below the chunk size ({size})")


def without_surrogates(text: str) -> str:
    """Return the text, of the same length, with a replacement for half a surrogate pair, which has no UTF-8."""
    return _LONE_SURROGATE.sub("\ufffd", text)


def _spans(text: str, splitter: Splitter) -> Iterator[Span]:
    clean = without_surrogates(text)
    slices = _slices(clean)
    while batch := list(islice(slices, _BATCH)):
        for piece, found in zip(batch, _cut(clean, batch, splitter), strict=True):
            yield from _mended(clean, piece, found, splitter)


def _cut(text: str, pieces: Sequence[Span], splitter: Splitter) -> list[list[Span]]:
    cut = splitter.cut([text[start:end] for start, end in pieces])
    return [[(start + at, start + at + n) for at, n in found] for (start, _), found in zip(pieces, cut, strict=True)]


def _mended(text: str, piece: Span, found: list[Span], splitter: Splitter) -> Iterator[Span]:
    """Yield what was found in a piece; where graphemes are broken, they stay whole and what is between is cut anew."""
    broken = broken_graphemes(text, (place for span in found for place in span))
    if not broken:
        yield from found
        return
    at = piece[0]
    for grapheme in [*broken, (piece[1], piece[1])]:
        between = (at, grapheme[0])
        [again] = _cut(text, [between], splitter)
        yield from _mended(text, between, again, splitter)
        if grapheme[0] < grapheme[1]:
            yield grapheme
        at = grapheme[1]


def _slices(text: str) -> Iterator[Span]:
    """Cut a long text at paragraphs' ends, else where it must be."""
    start = last = 0
    for seam, is_paragraph in _seams(text):
        if seam - last > 2 * _STRETCH:
            yield from ((start, last),) if start < last else ()
            yield from _stretches(text, last, seam)
            start = seam
        elif seam - start > (_SLICE if is_paragraph else 2 * _SLICE):
            yield start, seam
            start = seam
        last = seam
    if start < len(text):
        yield start, len(text)


def _seams(text: str) -> Iterator[tuple[int, bool]]:
    if len(text) > 2 * _STRETCH:
        yield from ((found.end(), found[1] is not None) for found in _SEAM.finditer(text))
    yield len(text), False


def _stretches(text: str, start: int, end: int) -> Iterator[Span]:
    while end - start > 2 * _STRETCH:
        space = _SPACE.search(text, start + _STRETCH, start + 2 * _STRETCH)
        cut = space.end() if space else start + _STRETCH
        whole = max([cut, *(after for _, after in broken_graphemes(text, [cut]))])
        yield start, whole
        start = whole
    if start < end:
        yield start, end
