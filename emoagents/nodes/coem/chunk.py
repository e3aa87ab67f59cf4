"""Stage 1, chunking: the material cut into pieces of so many tokens that overlap."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from emoagents.nodes.coem.material import Material, read_material
from emoagents.nodes.coem.settings import CORE, SAGE, Settings
from emoagents.retrieval import Ranker, chunk_texts
from emoagents.state import AnswerState, Update
from emoagents.step import Run
from emoagents.together import together

__all__ = ["chunk"]


async def chunk(state: AnswerState, run: Run, settings: Settings) -> Update:
    """Return where each chunk begins and ends; the material of a corpus is cut already.

    First all models are opened that this run will ask, so that a missing key is told before anything is paid.
    """
    material = read_material(state["messages"], settings)
    await _open_models(material, run, settings)
    chunks = await asyncio.to_thread(_chunks, material, settings)
    characters = sum(map(len, material.texts))
    shown = {"transcript": material.texts[0]} if material.preset.source == "conversation" and chunks else {}
    run.emit(
        "chunks",
        preset=material.preset_name,
        sources=len(material.texts),
        characters=characters,
        count=len(chunks),
        **shown,
    )
    return {"retrieval": {"chunks": chunks}}


async def _open_models(material: Material, run: Run, settings: Settings) -> None:
    roles = [CORE, SAGE] if settings.enriches(material.preset) else [CORE]
    await together(run.context.door.of(role).backend() for role in roles)
    if material.texts or settings.corpus is not None:
        await together(_open(ranker, run) for ranker in (settings.ranker, settings.reranker))


async def _open(ranker: Ranker, run: Run) -> None:
    opening = getattr(ranker, "open", None)
    if opening is not None:
        await opening(run)


def _chunks(material: Material, settings: Settings) -> Sequence[list[int]]:
    preset, texts = material.preset, material.texts
    if preset.unit == "part":
        return [[source, 0, len(text)] for source, text in enumerate(texts)]
    made = chunk_texts(texts, size=preset.chunk, overlap=preset.overlap, tokenizer=settings.tokenizer)
    return [[c.source, c.start, c.end] for c in made]
