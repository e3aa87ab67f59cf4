"""Plain: the prompt as it is, asked once. The control arm of every comparison."""

from __future__ import annotations

from typing import ClassVar

from emoagents.asked import ASK
from emoagents.card import Card
from emoagents.nodes.respond import ask_once
from emoagents.state import AnswerState, Update
from emoagents.step import Run
from emoagents.strategies.base import Answering, CardSource, Wiring, parameters

__all__ = ["Plain"]


@parameters
class Plain(Answering):
    """Ask once."""

    name: ClassVar[str] = "plain"

    card: CardSource = None

    @property
    def asks(self) -> tuple[str, ...]:
        return (ASK,)

    def wire(self, wiring: Wiring) -> None:
        wiring.then("ask", self._ask)
        wiring.end()

    def expected_calls(self) -> str:
        return "1"

    async def _ask(self, state: AnswerState, run: Run) -> Update:
        assert isinstance(self.card, Card)
        return await ask_once(state, run, self.card)
