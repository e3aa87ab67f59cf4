"""Between support dialogues and chat messages.

A seeker is a user, a supporter the assistant, and what is known of the seeker stands in a system message. What a
supporter's reply was made with (strategy, stage ...) travels in the message's `response_metadata` under "support": it
is kept by LangGraph's checkpointers and sent to no model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from langchain_core.messages import AnyMessage, convert_to_messages

from emoagents.model.request import Message
from emoagents.state import text_of, to_prompt
from emoagents.support.dialogue import Background, Turn
from emoagents.support.labels import canonical

__all__ = ["METADATA", "Conversation", "as_messages", "conversation_of"]

METADATA = "support"
"""Key of a message's `response_metadata` that holds what its reply was made with."""

_LINES = {"emotion_type": "Emotion type", "problem_type": "Problem type", "situation": "Situation"}


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation as strategies and planners read it.

    Attributes:
        background: what is known of the seeker, as text; "" where nothing is.
        turns: what was said, oldest first, with the supporter's strategies where they are known.
        notes: what each of our own replies was made with, oldest first.
    """

    background: str
    turns: tuple[Turn, ...]
    notes: tuple[Mapping[str, Any], ...] = ()


def as_messages(background: Background, turns: Sequence[Turn]) -> tuple[Message, ...]:
    """Return a dialogue's messages in OpenAI's format, with strategies in `response_metadata`."""
    lines = [f"{title}: {value}" for key, title in _LINES.items() if (value := getattr(background, key))]
    system: list[Message] = [{"role": "system", "content": "\n".join(lines)}] if lines else []
    return (*system, *map(_message, turns))


def _message(turn: Turn) -> Message:
    if turn.role == "seeker":
        return {"role": "user", "content": turn.text}
    note = {"response_metadata": {METADATA: {"strategy": turn.strategy}}} if turn.strategy else {}
    return {"role": "assistant", "content": turn.text, **note}


def conversation_of(messages: Sequence[AnyMessage | Message]) -> Conversation:
    """Return what messages hold of a support conversation. Roles other than system, user and assistant say nothing.

    Raises:
        ParameterError: there is no message with content.
    """
    known = cast(list[AnyMessage], convert_to_messages(list(messages)))
    plain = to_prompt(known)
    system = [text_of(m).strip() for m in plain if m["role"] in ("system", "developer")]
    notes = [m.response_metadata.get(METADATA) or {} for m in known]
    said = [(m, note) for m, note in zip(plain, notes, strict=True) if m["role"] in ("user", "assistant")]
    return Conversation(
        background="\n".join(filter(None, system)),
        turns=tuple(_turn(number, message, note) for number, (message, note) in enumerate(said)),
        notes=tuple(note for message, note in said if note and message["role"] == "assistant"),
    )


def _turn(number: int, message: Message, note: Mapping[str, Any]) -> Turn:
    if message["role"] == "user":
        return Turn(role="seeker", text=text_of(message), number=number)
    return Turn(
        role="supporter", text=text_of(message), number=number, strategy=canonical(str(note.get("strategy") or ""))
    )
