"""Rubrics as data: what a judge model is asked, by which criteria, on which scale; TOML files in strategies/judges/.

A rubric is written as a strategy's card is: prompts with `{{places}}` and the source of every text, with `[scale]` and
`[[criteria]]` besides. A file of one's own holds only what changes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from emoagents.card import Card, Value, cards_dir, override_card
from emoagents.card.load import build_card, read_toml
from emoagents.errors import CardError, UnknownNameError
from emoagents.evaluation.metrics.objects import read_objects
from emoagents.model.structured import without_thoughts
from emoagents.support.crisis.files import validated

__all__ = ["Criterion", "Rubric", "Scale", "load_rubric", "override_rubric", "rubric_names"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Scale(_Part):
    """From the worst to the best score a criterion can have; `note` says what the numbers mean."""

    low: float
    high: float = Field(gt=0)
    note: str = ""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not 0 <= self.low < self.high:
            raise ValueError(f"low ({self.low:g}) must be at least 0 and less than high ({self.high:g})")
        return self


class Criterion(_Part):
    """What is judged: more is better. `group` is for a rubric whose criteria depend on the kind of item."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    text: str = Field(min_length=1)
    source: str = "user"
    group: str = ""


class _Own(_Part):
    """What a rubric has besides what a card has."""

    scale: Scale
    criteria: list[Criterion] = Field(min_length=1)
    each: list[str] = []


@dataclass(frozen=True)
class Rubric:
    """A rubric.

    Attributes:
        card: its prompts ("judge" and "again") and sources. scale: of every criterion.
        criteria: what is judged. each: parts of the answer that every criterion is judged on; () for the whole.
    """

    card: Card
    scale: Scale
    criteria: tuple[Criterion, ...]
    each: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Return its name, as "longemotion_summary"."""
        return self.card.name

    @property
    def keys(self) -> tuple[str, ...]:
        """Return what a verdict must hold a number for: criteria, or part_criterion."""
        ids = [criterion.id for criterion in self.criteria]
        return tuple(f"{part}_{id_}" for part in self.each for id_ in ids) if self.each else tuple(ids)

    @property
    def digest(self) -> str:
        """Return a short digest of all that decides what a judge is asked: other texts are another measurement."""
        whole = [self.card.model_dump()["prompts"], self.scale.model_dump(), self.each]
        told = json.dumps([*whole, [one.model_dump() for one in self.criteria]], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    def of_group(self, group: str) -> Rubric:
        """Return the rubric with the criteria of a group only.

        Raises:
            UnknownNameError: there are none.
        """
        found = tuple(one for one in self.criteria if one.group in ("", group))
        if not found:
            raise UnknownNameError("group of criteria", group, {one.group for one in self.criteria})
        return replace(self, criteria=found)

    def request(self, **values: Value) -> str:
        """Return what the judge is asked; `values` fill the places that are the task's."""
        low, high = self.scale.low, self.scale.high
        return self.card.render(
            "judge",
            **values,
            criteria="\n".join(self._listed()),
            low=f"{low:g}",
            high=f"{high:g}",
            scale=self.scale.note.rstrip("."),
            form=json.dumps(dict.fromkeys(self.keys, "NUMBER")).replace('"NUMBER"', "NUMBER"),
        )

    def again(self, reason: str) -> str:
        """Return what the judge is asked when its verdict can't be used."""
        return self.card.render("again", reason=reason)

    def read(self, reply: str) -> tuple[dict[str, float], str]:
        """Return the score of each key as it stands in a reply, and "", or nothing and why it can't be used.

        A number may be written as text. Nothing is rounded, moved into the scale, or filled in.
        """
        verdicts = read_objects(without_thoughts(reply))
        if not verdicts:
            return {}, "it holds no JSON object"
        read = [self._scores(verdict) for verdict in verdicts]
        return next((found for found in read if not found[1]), read[-1])

    def _listed(self) -> Sequence[str]:
        lines = [f"- {one.id}: {one.text}" for one in self.criteria]
        return [f"for each of {', '.join(self.each)}:", *lines] if self.each else lines

    def _scores(self, verdict: Mapping[str, Any]) -> tuple[dict[str, float], str]:
        flat = dict(_flat(verdict))
        missing = [key for key in self.keys if key not in flat]
        if missing:
            return {}, f"there is no {', '.join(missing[:5])}{' ...' if len(missing) > 5 else ''}"
        numbers = {key: _number(flat[key]) for key in self.keys}
        for key, number in numbers.items():
            if number is None:
                return {}, f"{key} is no number"
            if not self.scale.low <= number <= self.scale.high:
                return {}, f"{key} is {number:g}, and not from {self.scale.low:g} to {self.scale.high:g}"
        return {key: number for key, number in numbers.items() if number is not None}, ""


def _flat(verdict: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return what a verdict holds, and {"causes": {"clarity": 4}} as causes_clarity; case and blanks do not count."""
    found: list[tuple[str, Any]] = []
    for key, value in verdict.items():
        inside = value.items() if isinstance(value, Mapping) else ()
        found += [(_key(f"{key}_{name}"), one) for name, one in inside] or [(_key(key), value)]
    return found


def _key(name: str) -> str:
    return re.sub(r"[\s-]+", "_", name.strip()).lower()


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if isfinite(number) else None


# ---- files


def rubric_names() -> list[str]:
    """Return the names of the rubrics that come with emoagents."""
    return sorted(path.stem for path in (cards_dir() / "judges").glob("*.toml"))


@cache
def load_rubric(name: str) -> Rubric:
    """Return a shipped rubric.

    Raises:
        UnknownNameError: there is none of that name.
    """
    if name not in rubric_names():
        raise UnknownNameError("rubric", name, rubric_names())
    path = cards_dir() / "judges" / f"{name}.toml"
    own, rest = _parted(read_toml(path))
    return _made(build_card({"kind": "answer", **rest}, str(path)), own, path)


def override_rubric(path: Path) -> Rubric:
    """Return the shipped rubric that a file names, with the file's texts in the place of its own.

    Args:
        path: TOML with `name` and what changes. Prompts merge by name; scale, criteria and each replace the old ones.

    Raises:
        CardError: the file does not load, names no rubric, or does not fit the one it names.
    """
    own, rest = _parted(read_toml(path))
    name = rest.get("name")
    if name not in rubric_names():
        raise CardError(str(path), "name", f"must be one of {', '.join(rubric_names())}, not {name!r}")
    base = load_rubric(str(name))
    kept = {"scale": base.scale.model_dump(), "criteria": [c.model_dump() for c in base.criteria], "each": [*base.each]}
    try:
        card = override_card(base.card, rest)
    except CardError as error:
        raise CardError(str(path), error.key, error.reason) from None
    return _made(card, {**kept, **own}, path)


def _parted(data: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    own = {key: value for key, value in data.items() if key in _Own.model_fields}
    return own, {key: value for key, value in data.items() if key not in own}


def _made(card: Card, own: Mapping[str, Any], path: Path) -> Rubric:
    read = validated(_Own, own, path)
    rubric = Rubric(card, read.scale, tuple(read.criteria), tuple(read.each))
    for number, key in enumerate(rubric.keys):
        if key in rubric.keys[:number]:
            raise CardError(str(path), f"criteria.{key}", "this id stands twice")
    return rubric
