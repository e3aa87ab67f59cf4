"""Guard: what the seeker wrote is looked at before any model sees it; signs of a crisis get a fixed reply."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AnyMessage
from pydantic import BaseModel

from emoagents.errors import ParameterError
from emoagents.model.request import Completion, Message
from emoagents.nodes.respond import conclude
from emoagents.state import AnswerState, Update, to_prompt
from emoagents.step import Run
from emoagents.support.conversation import METADATA, role_of, said_in
from emoagents.support.crisis import CrisisGuard, Sign

__all__ = ["GUARDS", "check_for_crisis", "guard_of"]

_RECENT = 6
"""Messages of the seeker that the model is asked about."""


GUARDS = ("on", "model", "off")
"""Words for a guard: patterns; patterns, and a model is asked as well; none."""


def guard_of(given: Any, locale: str) -> CrisisGuard | None:
    """Return the guard; None only where it was turned off in so many words.

    Raises:
        ParameterError: it is something else.
    """
    if isinstance(given, CrisisGuard):
        if locale != "auto":
            raise ParameterError("a CrisisGuard has a locale of its own: give it there")
        return given
    if given in ("on", "model"):
        return CrisisGuard(locale=locale)
    if given == "off":
        return None
    raise ParameterError(f"guard must be on, model, off, or a CrisisGuard, not {given!r:.80}")


async def check_for_crisis(state: AnswerState, run: Run, guard: CrisisGuard, *, ask_model: bool) -> Update:
    """Return the end of the run where there is a sign of a crisis, else what begins a turn anew.

    All that the seeker wrote is looked at, in every turn, each message alone and all of them joined: whatever was
    written before, by whom, and whether anybody looked then. Only what one of the guard's own replies followed, told
    by its text, has been answered. Messages of the system are the app's own, and are not looked at.
    """
    texts = _unanswered(state["messages"], guard)
    sign = guard.look(texts) if texts else None
    if sign is None and ask_model and texts:
        sign = await _asked(texts[-_RECENT:], run, guard)
    if sign is not None:
        return _crisis(run, guard, sign)
    return {"stopped_by": None, "assessment": None, "selection": None}


def _unanswered(messages: Sequence[AnyMessage], guard: CrisisGuard) -> list[str]:
    texts: list[str] = []
    for message in to_prompt(messages):
        role = role_of(message)
        if role == "seeker":
            texts.append(said_in(message))
        elif role == "supporter" and guard.is_reply(said_in(message)):
            texts = []
    return texts


async def _asked(texts: Sequence[str], run: Run, guard: CrisisGuard) -> Sign | None:
    """Ask the context's model as well. A check that fails does not stop the reply; the trace says so."""

    async def ask(prompt: list[Message], schema: type[BaseModel]) -> Completion:
        return await run.ask_one(prompt, temperature=0.0, max_tokens=_LENGTH, response_format=schema)

    found = await guard.model_sign(texts, ask)
    if not found.judged:
        run.emit("unparsed", what="crisis check", reason=found.reason)
    return found.sign


_LENGTH = 256
"""Tokens of the model's word."""


def _crisis(run: Run, guard: CrisisGuard, sign: Sign) -> Update:
    said = {"category": sign.category, "pattern": sign.pattern, "language": sign.language}
    run.emit("crisis", **said)
    return conclude(run, guard.reply(sign), stopped_by="crisis", metadata={METADATA: {"crisis": said}})
