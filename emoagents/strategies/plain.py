"""Plain: the prompt as it is, asked once. The control arm of every comparison."""

from __future__ import annotations

from typing import ClassVar

from emoagents.nodes.respond import ask_once
from emoagents.strategies.base import Answering, CardSource, Wiring, parameters

__all__ = ["Plain"]


@parameters
class Plain(Answering):
    """Ask once."""

    name: ClassVar[str] = "plain"

    card: CardSource = None

    def wire(self, wiring: Wiring) -> None:
        wiring.then("ask", ask_once)
        wiring.end()

    def expected_calls(self) -> str:
        return "1"
