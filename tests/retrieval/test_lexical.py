"""BM25: Lucene's formula, words of all scripts, no surprises at the edges."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoagents import Context
from emoagents.errors import ParameterError
from emoagents.retrieval import Bm25, Bm25Index
from emoagents.retrieval.lexical import words_of
from emoagents.step import Run

TEXTS = ["The dog is sad.", "A cat sleeps.", "Sad! A sad, sad dog; it is so sad.", "", "dog"]


def lucene(query: str, texts: list[str], k1: float = 1.5, b: float = 0.75) -> list[float]:
    """BM25 as Lucene has it, by its formula."""
    documents = [words_of(text) for text in texts]
    mean = sum(map(len, documents)) / len(documents)
    scores = []
    for words in documents:
        count, score = Counter(words), 0.0
        for word in words_of(query):
            df = sum(word in other for other in documents)
            idf = math.log(1 + (len(documents) - df + 0.5) / (df + 0.5))
            tf = count[word]
            score += idf * tf / (tf + k1 * (1 - b + b * len(words) / mean)) if tf else 0.0
        scores.append(score)
    return scores


async def test_scores_are_those_of_lucenes_formula() -> None:
    queries = ["sad dog", "a", "dog dog cat", "SAD"]
    rows = await Bm25().scores(queries, TEXTS, Run.alone(Context()))
    for query, row in zip(queries, rows, strict=True):
        assert row == pytest.approx(lucene(query, TEXTS), rel=1e-5)


def test_one_number_by_hand() -> None:
    # N = 2, df = 1, idf = ln(1 + 1.5 / 1.5) = ln 2; tf = 1, both texts of the mean length: tf part 1 / (1 + 1.5)
    [score, other] = Bm25Index(["sad dog", "a cat"]).scores("sad").tolist()
    assert score == pytest.approx(math.log(2) / 2.5)
    assert other == 0


@given(
    st.lists(st.text(alphabet="ab ñ我难", max_size=8), min_size=1, max_size=6), st.text(alphabet="ab ñ我难", max_size=6)
)
def test_an_index_of_all_words_and_one_of_the_querys_agree_with_the_formula(texts: list[str], query: str) -> None:
    whole = Bm25Index(texts).scores(query).tolist()
    assert whole == pytest.approx(Bm25Index.for_queries(["b", query], texts).scores(query).tolist(), rel=1e-5)
    if any(words_of(text) for text in texts):
        assert whole == pytest.approx(lucene(query, texts), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("query", ["", "?!", "unheard"])
async def test_a_query_with_no_known_word_gives_zeros(query: str) -> None:
    assert await Bm25().scores([query], TEXTS) == [[0.0] * 5]


async def test_no_texts_and_texts_without_words_have_their_shape(capfd: pytest.CaptureFixture[str]) -> None:
    assert await Bm25().scores(["a", "b"], []) == [[], []]
    assert await Bm25().scores(["a"], ["", "..."]) == [[0.0, 0.0]]
    assert await Bm25().scores([], ["a"]) == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I'm A-1, naïve", ["i", "m", "a", "1", "naïve"]),
        ("Straße ΣΑΣ", ["strasse", "σασ"]),
        ("我很难过 today", ["我很", "很难", "难过", "today"]),
        ("我", ["我"]),
        ("悲しいです", ["悲し", "しい", "いで", "です"]),
        ("슬픈 하루", ["슬픈", "하루"]),
        ("AI技术", ["ai", "技术"]),
        ("", []),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert words_of(text) == words


async def test_chinese_is_found_by_part_of_a_sentence() -> None:
    [row] = await Bm25().scores(["难过"], ["今天我很高兴", "他昨天很难过。", "hi"])
    assert row[1] > 0 == row[0] == row[2]


@pytest.mark.parametrize("given", [{"k1": -1}, {"b": 1.1}, {"b": float("nan")}])
def test_settings_out_of_range_are_refused(given: dict[str, float]) -> None:
    with pytest.raises(ParameterError, match="of BM25 must be"):
        Bm25(**given)
