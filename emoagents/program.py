"""What may answer a run's calls in place of its model: an optimiser's program. It reaches the nodes by the context."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from emoagents.asked import Asked
from emoagents.model.door import ModelDoor, OnEvent, Samples
from emoagents.model.request import Message, Request

__all__ = ["Program", "PromptCall"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptCall:
    """A call on its way to the model.

    Attributes:
        messages: the conversation, with the prompt `asked` at the place `at`; both None where no card's prompt is in
            it. Demonstrations are not among them.
        request: what the model would be sent, demonstrations included.
        indices: which samples of it. door: whose model would be asked.
        node: the step's place. on_event: told of retries.
    """

    messages: Sequence[Message]
    at: int | None
    request: Request
    indices: Sequence[int]
    door: ModelDoor
    node: str
    on_event: OnEvent

    @property
    def asked(self) -> Asked | None:
        """The card's prompt."""
        message = None if self.at is None else self.messages[self.at]
        return message if isinstance(message, Asked) else None


class Program(Protocol):
    """What a run's calls go through instead of the model door."""

    async def ask(self, call: PromptCall) -> Samples:
        """Return the samples. Raises UsageError; failures of the model are in the samples' `errors`."""

    def within(self) -> Program:
        """Return the program of the strategy that is nested in this one's."""
