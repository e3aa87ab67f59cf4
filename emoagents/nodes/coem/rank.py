"""Stages 2 and 4, ranking: passages by how near they are to what is asked, or by how unlike the others they are."""

from __future__ import annotations

from collections.abc import Sequence

from emoagents.errors import BudgetExceeded, RunError
from emoagents.nodes.coem.material import Material, read_material
from emoagents.nodes.coem.passages import Passage, Retrieval, of_query, retrieval_of
from emoagents.nodes.coem.settings import Settings
from emoagents.nodes.fit import trimmed
from emoagents.retrieval import By, Ranker, best
from emoagents.state import AnswerState, Update
from emoagents.step import Run
from emoagents.together import together

__all__ = ["rank", "rerank"]

_ALL = ""
"""Name of the query of passages that are ranked without one."""
_LONGEST_PACK = 8000
"""Characters of a passage and its note: no embedding model takes much more."""


async def rank(state: AnswerState, run: Run, settings: Settings) -> Update:
    """Find the passages that the next stage works on: `first` of each query where they are ranked again, else `keep`.

    Of a conversation that has no more than `keep` chunks, all stands before Core anyway: nothing is found.
    """
    material, retrieval = read_material(state["messages"], settings), retrieval_of(state)
    preset, chunks = material.preset, retrieval["chunks"]
    count = preset.first if settings.reranks(preset) else preset.keep
    if settings.corpus is not None and material.queries:
        passages = await _from_corpus(material, run, settings, count or preset.keep)
    elif preset.source == "conversation" and len(chunks) <= preset.keep:
        passages = []
    else:
        passages = await _from_texts(material, chunks, run, settings, count)
    _tell(run, "ranked", settings.ranker, passages)
    return {"retrieval": {**retrieval, "passages": passages}}


async def rerank(state: AnswerState, run: Run, settings: Settings) -> Update:
    """Keep the best passages of each query, now that Sage has spoken of them.

    Where the ranker fails, the best of the first ranking stay: what Sage was paid for is not lost.
    """
    material, retrieval = read_material(state["messages"], settings), retrieval_of(state)
    passages, keep = retrieval["passages"], material.preset.keep
    groups = [of_query(passages, name) for name in material.queries or [_ALL]]
    if not settings.reranks(material.preset) or all(len(group) <= keep for group in groups):
        return {}
    try:
        scores = await _scores_of_packs(groups, material, retrieval, run, settings)
    except RunError as error:
        run.emit("failure", error=str(error), budget=isinstance(error, BudgetExceeded))
        scores = [[p["score"] or 0.0 for p in group] for group in groups]
    kept = [
        Passage(**{**group[i], "score": round(row[i], 6)})
        for group, row in zip(groups, scores, strict=True)
        for i in best(row, keep, settings.order)
    ]
    _tell(run, "reranked", settings.reranker, kept)
    return {"retrieval": {**retrieval, "passages": kept}}


async def _from_texts(
    material: Material, chunks: Sequence[Sequence[int]], run: Run, settings: Settings, count: int
) -> list[Passage]:
    texts = [material.texts[source][start:end] for source, start, end in chunks]
    names = list(material.queries) or [_ALL]
    if not texts or (not 0 < count < len(texts) and settings.order == "document"):  # all stay, as they stand
        return [_passage(name, chunks[i], texts[i], None) for name in names for i in range(len(texts))]
    if material.queries:
        rows = await settings.ranker.scores(list(material.queries.values()), texts, run)
    else:
        rows = [await _unlike(settings.ranker, texts, run)]
    return [
        _passage(name, chunks[i], texts[i], row[i])
        for name, row in zip(names, rows, strict=True)
        for i in best(row, count or len(texts), settings.order)
    ]


def _passage(query: str, chunk: Sequence[int], text: str, score: float | None) -> Passage:
    source, start, end = chunk
    score = None if score is None else round(score, 6)
    return Passage(query=query, source=source, start=start, end=end, text=text, score=score, insight=None)


async def _from_corpus(material: Material, run: Run, settings: Settings, count: int) -> list[Passage]:
    corpus, name = settings.corpus, settings.ranker.name
    assert corpus is not None
    by: By = name if name in ("bm25", "dense") else "hybrid"  # type: ignore[assignment]
    found = await together(corpus.search(query, count, run, by=by) for query in material.queries.values())
    return [
        Passage(query=name, source=h.source, start=h.start, end=h.end, text=h.text, score=h.score, insight=None)
        for name, hits in zip(material.queries, found, strict=True)
        for h in (hits if settings.order == "score" else sorted(hits, key=lambda h: (h.source, h.start)))
    ]


async def _scores_of_packs(
    groups: Sequence[Sequence[Passage]], material: Material, retrieval: Retrieval, run: Run, settings: Settings
) -> list[list[float]]:
    """Return the scores of each query's passages; all are ranked in one go, so that one request embeds them."""
    ranker, how = settings.reranker, material.preset.rerank
    if how == "unlike":
        return [await _unlike(ranker, [_pack(p) for p in groups[0]], run)]
    packs = [p["text"] if how == "insight" else _pack(p) for group in groups for p in group]
    queries = list(material.queries.values())
    if how == "insight":
        queries = [retrieval.get("reading") or queries[0]]  # Sage may have failed
    rows = await ranker.scores(queries, packs, run)
    ends = [sum(map(len, groups[: i + 1])) for i in range(len(groups))]
    return [list(row[end - len(group) : end]) for row, group, end in zip(rows, groups, ends, strict=True)]


def _pack(passage: Passage) -> str:
    """Return a passage with what Sage said of it."""
    text = f"{passage['text']}\n{passage['insight']}" if passage["insight"] else passage["text"]
    return trimmed(text, _LONGEST_PACK)


async def _unlike(ranker: Ranker, texts: Sequence[str], run: Run) -> list[float]:
    """Return for each text how little it is like the others: minus the mean score that it has for each of them.

    The mean is over others as queries, for what a query gives to all texts together says nothing where ranks are fused.
    """
    rows = await ranker.scores(texts, texts, run)
    others = max(1, len(texts) - 1)
    return [-sum(row[i] for j, row in enumerate(rows) if j != i) / others for i in range(len(texts))]


def _tell(run: Run, event: str, ranker: Ranker, passages: Sequence[Passage]) -> None:
    shown = [{k: p[k] for k in ("query", "source", "start", "end", "score")} for p in passages]
    run.emit(event, ranker=ranker.name, passages=shown)
