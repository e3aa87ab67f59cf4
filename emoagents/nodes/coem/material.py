"""Material: from a conversation to what is retrieved from, what it is retrieved by, and what is asked.

What a data set's item says of itself stands in the last user message's `response_metadata["coem"]`, where no model
sees it: `preset`, `query` and `answer` (fields of a JSON answer).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from langchain_core.messages import AnyMessage
from pydantic import BaseModel, ConfigDict, ValidationError

from emoagents.errors import ParameterError
from emoagents.fields import Field
from emoagents.model.request import Message
from emoagents.model.structured import without_thoughts
from emoagents.nodes.coem.settings import Preset, Settings
from emoagents.nodes.fit import trimmed
from emoagents.state import text_of, to_prompt

__all__ = ["METADATA", "Material", "read_material", "spoken"]

METADATA = "coem"
"""Key of a user message's `response_metadata`."""

_LONG = 2000
"""Characters from which on a text without an empty line is taken for a document with a question as its last line."""
_LONGEST_QUERY = 4000
"""Characters of a query: what is longer no embedding model takes, and says less the longer it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What one request brings.

    Attributes:
        preset_name: the kind of task.
        preset: its parameters.
        prompt: the whole conversation in OpenAI's format.
        asked_at: place of its last user message.
        question: the text of that message, without the material in it.
        texts: what is retrieved from, a source each.
        given: those of the texts that stand in the last user message or were given as documents: Core is shown them in
            full beside the question. The others stand in the conversation.
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


class _Word(BaseModel):
    """What an item says of itself."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    preset: str | None = None
    query: str | None = None
    answer: list[Field] = []


def read_material(messages: Sequence[AnyMessage], settings: Settings) -> Material:
    """Return what the messages bring.

    Raises:
        ParameterError: there is nothing to answer, or the item's own word on itself makes no sense.
        UnknownNameError: no such preset.
    """
    prompt = to_prompt(messages)
    at = _asked_at(messages)
    word, (parts, question) = _own_word(messages[at]), _split(messages[at])
    name = _preset_name(messages[: at + 1], word, settings)
    preset = settings.preset(name)
    earlier: list[str] = []
    if preset.source == "document" and not (parts or settings.documents or settings.corpus):
        earlier = _given_before(messages[:at])
        parts, question = ([], question) if earlier else _last_paragraph(question)
    given = [*settings.documents, *parts] if preset.source == "document" else []
    return Material(
        preset_name=name,
        preset=preset,
        prompt=prompt,
        asked_at=at,
        question=question if preset.source == "document" else text_of(prompt[at]),
        texts=given or earlier or _said_before(prompt, preset, settings),
        given=given,
        queries=_queries(prompt, preset, word.query or question, settings),
        answer=settings.answer or word.answer,
    )


def spoken(messages: Sequence[AnyMessage], settings: Settings) -> list[AnyMessage]:
    """Return what a person may have said: all, but for texts that were given to be read where that is certain.

    It is certain where the preset is one of documents and was named, by the caller or by the item.
    """
    name = settings.preset_name if settings.preset_name != "auto" else _own_word(messages[_asked_at(messages)]).preset
    if name is None or settings.preset(name).source != "document":
        return [_in_one_text(m) for m in messages]
    return [m.model_copy(update={"content": _split(m)[1]}) if m.type == "human" else m for m in messages]


def transcript(messages: Sequence[Message], preset: Preset, settings: Settings) -> str:
    """Return what was said, each message behind who said it."""
    said = ((preset.speakers[m["role"]], without_thoughts(text_of(m))) for m in messages)
    return "\n".join(settings.card.render("turn", speaker=speaker, text=text) for speaker, text in said)


def _asked_at(messages: Sequence[AnyMessage]) -> int:
    return max((i for i, m in enumerate(messages) if m.type == "human"), default=len(messages) - 1)


def _own_word(message: AnyMessage) -> _Word:
    try:
        return _Word.model_validate(message.response_metadata.get(METADATA, {}))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join([f"response_metadata[{METADATA!r}]", *map(str, first["loc"])])
        raise ParameterError(f"{place}: {first['msg']} (given: {first['input']!r:.80})") from None


def _texts(message: AnyMessage) -> list[str]:
    """Return the texts of a message's parts; in OpenAI's format, parts of text alone become one text."""
    content = [message.content] if isinstance(message.content, str) else message.content
    texts = [part if isinstance(part, str) else text_of({"content": [part]}) for part in content]
    return [text for text in texts if text.strip()]


def _split(message: AnyMessage) -> tuple[list[str], str]:
    texts = _texts(message)
    return texts[:-1], texts[-1] if texts else ""


def _in_one_text(message: AnyMessage) -> AnyMessage:
    return message.model_copy(update={"content": "\n".join(_texts(message))}) if message.type == "human" else message


def _preset_name(messages: Sequence[AnyMessage], word: _Word, settings: Settings) -> str:
    """Return the preset that was named, else what fits: a document where there is one, the conversation where it has
    several turns."""
    if settings.preset_name != "auto" or word.preset:
        return word.preset if settings.preset_name == "auto" and word.preset else settings.preset_name
    said = [m for m in messages if m.type == "human"]
    documents = settings.documents or settings.corpus or any(len(_texts(m)) > 1 for m in said)
    return "document" if documents or len(said) < 2 else "chat"


def _given_before(messages: Sequence[AnyMessage]) -> list[str]:
    """Return the material of an earlier question, which this one may be about, too."""
    return next((parts for m in reversed(messages) if m.type == "human" and (parts := _split(m)[0])), [])


def _last_paragraph(text: str) -> tuple[list[str], str]:
    """Take the last paragraph for the question where all came as one text; of a long one without paragraphs, the last
    line."""
    lines = text.rstrip().split("\n")
    ends = [i for i, line in enumerate(lines) if not line.strip()]
    if not ends and len(text) > _LONG and len(lines) > 1:
        return ["\n".join(lines[:-1])], lines[-1]
    before = "\n".join(lines[: ends[-1]]).rstrip() if ends else ""
    return ([before], "\n".join(lines[ends[-1] + 1 :])) if before else ([], text)


def _said_before(prompt: Sequence[Message], preset: Preset, settings: Settings) -> list[str]:
    if preset.source == "own":
        return [text for m in prompt if m["role"] == "assistant" and (text := without_thoughts(text_of(m)))]
    if preset.source == "conversation":
        earlier = transcript(_turns(prompt)[: -preset.recent], preset, settings)
        return [earlier] if earlier else []
    return []


def _queries(prompt: Sequence[Message], preset: Preset, question: str, settings: Settings) -> Mapping[str, str]:
    if preset.rerank == "unlike":
        return {}
    if preset.query == "queries":
        return preset.queries
    if preset.query == "recent":
        question = transcript(_turns(prompt)[-preset.recent :], preset, settings)
    return {"question": trimmed(question, _LONGEST_QUERY)}


def _turns(prompt: Sequence[Message]) -> list[Message]:
    return [m for m in prompt if m["role"] in ("user", "assistant") and text_of(m).strip()]
