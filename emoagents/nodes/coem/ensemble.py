"""Stage 5, ensemble: Core answers with the whole material, the passages and what Sage said of them before it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from emoagents.card import Card
from emoagents.fields import answer_model
from emoagents.model.request import Message
from emoagents.nodes.coem.material import Material, read_material
from emoagents.nodes.coem.passages import Passage, Retrieval, of_query, retrieval_of
from emoagents.nodes.coem.settings import Settings
from emoagents.nodes.fit import fit_texts, room_of
from emoagents.nodes.respond import conclude, new_message_id
from emoagents.state import AnswerState, Update, text_of, with_text
from emoagents.step import Run

__all__ = ["ensemble"]

_ROLE = "core"


async def ensemble(state: AnswerState, run: Run, settings: Settings) -> Update:
    """Ask Core; an answer that does not have the fields asked for ends the run as "unparsed"."""
    material, retrieval = read_material(state["messages"], settings), retrieval_of(state)
    prompt = await _prompt(material, retrieval, run, settings)
    message_id = new_message_id()
    form = answer_model(material.answer) if material.answer else None
    reply = await run.ask_one(prompt, role=_ROLE, response_format=form, message_id=message_id)
    if form is not None and reply.parsed is None:
        run.emit("unparsed", what="answer", reason=reply.parse_error)
        return conclude(run, reply, stopped_by="unparsed", message_id=message_id)
    return conclude(run, reply, stopped_by="complete", message_id=message_id)


async def _prompt(material: Material, retrieval: Retrieval, run: Run, settings: Settings) -> list[Message]:
    """Return the request, cut where it does not fit: first the material or the oldest turns, then the passages."""
    passages = retrieval.get("passages", [])
    shown = _Shown(material, retrieval.get("reading"), passages, settings.card)
    found, fit = [p["text"] for p in passages], partial(fit_texts, run, role=_ROLE, window=settings.window)
    given = await fit(material.given, lambda texts: shown.request(texts, found), what="sources")
    turns = await _too_old(run, shown.request(given, found), settings.window)
    found = await fit(found, lambda texts: _without(turns, shown.request(given, texts)), what="passages")
    return _without(turns, shown.request(given, found))


class _Shown:
    """The request as a function of the texts in it, which may be trimmed."""

    def __init__(self, material: Material, reading: str | None, passages: Sequence[Passage], card: Card) -> None:
        self._material, self._reading, self._passages, self._card = material, reading, passages, card

    def request(self, given: Sequence[str], found: Sequence[str]) -> list[Message]:
        shown = [Passage(**{**p, "text": t}) for p, t in zip(self._passages, found, strict=True)]
        if self._material.preset.source == "document":
            return self._of_document(given, shown)
        return self._of_conversation(shown)

    def _of_document(self, given: Sequence[str], passages: Sequence[Passage]) -> list[Message]:
        m, blocks = self._material, self._blocks(passages)
        text = m.question
        if given:
            name, whole = m.preset.core if passages else "base", "\n\n".join(given)
            text = self._card.render(name, material=whole, passages=blocks, question=m.question)
        elif passages:
            text = self._card.render("core_found", passages=blocks, question=m.question)
        return [*m.prompt[: m.asked_at], with_text(m.prompt[m.asked_at], text), *m.prompt[m.asked_at + 1 :]]

    def _of_conversation(self, passages: Sequence[Passage]) -> list[Message]:
        m = self._material
        if not passages and not self._reading:
            return list(m.prompt)
        text = self._card.render(m.preset.core, passages=self._blocks(passages), reading=self._reading or "")
        return [{"role": "system", "content": text.strip()}, *m.prompt]

    def _blocks(self, passages: Sequence[Passage]) -> str:
        names = list(dict.fromkeys(p["query"] for p in passages))
        if len(names) < 2:
            return self._block(passages)
        groups = ((name, of_query(passages, name)) for name in names)
        return "\n\n".join(
            self._card.render("group", query=name, passages=self._block(group)) for name, group in groups
        )

    def _block(self, passages: Sequence[Passage]) -> str:
        return "\n\n".join(
            self._card.render("pack", number=number, text=p["text"], insight=p["insight"])
            if p["insight"]
            else self._card.render("passage", number=number, text=p["text"])
            for number, p in enumerate(passages, 1)
        )


async def _too_old(run: Run, prompt: Sequence[Message], window: int | None) -> int:
    """Return how many of the oldest turns must be left out for the conversation to fit; tells of it (`trimmed`)."""
    room = await room_of(run, _ROLE, window)
    if room is None or room.clearly_fits(prompt):
        return 0
    turns = _turns(prompt)
    count = await asyncio.to_thread(_fewest, len(turns), lambda n: room.fits(_without(n, prompt)))
    if count:
        run.emit("trimmed", turns=count, characters=sum(len(text_of(prompt[i])) for i in turns[:count]))
    return count


def _turns(prompt: Sequence[Message]) -> list[int]:
    """Return the places of what was said before the last message; what the system says is no turn."""
    return [i for i, m in enumerate(prompt[:-1]) if m["role"] != "system"]


def _without(count: int, prompt: Sequence[Message]) -> list[Message]:
    gone = set(_turns(prompt)[:count])
    return [m for i, m in enumerate(prompt) if i not in gone]


def _fewest(most: int, fits: Callable[[int], bool]) -> int:
    """Return the smallest number that fits, else the largest there is."""
    low, high = 0, most
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle + 1, high)
    return low
