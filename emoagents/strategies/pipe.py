"""`a | b`: a prepares the prompt, b answers it."""

from __future__ import annotations

from typing import ClassVar

from emoagents.errors import CompositionError
from emoagents.strategies.base import Answering, Preparing, Strategy, parameters
from emoagents.strategies.plain import Plain

__all__ = ["Pipe", "pipe"]


@parameters
class Pipe(Strategy):
    """Strategies that prepare, in order, and at most one that answers, last. Made by `|`."""

    name: ClassVar[str] = "pipe"

    parts: tuple[Strategy, ...]

    @property
    def kind(self) -> str:  # type: ignore[override]
        """Whether the last part answers."""
        return self.parts[-1].kind

    @property
    def preparing(self) -> tuple[Preparing, ...]:
        return tuple(part for part in self.parts if isinstance(part, Preparing))

    @property
    def answering(self) -> Answering:
        last = self.parts[-1]
        return last if isinstance(last, Answering) else Plain()

    @property
    def title(self) -> str:
        return " | ".join(part.title for part in self.parts)

    def expected_calls(self) -> str:
        return self.answering.expected_calls()


def pipe(left: Strategy, right: object) -> Strategy:
    """Compose two strategies.

    Raises:
        CompositionError: the left one answers already, or the right one is no strategy or takes no prepared prompt.
    """
    if not isinstance(right, Strategy):
        raise CompositionError(f"{left.title} | ...: the right side must be a strategy, not {right!r:.80}")
    if left.kind == "answer":
        raise CompositionError(
            f"{left.title} answers, so nothing can follow it in {left.title} | {right.title}; "
            "strategies that answer do not pipe, they nest, as in Heart(solver=SelfAggregation())"
        )
    if isinstance(right, Answering) and not right.pipes:
        raise CompositionError(
            f"{left.title} | {right.title}: {right.title} makes its requests of the conversation itself, and a prompt "
            "that another strategy prepared would pass for what the person said"
        )
    return Pipe((*_parts(left), *_parts(right)))


def _parts(strategy: Strategy) -> tuple[Strategy, ...]:
    return strategy.parts if isinstance(strategy, Pipe) else (strategy,)
