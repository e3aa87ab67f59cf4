"""Material: from a conversation to what is retrieved from, what it is retrieved by, and what is asked.

What a data set's item says of itself stands in the last user message's `response_metadata["coem"]`, where no model
sees it: `preset`, `query` and `answer` (fields of a JSON answer).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AnyMessage
from pydantic import TypeAdapter, ValidationError

from emoagents.errors import ParameterError
from emoagents.fields import Field
from emoagents.model.request import Message
from emoagents.nodes.coem.settings import Preset, Settings
from emoagents.state import text_of, to_prompt

__all__ = ["METADATA", "Material", "read_material", "spoken"]

METADATA = "coem"
"""Key of a user message's `response_metadata`."""

_FIELDS = TypeAdapter(tuple[Field, ...])
_LAST_PARAGRAPH = re.compile(r"\A(?P<before>.*\S)\s*\n[ \t]*\n\s*(?P<last>\S.*)\Z", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What one request brings.

    Attributes:
        preset_name, preset: the kind of task.
        prompt: the whole conversation in OpenAI's format. asked_at: place of its last user message.
        question: the text of the last user message, without the material in it.
        texts: what is retrieved from, a source each.
        given: those of the texts that stand in the last user message or were given as documents: the Core model is
            shown them in full; the others are messages of the conversation.
        queries: by name; none where passages are ranked by how unlike each other they are.
        answer: fields of the answer, () for free text.
    """

    preset_name: str
    preset: Preset
    prompt: Sequence[Message]
    asked_at: int
    question: str
    texts: Sequence[str]
    given: Sequence[str]
    queries: Mapping[str, str]
    answer: Sequence[Field]


def read_material(messages: Sequence[AnyMessage], settings: Settings) -> Material:
    """Return what the messages bring.

    Raises:
        ParameterError: there is nothing to answer, or the item's own word on itself makes no sense.
        UnknownNameError: no such preset.
    """
    prompt = to_prompt(messages)
    at = max((i for i, m in enumerate(prompt) if m["role"] == "user"), default=len(prompt) - 1)
    said = _own_word(messages[at])
    parts, question = _split(messages[at])
    name = (
        settings.preset_name
        if settings.preset_name != "auto"
        else said.get("preset") or _guess(prompt, parts, settings)
    )
    preset = settings.preset(name)
    if preset.source == "document" and not (parts or settings.documents or settings.corpus):
        parts, question = _last_paragraph(question)
    given = [*settings.documents, *parts] if preset.source == "document" else []
    return Material(
        preset_name=name,
        preset=preset,
        prompt=prompt,
        asked_at=at,
        question=question,
        texts=given or _said_before(prompt, preset, settings),
        given=given,
        queries=_queries(prompt, preset, said.get("query") or question, settings),
        answer=_answer(said, settings),
    )


def spoken(messages: Sequence[AnyMessage]) -> list[AnyMessage]:
    """Return the messages without the material in them: what a person said, and not what was given to read."""
    return [m.model_copy(update={"content": _split(m)[1]}) if m.type == "human" else m for m in messages]


def _own_word(message: AnyMessage) -> Mapping[str, Any]:
    word = message.response_metadata.get(METADATA, {})
    if not isinstance(word, Mapping):
        raise ParameterError(f"response_metadata[{METADATA!r}] must be a mapping, not {word!r:.80}")
    return word


def _split(message: AnyMessage) -> tuple[list[str], str]:
    """Return the parts before the last one, and the last. In OpenAI's format, parts of text alone become one text."""
    content = message.content
    parts = [content] if isinstance(content, str) else [text_of({"content": [part]}) for part in content]
    texts = [text for text in parts if text.strip()]
    return texts[:-1], texts[-1] if texts else ""


def _last_paragraph(text: str) -> tuple[list[str], str]:
    """Take the last paragraph for the question where all came as one text."""
    found = _LAST_PARAGRAPH.match(text)
    return ([found["before"]], found["last"]) if found else ([], text)


def _guess(prompt: Sequence[Message], parts: Sequence[str], settings: Settings) -> str:
    several = sum(m["role"] == "user" for m in prompt) > 1
    return "conversation" if several and not (parts or settings.documents or settings.corpus) else "document"


def _said_before(prompt: Sequence[Message], preset: Preset, settings: Settings) -> list[str]:
    if preset.source == "own":
        return [text for m in prompt if m["role"] == "assistant" and (text := text_of(m)).strip()]
    if preset.source == "conversation":
        earlier = transcript(_spoken(prompt)[: -preset.recent], settings)
        return [earlier] if earlier else []
    return []


def _queries(prompt: Sequence[Message], preset: Preset, question: str, settings: Settings) -> Mapping[str, str]:
    if preset.rerank == "unlike":
        return {}
    if preset.query == "queries":
        return preset.queries
    if preset.query == "recent":
        return {"recent": transcript(_spoken(prompt)[-preset.recent :], settings)}
    return {"question": question}


def transcript(messages: Sequence[Message], settings: Settings) -> str:
    """Return what was said, each message behind who said it, in the card's words."""
    return "\n".join(settings.card.render(f"turn_{m['role']}", text=text_of(m)) for m in messages)


def _spoken(prompt: Sequence[Message]) -> list[Message]:
    return [m for m in prompt if m["role"] in ("user", "assistant") and text_of(m).strip()]


def _answer(said: Mapping[str, Any], settings: Settings) -> Sequence[Field]:
    if settings.answer or "answer" not in said:
        return settings.answer
    try:
        return _FIELDS.validate_python(said["answer"])
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ParameterError(f"the answer's fields: {place}: {first['msg']}") from None
