"""What must hold of a card's stages, so that a mistake is told before anything is asked."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from emoagents.card.models import Card
from emoagents.card.outline import Outline, outline_of
from emoagents.card.stages import BUILT_IN, LISTED, SPEAKERS, UTTERANCES, Condition, Stage
from emoagents.card.template import places
from emoagents.card.words import toml_type
from emoagents.errors import CardError, did_you_mean
from emoagents.fields import Field

__all__ = ["RESERVED", "check_stages"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)

RESERVED = frozenset(
    {"guard", "begin", "start", "end", "messages", "answer", "prompt", "candidates", "trace", "stopped_by", "verified"}
    | {"round", "plan", "assessment", "selection", "retrieval", "stages"}
)
"""Names that a stage can't have: LangGraph wants a node's name to differ from a channel's."""


def check_stages(card: Card, path: str) -> None:
    """Check the stages of a card, and that a card without them has nothing that is for them.

    Raises:
        CardError: something is wrong; `path` is the file that it names.
    """
    if card.graph is None:
        for key in ("stages", "reply", "lists"):
            if getattr(card, key):
                raise CardError(path, key, 'is for a card with graph = "staged"')
        return
    if card.kind != "answer":
        raise CardError(path, "kind", f"must be 'answer' in a card with graph = \"staged\", not {card.kind!r}")
    if not card.stages:
        raise CardError(path, "stages", 'missing; a card with graph = "staged" has at least one')
    for stage in card.stages:
        _check_id(stage.id, path)
    _check_lists(card, path)
    _StageChecks(card, path).all()


def _check_id(id: str, path: str) -> None:
    if not _NAME.fullmatch(id):
        reason = "must be a name of letters, digits and _, and begin with a letter"
        raise CardError(path, f"stages.{id}.id", reason)
    if id in RESERVED:
        raise CardError(path, f"stages.{id}.id", f"{id!r} is the graph's own name; choose another")


def _check_lists(card: Card, path: str) -> None:
    for name, labels in card.lists.items():
        if not _NAME.fullmatch(name) or name in BUILT_IN:
            raise CardError(path, f"lists.{name}", "can't be a list's name; choose another")
        folded = [value.strip().casefold() for value in labels.values]
        for value, text in zip(labels.values, folded, strict=True):
            if not text or folded.count(text) > 1:
                raise CardError(path, f"lists.{name}.values", f"{value!r} {'stands twice' if text else 'is empty'}")


class _StageChecks:
    def __init__(self, card: Card, path: str) -> None:
        self.card, self.path = card, path
        self.outline: Outline = outline_of(card, path)

    def all(self) -> None:
        self._helpers()
        for name, id in self.outline.home.items():
            if name in (*BUILT_IN, *self.card.lists):
                taken = "a list of the card" if name in self.card.lists else "a variable that every card has"
                raise self._error(f"stages.{id}.fields.{name}.name", f"is the name of {taken}; choose another")
        for number, stage in enumerate(self.card.stages):
            self._stage(stage, [earlier.id for earlier in self.card.stages[:number]])
        self._reply()

    def _error(self, key: str, reason: str) -> CardError:
        return CardError(self.path, key, reason)

    def _helpers(self) -> None:
        """Check the prompts that write lines of the conversation and of lists."""
        for name, known in {**SPEAKERS, **LISTED}.items():
            if name in self.card.prompts and not any(name in (s.prompt, s.system) for s in self.card.stages):
                for place in places(self.card.prompts[name].text):
                    if place not in known:
                        reason = f"{{{{{place}}}}} can't be used here{did_you_mean(place, known)}"
                        raise self._error(f"prompts.{name}.text", reason)

    # -- one stage -----------------------------------------------------------------------------------------------

    def _stage(self, stage: Stage, earlier: list[str]) -> None:
        self._reads(stage, earlier)
        self._format(stage)
        self._for_each(stage)
        if stage.when is not None:
            self._condition(stage, stage.when)
        for key, name in (("prompt", stage.prompt), ("system", stage.system)):
            if name is not None:
                self._prompt(stage, key, name)

    def _reads(self, stage: Stage, earlier: list[str]) -> None:
        for id in stage.reads:
            if id not in earlier:
                key = f"stages.{stage.id}.reads"
                if id in self.outline.stages:
                    itself = id == stage.id
                    raise self._error(key, f"{id!r} {'is the stage itself' if itself else 'comes later'}")
                raise self._error(key, f"there is no stage {id!r} before it{did_you_mean(id, earlier)}")
            if stage.reads.count(id) > 1:
                raise self._error(f"stages.{stage.id}.reads", f"{id!r} stands twice")

    def _format(self, stage: Stage) -> None:
        key, fields = f"stages.{stage.id}.format", self.outline.fields[stage.id]
        if stage.written != "text" and not stage.fields:
            raise self._error(key, f"{stage.written!r} needs fields")
        if stage.written == "text" and (len(fields) > 1 or fields[0].type != "text"):
            raise self._error(key, "'text' takes one field of type 'text', or none")
        if stage.ordered and stage.written != "json":
            raise self._error(f"stages.{stage.id}.ordered", f"is for format 'json'; {stage.written!r} has its order")

    def _for_each(self, stage: Stage) -> None:
        if stage.for_each is None:
            return
        key, name = f"stages.{stage.id}.for_each", stage.for_each
        lists = [f for f in self.outline.readable(stage) if self.outline.is_list(f)]
        known = [*lists, *self.card.lists, UTTERANCES]
        if name not in known:
            reason = "is no list" if name in self.outline.readable(stage) else "is no list that this stage reads"
            raise self._error(key, f"{name!r} {reason}{self._hint(stage, name, known)}")
        for field in self.outline.fields[stage.id]:
            if field.type == "list":
                place = f"stages.{stage.id}.fields.{field.name}.type"
                raise self._error(place, "a list for each text of a list is too deep; ask for a text")
        if name == UTTERANCES:
            self._needs_speakers(key)

    def _condition(self, stage: Stage, when: Condition) -> None:
        key = f"stages.{stage.id}.when"
        if when.field not in self.outline.readable(stage):
            hint = self._hint(stage, when.field, self.outline.readable(stage))
            raise self._error(f"{key}.field", f"{when.field!r} is no field that this stage reads{hint}")
        if not when.is_ and not when.not_:
            raise self._error(key, "needs the values that the field `is`, or is `not`")
        for name, values in (("is", when.is_), ("not", when.not_)):
            for value in values:
                self._condition_value(self.outline.field(when.field), value, f"{key}.{name}")

    def _condition_value(self, field: Field, value: Any, key: str) -> None:
        if value == "" and self.outline.stages[self.outline.home[field.name]].may_be_empty:
            return
        if not _is_of_type(field, value):
            raise self._error(key, f"{field.name!r} is of type {field.type!r}, and can't be {toml_type(value)}")
        if field.choices and value.strip().casefold() not in (c.strip().casefold() for c in field.choices):
            reason = f"{value!r} is none of the choices of {field.name!r}{did_you_mean(value, field.choices)}"
            raise self._error(key, reason)

    def _prompt(self, stage: Stage, key: str, name: str) -> None:
        prompts = self.card.prompts
        if name not in prompts:
            reason = f"the card has no prompt {name!r}{did_you_mean(name, list(prompts))}"
            raise self._error(f"stages.{stage.id}.{key}", reason)
        of_item = ["item", "number"] if stage.for_each else []
        known = [*self.outline.readable(stage), *self.card.lists, "question", "conversation", UTTERANCES, *of_item]
        for place in places(prompts[name].text):
            if place not in known:
                reason = f"the stage {stage.id!r} can't read {{{{{place}}}}}{self._hint(stage, place, known)}"
                raise self._error(f"prompts.{name}.text", reason)
            if place in ("conversation", UTTERANCES):
                self._needs_speakers(f"prompts.{name}.text")

    def _hint(self, stage: Stage, name: str, known: Iterable[str]) -> str:
        home = self.outline.home.get(name)
        if home is not None and home not in stage.reads and home != stage.id:
            return f"; it is of the stage {home!r}, which `reads` does not name"
        return did_you_mean(name, list(known))

    def _needs_speakers(self, key: str) -> None:
        for name in SPEAKERS:
            if name not in self.card.prompts:
                reason = (
                    f"the conversation is written with the prompts {' and '.join(SPEAKERS)}, each with {{{{text}}}}"
                )
                raise self._error(f"prompts.{name}", f"missing; {reason} (for {key})")

    # -- the last stage ------------------------------------------------------------------------------------------

    def _reply(self) -> None:
        last, name = self.outline.last, self.card.reply
        fields = [field.name for field in self.outline.fields[last.id]]
        if name is None:
            raise self._error("reply", f"missing; name the field of {last.id!r} that is the answer")
        if name not in fields:
            elsewhere = f"is a field of {self.outline.home[name]!r}" if name in self.outline.home else "is no field"
            reason = f"{name!r} {elsewhere}; the answer is a field of the last stage, {last.id!r}"
            raise self._error("reply", f"{reason}{did_you_mean(name, fields)}")
        if self.outline.field(name).type != "text":
            raise self._error("reply", f"{name!r} is of type {self.outline.field(name).type!r}; the answer is a text")
        for key in ("when", "for_each", "optional"):
            if getattr(last, key):
                raise self._error(f"stages.{last.id}.{key}", "the last stage gives the answer, so it runs once, always")


def _is_of_type(field: Field, value: Any) -> bool:
    if field.type == "boolean":
        return isinstance(value, bool)
    if field.type in ("integer", "number"):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, str)
