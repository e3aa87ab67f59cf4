"""Giving the answer: one plain question, and the closing of every strategy."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, cast

from langchain_core.messages import AIMessage, convert_to_messages

from emoagents.asked import ask_in
from emoagents.card import Card
from emoagents.model.request import Completion, Message
from emoagents.state import AnswerState, StopReason, Update, to_prompt
from emoagents.step import Run

__all__ = ["ask_once", "conclude", "prompt_of"]


def prompt_of(state: AnswerState) -> list[Message]:
    """Return the working copy of the conversation; it begins as the conversation itself."""
    return state.get("prompt") or to_prompt(state["messages"])


async def ask_once(state: AnswerState, run: Run, card: Card) -> Update:
    """Ask the prepared prompt once and answer with what comes."""
    message_id = new_message_id()
    completion = await run.ask_one(ask_in(prompt_of(state), card), message_id=message_id)
    return conclude(run, completion, stopped_by="complete", message_id=message_id)


def new_message_id() -> str:
    """Return an id that the answer's tokens and the answer itself share."""
    return f"emoagents-{uuid.uuid4()}"


def conclude(
    run: Run,
    answer: str | Completion,
    *,
    stopped_by: StopReason,
    verified: bool | None = None,
    message_id: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    role: str | None = None,
) -> Update:
    """Return the update that ends a strategy: the answer, and one assistant message more.

    Args:
        metadata: what else the message's `response_metadata` shall hold; plain JSON data.
        role: by which role the answer was asked for: its model is the message's `model_name`.
    """
    completion = answer if isinstance(answer, Completion) else Completion(text=answer)
    message = _message(completion)
    message.id = message_id or new_message_id()
    message.response_metadata = {
        "model_name": run.context.door.of(role).name,
        "finish_reason": completion.finish_reason,
        "stopped_by": stopped_by,
        "verified": verified,
        **(metadata or {}),
    }
    run.emit("answer", text=completion.text, stopped_by=stopped_by, verified=verified)
    return {"answer": completion.text, "messages": [message], "stopped_by": stopped_by, "verified": verified}


def _message(completion: Completion) -> AIMessage:
    if not completion.tool_calls:
        return AIMessage(content=completion.text)
    raw = {"role": "assistant", "content": completion.text, "tool_calls": completion.tool_calls}
    return cast(AIMessage, convert_to_messages([raw])[0])
