"""EmotionPrompt: an emotional stimulus added to the prompt (Li et al., arXiv 2307.11760)."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from typing import ClassVar, Literal

from emoagents.card import Card, Stimulus, Tone
from emoagents.errors import ParameterError
from emoagents.model.request import Message
from emoagents.nodes.respond import prompt_of
from emoagents.nodes.stimulate import PlacementName, place
from emoagents.state import AnswerState, Update, question_of
from emoagents.step import Run
from emoagents.strategies.base import CardSource, Preparing, parameters

__all__ = ["EmotionPrompt"]


@parameters
class EmotionPrompt(Preparing):
    """Add one or more emotional stimuli to the prompt. The user's message in the history stays as it is.

    Args:
        stimulus: an id of the card ("EP02"), several, or a sentence of your own (what has a space in it).
        rule: which of several is used in a call: "all" (joined, in order), "random" (drawn with the context's
            seed and the question), or "round_robin" (one after another, counted over this object's calls).
        placement: "end" (after the whole prompt), "after_instruction" (before the input), or "system".
        tone: "emotional", or "neutral" for the control arm: the card's twin of equal length without emotion.
        card: a card or file that overrides part of the shipped one.

    Raises:
        UnknownNameError: no stimulus has that id.
        ParameterError: a parameter's value is wrong, or a sentence of your own was asked for its neutral twin.
    """

    name: ClassVar[str] = "emotion_prompt"
    node: ClassVar[str] = "stimulate"
    primary: ClassVar[str | None] = "stimulus"

    stimulus: str | tuple[str, ...] = "EP02"
    rule: Literal["all", "random", "round_robin"] = "all"
    placement: PlacementName = "end"
    tone: Tone = "emotional"
    card: CardSource = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "_turn", itertools.count())
        if not self._stimuli():
            raise ParameterError("EmotionPrompt: stimulus is empty: give an id as 'EP02' or a sentence of your own")
        self._text(self._stimuli())

    async def prepare(self, state: AnswerState, run: Run) -> Update:
        prompt = prompt_of(state)
        chosen = self._choose(prompt, run.context.seed)
        text = self._text(chosen)
        run.emit("stimulus", ids=[s.id for s in chosen], text=text, tone=self.tone, placement=self.placement)
        return {"prompt": place(prompt, text, self.placement, self._card.placement(self.placement))}

    @property
    def _card(self) -> Card:
        assert isinstance(self.card, Card)
        return self.card

    def _stimuli(self) -> list[Stimulus]:
        wanted = [self.stimulus] if isinstance(self.stimulus, str) else list(self.stimulus)
        return [self._stimulus(one) for one in wanted if one.strip()]

    def _stimulus(self, wanted: str) -> Stimulus:
        if any(c.isspace() for c in wanted.strip()):
            return Stimulus(id="own", text=wanted.strip(), source="user")
        return self._card.stimulus(wanted.strip())

    def _choose(self, prompt: Sequence[Message], seed: int | None) -> list[Stimulus]:
        stimuli = self._stimuli()
        if self.rule == "random":
            return [random.Random(f"{seed} {question_of(prompt)}").choice(stimuli)]
        if self.rule == "round_robin":
            return [stimuli[next(self.__dict__["_turn"]) % len(stimuli)]]
        return stimuli

    def _text(self, stimuli: Sequence[Stimulus]) -> str:
        return " ".join(s.in_tone(self.tone) for s in stimuli)
