"""Chunks: whole graphemes, within the bound, in place, nothing lost."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
import regex
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st

from emoagents.errors import ParameterError, UnknownNameError
from emoagents.retrieval import Chunk, chunk_texts

PIECES = [
    "a", "word ", "Two words. ", "line\n", "para\n\n", "\r\n", "\t", "  ", "\u200b", "\u00a0", "\u3000", "\u2028",
    "👨‍👩‍👧‍👦", "👍🏽", "🏳️‍🌈", "🇩🇪", "🇫", "e\u0301", "e" + "\u0301" * 9, "\u0301", "\u200d", "\ufe0f",
    "한국어 ", "\u1112\u1161\u11ab", "\u1100", "क्षत्रिय ", "নমস্কার", "กำลังใจ", "السَّلام ", "\u0600a", "ｶﾞ", "我很难过。", "悲しい。",
    "<|endoftext|>", "don't ", "12,345.6 ", "https://example.org/a?b=c ", "\ud83d", "\x00", "ﬁ", "İ", "x" * 40,
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=60).map("".join)


@pytest.fixture(scope="module", name="cl100k")
def _cl100k() -> tiktoken.Encoding:
    where = Path(str(importlib.util.find_spec("litellm").origin)).parent  # type: ignore[union-attr]
    with pytest.MonkeyPatch.context() as patch:  # litellm ships the encoding's file: no network
        patch.setenv("TIKTOKEN_CACHE_DIR", str(where / "litellm_core_utils" / "tokenizers"))
        return tiktoken.get_encoding("cl100k_base")


def starts(text: str) -> set[int]:
    """Where graphemes begin, and the end."""
    return {m.start() for m in regex.finditer(r"\X", text)} | {len(text)}


def is_grapheme(text: str) -> bool:
    return regex.fullmatch(r"\X", text) is not None


def check(text: str, chunks: list[Chunk]) -> None:
    places = starts(text)
    covered: set[int] = set()
    for i, chunk in enumerate(chunks):
        assert chunk.index == i
        assert chunk.text == text[chunk.start : chunk.end] != ""
        assert {chunk.start, chunk.end} <= places, "inside a grapheme"
        covered.update(range(chunk.start, chunk.end))
    assert [c.start for c in chunks] == sorted(c.start for c in chunks)
    assert all(text[i].isspace() for i in set(range(len(text))) - covered)


@given(TEXTS, st.integers(1, 40), st.integers(0, 39))
@settings(max_examples=400, deadline=None)
def test_chunks_of_any_text_are_whole_in_place_and_within_the_bound(
    cl100k: tiktoken.Encoding, text: str, size: int, overlap: int
) -> None:
    chunks = chunk_texts([text], size=size, overlap=min(overlap, size - 1))
    check(text, chunks)
    for chunk in chunks:
        assert len(cl100k.encode_ordinary(chunk.text)) <= size or is_grapheme(chunk.text)


@given(TEXTS, st.integers(1, 40), st.data())
@settings(max_examples=200, deadline=None)
def test_the_same_holds_for_characters_and_words(text: str, size: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, size - 1))
    for tokenizer in ("characters", "words"):
        chunks = chunk_texts([text], size=size, overlap=overlap, tokenizer=tokenizer)
        check(text, chunks)
        if tokenizer == "characters":
            assert all(len(c.text) <= size or is_grapheme(c.text) for c in chunks)
            for one, two in zip(chunks, chunks[1:], strict=False):
                assert one.end - two.start <= overlap
