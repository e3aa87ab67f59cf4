"""BM25 over texts in memory: lexical ranking that needs no model and no network.

The scoring is bm25s's (Lù, arXiv 2407.03618) in Lucene's form of BM25 (Kamphuis et al., ECIR 2020): for each word w of
the query, ln(1 + (N - df + 0.5) / (df + 0.5)) * tf / (tf + k1 * (1 - b + b * length / mean length)), summed. k1 = 1.5
and b = 0.75 unless told otherwise.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from emoagents.errors import MissingExtraError, ParameterError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from emoagents.step import Run

__all__ = ["Bm25", "Bm25Index", "words_of"]

_UNSPACED = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    r"\u2e80-\u2fdf\u3005-\u3007\u3021-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"
    r"\U00020000-\U0003ffff"
)
"""Characters of scripts that are written without spaces between words."""
_WORD = re.compile(rf"[{_UNSPACED}]+|[^\W{_UNSPACED}]+")


def words_of(text: str) -> list[str]:
    """Return the words that BM25 counts: Unicode words, case folded; runs of scripts without spaces as bigrams."""
    found = _WORD.findall(text.casefold())
    if text.isascii():
        return found
    return [word for run in found for word in (_bigrams(run) if _is_unspaced(run[0]) else (run,))]


def _bigrams(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]


@lru_cache(maxsize=4096)
def _is_unspaced(character: str) -> bool:
    return re.match(f"[{_UNSPACED}]", character) is not None


class Bm25Index:
    """Texts indexed once, to be ranked for many queries.

    Args:
        k1: how soon repeating a word stops to count. b: how much long texts are held back, 0 to 1.

    Raises:
        ParameterError: k1 or b is out of range.
        MissingExtraError: the extra "retrieval" is not installed.
    """

    def __init__(self, texts: Sequence[str], *, k1: float = 1.5, b: float = 0.75) -> None:
        _check(k1, b)
        vocabulary: dict[str, int] = {}
        number = vocabulary.setdefault
        self._size, self._vocabulary = len(texts), vocabulary
        ids = [[number(word, len(vocabulary)) for word in words_of(text)] for text in texts]
        self._index = _index(ids, vocabulary, k1, b)

    @classmethod
    def for_queries(
        cls, queries: Sequence[str], texts: Sequence[str], *, k1: float = 1.5, b: float = 0.75
    ) -> Bm25Index:
        """Return an index that knows the words of these queries only: the same scores for them in less time."""
        _check(k1, b)
        index = cls.__new__(cls)
        vocabulary = {word: i for i, word in enumerate(dict.fromkeys(w for query in queries for w in words_of(query)))}
        index._size, index._vocabulary = len(texts), vocabulary
        other = len(vocabulary)  # all other words: they count in a text's length only
        ids = [[vocabulary.get(word, other) for word in words_of(text)] for text in texts]
        index._index = _index(ids, {**vocabulary, "": other}, k1, b)
        return index

    def scores(self, query: str) -> NDArray[np.float32]:
        """Return one score for each text, in their order; 0 where it has no word of the query. Blocks."""
        import numpy as np

        known = [self._vocabulary[word] for word in words_of(query) if word in self._vocabulary]
        if not known or self._index is None:
            return np.zeros(self._size, dtype=np.float32)
        return np.asarray(self._index.get_scores_from_ids(known), dtype=np.float32)


class Bm25:
    """Ranks by the words that query and text have in common; a word that the query repeats counts again.

    Args:
        k1, b: as for `Bm25Index`.
    """

    name = "bm25"

    def __init__(self, *, k1: float = 1.5, b: float = 0.75) -> None:
        _check(k1, b)
        self._k1, self._b = k1, b

    async def scores(self, queries: Sequence[str], texts: Sequence[str], run: Run | None = None) -> list[list[float]]:
        """Return one row for each query, one number for each text; no model is asked."""
        return await asyncio.to_thread(self._scores, queries, texts)

    def _scores(self, queries: Sequence[str], texts: Sequence[str]) -> list[list[float]]:
        index = Bm25Index.for_queries(queries, texts, k1=self._k1, b=self._b)
        return [index.scores(query).tolist() for query in queries]


def _index(ids: list[list[int]], vocabulary: dict[str, int], k1: float, b: float) -> Any:
    """Return the library's index, None if there is no word to index."""
    try:
        from bm25s import BM25  # type: ignore[import-untyped]  # it has no stubs
    except ImportError:
        raise MissingExtraError("retrieval", "ranking by BM25") from None
    if not any(ids):
        return None
    index = BM25(k1=k1, b=b, method="lucene", backend="numpy", csc_backend="numpy")
    index.index((ids, vocabulary), create_empty_token=False, show_progress=False)
    return index


def _check(k1: float, b: float) -> None:
    if not k1 >= 0:
        raise ParameterError(f"k1 of BM25 must be at least 0, not {k1!r}")
    if not 0 <= b <= 1:
        raise ParameterError(f"b of BM25 must be between 0 and 1, not {b!r}")
