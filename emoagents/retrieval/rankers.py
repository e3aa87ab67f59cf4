"""How near texts are to a query: one small protocol, dense vectors, a hybrid of several rankers, and the best few.

A ranker is given the Run, so it may ask models: one of your own that reads emotions stands beside these.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast, runtime_checkable

from emoagents.errors import ParameterError, UnknownNameError
from emoagents.retrieval.fusion import RRF_K, reciprocal_ranks
from emoagents.retrieval.lexical import Bm25
from emoagents.together import together

if TYPE_CHECKING:
    from emoagents.step import Run

__all__ = ["Dense", "Hybrid", "Ranker", "best", "make_ranker"]


@runtime_checkable
class Ranker(Protocol):
    """Anything that says how near texts are to a query.

    One that asks models by role has an attribute `roles`, their names, so that a context may name them.
    """

    name: str

    async def scores(self, queries: Sequence[str], texts: Sequence[str], run: Run) -> list[list[float]]:
        """Return one row for each query, one number for each text in its order; higher is nearer."""
        ...


class Dense:
    """Ranks by the cosine of embedding vectors.

    Args:
        role: whose model embeds: its model in `Context(models=...)`, else "embedded/minilm".
    """

    name = "dense"

    def __init__(self, role: str = "rank") -> None:
        self._role = role
        self.roles: tuple[str, ...] = (role,)

    async def open(self, run: Run) -> None:
        """Open the model, so that what is wrong with it is told before anything is paid.

        Raises:
            UsageError: unknown model, missing key, missing extra.
        """
        await run.context.door.embedder(self._role).backend()

    async def scores(self, queries: Sequence[str], texts: Sequence[str], run: Run) -> list[list[float]]:
        """Return the cosine of each query and each text, -1 to 1.

        Raises:
            RunError: a text can't be embedded.
        """
        if not queries or not texts:
            return [[] for _ in queries]
        vectors = await run.embed([*queries, *texts], role=self._role)
        asked, given = vectors[: len(queries)], vectors[len(queries) :]
        return cast("list[list[float]]", (asked @ given.T).tolist())


class Hybrid:
    """Reciprocal rank fusion of several rankers (Cormack, Clarke and Buettcher, SIGIR 2009): the sum of 1 / (k + rank).

    Ranks begin at 1. Texts that a ranker finds equally near have the same rank, the first of theirs: a ranker that
    can't tell them apart (BM25, of all texts without a word of the query) then has no say in their order.

    Args:
        rankers: what is fused, as for `make_ranker`; BM25 and dense unless told otherwise. They run side by side.
        k: how little the first places count before the later ones; 60 in the paper.

    Raises:
        ParameterError: there is no ranker, or k is negative.
        UnknownNameError: there is no ranker of such a name.
    """

    name = "hybrid"

    def __init__(self, rankers: Sequence[str | Ranker] | None = None, k: float = RRF_K) -> None:
        self._rankers = [make_ranker(one) for one in (rankers if rankers is not None else ("bm25", "dense"))]
        if not self._rankers:
            raise ParameterError("Hybrid needs at least one ranker")
        if not k >= 0:
            raise ParameterError(f"k of reciprocal rank fusion must be at least 0, not {k!r}")
        self._k = k
        self.roles: tuple[str, ...] = tuple(role for one in self._rankers for role in getattr(one, "roles", ()))

    async def open(self, run: Run) -> None:
        """Open the models of those that have one. See `Dense.open`."""
        await together(ranker.open(run) for ranker in self._rankers if isinstance(ranker, Dense | Hybrid))

    async def scores(self, queries: Sequence[str], texts: Sequence[str], run: Run) -> list[list[float]]:
        """Return the fused score of each query and each text."""
        tables = await together(ranker.scores(queries, texts, run) for ranker in self._rankers)
        return [self._fused([table[i] for table in tables]) for i in range(len(queries))]

    def _fused(self, rows: Sequence[Sequence[float]]) -> list[float]:
        total = dict(reciprocal_ranks([dict(enumerate(row)) for row in rows], self._k))
        return [total[i] for i in range(len(total))]


def best(scores: Sequence[float], keep: int, order: Literal["document", "score"] = "document") -> list[int]:
    """Return the indices of the best, all of them where there are at most `keep`; of equal ones the first.

    Args:
        order: "document" as they stand in the text (as LongEmotion's retrieval gives them), "score" the best first.

    Raises:
        ParameterError: keep is negative, or the order is unknown.
    """
    if order not in ("document", "score"):
        raise ParameterError(f'order must be "document" or "score", not {order!r}')
    if keep < 0:
        raise ParameterError(f"keep must be at least 0, not {keep!r}")
    found = _ranked(scores)[:keep]
    return sorted(found) if order == "document" else found


def _ranked(scores: Sequence[float]) -> list[int]:
    return sorted(range(len(scores)), key=lambda i: -scores[i])


_RANKERS: dict[str, Any] = {"bm25": Bm25, "dense": Dense, "hybrid": Hybrid}


def make_ranker(given: str | Ranker) -> Ranker:
    """Return the ranker of this name ("bm25", "dense", "hybrid"), or the given one.

    Raises:
        UnknownNameError: there is none of this name.
        ParameterError: what is given is neither a name nor has a method `scores`.
    """
    if isinstance(given, str):
        if given not in _RANKERS:
            raise UnknownNameError("ranker", given, _RANKERS)
        return cast("Ranker", _RANKERS[given]())
    if not callable(getattr(given, "scores", None)):
        raise ParameterError(f"a ranker has a method scores(queries, texts, run); {type(given).__name__} has none")
    return given
