"""A support dialogue as typed data: who said what, with which strategy, and what is known of the seeker."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from emoagents.support.labels import Stage, SupportStrategy

__all__ = ["Background", "Dialogue", "Instance", "Rating", "Role", "Survey", "Turn"]

Role: TypeAlias = Literal["seeker", "supporter"]

Rating: TypeAlias = Annotated[int, Field(ge=1, le=5)]
"""A point of ESConv's scale of five."""

_DATA = ConfigDict(frozen=True, extra="forbid")


class Turn(BaseModel):
    """One utterance.

    Attributes:
        number: its place in the dialogue, from 0; gaps mean that the source does not hold all of it.
        strategy: the supporter's. feedback: the seeker's rating of the supporter so far, 1 to 5.
    """

    model_config = _DATA

    role: Role
    text: str
    number: Annotated[int, Field(ge=0)]
    strategy: SupportStrategy | None = None
    feedback: Rating | None = None


class Survey(BaseModel):
    """What both said after the dialogue, 1 to 5; None where nobody answered."""

    model_config = _DATA

    initial_emotion_intensity: Rating | None = None
    final_emotion_intensity: Rating | None = None
    empathy: Rating | None = None
    relevance: Rating | None = None
    supporter_relevance: Rating | None = None


class Background(BaseModel):
    """What is known of the seeker before the dialogue; None where the source does not tell."""

    model_config = _DATA

    emotion_type: str | None = None
    problem_type: str | None = None
    situation: str | None = None
    experience_type: str | None = None
    survey: Survey = Survey()


class Dialogue(BaseModel):
    """One whole dialogue. `id` names it within its file."""

    model_config = _DATA

    id: str
    background: Background = Background()
    turns: tuple[Turn, ...]


class Instance(BaseModel):
    """One decision of a supporter: what had been said, and how the supporter went on.

    Attributes:
        id: names it within its file. dialogue: id of the dialogue it is cut from.
        context: the turns before the response, oldest first.
        response: the human supporter's. Its `strategy` is the label.
        stage: the one that the strategies around it vote for; None where they say nothing.
        progress: how far the dialogue was at the response, 0 (begin) to 1 (end).
    """

    model_config = _DATA

    id: str
    dialogue: str
    background: Background = Background()
    context: tuple[Turn, ...]
    response: Turn
    stage: Stage | None = None
    progress: Annotated[float, Field(ge=0, le=1)]

    @property
    def label(self) -> SupportStrategy:
        """The human supporter's strategy."""
        assert self.response.strategy is not None
        return self.response.strategy

    def messages(self) -> tuple[dict[str, Any], ...]:
        """Return the background and the context as messages in OpenAI's format.

        Background becomes a system message, seekers are users. A supporter's strategy lies in the message's
        `response_metadata`, where it never reaches a model: see `emoagents.support.conversation`.
        """
        from emoagents.support.conversation import as_messages

        return as_messages(self.background, self.context, self.dialogue)
