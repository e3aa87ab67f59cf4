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

from emoagents.errors import ParameterError
from emoagents.model.request import Message
from emoagents.state import text_of, to_prompt
from emoagents.support.dialogue import Background, Role, Turn
from emoagents.support.labels import canonical

__all__ = ["METADATA", "Conversation", "as_messages", "conversation_of", "role_of", "said_in"]

METADATA = "support"
"""Key of a message's `response_metadata` that holds what its reply was made with."""

_BACKGROUND = ("system", "developer")

_LINES = {"emotion_type": "Emotion type", "problem_type": "Problem type", "situation": "Situation"}


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation as strategies and planners read it.

    Attributes:
        background: what is known of the seeker, as text; "" where nothing is.
        turns: what was said, oldest first, with the supporter's strategies where they are known.
        notes: what each of our own replies was made with, oldest first.
        dialogue: id of the dialogue of a data set that this is cut from, if it is.
    """

    background: str
    turns: tuple[Turn, ...]
    notes: tuple[Mapping[str, Any], ...] = ()
    dialogue: str | None = None


def as_messages(background: Background, turns: Sequence[Turn], dialogue: str | None = None) -> tuple[Message, ...]:
    """Return a dialogue's messages in OpenAI's format, with strategies and its id in `response_metadata`."""
    lines = [f"{title}: {value}" for key, title in _LINES.items() if (value := getattr(background, key))]
    system: list[Message] = [{"role": "system", "content": "\n".join(lines)}] if lines else []
    return (*system, *(_message(turn, dialogue) for turn in turns))


def _message(turn: Turn, dialogue: str | None) -> Message:
    note = {"strategy": turn.strategy, "dialogue": dialogue}
    note = {name: value for name, value in note.items() if value is not None}
    metadata = {"response_metadata": {METADATA: note}} if note else {}
    return {"role": "user" if turn.role == "seeker" else "assistant", "content": turn.text, **metadata}


def conversation_of(messages: Sequence[AnyMessage | Message]) -> Conversation:
    """Return what messages hold of a support conversation. What tools say is left out.

    Raises:
        ParameterError: there is no message with content, or one without text, as a picture alone.
    """
    known = cast(list[AnyMessage], convert_to_messages(list(messages)))
    plain = to_prompt(known)
    notes = [_note(message) for message in known]
    said = [(m, note) for m, note in zip(plain, notes, strict=True) if role_of(m) is not None]
    return Conversation(
        background="\n".join(filter(None, (said_in(m).strip() for m in plain if m["role"] in _BACKGROUND))),
        turns=tuple(_turn(number, message, note) for number, (message, note) in enumerate(said)),
        notes=tuple(note for message, note in said if note and role_of(message) == "supporter"),
        dialogue=next((str(note["dialogue"]) for note in notes if note.get("dialogue")), None),
    )


def role_of(message: Message) -> Role | None:
    """Return who speaks in a message; None for background and tools. An unknown role is the seeker's: nobody's words
    are passed over."""
    if message["role"] in (*_BACKGROUND, "tool", "function"):
        return None
    return "supporter" if message["role"] == "assistant" else "seeker"


def said_in(message: Message) -> str:
    """Return the text of a message, of all its parts that have any.

    Raises:
        ParameterError: it has parts, and no text in them.
    """
    content = message.get("content")
    if not isinstance(content, list):
        return text_of(message)
    texts = [part if isinstance(part, str) else part.get("text") for part in content]
    found = "\n".join(text for text in texts if isinstance(text, str))
    if content and not found.strip():
        raise ParameterError("a support dialogue reads text: one of the messages has none")
    return found


def _note(message: AnyMessage) -> dict[str, Any]:
    note = message.response_metadata.get(METADATA)
    return dict(note) if isinstance(note, Mapping) else {}


def _turn(number: int, message: Message, note: Mapping[str, Any]) -> Turn:
    role = role_of(message) or "seeker"
    strategy = canonical(str(note.get("strategy") or "")) if role == "supporter" else None
    return Turn(role=role, text=said_in(message), number=number, strategy=strategy)
