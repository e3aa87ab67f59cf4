"""Planners that read nothing: what a trained one has to beat."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from emoagents.errors import ParameterError
from emoagents.support.dialogue import Instance, Turn
from emoagents.support.labels import STRATEGIES, SupportStrategy, canonical

__all__ = ["FunctionPlanner", "MajorityPlanner", "UniformPlanner"]


def _certain(strategy: SupportStrategy) -> dict[SupportStrategy, float]:
    return {name: float(name == strategy) for name in STRATEGIES}


@dataclass(frozen=True, slots=True)
class UniformPlanner:
    """Chooses one of the eight at random: the same for the same turns and seed.

    It is certain of what it drew: of eight equal probabilities the first would always be taken, which is not random.
    """

    seed: int = 0

    def distribution(self, turns: Sequence[Turn], background: str = "") -> Mapping[SupportStrategy, float]:
        said = "\n".join(f"{turn.role}: {turn.text}" for turn in turns)
        return _certain(Random(f"{self.seed}\n{said}").choice(STRATEGIES))


@dataclass(frozen=True, slots=True)
class MajorityPlanner:
    """Always chooses the same strategy.

    Args:
        strategy: its name.
    """

    strategy: SupportStrategy

    @classmethod
    def of(cls, instances: Iterable[Instance]) -> MajorityPlanner:
        """Return the planner of the most frequent label; of equal ones the first in the order of `STRATEGIES`.

        Raises:
            ParameterError: there are no instances.
        """
        counts = Counter(one.label for one in instances)
        if not counts:
            raise ParameterError("the most frequent strategy of no instances is not defined")
        return cls(max(STRATEGIES, key=lambda strategy: counts[strategy]))

    def distribution(self, turns: Sequence[Turn], background: str = "") -> Mapping[SupportStrategy, float]:
        return _certain(self.strategy)


@dataclass(frozen=True, slots=True)
class FunctionPlanner:
    """Asks a function of yours.

    Args:
        function: takes turns and background; returns weights by strategy, or the name of one.
    """

    function: Callable[[Sequence[Turn], str], Any]

    def distribution(self, turns: Sequence[Turn], background: str = "") -> Mapping[SupportStrategy, float]:
        """Return what the function says, scaled to sum 1.

        Raises:
            ParameterError: it is neither a strategy nor weights of which one is above 0 and none below.
        """
        said = self.function(turns, background)
        strategy = canonical(said) if isinstance(said, str) else None
        return _certain(strategy) if strategy else _scaled(said)


def _scaled(said: Any) -> dict[SupportStrategy, float]:
    weights = {canonical(str(name)): value for name, value in said.items()} if isinstance(said, Mapping) else {}
    values = list(weights.values())
    fitting = all(isinstance(value, int | float) and 0 <= value < float("inf") for value in values)
    if None in weights or not fitting or not any(values):
        raise ParameterError(f"a planner's function returns a strategy or weights by strategy, not {said!r:.80}")
    total = sum(values)
    return {strategy: weights.get(strategy, 0) / total for strategy in STRATEGIES}
