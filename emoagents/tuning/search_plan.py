"""Which configurations are tried on how many items: Sequential Halving (Karnin, Koren and Somekh, ICML 2013)."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from emoagents.errors import ParameterError
from emoagents.evaluation.task import Item
from emoagents.tuning.choices import MOST

__all__ = ["Round", "in_order", "most_configurations", "plan_rounds"]


@dataclass(frozen=True, slots=True)
class Round:
    """One round: `survivors` configurations are tried on the items of the order from `start` to `end`."""

    survivors: int
    start: int
    end: int

    @property
    def runs(self) -> int:
        """How many runs it takes."""
        return self.survivors * (self.end - self.start)


def plan_rounds(configurations: int, items: int, runs: int) -> list[Round]:
    """Return the rounds for n configurations and a budget of T runs.

    Where T reaches for all items of all configurations there is one round, of everything. Else there are ceil(log2 n)
    rounds: in each, every survivor is run on the next floor(T / (survivors x k)) items that it has not been run on, as
    far as there are any, and of s survivors ceil(s / 2) go on. In the paper (section 5) k is the number of rounds. Late
    rounds for which no items are left need nothing, so here k is the smallest number with which all rounds together
    take T at most: what would be left over goes to the early rounds, whose cuts are the rashest.
    """
    if configurations * items <= runs:
        return [Round(configurations, 0, items)]
    count = _rounds(configurations)
    plans = (_halving(configurations, items, runs // k, count) for k in range(1, count + 1))
    return next(plan for plan in plans if sum(one.runs for one in plan) <= runs)


def _halving(configurations: int, items: int, share: int, count: int) -> list[Round]:
    """Return the rounds where each may take a share of the runs."""
    survivors, reached = configurations, 0
    found = []
    for _ in range(count):
        end = min(items, reached + share // survivors)
        found.append(Round(survivors, reached, end))
        survivors, reached = (survivors + 1) // 2, end
    return found


def most_configurations(items: int, runs: int) -> int:
    """Return how many configurations a budget has room for: of its equal shares for the rounds, the first must reach
    for an item each.

    Raises:
        ParameterError: not even for two.
    """
    found = max(2, min(runs // items, MOST))
    while found < MOST and (found + 1) * _rounds(found + 1) <= runs:
        found += 1
    if runs < 2:
        raise ParameterError(f"a search compares two configurations at least, so runs must be at least 2, not {runs}")
    return found


def in_order(items: Sequence[Item], seed: int) -> list[Item]:
    """Return the items in the order in which all configurations meet them, drawn with the seed.

    Raises:
        ParameterError: there is none, or two have one id.
    """
    if not items:
        raise ParameterError("there are no items to search on")
    id_, count = Counter(item.id for item in items).most_common(1)[0]
    if count > 1:
        raise ParameterError(f"{count} items have the id {id_!r}")
    return random.Random(seed).sample(list(items), len(items))


def _rounds(configurations: int) -> int:
    """Return ceil(log2 n)."""
    return (configurations - 1).bit_length()
