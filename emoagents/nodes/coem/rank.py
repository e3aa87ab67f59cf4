"""Stages 2 and 4, ranking: passages by how near they are to what is asked, or by how unlike the others they are."""

from __future__ import annotations

from collections.abc import Sequence

from emoagents.nodes.coem.material import Material, read_material
from emoagents.nodes.coem.passages import Passage, Retrieval, of_query, retrieval_of
from emoagents.nodes.coem.settings import Settings
from emoagents.retrieval import By, Ranker, best
from emoagents.state import AnswerState, Update
from emoagents.step import Run
from emoagents.together import together

__all__ = ["pack", "rank", "rerank"]

_ALL = ""
"""Name of the query of passages that are ranked without one."""


async def rank(state: AnswerState, run: Run, settings: Settings) -> Update:
    """Find the passages that the next stage works on: `first` of each query where they are ranked again, else `keep`.

    An unlike passage is told from the others by what Sage says of it: where both happen, all go to Sage.
    """
    material, retrieval = read_material(state["messages"], settings), retrieval_of(state)
    preset = material.preset
    count = preset.first if settings.reranks(preset) else preset.keep
    if settings.corpus is not None and material.queries:
        passages = await _from_corpus(material, run, settings, count or preset.keep)
    else:
        passages = await _from_texts(material, retrieval["chunks"], run, settings, count)
    _tell(run, "ranked", settings.ranker, passages)
    return {"retrieval": {**retrieval, "passages": passages}}


async def rerank(state: AnswerState, run: Run, settings: Settings) -> Update:
    """Keep the best passages of each query, now that Sage has spoken of them."""
    material, retrieval = read_material(state["messages"], settings), retrieval_of(state)
    if not settings.reranks(material.preset):
        return {}
    groups = [of_query(retrieval["passages"], name) for name in material.queries or [_ALL]]
    kept = await together(_reranked(group, material, retrieval, run, settings) for group in groups)
    passages = [passage for group in kept for passage in group]
    _tell(run, "reranked", settings.reranker, passages)
    return {"retrieval": {**retrieval, "passages": passages}}


def pack(passage: Passage) -> str:
    """Return a passage with what Sage said of it (the paper's pack)."""
    return f"{passage['text']}\n{passage['insight']}" if passage["insight"] else passage["text"]


async def _from_texts(
    material: Material, chunks: Sequence[Sequence[int]], run: Run, settings: Settings, count: int
) -> list[Passage]:
    texts = [material.texts[source][start:end] for source, start, end in chunks]
    names = list(material.queries) or [_ALL]
    if not 0 < count < len(texts):  # nothing to choose from: all stay, and nobody is asked
        rows = [[0.0] * len(texts)] * len(names)
    elif material.queries:
        rows = await settings.ranker.scores(list(material.queries.values()), texts, run)
    else:
        rows = [await _unlike(settings.ranker, texts, run)]
    return [
        _passage(name, chunks[i], texts[i], row[i])
        for name, row in zip(names, rows, strict=True)
        for i in best(row, count or len(texts), settings.order)
    ]


def _passage(query: str, chunk: Sequence[int], text: str, score: float) -> Passage:
    source, start, end = chunk
    return Passage(query=query, source=source, start=start, end=end, text=text, score=round(score, 6), insight=None)


async def _from_corpus(material: Material, run: Run, settings: Settings, count: int) -> list[Passage]:
    corpus = settings.corpus
    assert corpus is not None
    name = settings.ranker.name
    by: By = name if name in ("bm25", "dense") else "hybrid"  # type: ignore[assignment]
    found = await together(corpus.search(query, count, run, by=by) for query in material.queries.values())
    return [
        Passage(query=name, source=h.source, start=h.start, end=h.end, text=h.text, score=h.score, insight=None)
        for name, hits in zip(material.queries, found, strict=True)
        for h in (hits if settings.order == "score" else sorted(hits, key=lambda h: (h.source, h.start)))
    ]


async def _reranked(
    group: Sequence[Passage], material: Material, retrieval: Retrieval, run: Run, settings: Settings
) -> list[Passage]:
    if len(group) <= material.preset.keep:
        return list(group)
    query = material.queries.get(group[0]["query"], "")
    if material.preset.rerank == "unlike":
        scores = await _unlike(settings.reranker, [pack(p) for p in group], run)
    elif material.preset.rerank == "insight":
        reading = retrieval.get("reading") or query  # Sage may have failed
        (scores,) = await settings.reranker.scores([reading], [p["text"] for p in group], run)
    else:
        (scores,) = await settings.reranker.scores([query], [pack(p) for p in group], run)
    return [{**group[i], "score": round(scores[i], 6)} for i in best(scores, material.preset.keep, settings.order)]


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
