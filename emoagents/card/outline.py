"""A staged card's stages with their fields read: which field is whose, and which may be empty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from emoagents.card.models import Card
from emoagents.card.stages import Stage
from emoagents.card.words import explained_field
from emoagents.errors import CardError, did_you_mean
from emoagents.fields import Field

__all__ = ["Outline", "outline_of"]


@dataclass(frozen=True, slots=True)
class Outline:
    """The stages of a card.

    Attributes:
        stages: by id, in order. fields: of each stage. home: from a field's name to the stage it is of.
    """

    stages: Mapping[str, Stage]
    fields: Mapping[str, tuple[Field, ...]]
    home: Mapping[str, str]

    @property
    def last(self) -> Stage:
        """The stage that gives the reply."""
        return list(self.stages.values())[-1]

    def field(self, name: str) -> Field:
        """Return a field by its name."""
        return next(field for field in self.fields[self.home[name]] if field.name == name)

    def is_list(self, name: str) -> bool:
        """Whether a field holds several texts."""
        return self.field(name).type == "list" or self.stages[self.home[name]].for_each is not None

    def readable(self, stage: Stage) -> list[str]:
        """Return the fields that a stage may read."""
        return [field.name for id in stage.reads for field in self.fields.get(id, ())]


def outline_of(card: Card, path: str = "") -> Outline:
    """Read the stages' fields.

    Args:
        path: the card's file, for an error to name.

    Raises:
        CardError: a field is wrong, or two have one name.
    """
    stages = {stage.id: stage for stage in card.stages}
    fields = {stage.id: tuple(_fields(stage, card, path or card.name)) for stage in card.stages}
    home: dict[str, str] = {}
    for id, found in fields.items():
        for field in found:
            if field.name in home:
                reason = f"the stage {home[field.name]!r} has a field of this name already"
                raise CardError(path or card.name, f"stages.{id}.fields.{field.name}.name", reason)
            home[field.name] = id
    return Outline(stages, fields, home)


def _fields(stage: Stage, card: Card, path: str) -> list[Field]:
    if not stage.fields:
        return [_field_of_its_name(stage, path)]
    return [_field(table, f"stages.{stage.id}.fields", i, card, path) for i, table in enumerate(stage.fields)]


def _field_of_its_name(stage: Stage, path: str) -> Field:
    try:
        return Field(name=stage.id)
    except ValidationError:
        reason = f"a stage without fields has one of its id, and {stage.id!r} can't be a field's name; choose another"
        raise CardError(path, f"stages.{stage.id}.id", reason) from None


def _field(table: Mapping[str, Any], key: str, index: int, card: Card, path: str) -> Field:
    name = table.get("name")
    key += f".{name}" if isinstance(name, str) and name else f"[{index}]"
    try:
        return Field.model_validate({k: _named(k, v, key, card, path) for k, v in table.items()})
    except ValidationError as error:
        raise explained_field(error, table, key, path) from None


def _named(key: str, value: Any, place: str, card: Card, path: str) -> Any:
    """Return the list that a text names in place of the text."""
    if key not in ("choices", "avoid") or not isinstance(value, str):
        return value
    if value not in card.lists:
        reason = f"the card has no list {value!r}{did_you_mean(value, list(card.lists))}"
        raise CardError(path, f"{place}.{key}", reason)
    return card.lists[value].values
