"""Stage 3, enrichment: Sage says of each passage, or of all together, what there is in it to feel and to know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from emoagents.card import Card
from emoagents.errors import BudgetExceeded, RunError
from emoagents.fields import Field, answer_model
from emoagents.model.request import Message
from emoagents.nodes.coem.material import Material, read_material
from emoagents.nodes.coem.passages import Passage, Retrieval, retrieval_of
from emoagents.nodes.coem.settings import Settings
from emoagents.nodes.fit import fit_texts
from emoagents.state import AnswerState, Update
from emoagents.step import Run
from emoagents.together import together

__all__ = ["enrich"]

_ROLE = "sage"
_RESERVED = 3
"""Calls of a budget that are left for ranking again (query and packs may be two) and for the answer."""


async def enrich(state: AnswerState, run: Run, settings: Settings) -> Update:
    """Ask Sage, all requests side by side. Where one fails, the plain passage goes on, and the trace says so."""
    material, retrieval = read_material(state["messages"], settings), retrieval_of(state)
    preset, passages = material.preset, retrieval["passages"]
    if not settings.enriches(preset) or not passages:
        return {}
    if preset.enrich == "together":
        return {"retrieval": {**retrieval, "reading": await _reading(material, passages, run, settings)}}
    said = await _within_budget(material, passages, run, settings)
    enriched = [Passage(**{**p, "insight": s}) for p, s in zip(passages, said, strict=True)]
    return {"retrieval": Retrieval(**{**retrieval, "passages": enriched})}


async def _within_budget(
    material: Material, passages: Sequence[Passage], run: Run, settings: Settings
) -> list[str | None]:
    """Return the insights, in waves of what the budget has room for; a wave from the cache leaves that as it was."""
    said: list[str | None] = []
    while (rest := passages[len(said) :]) and (room := _affordable(run, len(rest))):
        said += await together(_insight(material, passage, run, settings) for passage in rest[:room])
    if rest:
        run.emit("failure", error=f"the budget has no room to enrich {len(rest)} passages and to answer", budget=True)
    return [*said, *[None] * len(rest)]


async def _insight(material: Material, passage: Passage, run: Run, settings: Settings) -> str | None:
    card, name = settings.card, material.preset.sage

    def build(texts: Sequence[str]) -> list[Message]:
        query = material.queries.get(passage["query"], "")
        return _asked(card.render(name, chunk=texts[0], query=query))

    return await _said(material, build, [passage["text"]], run, settings)


async def _reading(material: Material, passages: Sequence[Passage], run: Run, settings: Settings) -> str | None:
    card, name = settings.card, material.preset.sage

    def build(texts: Sequence[str]) -> list[Message]:
        chunks = "\n\n".join(card.render("passage", number=i, text=t) for i, t in enumerate(texts, 1))
        return _asked(card.render(name, chunks=chunks, query="\n\n".join(material.queries.values())))

    return await _said(material, build, [p["text"] for p in passages], run, settings)


async def _said(material: Material, build: Any, texts: Sequence[str], run: Run, settings: Settings) -> str | None:
    """Return what Sage says; None where it fails or its reply is not of the form that was asked for."""
    fields = material.preset.sage_fields
    prompt = build(await fit_texts(run, texts, build, role=_ROLE))
    try:
        reply = await run.ask_one(prompt, role=_ROLE, response_format=_form(fields) if fields else None)
    except RunError as error:
        run.emit("failure", error=str(error), budget=isinstance(error, BudgetExceeded))
        return None
    if fields and reply.parsed is None:
        run.emit("unparsed", what="enrichment", reason=reply.parse_error)
        return None
    return _lines(settings.card, reply.parsed) if reply.parsed else reply.text.strip() or None


def _asked(text: str) -> list[Message]:
    return [{"role": "user", "content": text}]


def _form(fields: Sequence[Field]) -> type[BaseModel]:
    return answer_model(fields)


def _lines(card: Card, parsed: BaseModel) -> str:
    said: Mapping[str, Any] = parsed.model_dump()
    return "\n".join(card.render("insight_line", name=name, value=str(value)) for name, value in said.items() if value)


def _affordable(run: Run, wanted: int) -> int:
    """Return how many calls Sage may use now: insights are worth nothing where no call is left for the answer."""
    meter = run.context.door.meter
    if meter.budget.calls is None:
        return wanted
    return min(wanted, max(0, int(meter.budget.calls - meter.spent.calls) - _RESERVED))
