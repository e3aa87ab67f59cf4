"""A model of this library under a litellm provider, so that whatever speaks litellm can call it.

from emoagents.integrations.litellm import register
register()
litellm.completion(model="embedded/smollm2", messages=[...])
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from emoagents.errors import EmoagentsError, RunError, UnknownNameError
from emoagents.model.embedded import embedded_backend
from emoagents.model.litellm_backend import load_litellm
from emoagents.model.loop import on_model_loop, run_sync
from emoagents.model.request import Backend, Choice, Message, OnToken, Reply, Request

litellm = load_litellm()  # goes first: it keeps litellm's import from asking the network for prices

from litellm.llms.custom_llm import CustomLLM, CustomLLMError  # noqa: E402
from litellm.types.utils import (  # noqa: E402
    ChoiceLogprobs,
    Delta,
    ModelResponse,
    ModelResponseStream,
    StreamingChoices,
    Usage,
)

__all__ = ["BackendProvider", "register"]

_SAMPLING = ("temperature", "top_p", "seed", "tool_choice", "top_logprobs")
_NOT_FOR_THE_MODEL = frozenset({"stream", "stream_options", "extra_body", "extra_headers", "max_retries", "n"})


def register(backend: Backend | None = None, provider: str = "embedded") -> None:
    """Make litellm answer "PROVIDER/anything" with a backend. A second call replaces the first.

    Args:
        backend: the model; None for this library's embedded ones, called by their names.
        provider: what stands before the slash in litellm's model names.
    """
    others = [entry for entry in litellm.custom_provider_map if entry["provider"] != provider]
    entry = {"provider": provider, "custom_handler": BackendProvider(provider, backend)}
    litellm.custom_provider_map[:] = [*others, entry]
    litellm.utils.custom_llm_setup()
    _register_facts(backend or embedded_backend(), provider)


class BackendProvider(CustomLLM):
    """Answers litellm's calls with one backend.

    Args:
        provider: what stands before the slash in litellm's model names.
        backend: the model; None for this library's embedded ones.
    """

    def __init__(self, provider: str, backend: Backend | None = None) -> None:
        super().__init__()
        self._provider, self._backend = provider, backend

    def completion(self, model: str, messages: list[Message], **given: Any) -> ModelResponse:  # type: ignore[override]
        """Answer, for litellm.completion. Works also where an event loop runs in the calling thread."""
        return run_sync(lambda: self._answer(model, messages, given))

    async def acompletion(  # type: ignore[override]
        self, model: str, messages: list[Message], **given: Any
    ) -> ModelResponse:
        """Answer, for litellm.acompletion."""
        return await on_model_loop(lambda: self._answer(model, messages, given))

    def streaming(  # type: ignore[override]
        self, model: str, messages: list[Message], **given: Any
    ) -> Iterator[ModelResponseStream]:
        """Stream, for litellm.completion. Closing the stream stops the model with its next token."""
        arrived: queue.SimpleQueue[Any] = queue.SimpleQueue()
        closed = threading.Event()

        def on_token(piece: str) -> None:
            if closed.is_set():
                raise _NobodyListens
            arrived.put(piece)

        def work() -> None:
            try:
                arrived.put(run_sync(lambda: self._reply(model, messages, given, on_token)))
            except BaseException as error:  # the reader waits, whatever it is
                arrived.put(error)

        threading.Thread(target=work, name="emoagents-litellm", daemon=True).start()
        try:
            while not isinstance(item := arrived.get(), Reply):
                yield self._piece(model, item)
            yield from self._endings(model, item, given)
        finally:
            closed.set()

    async def astreaming(  # type: ignore[override]
        self, model: str, messages: list[Message], **given: Any
    ) -> AsyncIterator[ModelResponseStream]:
        """Stream, for litellm.acompletion. Closing or cancelling the stream stops the model."""
        loop = asyncio.get_running_loop()
        arrived: asyncio.Queue[Any] = asyncio.Queue()

        def put(item: Any) -> None:
            with suppress(RuntimeError):  # the caller's loop was closed
                loop.call_soon_threadsafe(arrived.put_nowait, item)

        async def work() -> None:
            try:
                put(await on_model_loop(lambda: self._reply(model, messages, given, put)))
            except asyncio.CancelledError as error:
                put(error)
                raise
            except Exception as error:  # the reader waits, whatever it is
                put(error)

        task = asyncio.create_task(work())
        try:
            while not isinstance(item := await arrived.get(), Reply):
                yield self._piece(model, item)
            for ending in self._endings(model, item, given):
                yield ending
        finally:
            task.cancel()

    async def _answer(self, model: str, messages: Sequence[Message], given: Mapping[str, Any]) -> ModelResponse:
        reply = await self._reply(model, messages, given)
        return ModelResponse(
            model=f"{self._provider}/{model}",  # else litellm finds no price
            choices=[_plain_choice(i, choice) for i, choice in enumerate(reply.choices)],
            usage=_usage(reply),
        )

    async def _reply(
        self,
        model: str,
        messages: Sequence[Message],
        given: Mapping[str, Any],
        on_token: OnToken | None = None,
    ) -> Reply:
        """Ask the backend, in several requests where it can't bring all choices in one."""
        options: Mapping[str, Any] = given.get("optional_params") or {}
        n = int(options.get("n") or 1)
        try:
            backend = self._backend or embedded_backend(f"{self._provider}/{model}")
            request = _request(messages, options)
            async with asyncio.timeout(_seconds(given.get("timeout"))):
                if n == 1:
                    return await backend.call(request, 1, on_token)
                return await _in_batches(backend, request, n)
        except TimeoutError:
            raise _refusal(408, f"{self._provider}/{model} did not answer in time") from None
        except EmoagentsError as error:
            raise _refusal(_status(error), str(error)) from error

    def _piece(self, model: str, item: str | BaseException) -> ModelResponseStream:
        if isinstance(item, BaseException):
            raise item
        return self._chunk(model, StreamingChoices(index=0, delta=Delta(content=item)))

    def _endings(self, model: str, reply: Reply, given: Mapping[str, Any]) -> Iterator[ModelResponseStream]:
        """Yield what follows the last token, in the order in which litellm loses nothing."""
        for index, choice in enumerate(reply.choices):
            # Several choices were not told token by token.
            text = "" if len(reply.choices) == 1 else choice.text
            delta = Delta(content=text, tool_calls=_plain_calls(choice))
            yield self._chunk(model, StreamingChoices(index=index, delta=delta, logprobs=_logprobs(choice)))
        yield self._chunk(model, StreamingChoices(delta=Delta()), usage=_usage(reply))
        reason = reply.choices[0].finish_reason if reply.choices else "stop"
        yield self._chunk(model, StreamingChoices(delta=Delta(), finish_reason=reason))

    def _chunk(self, model: str, choice: StreamingChoices, **more: Any) -> ModelResponseStream:
        return ModelResponseStream(model=f"{self._provider}/{model}", choices=[choice], **more)


class _NobodyListens(Exception):
    """Raised into a backend to make it stop."""


async def _in_batches(backend: Backend, request: Request, n: int) -> Reply:
    """Ask for n choices, as many at once as the backend brings; the seeds follow on."""
    replies = []
    for first in range(0, n, backend.max_n):
        seed = None if request.seed is None else request.seed + first
        replies.append(await backend.call(replace(request, seed=seed), min(backend.max_n, n - first)))
    return Reply(
        choices=[choice for reply in replies for choice in reply.choices],
        prompt_tokens=_total([reply.prompt_tokens for reply in replies]),
        completion_tokens=_total([reply.completion_tokens for reply in replies]),
    )


def _total(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _request(messages: Sequence[Message], options: Mapping[str, Any]) -> Request:
    """Return litellm's parameters as a request; what it has no word for goes into `extra`, as a JSON schema."""
    values = {k: v for k, v in options.items() if k not in _NOT_FOR_THE_MODEL and v is not None}
    fields = {name: values.pop(name) for name in _SAMPLING if name in values}
    longest = values.pop("max_completion_tokens", None)
    fields["max_tokens"] = values.pop("max_tokens", longest)
    stop = values.pop("stop", ())
    return Request(
        messages=messages,
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        tools=tuple(values.pop("tools", ())),
        logprobs=bool(values.pop("logprobs", False)),
        extra={**values, **(options.get("extra_body") or {})},
        **fields,
    )


def _plain_choice(index: int, choice: Choice) -> dict[str, Any]:
    message = {"role": "assistant", "content": choice.text, "tool_calls": _plain_calls(choice)}
    return {
        "index": index,
        "finish_reason": choice.finish_reason,
        "message": message,
        "logprobs": _logprobs(choice),
    }


def _plain_calls(choice: Choice) -> list[dict[str, Any]] | None:
    return [{"index": i, **call} for i, call in enumerate(choice.tool_calls)] or None


def _logprobs(choice: Choice) -> ChoiceLogprobs | None:
    return None if choice.logprobs is None else ChoiceLogprobs.model_validate({"content": choice.logprobs})


def _usage(reply: Reply) -> Usage:
    prompt, completion = reply.prompt_tokens or 0, reply.completion_tokens or 0
    return Usage(prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion)


def _seconds(timeout: Any) -> float | None:
    """Return litellm's timeout, a number or httpx's four, in seconds."""
    value = getattr(timeout, "read", timeout)
    return None if value is None else float(value)


def _refusal(status: int, text: str) -> CustomLLMError:
    return CustomLLMError(status, text)  # type: ignore[no-untyped-call]  # litellm's own is not annotated


def _status(error: EmoagentsError) -> int:
    if isinstance(error, UnknownNameError):
        return 404
    return error.status or (500 if isinstance(error, RunError) else 400)


def _register_facts(backend: Backend, provider: str) -> None:
    """Tell litellm the model's price and limits, where its name is known before it is called."""
    if not backend.name.startswith(f"{provider}/"):
        return
    facts = {
        "litellm_provider": provider,
        "mode": "chat",
        "input_cost_per_token": backend.cost(1, 0),
        "output_cost_per_token": backend.cost(0, 1),
        "max_input_tokens": backend.context_window,
        "max_tokens": backend.context_window,
        "supports_response_schema": backend.native_schema,
    }
    litellm.register_model({backend.name: {key: value for key, value in facts.items() if value is not None}})
