"""Dense, hybrid, one's own, and the best few."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoagents import Context
from emoagents.errors import ParameterError, RunError, UnknownNameError
from emoagents.retrieval import Bm25, Dense, Hybrid, best, make_ranker
from emoagents.step import Run
from tests.retrieval.embedder import Embedder


class Fixed:
    """A ranker that always says the same."""

    name = "fixed"

    def __init__(self, *row: float) -> None:
        self._row = list(row)

    async def scores(self, queries: Sequence[str], texts: Sequence[str], run: Run) -> list[list[float]]:
        return [self._row for _ in queries]


def run_with(embedder: Embedder) -> Run:
    return Run.alone(Context(models={"rank": embedder}))


async def test_dense_is_the_cosine() -> None:
    vectors = {"q": [1.0, 0.0], "same": [2.0, 0.0], "half": [1.0, 3**0.5], "against": [-1.0, 0.0]}
    embedder = Embedder(vectors.__getitem__)
    [row] = await Dense().scores(["q"], ["half", "same", "against", "same"], run_with(embedder))
    assert row == pytest.approx([0.5, 1.0, -1.0, 1.0], abs=1e-6)
    assert sorted(embedder.texts) == ["against", "half", "q", "same"]


async def test_dense_without_queries_or_texts_asks_nothing() -> None:
    embedder = Embedder(lambda text: [1.0])
    assert await Dense().scores(["a", "b"], [], run_with(embedder)) == [[], []]
    assert await Dense().scores([], ["a"], run_with(embedder)) == []
    assert embedder.texts == []


async def test_dense_tells_when_the_model_fails() -> None:
    embedder = Embedder(lambda text: [1.0])
    embedder.fails_after = 0
    with pytest.raises(RunError, match="the line is down"):
        await Dense().scores(["q"], ["text"], run_with(embedder))


async def test_hybrid_sums_reciprocal_ranks() -> None:
    run = Run.alone(Context())
    [row] = await Hybrid([Fixed(3, 2, 1), Fixed(0.1, 0.3, 0.2)]).scores(["q"], ["a", "b", "c"], run)
    assert row == pytest.approx([1 / 61 + 1 / 63, 1 / 62 + 1 / 61, 1 / 63 + 1 / 62])
    [row] = await Hybrid([Fixed(3, 2, 1)], k=0).scores(["q"], ["a", "b", "c"], run)
    assert row == pytest.approx([1, 1 / 2, 1 / 3])


async def test_a_ranker_that_tells_nothing_apart_has_no_say() -> None:
    [row] = await Hybrid([Fixed(0, 0, 0, 5), Fixed(1, 2, 3, 0)]).scores(["q"], ["a"] * 4, Run.alone(Context()))
    assert row == pytest.approx([1 / 62 + 1 / 63, 1 / 62 + 1 / 62, 1 / 62 + 1 / 61, 1 / 61 + 1 / 64])


async def test_hybrid_ranks_no_texts() -> None:
    assert await Hybrid(["bm25"]).scores(["q", "r"], [], Run.alone(Context())) == [[], []]


@given(st.lists(st.floats(-5, 5), max_size=12), st.integers(0, 14))
def test_best_keeps_the_highest_in_either_order(scores: list[float], keep: int) -> None:
    by_score, by_place = best(scores, keep, "score"), best(scores, keep)
    assert by_place == sorted(by_score)
    assert len(by_score) == min(keep, len(scores))
    assert by_score == sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:keep]


def test_of_equal_scores_the_first_are_kept() -> None:
    assert best([1, 2, 2, 2], 2) == [1, 2]


def test_make_ranker_knows_names_and_takes_rankers() -> None:
    assert [make_ranker(name).name for name in ("bm25", "dense", "hybrid")] == ["bm25", "dense", "hybrid"]
    mine = Fixed()
    assert make_ranker(mine) is mine
    assert isinstance(make_ranker("bm25"), Bm25)


def test_mistakes_are_told() -> None:
    with pytest.raises(UnknownNameError, match="did you mean bm25"):
        make_ranker("bm52")
    with pytest.raises(ParameterError, match="has a method scores"):
        make_ranker(3)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="at least one"):
        Hybrid([])
    with pytest.raises(ParameterError, match="at least 0"):
        Hybrid(k=-1)
    with pytest.raises(ParameterError, match="order"):
        best([1], 1, "worst")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="keep"):
        best([1], -1)
