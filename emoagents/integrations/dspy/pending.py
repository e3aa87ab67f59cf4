"""The call that is on its way from a strategy's step through a predictor to a model, and what came of it."""

from __future__ import annotations

import contextvars
from collections.abc import Sequence
from dataclasses import dataclass

from emoagents.model.request import Completion, Message
from emoagents.program import PromptCall

__all__ = ["PENDING", "Pending"]


@dataclass(slots=True)
class Pending:
    """What DSPy's request can't hold: the step's own request, which sample it is, and whose account pays.

    Attributes:
        call: the step's. index: which sample. home: the engine whose account is the run's; None: no engine of ours.
        messages: what the raw adapter sends, as it is; None where another adapter writes the messages.
        completion, error: what came of it.
    """

    call: PromptCall
    index: int
    home: object
    messages: Sequence[Message] | None = None
    completion: Completion | None = None
    error: Exception | None = None


PENDING: contextvars.ContextVar[Pending | None] = contextvars.ContextVar("emoagents_dspy_call", default=None)
