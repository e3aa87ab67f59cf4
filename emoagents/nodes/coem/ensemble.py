"""Stage 5, ensemble: Core answers with the whole material, the passages and what Sage said of them before it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from emoagents.fields import answer_model
from emoagents.model.request import Message
from emoagents.nodes.coem.material import read_material
from emoagents.nodes.coem.passages import retrieval_of
from emoagents.nodes.coem.request import CoreRequest
from emoagents.nodes.coem.settings import CORE, Settings
from emoagents.nodes.fit import Room, fit_texts, room_of, trimmed
from emoagents.nodes.respond import conclude, new_message_id
from emoagents.state import AnswerState, Update, text_of
from emoagents.step import Run

__all__ = ["ensemble"]


async def ensemble(state: AnswerState, run: Run, settings: Settings) -> Update:
    """Ask Core; an answer that does not have the fields asked for ends the run as "unparsed"."""
    material, retrieval = read_material(state["messages"], settings), retrieval_of(state)
    whole = CoreRequest(material, retrieval.get("passages", []), retrieval.get("reading"), settings.card)
    prompt = await _fitting(whole, run, settings.window)
    message_id = new_message_id()
    form = answer_model(material.answer) if material.answer else None
    reply = await run.ask_one(prompt, role=CORE, response_format=form, message_id=message_id)
    unparsed = form is not None and reply.parsed is None
    if unparsed:
        run.emit("unparsed", what="answer", reason=reply.parse_error)
    stopped_by = "unparsed" if unparsed else "complete"
    return conclude(run, reply, stopped_by=stopped_by, message_id=message_id, role=CORE)


async def _fitting(whole: CoreRequest, run: Run, window: int | None) -> list[Message]:
    """Return the request, cut where it does not fit: first the oldest turns, then the material, then what was found.

    The material's claim on the window is half of it: turns are left out only where they would leave it less.
    """
    room = await room_of(run, CORE, window)
    if room is None or room.clearly_fits(whole.build(whole.given, whole.found)):
        return whole.build(whole.given, whole.found)
    turns = await _too_old(run, whole, room)
    fit = partial(fit_texts, run, role=CORE, window=window)
    given = await fit(whole.given, lambda texts: _without(turns, whole.build(texts, whole.found)), what="sources")
    found = await fit(whole.found, lambda texts: _without(turns, whole.build(given, texts)), what="passages")
    return _without(turns, whole.build(given, found))


async def _too_old(run: Run, whole: CoreRequest, room: Room) -> int:
    """Return how many of the oldest turns must be left out; tells of it (`trimmed`)."""
    claim = 2 * room.prompt // max(1, len(whole.given))  # characters; a token is about four
    prompt = whole.build([trimmed(text, claim) for text in whole.given], whole.found)
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
