"""A dialogue of the JSON that publishers give: ESConv.json's objects and those of the hub's rows.

They differ in names only: `content` or `text`, seeker/supporter, speaker/listener or usr/sys, and notes of a turn in
an `annotation` or beside its text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from emoagents.errors import did_you_mean
from emoagents.support.dialogue import Background, Dialogue, Role, Survey, Turn
from emoagents.support.labels import STRATEGIES, SupportStrategy, canonical

__all__ = ["Wrong", "dialogue_of", "strategy_of"]

_ROLES: Mapping[str, Role] = {
    "seeker": "seeker",
    "speaker": "seeker",
    "usr": "seeker",
    "supporter": "supporter",
    "listener": "supporter",
    "sys": "supporter",
}

_RATINGS: Mapping[str, int] = {form: point for point in range(1, 6) for form in (str(point), f"{point}.0")}

_SEEKERS = ("initial_emotion_intensity", "final_emotion_intensity", "empathy", "relevance")


class Wrong(Exception):
    """Something in a dialogue's object is wrong.

    Attributes:
        reason: what is wrong. where: keys and places that lead from the object to it.
    """

    def __init__(self, reason: str, *where: str | int) -> None:
        super().__init__(reason)
        self.reason, self.where = reason, where


def dialogue_of(value: object, name: str) -> Dialogue:
    """Return the dialogue that an object holds, in itself or as JSON in its column `text`.

    Raises:
        Wrong: it holds none, or something in it is wrong.
    """
    fields = _object(value)
    if "dialog" in fields or "text" not in fields:
        return _dialogue(fields, name)
    try:
        return _dialogue(_parsed(fields["text"]), name)
    except Wrong as wrong:
        raise Wrong(f"in 'text': {wrong.reason}", "text") from None


def _parsed(text: object) -> Mapping[str, Any]:
    try:
        return _object(json.loads(_text(text)))
    except json.JSONDecodeError as error:
        raise Wrong(f"not JSON: {error.msg} (character {error.pos})") from None
    except (ValueError, RecursionError):  # an endless number, or brackets within brackets
        raise Wrong("not JSON that can be read") from None


def _dialogue(fields: Mapping[str, Any], name: str) -> Dialogue:
    said = fields.get("dialog")
    if not isinstance(said, list):
        raise Wrong("'dialog' is not a list" if "dialog" in fields else "there is no 'dialog'", "dialog")
    if not said:
        raise Wrong("'dialog' is empty", "dialog")
    return Dialogue(id=name, background=_background(fields), turns=tuple(map(_turn, said, range(len(said)))))


# ---- a turn


def _turn(value: object, number: int) -> Turn:
    try:
        return _made_turn(_object(value), number)
    except Wrong as wrong:
        raise Wrong(f"turn {number}: {wrong.reason}", "dialog", number, *wrong.where) from None


def _made_turn(fields: Mapping[str, Any], number: int) -> Turn:
    role, text = _role(fields), _said(fields)
    notes, where = _notes(fields)
    if role == "seeker":
        return Turn(role=role, text=text, number=number, feedback=_rating(notes, "feedback", *where))
    return Turn(role=role, text=text, number=number, strategy=_strategy(notes, *where))


def _role(fields: Mapping[str, Any]) -> Role:
    value = fields.get("speaker")
    role = _ROLES.get(value) if isinstance(value, str) else None
    if role is None:
        raise Wrong(f"unknown speaker {_shown(value)}; there are {', '.join(_ROLES)}", "speaker")
    return role


def _said(fields: Mapping[str, Any]) -> str:
    name = "content" if "content" in fields else "text"
    if name not in fields:
        raise Wrong("there is no 'content' or 'text'")
    return _text(fields[name], name)


def _notes(fields: Mapping[str, Any]) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """Return what holds strategy and feedback, and the key that leads to it."""
    annotation = fields.get("annotation")
    return (fields, ()) if annotation is None else (_object(annotation, "annotation"), ("annotation",))


def _strategy(notes: Mapping[str, Any], *where: str) -> SupportStrategy | None:
    label = notes.get("strategy")
    if label is None or label == "":
        return None
    return strategy_of(_text(label, *where, "strategy"), *where, "strategy")


def strategy_of(label: str, *where: str) -> SupportStrategy:
    """Return the strategy that a label names.

    Raises:
        Wrong: it names none.
    """
    strategy = _canonical(label)
    if strategy is None:
        raise Wrong(f"unknown strategy {_shown(label)}{did_you_mean(label[:80], STRATEGIES)}", *where)
    return strategy


_canonical = lru_cache(maxsize=256)(canonical)  # a file has a dozen labels, a million times


# ---- what is known besides


def _background(fields: Mapping[str, Any]) -> Background:
    return Background(
        emotion_type=_known(fields, "emotion_type"),
        problem_type=_known(fields, "problem_type"),
        situation=_known(fields, "situation"),
        experience_type=_known(fields, "experience_type"),
        survey=_survey(fields),
    )


def _known(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    return None if value is None else _text(value, name) or None


def _survey(fields: Mapping[str, Any]) -> Survey:
    both = _part(fields, "survey_score")
    seeker = _part(both, "seeker", "survey_score")
    supporter = _part(both, "supporter", "survey_score")
    return Survey(
        **{name: _rating(seeker, name, "survey_score", "seeker") for name in _SEEKERS},
        supporter_relevance=_rating(supporter, "relevance", "survey_score", "supporter"),
    )


def _part(fields: Mapping[str, Any], name: str, *above: str) -> Mapping[str, Any]:
    value = fields.get(name)
    return {} if value is None else _object(value, *above, name)


def _rating(fields: Mapping[str, Any], name: str, *above: str) -> int | None:
    value = fields.get(name)
    if value is None or value == "":
        return None
    point = None if isinstance(value, bool | list | dict) else _RATINGS.get(str(value).strip())
    if point is None:
        raise Wrong(f"{name!r} is {_shown(value)}, not 1 to 5", *above, name)
    return point


# ---- any value


def _object(value: object, *where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Wrong(f"{where[-1]!r} is not an object" if where else "not a JSON object", *where)
    return value


def _text(value: object, *where: str) -> str:
    if not isinstance(value, str):
        raise Wrong(f"{where[-1]!r} is not text" if where else "not text", *where)
    if not value.isascii():
        _check_whole(value, *where)
    return value.strip()


def _check_whole(text: str, *where: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:  # "\ud800" is valid JSON, and half a character
        raise Wrong(f"{where[-1]!r} holds half a character" if where else "it holds half a character", *where) from None


def _shown(value: object) -> str:
    if isinstance(value, list | dict):  # their repr may be endless, or nested too deep for Python
        return "a list" if isinstance(value, list) else "an object"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
