"""Stage 1, chunking: the material cut into pieces of so many tokens that overlap."""

from __future__ import annotations

import asyncio

from emoagents.nodes.coem.material import read_material
from emoagents.nodes.coem.settings import Settings
from emoagents.retrieval import chunk_texts
from emoagents.state import AnswerState, Update
from emoagents.step import Run

__all__ = ["chunk"]


async def chunk(state: AnswerState, run: Run, settings: Settings) -> Update:
    """Return where each chunk begins and ends; the material of a corpus is cut already."""
    material = read_material(state["messages"], settings)
    preset, texts = material.preset, material.texts
    if preset.unit == "part":
        chunks = [[source, 0, len(text)] for source, text in enumerate(texts)]
    else:
        made = await asyncio.to_thread(
            chunk_texts, texts, size=preset.chunk, overlap=preset.overlap, tokenizer=settings.tokenizer
        )
        chunks = [[c.source, c.start, c.end] for c in made]
    size = sum(map(len, texts))
    run.emit("chunks", preset=material.preset_name, sources=len(texts), characters=size, count=len(chunks))
    return {"retrieval": {"chunks": chunks}}
