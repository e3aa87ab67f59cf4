"""emoagents' model door as a DSPy language model, through DSPy's engine interface: cache, budget, ledger kept.

DSPy's own cache and retries are turned off for it: the door has both.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any, cast

import dspy
from dspy import lm15

from emoagents.context import Context
from emoagents.errors import EmoagentsError, ModelCallError, ParameterError, RunError, UsageError
from emoagents.integrations.dspy.messages import as_openai, as_response
from emoagents.integrations.dspy.pending import PENDING, Pending
from emoagents.model.door import ModelDoor
from emoagents.model.ledger import Usage
from emoagents.model.loop import run_sync
from emoagents.model.request import Completion, Request

__all__ = ["DoorEngine", "engine_of", "to_lm", "usage_of"]


def to_lm(context: Context | None = None) -> dspy.LM:
    """Return a context's model as a DSPy language model.

        dspy.configure(lm=to_lm(Context(model="openai/gpt-4o-mini", cache="calls.db", budget=Budget(usd=1))))

    Sampling settings are the context's; those of the call, or of `lm.copy(temperature=...)`, go before them. All calls
    draw on one budget: that of a `pooled` context, else one of this model's own. It can't be saved with a program: a
    context may hold a key.

    Raises (where it is called): the `dspy` error that fits, with emoagents' own as its cause. `BudgetExceeded` and
    other errors of emoagents come unchanged out of programs of `to_dspy`.
    """
    given = context or Context()
    engine = DoorEngine(given if given.pool is not None else given.pooled())
    name = f"emoagents/{engine.context.door.name}"
    return dspy.LM(name, engine=engine, async_engine=AsyncDoorEngine(engine), cache=False, num_retries=0)


def usage_of(lm: Any) -> Usage:
    """Return what the calls of a model made by `to_lm` have used so far, and those of its copies.

    Raises:
        ParameterError: it is another model.
    """
    engine = engine_of(lm)
    if engine is None:
        raise ParameterError("usage_of takes a model made by to_lm; of others DSPy knows: dspy.track_usage()")
    return engine.usage


def engine_of(lm: Any) -> DoorEngine | None:
    """Return the engine of a model that `to_lm` made; None for any other."""
    engine = getattr(lm, "engine", None)
    return engine if isinstance(engine, DoorEngine) else None


class DoorEngine:
    """One request, one reply, by a context's door. Engines of DSPy's copies of a model are the same object.

    Args:
        context: a pooled one.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self._finished = Usage()
        self._lock = threading.Lock()

    def complete(self, request: lm15.Request) -> lm15.Response:
        """Answer a request, for callers that are not async."""
        return run_sync(lambda: self.acomplete(request))

    async def acomplete(self, request: lm15.Request) -> lm15.Response:
        """Answer a request.

        Raises:
            lm15.LM15Error: the model did not answer, or the caller made a mistake.
        """
        pending = PENDING.get()
        if pending is not None:
            pending.reached = True
        try:
            completion = await self._completed(request, pending)
        except EmoagentsError as error:
            if pending is not None:
                pending.error = error
            raise _as_lm15(error) from error
        if pending is not None:
            pending.completion = completion
        return as_response(completion, request.model)

    async def _completed(self, request: lm15.Request, pending: Pending | None) -> Completion:
        door, asked = self._door(pending), _request(request, pending)
        if pending is None:
            return (await door.sample(asked)).require()[0]
        return await pending.batch.sample(door, asked, pending.call, pending.index)

    def _door(self, pending: Pending | None) -> ModelDoor:
        """Return the run's own door, which draws on the same budget; the model's where it is another than the run's."""
        return pending.call.door if pending is not None and pending.home is self else self.context.door

    def stream(self, request: lm15.Request) -> Iterator[Any]:
        """Yield the events of a reply, which comes whole."""
        return cast(Iterator[Any], lm15.response_to_events(self.complete(request)))

    def add(self, usage: Usage) -> None:
        """Book what a run used that had an account of its own."""
        with self._lock:
            self._finished += usage

    @property
    def usage(self) -> Usage:
        """What all calls used."""
        return self._finished + self.context.door.ledger.total

    def __deepcopy__(self, memo: dict[int, Any]) -> DoorEngine:
        return self  # an account is not doubled


class AsyncDoorEngine:
    """The same for callers that are async."""

    def __init__(self, engine: DoorEngine) -> None:
        self._engine = engine

    async def complete(self, request: lm15.Request) -> lm15.Response:
        """Answer a request. See `DoorEngine.acomplete`."""
        return await self._engine.acomplete(request)

    async def stream(self, request: lm15.Request) -> AsyncIterator[Any]:
        """Yield the events of a reply, which comes whole."""
        for event in lm15.response_to_events(await self._engine.acomplete(request)):
            yield event

    def __deepcopy__(self, memo: dict[int, Any]) -> AsyncDoorEngine:
        return self


def _request(request: lm15.Request, pending: Pending | None) -> Request:
    """Return what goes through the door: the step's own request, or one made of DSPy's."""
    config = request.config
    given = {
        "temperature": config.temperature,
        "top_p": config.top_p,
        "max_tokens": config.max_tokens,
        "stop": tuple(config.stop) or None,
        "seed": config.seed,
    }
    stated = {name: value for name, value in given.items() if value is not None}
    if pending is None:
        extra = dict(config.extensions or {})
        if config.response_format is not None:
            extra["response_format"] = config.response_format
        return Request(messages=as_openai(request), extra=extra, **stated)
    messages = pending.messages if pending.messages is not None else as_openai(request)
    return replace(pending.call.request, messages=list(messages), **stated)


def _as_lm15(error: EmoagentsError) -> lm15.LM15Error:
    """Return DSPy's error for ours, of a kind that DSPy won't ask again for: the door has done so."""
    if isinstance(error, UsageError):
        return lm15.ConfigurationError(str(error))
    status = error.status if isinstance(error, ModelCallError) else None
    kinds: dict[int | None, type[lm15.LM15Error]] = {
        401: lm15.AuthError,
        403: lm15.AuthError,
        408: lm15.TimeoutError,
        429: lm15.RateLimitError,
    }
    kind = kinds.get(status, lm15.ServerError if status and status >= 500 else lm15.InvalidRequestError)
    return kind(str(error)) if isinstance(error, RunError) else lm15.LM15Error(str(error))
