"""What a card is made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, Field, field_validator

from emoagents.card.stages import TABLE, Labels, Stage
from emoagents.card.template import Value, fill
from emoagents.errors import CardError, ParameterError, UnknownNameError

__all__ = ["Card", "Demo", "Placement", "Prompt", "Source", "Stimulus", "Tone", "Variation"]

Tone: TypeAlias = Literal["emotional", "neutral"]
"""Which of its two wordings a stimulus speaks in."""

_T = TypeVar("_T")


class _Part(BaseModel):
    model_config = TABLE


class Source(_Part):
    """Where a text comes from."""

    title: str
    authors: str = ""
    year: int | None = None
    url: str = ""
    licence: str = ""
    note: str = ""


class Demo(_Part):
    """A demonstration: values for a prompt's places, and the answer that was given to it.

    The prompt is filled with the values and shown with its answer before the question itself, as turns of the
    conversation.

    Attributes:
        values: by variable. answer: the model's.
        before, after: messages around the prompt, in OpenAI's format; those of the system are not shown. One without a
            content gets an empty one.
        head, tail: texts around the prompt in its own message.
    """

    values: dict[str, str | int | float]
    answer: str
    before: list[dict[str, Any]] = []
    after: list[dict[str, Any]] = []
    head: str = ""
    tail: str = ""

    @field_validator("before", "after")
    @classmethod
    def _as_sent(cls, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Leave out what is None, for which TOML has no word; a content, which each message needs, becomes empty."""
        given = [{key: value for key, value in message.items() if value is not None} for message in messages]
        return [message if "content" in message else {**message, "content": ""} for message in given]


class Prompt(_Part):
    """A template, the variables that it may use, and demonstrations of it."""

    text: str = Field(min_length=1)
    variables: list[str] = []
    source: str
    note: str = ""
    demos: list[Demo] = []


class Stimulus(_Part):
    """A sentence that is meant to move the model, and its neutral twin for the control arm."""

    id: str = Field(min_length=1)
    text: str = Field(min_length=1)
    neutral: str | None = Field(default=None, min_length=1)
    source: str
    theory: list[str] = []
    emotion: str | None = None
    valence: Literal["positive", "negative", "neutral"] | None = None
    group: str = ""
    paper_number: str | None = None
    note: str = ""

    def in_tone(self, tone: Tone) -> str:
        """Return the text, or its neutral twin."""
        if tone == "emotional":
            return self.text
        if self.neutral is None:
            raise ParameterError(f"stimulus {self.id!r} has no neutral twin; give it a `neutral` text in the card")
        return self.neutral


class Variation(_Part):
    """Another way to ask the same question, so that samples differ."""

    id: str = Field(min_length=1)
    kind: Literal["template", "language"]
    language: str | None = None
    text: str = Field(min_length=1)
    source: str
    note: str = ""

    def render(self, question: str) -> str:
        """Return the question asked in this way."""
        return fill(self.text, {"question": question})


class Placement(_Part):
    """Where a stimulus stands, and what parts it from the text before it."""

    separator: str
    source: str
    note: str = ""


class Card(_Part):
    """All text and default parameters of one strategy.

    One with `graph = "staged"` is a whole strategy: its `stages` say what is asked, and the field `reply` of the last
    one is the answer. Its prompts need not declare their variables: what a stage reads is what they may use.
    `choices` are the values of parameters that a search may try (`emoagents.tuning`).
    """

    name: str = Field(min_length=1)
    title: str
    summary: str
    kind: Literal["prepare", "answer"]
    aliases: list[str] = []
    notes: list[str] = []
    sources: dict[str, Source] = {}
    defaults: dict[str, Any] = {}
    choices: dict[str, list[Any]] = {}
    prompts: dict[str, Prompt] = {}
    placements: dict[str, Placement] = {}
    stimuli: list[Stimulus] = []
    variations: list[Variation] = []
    graph: Literal["staged"] | None = None
    reply: str | None = None
    lists: dict[str, Labels] = {}
    stages: list[Stage] = []

    def render(self, prompt_name: str, /, **values: Value) -> str:
        """Return the prompt with its places filled. Values that the prompt does not use are left out."""
        prompt = self.prompt(prompt_name)
        try:
            return fill(prompt.text, values)
        except KeyError as error:
            raise CardError(self.name, f"prompts.{prompt_name}", f"no value for {{{{{error.args[0]}}}}}") from None

    def prompt(self, name: str) -> Prompt:
        """Return a prompt by its name."""
        return _look_up("prompt", name, self.prompts)

    def placement(self, name: str) -> Placement:
        """Return a placement by its name."""
        return _look_up("placement", name, self.placements)

    def stimulus(self, id: str) -> Stimulus:
        """Return a stimulus by its id."""
        return _look_up("stimulus", id, {s.id: s for s in self.stimuli})

    def variation(self, id: str) -> Variation:
        """Return a variation by its id."""
        return _look_up("variation", id, {v.id: v for v in self.variations})

    def variations_of(self, kind: Literal["template", "language"]) -> list[Variation]:
        """Return the variations of one kind, in the card's order."""
        return [v for v in self.variations if v.kind == kind]

    def emotions(self) -> list[str]:
        """Return the emotions that the stimuli carry, each once, in the card's order."""
        return list(dict.fromkeys(s.emotion for s in self.stimuli if s.emotion is not None))

    def stimuli_of(self, emotion: str) -> list[Stimulus]:
        """Return the stimuli of one emotion, in the card's order."""
        wanted = _look_up("emotion", emotion, {e: e for e in self.emotions()})
        return [s for s in self.stimuli if s.emotion == wanted]


def _look_up(kind: str, name: str, entries: Mapping[str, _T]) -> _T:
    if name in entries:
        return entries[name]
    for known, entry in entries.items():
        if known.casefold() == name.casefold():
            return entry
    raise UnknownNameError(kind, name, entries)
