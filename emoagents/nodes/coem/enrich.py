"""Stage 3, enrichment: Sage says of each passage, or of all together, what there is in it to feel and to know."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from pydantic import BaseModel

from emoagents.asked import Asked
from emoagents.card import Card
from emoagents.errors import BudgetExceeded, RunError
from emoagents.fields import answer_model
from emoagents.model.budget import Hold
from emoagents.model.loop import on_model_loop
from emoagents.model.request import Message
from emoagents.model.structured import without_thoughts
from emoagents.nodes.coem.material import Material, read_material
from emoagents.nodes.coem.passages import Passage, Retrieval, retrieval_of
from emoagents.nodes.coem.request import CoreRequest, fenced
from emoagents.nodes.coem.settings import CORE, SAGE, Settings
from emoagents.nodes.fit import fit_texts
from emoagents.state import AnswerState, Update
from emoagents.step import Run
from emoagents.together import together

__all__ = ["enrich"]

_ANSWER_TOKENS = 512
"""Tokens that are kept back for an answer whose length is not given."""
_SHARE = 1.25
"""Core's request, with what Sage will have said in it, beside the same without."""


async def enrich(state: AnswerState, run: Run, settings: Settings) -> Update:
    """Ask Sage, all requests side by side. Where one fails, the plain passage goes on, and the trace says so."""
    material, retrieval = read_material(state["messages"], settings), retrieval_of(state)
    passages = retrieval["passages"]
    if not settings.enriches(material.preset) or not passages:
        return {}
    async with _kept_back(material, passages, run, settings):
        if material.preset.enrich == "together":
            return {"retrieval": {**retrieval, "reading": await _reading(material, passages, run, settings)}}
        said = await together(_insight(material, passage, run, settings) for passage in passages)
    enriched = [Passage(**{**p, "insight": s}) for p, s in zip(passages, said, strict=True)]
    return {"retrieval": Retrieval(**{**retrieval, "passages": enriched})}


async def _insight(material: Material, passage: Passage, run: Run, settings: Settings) -> str | None:
    query = fenced(material.queries.get(passage["query"], ""))

    def build(texts: Sequence[str]) -> list[Message]:
        return [Asked.of(settings.card, material.preset.sage, {"chunk": fenced(texts[0]), "query": query})]

    return await _said(material, build, [passage["text"]], run, settings)


async def _reading(material: Material, passages: Sequence[Passage], run: Run, settings: Settings) -> str | None:
    card, query = settings.card, fenced("\n\n".join(material.queries.values()))

    def build(texts: Sequence[str]) -> list[Message]:
        chunks = "\n\n".join(card.render("passage", number=i, text=fenced(t)) for i, t in enumerate(texts, 1))
        return [Asked.of(card, material.preset.sage, {"chunks": chunks, "query": query})]

    return await _said(material, build, [p["text"] for p in passages], run, settings)


async def _said(
    material: Material,
    build: Callable[[Sequence[str]], list[Message]],
    texts: Sequence[str],
    run: Run,
    settings: Settings,
) -> str | None:
    """Return what Sage says; None where it fails or its reply is not of the form that was asked for."""
    fields = material.preset.sage_fields
    prompt = build(await fit_texts(run, texts, build, role=SAGE))
    form = answer_model(fields) if fields else None
    try:
        reply = await run.ask_one(prompt, role=SAGE, response_format=form, tools=False)
    except RunError as error:
        run.emit("failure", error=str(error), budget=isinstance(error, BudgetExceeded))
        return None
    said = _lines(settings.card, reply.parsed) if reply.parsed else "" if form else without_thoughts(reply.text)
    if not said:
        run.emit("unparsed", what="enrichment", reason=reply.parse_error or "it is empty")
    return said or None


def _lines(card: Card, parsed: BaseModel) -> str:
    said = parsed.model_dump().items()
    return "\n".join(card.render("insight_line", name=name, value=str(value)) for name, value in said if value)


@asynccontextmanager
async def _kept_back(
    material: Material, passages: Sequence[Passage], run: Run, settings: Settings
) -> AsyncIterator[None]:
    """Keep back what the rest of the run will cost of a budget: insights are worth nothing without an answer.

    What is kept back counts as spent, so a request of Sage that would need it fails at once and does not wait for it.
    """
    meter, door = run.context.door.meter, run.context.door.of(CORE)
    rest = Hold(1 + (settings.reranks(material.preset) and settings.reranker.name != "bm25"))
    if meter.budget.needs_estimate:
        kept = material.preset.keep * max(1, len(material.queries))
        core = CoreRequest(material, passages[:kept], None, settings.card)
        request, backend = core.build(core.given, core.found), await door.backend()
        tokens = int(_SHARE * await asyncio.to_thread(backend.count_tokens, request))
        tokens = min(size for size in (tokens, settings.window, backend.context_window) if size)
        answer = door.settings.max_tokens or _ANSWER_TOKENS
        rest = Hold(rest.calls, tokens + answer, backend.cost(tokens, answer) or 0.0)

    async def book(sign: int) -> None:
        meter.spent.add(rest, sign)

    await on_model_loop(lambda: book(1))
    try:
        yield
    finally:
        await on_model_loop(lambda: book(-1))
