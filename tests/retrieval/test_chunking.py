"""Chunks: whole graphemes, within the bound, in place, nothing lost."""

from __future__ import annotations

import importlib.util
import itertools
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
    "한국어 ", "\u1112\u1161\u11ab", "\u1100", "क्षत्रिय ", "নমস্কার", "กำลังใจ", "السَّلام ", "\u0600a",
    "ｶﾞ", "我很难过。", "悲しい。", "<|endoftext|>", "don't ", "12,345.6 ", "\ud83d", "\x00", "ﬁ", "İ", "x" * 40,
    "https://example.org/a?b=c ",
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
            for one, two in itertools.pairwise(chunks):
                assert one.end - two.start <= overlap


SENTENCES = "I lost my dog today. Nobody called me. It rained all evening, and I sat there."


def test_offsets_count_characters_in_the_text_they_come_from() -> None:
    one, two = chunk_texts(["Größe 👍🏽 zählt.", "  Noch eins.\n"])
    assert (one.text, one.start, one.end, one.source) == ("Größe 👍🏽 zählt.", 0, 15, 0)
    assert (two.index, two.text, two.start, two.end, two.source) == (1, "Noch eins.", 2, 12, 1)


def test_whole_sentences_are_repeated_as_far_as_the_overlap_allows() -> None:
    chunks = chunk_texts([SENTENCES], size=14, overlap=5, tokenizer="words")
    assert [c.text for c in chunks] == [
        "I lost my dog today. Nobody called me.",
        "Nobody called me. It rained all evening, and I sat there.",
    ]
    apart = chunk_texts([SENTENCES], size=14, overlap=0, tokenizer="words")
    assert "".join(c.text for c in apart).replace(" ", "") == SENTENCES.replace(" ", "")


@pytest.mark.parametrize("texts", [[], [""], [" \n\t\u3000"]])
def test_no_text_and_white_space_have_no_chunks(texts: list[str]) -> None:
    assert chunk_texts(texts) == []


def test_a_grapheme_above_the_size_is_a_chunk_of_its_own() -> None:
    family = "👨‍👩‍👧‍👦"
    assert [c.text for c in chunk_texts([f"ab {family}{family} c"], size=2, overlap=0)] == ["ab", family, family, "c"]


@pytest.mark.parametrize("seam", ["\n\n", "\n", ". ", " ", "。", "x", "\u0301"])
def test_a_long_text_is_cut_into_slices_without_loss(seam: str) -> None:
    text = seam.join(f"Satz {i} ist e\u0301trange" for i in range(9000))
    assert len(text) > 150_000
    chunks = chunk_texts([text], tokenizer="characters")
    check(text, chunks)
    assert all(len(c.text) <= 128 for c in chunks)


def test_a_tokenizer_from_a_file_counts_without_its_own_limit(tmp_path: Path) -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit

    made = Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    made.pre_tokenizer = WhitespaceSplit()
    made.enable_truncation(2)
    path = tmp_path / "tokenizer.json"
    made.save(str(path))
    chunks = chunk_texts(["one two three four five six seven"], size=3, overlap=0, tokenizer=str(path))
    assert [c.text for c in chunks] == ["one two three", "four five six", "seven"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"size": 0}, "at least 1"),
        ({"size": True}, "whole number"),
        ({"size": 5, "overlap": 5}, "overlap \\(5\\) must be below"),
        ({"overlap": -1}, "at least 0"),
        ({"tokenizer": "nowhere/tokenizer.json"}, "does not load"),
    ],
)
def test_bad_values_are_the_callers_mistake(changes: dict[str, object], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        chunk_texts(["text"], **changes)  # type: ignore[arg-type]


def test_a_text_in_the_place_of_the_list_is_refused() -> None:
    with pytest.raises(ParameterError, match="chunk_texts\\(\\[text\\]\\)"):
        chunk_texts("text")


@pytest.mark.parametrize("content", ["no JSON", "[]", '{"model": 1}', '{"a": "\ud800"}'])
def test_a_file_that_is_no_tokenizer_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(content, encoding="utf-8", errors="surrogatepass")
    with pytest.raises(ParameterError, match="give a Hugging Face tokenizer"):
        chunk_texts(["text"], tokenizer=str(path))


def test_an_unknown_tokenizer_says_what_was_probably_meant() -> None:
    with pytest.raises(UnknownNameError, match="did you mean cl100k_base"):
        chunk_texts(["text"], tokenizer="cl100k")
