"""What models are asked to fill in. The eight strategies are an enumeration: another word does not parse."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import BaseModel

from emoagents.support.labels import Stage, SupportStrategy

__all__ = ["Assessment", "Choice", "Commonsense", "Response"]

Emotion: TypeAlias = Literal[
    "anxiety",
    "depression",
    "sadness",
    "anger",
    "fear",
    "shame",
    "disgust",
    "nervousness",
    "pain",
    "jealousy",
    "guilt",
    "neutral",
    "joy",
]
"""ESConv's emotions, and two for a seeker who feels better."""


class Choice(BaseModel):
    """A strategy."""

    strategy: SupportStrategy


class Response(Choice):
    """A strategy and the utterance made with it."""

    response: str


class Assessment(BaseModel):
    """Where the seeker stands: the strongest emotion, its intensity from 1 to 5, the problem, and the stage."""

    emotion: Emotion
    intensity: Literal[1, 2, 3, 4, 5]
    problem: str
    stage: Stage


class Commonsense(BaseModel):
    """The five relations of ATOMIC that Kang et al. use, about the seeker's last utterance."""

    xReact: str  # noqa: N815
    xIntent: str  # noqa: N815
    xNeed: str  # noqa: N815
    xEffect: str  # noqa: N815
    xWant: str  # noqa: N815
