"""A strategy as a solver of inspect_ai: its logs, viewer, limits and scorers around the unchanged strategy.

    inspect eval my_task.py --solver emoagents/integrations/inspect.py@strategy -S spec=heart:3 --model ...

Calls go through inspect's own model, so that its cache, retries, connection limits and transcript hold. Needs the extra
`inspect`; import this module by name, nothing else loads it.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
    GenerateConfig,
    Model,
    ModelOutput,
    get_model,
)
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.util import LimitExceededError

from emoagents.context import Context
from emoagents.errors import CompositionError, ModelCallError, RunError
from emoagents.model.request import Choice, Message, OnToken, Reply, Request
from emoagents.registry import strategy as make_strategy

__all__ = ["strategy"]


@solver
def strategy(spec: str = "plain", **parameters: Any) -> Solver:
    """Let a strategy solve the sample.

    Args:
        spec: as "heart:3", "emotion_prompt:EP02 | gsa:3". parameters: of the strategy.

    The state gets one assistant message and the output; `metadata["emoagents"]` tells why it stopped, whether a
    verifier accepted the answer, and what was used.

    Raises:
        UsageError: the spec or a parameter is wrong; a message holds more than text. RunError: no answer.
    """
    made = make_strategy(spec, **parameters)

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        model = _Through(get_model())
        context = Context(model=model, concurrency=_UNBOUNDED)
        try:
            result = await made.arun([_as_dict(m) for m in state.messages], context=context)
        except RunError as error:
            raise model.fault or error from error
        state.output = ModelOutput.from_content(model=str(state.model), content=result.answer)
        state.messages.append(state.output.message)
        told = {"stopped_by": result.stopped_by, "verified": result.verified, "calls": result.usage.calls}
        state.metadata = {**(state.metadata or {}), "emoagents": told}
        if isinstance(model.fault, LimitExceededError):  # the best answer so far is kept, and the sample ends
            raise model.fault
        return state

    return solve


_UNBOUNDED = 100_000
"""Requests in flight: inspect itself keeps the limit."""


class _Through:
    """inspect's model as a backend of the door. The door calls on a loop of its own; inspect is asked on its own."""

    max_n = 1
    context_window = None
    native_schema = False

    def __init__(self, model: Model) -> None:
        self.name = f"inspect/{model.name}"
        self.endpoint = self.name
        self.fault: Exception | None = None
        self._model = model
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()

    async def call(self, request: Request, n: int, on_token: OnToken | None = None) -> Reply:
        """Ask inspect's model once; it has done its own retries when it fails."""
        try:
            output = await asyncio.wrap_future(self._there(self._generate(request)))
        except Exception as error:
            self.fault = error  # inspect's limits must reach inspect as they are
            raise ModelCallError(f"{self.name}: {error}", model=self.name) from error
        usage = output.usage
        return Reply(
            choices=[Choice(text=output.completion, finish_reason=_reason(output))],
            prompt_tokens=usage.input_tokens if usage else None,
            completion_tokens=usage.output_tokens if usage else None,
            cost_usd=usage.total_cost if usage else None,
        )

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Return a rough count: four characters a token."""
        return sum(len(str(message.get("content") or "")) for message in messages) // 4 + 1

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float | None:
        """Return None: the price is inspect's to know."""
        return None

    async def _generate(self, request: Request) -> ModelOutput:
        messages = [_KINDS[m["role"]](content=m["content"]) for m in request.messages]
        config = GenerateConfig(
            temperature=request.temperature,
            top_p=request.top_p,
            max_tokens=request.max_tokens,
            stop_seqs=list(request.stop) or None,
            seed=request.seed,
        )
        return await self._model.generate(messages, config=config)

    def _there(self, work: Coroutine[Any, Any, ModelOutput]) -> Any:
        """Start work on inspect's loop, in the context of its sample; return a future for any thread."""
        import concurrent.futures

        future: concurrent.futures.Future[ModelOutput] = concurrent.futures.Future()

        def begin() -> None:
            task = self._loop.create_task(work, context=self._context)
            task.add_done_callback(lambda done: _passed_on(done, future))
            future.add_done_callback(
                lambda given: self._loop.call_soon_threadsafe(task.cancel) if given.cancelled() else None
            )

        self._loop.call_soon_threadsafe(begin)
        return future


_KINDS: dict[str, Callable[..., ChatMessage]] = {
    "system": ChatMessageSystem,
    "user": ChatMessageUser,
    "assistant": ChatMessageAssistant,
}


def _as_dict(message: ChatMessage) -> Message:
    """Return a message in OpenAI's format. inspect's own converters need an openai client that litellm excludes."""
    if message.role not in _KINDS or not isinstance(message.content, str):
        raise CompositionError("a strategy solves conversations of plain text: no tools, pictures or other parts")
    return {"role": message.role, "content": message.content}


def _passed_on(task: asyncio.Task[ModelOutput], future: Any) -> None:
    if task.cancelled():
        future.cancel()
    elif not future.cancelled():
        error = task.exception()
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(task.result())


def _reason(output: ModelOutput) -> str:
    return "length" if output.stop_reason == "max_tokens" else str(output.stop_reason)
