"""How CoEM works on one kind of task: what it retrieves from and by, how much, and what its roles are asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic import Field as Bounded

from emoagents.card import Card
from emoagents.errors import CardError, ParameterError, UnknownNameError
from emoagents.fields import Field
from emoagents.retrieval import Ranker

if TYPE_CHECKING:
    from emoagents.retrieval import Corpus

__all__ = ["CORE", "SAGE", "Arm", "Preset", "Settings"]

SAGE, CORE = "sage", "core"
"""The roles that interpret and that answer; the third one, Rank, is the rankers' own."""

Arm: TypeAlias = Literal["base", "rag", "coem"]
"""base: the task's prompt alone. rag: chunk, rank, answer. coem: all five stages."""

Count: TypeAlias = Annotated[int, Bounded(ge=1)]


class Preset(BaseModel):
    """The parameters of one kind of task (LongEmotion, Table 8), as in the card's `[defaults.presets]`.

    Attributes:
        source: what is retrieved from: the documents given with the question, the conversation's earlier turns, the
            model's own earlier replies, or nothing.
        unit: "chunk": of so many tokens. "part": each part of the material as it is.
        chunk, overlap: tokens.
        query: what is retrieved by: the "question", the last `recent` messages of a conversation, or the `queries`.
        queries: from names to fixed questions, each with its own retrieval.
        first: passages that the first ranking leaves, for each query; 0: all.
        keep: passages that are left in the end, for each query.
        enrich: one request for "each" passage, one for all "together", or "none".
        rerank: by what passages are ranked again: the "packs" (passage and insight) against the query, the passages
            against the "insight" of all, packs by how "unlike" the others they are, or "none".
        sage, core: names of the card's prompts. sage_fields: what Sage's reply must hold, as a JSON object.
        speakers: who is speaking in a transcript, by the message's role.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Literal["document", "conversation", "own", "nothing"] = "document"
    unit: Literal["chunk", "part"] = "chunk"
    chunk: Count = 128
    overlap: Annotated[int, Bounded(ge=0)] = 50
    query: Literal["question", "recent", "queries"] = "question"
    recent: Count = 3
    queries: Mapping[str, str] = {}
    first: Annotated[int, Bounded(ge=0)] = 16
    keep: Count = 4
    enrich: Literal["each", "together", "none"] = "each"
    rerank: Literal["packs", "insight", "unlike", "none"] = "packs"
    sage: str = "sage"
    sage_fields: tuple[Field, ...] = ()
    core: str = "core"
    speakers: Mapping[Literal["user", "assistant"], str] = {"user": "User", "assistant": "Assistant"}

    @model_validator(mode="after")
    def _fits_together(self) -> Preset:
        if self.overlap >= self.chunk:
            raise ValueError(f"overlap ({self.overlap}) must be less than chunk ({self.chunk})")
        if (self.query == "queries") != bool(self.queries):
            raise ValueError('queries are given exactly where query = "queries"')
        if 0 < self.first < self.keep:
            raise ValueError(f"first ({self.first}) must be 0 or at least keep ({self.keep})")
        return self


@dataclass(frozen=True, kw_only=True)
class Settings:
    """See the parameters of `CoEM`. `overrides` holds those of a preset that the caller gave."""

    card: Card
    arm: Arm
    preset_name: str
    enrich: bool
    rerank: bool
    ranker: Ranker
    reranker: Ranker
    order: Literal["document", "score"]
    tokenizer: Any
    window: int | None
    documents: Sequence[str]
    corpus: Corpus | None
    answer: Sequence[Field]
    overrides: Mapping[str, Any] = field(default_factory=dict)

    def check(self) -> None:
        """Read all presets.

        Raises:
            UnknownNameError, ParameterError, CardError: one of them, or the one asked for, can't be.
        """
        if self.preset_name != "auto":
            self.preset(self.preset_name)
        _ = self._presets

    def preset(self, name: str) -> Preset:
        """Return the parameters of a kind of task.

        Raises:
            UnknownNameError: the card has none of that name.
        """
        if name not in self._presets:
            raise UnknownNameError("preset", name, self._presets)
        return self._presets[name]

    @cached_property
    def _presets(self) -> Mapping[str, Preset]:
        given: Any = self.card.defaults.get("presets", {})
        return {name: _preset(self.card, name, table, self.overrides) for name, table in given.items()}

    def enriches(self, preset: Preset) -> bool:
        """Return whether Sage is asked."""
        return self.arm == "coem" and self.enrich and preset.enrich != "none"

    def reranks(self, preset: Preset) -> bool:
        """Return whether passages are ranked twice. What Sage says of all together is no query where Sage is silent."""
        silent = preset.rerank == "insight" and not self.enriches(preset)
        return self.arm == "coem" and self.rerank and preset.rerank != "none" and not silent


def _preset(card: Card, name: str, table: Mapping[str, Any], overrides: Mapping[str, Any]) -> Preset:
    """Return a preset with the caller's own parameters in it.

    Raises:
        CardError: the card's own are wrong. ParameterError: the caller's are.
    """
    try:
        preset = Preset.model_validate(table)
    except ValidationError as error:
        raise CardError(card.name, f"defaults.presets.{name}", _first(error)) from None
    for prompt in (preset.sage, preset.core):
        card.prompt(prompt)
    try:
        return Preset.model_validate({**table, **_in_proportion(preset, overrides)})
    except ValidationError as error:
        raise ParameterError(f"CoEM, preset {name}: {_first(error)}") from None


def _in_proportion(preset: Preset, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return the caller's parameters, with those beside them that follow: a smaller chunk shares fewer tokens, and who
    keeps more, finds more."""
    size, keep = overrides.get("chunk", preset.chunk), overrides.get("keep", preset.keep)
    overlap = min(preset.overlap, preset.overlap * size // preset.chunk)
    first = max(preset.first, keep) if preset.first else 0
    return {"overlap": overlap, "first": first, **overrides}


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place + ': ' if place else ''}{first['msg'].removeprefix('Value error, ')}"
