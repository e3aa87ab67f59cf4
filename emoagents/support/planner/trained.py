"""A trained planner: a linear model over words and structure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from emoagents.support.dialogue import Turn
from emoagents.support.labels import STRATEGIES, SupportStrategy
from emoagents.support.planner.facts import PlannerFacts

if TYPE_CHECKING:
    from emoagents.support.planner.encode import Array, Encoder

__all__ = ["TrainedPlanner"]


@dataclass(frozen=True, eq=False)
class TrainedPlanner:
    """Multinomial logistic regression. Make one with `train` or `TrainedPlanner.load`.

    Its probabilities are corrected for the labels' shares, see `train`: the most likely strategy is its choice. Only
    the last 15 turns are read, and no background.

    Attributes:
        facts: what it was trained on, and how good it was.
        weights: shape (labels, columns of the encoder). bias: shape (labels,). Labels are `facts.labels`.
    """

    facts: PlannerFacts
    encoder: Encoder
    weights: Array
    bias: Array

    def distribution(self, turns: Sequence[Turn], background: str = "") -> Mapping[SupportStrategy, float]:
        """Return a probability for each of the eight strategies; see `Planner`."""
        return self.distributions([turns])[0]

    def distributions(self, conversations: Sequence[Sequence[Turn]]) -> list[Mapping[SupportStrategy, float]]:
        """Return a distribution for each conversation, faster than one by one."""
        import numpy as np

        logits = self.encoder.encode(conversations) @ self.weights.T + self.bias
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares = powers / powers.sum(axis=1, keepdims=True)
        found = [dict(zip(self.facts.labels, map(float, row), strict=True)) for row in shares]
        return [{name: each.get(name, 0.0) for name in STRATEGIES} for each in found]

    def save(self, path: Path | str) -> None:
        """Write the planner to a file: a zip of JSON and of arrays, and no pickle.

        Raises:
            DataError: it can't be written. MissingExtraError: skops is not installed.
        """
        from emoagents.support.planner.file import write

        write(self, Path(path))

    @classmethod
    def load(cls, path: Path | str) -> TrainedPlanner:
        """Return the planner of a file. It may come from any version of scikit-learn: the file has no class of its.

        Nothing in the file is run, whatever it is.

        Raises:
            DataError: there is no such file, or it is not a planner's. MissingExtraError: skops is not installed.
        """
        from emoagents.support.planner.file import read

        return read(Path(path))
