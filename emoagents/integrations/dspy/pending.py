"""The call that is on its way from a strategy's step through a predictor to a model, and what came of it."""

from __future__ import annotations

import asyncio
import contextvars
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from emoagents.model.door import ModelDoor, Samples
from emoagents.model.request import Completion, Message, Request
from emoagents.program import PromptCall

__all__ = ["PENDING", "Batch", "Pending"]


@dataclass(slots=True)
class Batch:
    """Samples of one prompt, bought together by whichever of their predictor's calls comes first: a provider that
    gives several for one request is paid for the prompt once, as it is without DSPy."""

    indices: Sequence[int]
    _bought: dict[str, Samples] = field(default_factory=dict)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def sample(self, door: ModelDoor, request: Request, call: PromptCall, index: int) -> Completion:
        """Return the sample of an index.

        Raises:
            RunError: there is none of it. UsageError: the caller's mistake.
        """
        asked = json.dumps(list(request.messages), default=str)
        async with self._lock:
            if asked not in self._bought:
                samples = await door.sample(request, self.indices, node=call.node, on_event=call.on_event)
                self._bought[asked] = samples
        found = self._bought[asked]
        for completion in found.completions:
            if completion.index == index:
                return completion
        return replace(found, completions=[]).require()[0]


@dataclass(slots=True)
class Pending:
    """What DSPy's request can't hold: the step's own request, which sample it is, and whose account pays.

    Attributes:
        call: the step's. index: which sample. batch: the samples that are bought together.
        home: the engine whose account is the run's; None: no engine of ours.
        plain: show DSPy no more of the messages than their texts.
        messages: what the raw adapter sends, as it is; None where another adapter writes the messages.
        reached: the request came through to the engine.
        completion, error: what came of it.
    """

    call: PromptCall
    index: int
    batch: Batch
    home: object
    plain: bool = False
    messages: Sequence[Message] | None = None
    reached: bool = False
    completion: Completion | None = None
    error: Exception | None = None


PENDING: contextvars.ContextVar[Pending | None] = contextvars.ContextVar("emoagents_dspy_call", default=None)
