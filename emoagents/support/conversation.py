"""Between support dialogues and chat messages.

A seeker is a user, a supporter the assistant, and what is known of the seeker stands in a system message. What a
supporter's reply was made with (strategy, stage ...) travels in the message's `response_metadata` under "support": it
is kept by LangGraph's checkpointers and sent to no model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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


def conversation_of(messages: Sequence[AnyMessage | Message], prompt: Sequence[Message] | None = None) -> Conversation:
    """Return what messages hold of a support conversation. Roles other than system, user and assistant say nothing.

    Args:
        messages: the conversation.
        prompt: its working copy, where another strategy has prepared one: what is said is read from there.

    Raises:
        ParameterError: there is no message with content.
    """
    known = cast(list[AnyMessage], convert_to_messages(list(messages)))
    plain = to_prompt(known) if prompt is None else list(prompt)
    notes = [dict(m.response_metadata.get(METADATA) or {}) for m in known]
    made = [note for message, note in zip(known, notes, strict=True) if message.type == "ai"]
    return Conversation(
        background="\n".join(filter(None, (text_of(m).strip() for m in plain if m["role"] in ("system", "developer")))),
        turns=tuple(_turns(plain, made)),
        notes=tuple(filter(None, made)),
        dialogue=next((str(note["dialogue"]) for note in notes if note.get("dialogue")), None),
    )


def _turns(plain: Sequence[Message], made: Sequence[Mapping[str, Any]]) -> Iterator[Turn]:
    """Yield what was said; `made` are the notes of the assistant's messages, in their order."""
    left = iter(made)
    said = [m for m in plain if m["role"] in ("user", "assistant")]
    for number, message in enumerate(said):
        if message["role"] == "user":
            yield Turn(role="seeker", text=text_of(message), number=number)
        else:
            strategy = canonical(str(next(left, {}).get("strategy") or ""))
            yield Turn(role="supporter", text=text_of(message), number=number, strategy=strategy)
