"""Self-consistency: several samples, one vote (Wang et al., arXiv 2203.11171)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from emoagents.nodes.extract import Extract
from emoagents.strategies.base import Answering, CardSource, Wiring, parameters
from emoagents.strategies.self_aggregation import SelfAggregation

__all__ = ["SelfConsistency"]


@parameters
class SelfConsistency(Answering):
    """Sample several answers and take the one that most agree on; the first of them where votes are equal.

    `stopped_by` is "unparsed" if none of the answers could be read.

    Args:
        samples: how many answers.
        temperature: of the samples, where the context gives none.
        extract: how an answer is read: "auto", "number", "choice", "last_line" or a function.
        solver: a strategy that gives the samples, instead of the model itself.
        card: a card or file that overrides part of the shipped one.

    Raises:
        ParameterError: a parameter's value is wrong. CompositionError: `solver` is no strategy.
    """

    name: ClassVar[str] = "self_consistency"
    primary: ClassVar[str | None] = "samples"

    samples: Annotated[int, Field(ge=1, le=1000)] = 4
    temperature: Annotated[float, Field(ge=0, le=10)] = 0.7
    extract: Extract = "auto"
    solver: Any = None
    card: CardSource = None

    def __post_init__(self) -> None:
        self._voting()

    @property
    def asks(self) -> tuple[str, ...]:
        return self._voting().asks

    def wire(self, wiring: Wiring) -> None:
        self._voting().wire(wiring)

    def expected_calls(self) -> str:
        return self._voting().expected_calls()

    def _voting(self) -> SelfAggregation:
        return SelfAggregation(
            samples=self.samples,
            method="vote",
            temperature=self.temperature,
            extract=self.extract,
            solver=self.solver,
            card=self.card,
        )
