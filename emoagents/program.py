"""What may answer a run's calls in place of its model: an optimiser's program. It reaches the nodes by the context."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from emoagents.asked import Asked, asked_in
from emoagents.model.door import ModelDoor, OnEvent, Samples
from emoagents.model.request import Message, Request

__all__ = ["Program", "PromptCall"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptCall:
    """A call on its way to the model.

    Attributes:
        messages: the conversation, with the card's prompt in it where one asks. Demonstrations are not among them.
        request: what the model would be sent, demonstrations included.
        indices: which samples of it. door: whose model would be asked.
        node: the step's place. on_event: told of retries.
    """

    messages: Sequence[Message]
    request: Request
    indices: Sequence[int]
    door: ModelDoor
    node: str
    on_event: OnEvent

    @property
    def at(self) -> int | None:
        """The place of the card's prompt among the messages; None where none asks."""
        return asked_in(self.messages)

    @property
    def asked(self) -> Asked | None:
        """The card's prompt."""
        return None if self.at is None else cast(Asked, self.messages[self.at])


class Program(Protocol):
    """What a run's calls go through instead of the model door."""

    async def ask(self, call: PromptCall) -> Samples:
        """Return the samples. Raises UsageError; failures of the model are in the samples' `errors`."""

    def within(self) -> Program:
        """Return the program of the strategy that is nested in this one's."""
