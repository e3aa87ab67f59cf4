"""What a planner is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from emoagents.support.dialogue import Turn
from emoagents.support.labels import STRATEGIES, SupportStrategy

__all__ = ["Planner", "choice"]


@runtime_checkable
class Planner(Protocol):
    """Says which strategy a supporter's next utterance should have."""

    def distribution(self, turns: Sequence[Turn], background: str = "") -> Mapping[SupportStrategy, float]:
        """Return a probability for each of the eight strategies; they sum to 1.

        Args:
            turns: all that was said before the reply, oldest first; () at the beginning. Strategies of supporters
                are used where they are known.
            background: what is known of the seeker.
        """
        ...


def choice(distribution: Mapping[SupportStrategy, float]) -> SupportStrategy:
    """Return the most likely strategy; of equal ones the first in the order of `STRATEGIES`."""
    return max(STRATEGIES, key=lambda strategy: distribution.get(strategy, 0.0))
