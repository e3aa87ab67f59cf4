"""Encourage: choose the emotion and phrase of the next round and make the feedback of it (HEART-style, ours)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Literal, TypeAlias

from emoagents.card import Card, Stimulus
from emoagents.nodes.bandit import EmotionBandit

__all__ = ["Schedule", "scheduled_emotions", "scheduled_phrase"]

Schedule: TypeAlias = Literal["alternate", "cycle", "fixed", "parallel", "adaptive"]
"""alternate: critical and encouraging by turns, critical first. cycle: the card's emotions in turn. fixed: one.
parallel: all in every round, side by side. adaptive: the one that has repaired answers best so far."""


def scheduled_emotions(
    card: Card,
    schedule: Schedule,
    round_: int,
    *,
    emotion: str | None,
    bandit: EmotionBandit | None,
    seed: int | None,
) -> list[str]:
    """Return the emotions of a round (counted from 1): one, or all six in parallel."""
    emotions = card.emotions()
    if schedule == "parallel":
        return emotions
    if schedule == "fixed":
        return [card.stimuli_of(emotion or emotions[0])[0].emotion or ""]
    if schedule == "adaptive" and bandit is not None:
        return [bandit.choose(emotions, f"{seed} {round_}")]
    if schedule == "alternate":
        return [_alternating(card, emotions, round_)]
    return [emotions[(round_ - 1) % len(emotions)]]


def _alternating(card: Card, emotions: Sequence[str], round_: int) -> str:
    critical = [e for e in emotions if card.stimuli_of(e)[0].valence != "positive"]
    encouraging = [e for e in emotions if e not in critical]
    turn = (round_ - 1) % 2
    side = (critical, encouraging)[turn] or emotions
    return side[(round_ - 1) // 2 % len(side)]


def scheduled_phrase(card: Card, emotion: str, round_: int, seed: int | None) -> Stimulus:
    """Return one of the card's phrases of an emotion, drawn with the seed."""
    return random.Random(f"{seed or 0} {emotion} {round_}").choice(card.stimuli_of(emotion))
