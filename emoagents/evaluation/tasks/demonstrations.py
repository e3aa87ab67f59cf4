"""Few-shot prompts: which examples go before an item."""

from __future__ import annotations

import random
from collections.abc import Sequence

from emoagents.errors import ParameterError

__all__ = ["Pair", "draw"]

Pair = tuple[str, str]
"""Input and output of an example."""


def draw(pool: Sequence[Pair], shots: int, *, task: str, item: str, asked: str, seed: int) -> list[Pair]:
    """Return `shots` examples for one item, without repetition; an example that asks the same is never drawn.

    The draw hangs on seed, task and item only: the same on every machine, for every arm and in every run.

    Raises:
        ParameterError: there are too few.
    """
    if not shots:
        return []
    others = [pair for pair in pool if pair[0] != asked]
    if len(others) < shots:
        raise ParameterError(f"{task} has {len(others)} demonstrations for item {item}, not shots={shots}")
    return random.Random(f"{seed}/{task}/{item}").sample(others, shots)
