"""What a planner reads of a conversation: three texts, and named numbers of its structure.

Only the last turns count, and no turn's `number`: in a data set that is its place in the whole dialogue, in a chat or
a cut instance it is not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import takewhile

from emoagents.support.dialogue import Role, Turn
from emoagents.support.labels import STRATEGIES

__all__ = ["BLOCKS", "WINDOW", "blind", "structure", "texts"]

WINDOW = 15
"""Turns that are looked at, counted from the end: as long as the longest context in Kang et al., ACL 2024."""

BLOCKS: Mapping[str, tuple[int, int]] = {"seeker": (1, 2), "context": (1, 1), "supporter": (1, 2)}
"""The texts, and the least and greatest number of words of the terms that are counted in each."""


def blind(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """Return the turns without their strategies and feedback."""
    # Not `model_copy`, which took a fifth of the time of training.
    return tuple(Turn.model_construct(role=turn.role, text=turn.text, number=turn.number) for turn in turns)


def texts(turns: Sequence[Turn]) -> dict[str, str]:
    """Return the last two utterances of the seeker, all utterances, and the last one of the supporter."""
    turns = turns[-WINDOW:]
    return {
        "seeker": " ".join(turn.text for turn in _of(turns, "seeker")[-2:]),
        "context": " ".join(turn.text for turn in turns),
        "supporter": " ".join(turn.text for turn in _of(turns, "supporter")[-1:]),
    }


def structure(turns: Sequence[Turn]) -> dict[str, float]:
    """Return the features that are not words, by name; what is not named is 0. All lie between about 0 and 1."""
    turns = turns[-WINDOW:]
    if not turns:
        return {"nothing said": 1.0}
    return {**_flow(turns), **_shape(turns), **_strategies(turns)}


def _of(turns: Sequence[Turn], role: Role) -> list[Turn]:
    return [turn for turn in turns if turn.role == role]


def _flow(turns: Sequence[Turn]) -> dict[str, float]:
    """Who spoke last, how often in a row, and how long the conversation is."""
    last = turns[-1].role
    row = sum(1 for _ in takewhile(lambda turn: turn.role == last, reversed(turns)))
    return {
        f"last: {last}": 1.0,
        f"in a row: {last} {min(row, 3)}": 1.0,
        f"phase: {len(turns) // 6}": 1.0,
        "turns": len(turns) / WINDOW,
        "share of the seeker": len(_of(turns, "seeker")) / len(turns),
    }


def _shape(turns: Sequence[Turn]) -> dict[str, float]:
    """Length and punctuation of the last turn, and of the last turn of each."""
    lasts = {"last": turns[-1:], "seeker": _of(turns, "seeker")[-1:], "supporter": _of(turns, "supporter")[-1:]}
    found: dict[str, float] = {}
    for name, turn in ((name, turn) for name, these in lasts.items() for turn in these):
        words = len(turn.text.split())
        found[f"{name}: words"] = math.log1p(words) / 4
        found[f"{name}: short"] = float(words < 5)
        found[f"{name}: ?"] = float("?" in turn.text)
        found[f"{name}: !"] = float("!" in turn.text)
    return found


def _strategies(turns: Sequence[Turn]) -> dict[str, float]:
    """The supporter's last three strategies, unknown ones included, and how often each was used."""
    used = [turn.strategy or "unknown" for turn in _of(turns, "supporter")]
    latest = [*reversed(used), "none", "none", "none"][:3]
    found = {f"strategy -{place}: {name}": 1.0 for place, name in enumerate(latest, 1)}
    found[f"after {latest[0]}: {turns[-1].role}"] = 1.0
    found["strategy again"] = float(latest[0] == latest[1] != "unknown")
    for name in STRATEGIES:
        found[f"used: {name}"] = math.log1p(used.count(name)) / math.log1p(len(used) + 1)
    return found
