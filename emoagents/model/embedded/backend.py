"""The embedded model as a backend of the model door."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

from emoagents.errors import ModelCallError, ModelConfigError, ParameterError, RunError, UnknownNameError, UsageError
from emoagents.model.embedded.body import body_of, with_system_prompt
from emoagents.model.embedded.engine import ENGINE, EngineError
from emoagents.model.embedded.fold import Fold
from emoagents.model.embedded.server import CONTEXT, SLOTS
from emoagents.model.embedded.tokens import TokenCounter, estimate_tokens
from emoagents.model.embedding import EMBEDDING_MODEL
from emoagents.model.request import Message, OnToken, Reply, Request

__all__ = ["EmbeddedBackend", "embedded_backend"]

_NAME = "embedded/smollm2"
_BUSY = (429, 500, 502, 503, 504)


class EmbeddedBackend:
    """SmolLM2-135M in this process: no key, no network once the weights are here, no price.

    All instances share one engine. With a seed, choice i of a request is what seed + i alone would bring, so
    a sample does not depend on how the samples are grouped into requests.
    """

    name = _NAME
    endpoint = "embedded"
    max_n = SLOTS
    context_window: int | None = CONTEXT
    native_schema = True
    logprobs = 100

    async def call(self, request: Request, n: int, on_token: OnToken | None = None) -> Reply:
        """Answer in one engine call that reads the prompt once for all n choices. See `Backend.call`.

        Args:
            n: 1 to 5 choices.
            on_token: called on the running loop; only with n=1.

        Raises:
            ModelCallError: the engine refused the request, as for a prompt that is too long, or broke off.
            ParameterError: n, max_tokens or on_token can't be. Other UsageErrors: see `Engine.start`.
        """
        _check(request, n, on_token)
        fold = Fold(n)
        try:
            await self._gather(request, fold, on_token)
        except EngineError as error:
            raise self._translated(error) from None
        except RunError as error:
            raise ModelCallError(str(error), model=_NAME) from error
        if not fold.complete:
            raise ModelCallError(f"{_NAME}: the engine broke off its answer", model=_NAME, retryable=True)
        return fold.reply()

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Return the exact count of a prompt of texts if the weights are on this machine, else an estimate.

        The first count reads the vocabulary, 0.2 s. On an event loop, where that would block, it is not read:
        there the count is an estimate on the high side until the engine has started.
        """
        prompt = with_system_prompt(messages)
        counter = ENGINE.ready_counter or _counter_off_loop()
        return counter.count(prompt) if counter else estimate_tokens(prompt)

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float | None:
        """Return 0.0."""
        return 0.0

    async def _gather(self, request: Request, fold: Fold, on_token: OnToken | None) -> None:
        async with aclosing(ENGINE.stream(body_of(request, fold.n))) as chunks:
            async for chunk in chunks:
                piece = fold.add(chunk)
                if piece and on_token is not None:
                    on_token(piece)

    def _translated(self, error: EngineError) -> ModelCallError:
        text = f"{_NAME} refused the request: {error}"
        if error.kind == "exceed_context_size_error":
            tokens = error.facts.get("n_prompt_tokens", "too many")
            text = (
                f"the prompt has {tokens} tokens, but {_NAME} holds {CONTEXT} for prompt and answer: "
                "shorten it, or choose a model with a longer context"
            )
        return ModelCallError(text, model=_NAME, status=error.status, retryable=error.status in _BUSY)


def embedded_backend(name: str = _NAME) -> EmbeddedBackend:
    """Return the embedded model of that name. Loads nothing yet.

    Raises:
        UnknownNameError: there is no such embedded model.
        ModelConfigError: there is, but it writes no text.
    """
    if name == EMBEDDING_MODEL:
        raise ModelConfigError(
            f"{name} embeds texts and writes none: name it in models for a role that ranks, and another as the model",
            model=name,
        )
    if name != _NAME:
        raise UnknownNameError("embedded model", name, [_NAME])
    return EmbeddedBackend()


def _check(request: Request, n: int, on_token: OnToken | None) -> None:
    if not 1 <= n <= SLOTS:
        raise ParameterError(f"{_NAME} brings 1 to {SLOTS} choices at once, not n={n}", model=_NAME)
    if on_token is not None and n != 1:
        raise ParameterError("on_token reports one choice: use it with n=1", model=_NAME)
    if request.max_tokens is not None and request.max_tokens < 1:
        raise ParameterError(f"max_tokens must be at least 1, not {request.max_tokens}", model=_NAME)


def _counter_off_loop() -> TokenCounter | None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _counter_or_none()
    return None


def _counter_or_none() -> TokenCounter | None:
    try:
        return ENGINE.counter()
    except (OSError, UsageError):  # a wrong path of the weights is told by the call itself
        return None
