"""What flows through a strategy's graph.

In come `messages`, out come `messages` (with exactly one assistant message more) and `answer`. All other channels
are private, so that the same strategy can stand twice in one graph and inside another.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeAlias

from langchain_core.messages import AnyMessage, convert_to_openai_messages
from langgraph.graph.message import add_messages
from typing_extensions import TypedDict

from emoagents.errors import ParameterError
from emoagents.model.request import Message

__all__ = [
    "AnswerState",
    "Candidate",
    "Event",
    "Input",
    "Output",
    "RetrievalState",
    "StopReason",
    "SupportState",
    "Update",
    "question_index",
    "question_of",
    "to_prompt",
    "with_question",
]

Event: TypeAlias = dict[str, Any]
"""One thing that happened: "event" (its kind), "node" (where), and what belongs to the kind. Plain JSON data."""

Update: TypeAlias = dict[str, Any]
"""What a step changes in the state."""

StopReason: TypeAlias = str
"""Why a run stopped: "complete", "verified", "rounds", "budget", "failed", "unparsed" or "crisis"; see `Result`."""


class Input(TypedDict):
    """What a strategy's graph takes: the state of LangGraph's own MessagesState."""

    messages: Annotated[list[AnyMessage], add_messages]


class Output(TypedDict, total=False):
    """What a strategy's graph gives."""

    messages: Annotated[list[AnyMessage], add_messages]
    answer: str


class Judged(TypedDict):
    """A verdict (nodes/verify.py) as plain data. `ok` None: it could not be judged, or nobody judged it."""

    ok: bool | None
    score: float | None
    reason: str
    error: bool


class Candidate(TypedDict, total=False):
    """One possible answer with where it comes from. Plain data, as checkpoints need it."""

    index: int
    round: int
    text: str
    emotion: str
    stimulus: str
    feedback: str
    verdict: Judged
    finish_reason: str


def joined(old: dict[str, Any], new: dict[str, Any] | None) -> dict[str, Any]:
    """Join what steps write side by side; None clears it."""
    return {} if new is None else {**old, **new}


class AnswerState(TypedDict, total=False):
    """The whole state: public channels, then private ones."""

    messages: Annotated[list[AnyMessage], add_messages]
    answer: str
    prompt: list[Message] | None
    candidates: list[Candidate] | None
    trace: Annotated[list[Event], operator.add]
    stopped_by: StopReason | None
    verified: bool | None
    round: int | None
    plan: list[dict[str, Any]] | None
    assessment: dict[str, Any] | None
    selection: dict[str, Any] | None
    retrieval: dict[str, Any] | None
    stages: Annotated[dict[str, Any], joined]


class SupportState(TypedDict, total=False):
    """The state of a graph that uses single steps of `SupportDialogue`."""

    messages: Annotated[list[AnyMessage], add_messages]
    assessment: dict[str, Any] | None
    selection: dict[str, Any] | None
    answer: str
    stopped_by: StopReason | None


class RetrievalState(TypedDict, total=False):
    """The state of a graph that uses single stages of `CoEM`."""

    messages: Annotated[list[AnyMessage], add_messages]
    retrieval: dict[str, Any] | None
    answer: str
    stopped_by: StopReason | None


def to_prompt(messages: Sequence[AnyMessage]) -> list[Message]:
    """Return the working copy that is sent to the model: the conversation in OpenAI's format.

    Raises:
        ParameterError: there is nothing to answer, or a message has a part of no known form.
    """
    try:
        converted = convert_to_openai_messages(list(messages))
    except ValueError as error:
        raise ParameterError(f"a message can't be read: {' '.join(str(error).split())[:200]}") from None
    prompt: list[Message] = converted if isinstance(converted, list) else [converted]
    if not prompt or not any(_has_content(m) for m in prompt):
        raise ParameterError("the prompt is empty: give a text or at least one message with content")
    return prompt


def _has_content(message: Mapping[str, Any]) -> bool:
    content = message.get("content")
    return bool(content.strip() if isinstance(content, str) else content) or bool(message.get("tool_calls"))


def question_of(prompt: Sequence[Message]) -> str:
    """Return the text of the last user message: what the answer answers."""
    return text_of(prompt[question_index(prompt)])


def with_question(prompt: Sequence[Message], text: str) -> list[Message]:
    """Return a copy of the prompt with another text in its last user message."""
    at = question_index(prompt)
    return [*prompt[:at], with_text(prompt[at], text), *prompt[at + 1 :]]


def question_index(prompt: Sequence[Message]) -> int:
    """Return the place of the last user message, else of the last message."""
    return max((i for i, m in enumerate(prompt) if m["role"] == "user"), default=len(prompt) - 1)


def text_of(message: Message) -> str:
    """Return a message's text without its pictures and other parts."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content or [] if _is_text(part))


def with_text(message: Message, text: str) -> Message:
    """Return a copy of a message with its text replaced and its other parts kept."""
    content = message.get("content")
    if isinstance(content, str) or content is None:
        return {**message, "content": text}
    others = [part for part in content if not _is_text(part)]
    return {**message, "content": [{"type": "text", "text": text}, *others]}


def _is_text(part: object) -> bool:
    return isinstance(part, Mapping) and part.get("type") == "text" and isinstance(part.get("text"), str)
