"""Guard: what the seeker wrote is looked at before any model sees it; signs of a crisis get a fixed reply."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from pydantic import BaseModel

from emoagents.model.request import Completion, Message
from emoagents.nodes.respond import conclude
from emoagents.state import AnswerState, Update
from emoagents.step import Run
from emoagents.support.conversation import METADATA
from emoagents.support.crisis import CrisisGuard, Sign

__all__ = ["watch"]


@dataclass(frozen=True, slots=True)
class _Said:
    """What the seeker wrote without a reply between, and the reply that followed, if one did."""

    texts: tuple[str, ...]
    reply: AIMessage | None


async def watch(state: AnswerState, run: Run, guard: CrisisGuard, *, ask_model: bool) -> Update:
    """Return the end of the run where there is a sign of a crisis, else nothing.

    What the seeker wrote last is always looked at. What was written before is looked at where nobody has: where the
    reply to it was neither one of ours (told by its metadata, which no model writes) nor the guard's.
    """
    groups = list(_groups(state["messages"]))
    for said in groups:
        if said.reply is not None and _is_ours(said.reply):
            continue
        sign = guard.look(said.texts)
        if sign is not None and not _was_answered(said, guard.reply(sign)):
            return _crisis(run, guard, sign)
    if ask_model and groups and (sign := await _asked(groups[-1].texts, run, guard)):
        return _crisis(run, guard, sign)
    return {}


def _groups(messages: Sequence[AnyMessage]) -> Iterator[_Said]:
    texts: list[str] = []
    for message in messages:
        if isinstance(message, HumanMessage):
            texts.append(message.text)
        elif isinstance(message, AIMessage):
            yield _Said(tuple(texts), message)
            texts = []
    yield _Said(tuple(texts), None)


def _is_ours(reply: AIMessage) -> bool:
    note = reply.response_metadata.get(METADATA) or {}
    return "method" in note or "crisis" in note


def _was_answered(said: _Said, reply: str) -> bool:
    """Return whether the person was given this very reply: histories that lost their metadata still hold its text."""
    return said.reply is not None and said.reply.text.strip() == reply.strip()


async def _asked(texts: Sequence[str], run: Run, guard: CrisisGuard) -> Sign | None:
    """Ask the context's model as well. A check that fails does not stop the reply; the trace says so."""

    async def ask(prompt: list[Message], schema: type[BaseModel]) -> Completion:
        return await run.ask_one(prompt, temperature=0.0, response_format=schema)

    found = await guard.model_sign(texts, ask)
    if not found.judged:
        run.emit("unparsed", what="crisis check", reason=found.reason)
    return found.sign


def _crisis(run: Run, guard: CrisisGuard, sign: Sign) -> Update:
    said = {"category": sign.category, "pattern": sign.pattern, "language": sign.language}
    run.emit("crisis", **said)
    return conclude(run, guard.reply(sign), stopped_by="crisis", metadata={METADATA: {"crisis": said}})
