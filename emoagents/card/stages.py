"""The stages of a card with `graph = "staged"`: what each asks for, what it reads, and when it runs."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["BUILT_IN", "LISTED", "SPEAKERS", "TABLE", "UTTERANCES", "Condition", "Format", "Labels", "Stage"]

TABLE = ConfigDict(frozen=True, extra="forbid", strict=True)
"""A table of a card: its keys and their types are fixed."""

Format: TypeAlias = Literal["json", "tags", "text"]
"""How a stage's answer is written: one JSON object, begin and end tags around each field, or plain text."""

UTTERANCES = "utterances"
"""The built-in list: the conversation's messages, one line each."""

BUILT_IN = ("question", "conversation", UTTERANCES, "item", "number")
"""Variables that every card has; `item` and `number` only in a stage with `for_each`."""

SPEAKERS = {"user": ("text",), "assistant": ("text",)}
"""Prompts that write a line of the conversation, with their variables."""

LISTED = {"listed": ("number", "item")}
"""The prompt that writes a line of a list, where the card has it."""


class _Part(BaseModel):
    model_config = TABLE


class Labels(_Part):
    """A list of words that fields may choose from, or must avoid, and that prompts may show."""

    values: list[Annotated[str, Field(min_length=1)]] = Field(min_length=1)
    source: str
    note: str = ""


class Condition(_Part):
    """Whether a stage runs: by what a field of an earlier stage holds.

    Attributes:
        field: of a stage that this one reads. is_: it is one of these, or one of its texts is. not_: it is none of
            these, and none of its texts is.
    """

    field: str
    is_: list[Any] = Field(default=[], alias="is")
    not_: list[Any] = Field(default=[], alias="not")


class Stage(_Part):
    """One question to a model, or one for each text of a list.

    Attributes:
        id: its name, and that of its node in the graph.
        prompt, system: names of prompts; the system's is optional.
        fields: tables of `emoagents.fields.Field`, in which `choices` and `avoid` may name a list of the card. None:
            the whole answer is a text, in a field of the stage's id.
        reads: earlier stages whose fields the prompts may use.
        for_each: a list; the stage asks once for each of its texts, and its fields become lists.
        when: what must hold for the stage to run.
        format: None: JSON where there are fields, else text. ordered: JSON's keys must come in the fields' order.
        temperature: used where the context has none. max_tokens: goes before the context's.
        role: which of the context's models is asked.
        optional: its failure is recorded, and the stages after it go on with empty fields.
    """

    id: str = Field(min_length=1)
    prompt: str
    system: str | None = None
    fields: list[dict[str, Any]] = []
    reads: list[str] = []
    for_each: str | None = None
    when: Condition | None = None
    format: Format | None = None
    ordered: bool = False
    temperature: Annotated[float, Field(ge=0, le=10)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    role: str | None = None
    optional: bool = False
    note: str = ""

    @property
    def written(self) -> Format:
        """How its answer is written."""
        return self.format or ("json" if self.fields else "text")

    @property
    def may_be_empty(self) -> bool:
        """Whether its fields can be empty: it was skipped, it failed, or there was nothing to do it for."""
        return self.optional or self.when is not None or self.for_each is not None
