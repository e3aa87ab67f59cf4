"""The one place that calls litellm: one request, one reply, and errors in this library's words."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from emoagents.errors import EmoagentsError, ModelCallError, ModelConfigError
from emoagents.model.request import Choice, Message, OnToken, Reply, Request
from emoagents.model.retry import is_retryable_status, retry_after_seconds

__all__ = ["LitellmBackend", "load_litellm"]

_IMPORTING = threading.Lock()
_MOST_CHOICES = 8
"""Providers that honour `n` differ in how far (Gemini stops at 8)."""
_SHORTEST_SECRET = 6
"""Characters; shorter "keys" are placeholders, and replacing them would garble the text."""
_NOT_SENT = ("ClientConnectorError", "ClientConnectorDNSError", "ConnectError", "ConnectionRefusedError", "gaierror")


def load_litellm() -> Any:
    """Import litellm (seconds, the first time) so that it neither fetches price lists nor prints hints."""
    with _IMPORTING:
        if "litellm" not in sys.modules:
            os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
            os.environ.setdefault("LITELLM_LOG", "ERROR")
            logging.getLogger("LiteLLM").setLevel(logging.ERROR)
        import litellm

        litellm.suppress_debug_info = True
        return litellm


class LitellmBackend:
    """One model through litellm.

    Args:
        name: litellm's name of the model, as "openai/gpt-4o-mini".
        api_key: the key; None lets litellm find it in the environment.
        api_base: address of the server, None for the provider's own.

    Raises:
        ModelConfigError: no provider of litellm has that name, or its key is missing.
    """

    native_schema: bool
    max_n: int
    context_window: int | None

    def __init__(self, name: str, *, api_key: str | None = None, api_base: str | None = None) -> None:
        self.name = name
        self._key, self._base = api_key, api_base
        self._litellm = load_litellm()
        self._model, self._provider = self._resolve()
        self.endpoint = f"{self._provider} {api_base or 'default'}"
        self._check_key()
        params = self._litellm.get_supported_openai_params(self._model, custom_llm_provider=self._provider) or []
        self._params = frozenset(params)
        self.max_n = _MOST_CHOICES if "n" in self._params else 1
        self.native_schema = bool(
            self._litellm.supports_response_schema(self._model, custom_llm_provider=self._provider)
        )
        info = self._info()
        self.context_window = info.get("max_input_tokens")
        self._priced = info.get("input_cost_per_token") is not None

    @classmethod
    async def open(cls, name: str, *, api_key: str | None = None, api_base: str | None = None) -> LitellmBackend:
        """Make a backend without blocking the loop while litellm is imported."""
        return await asyncio.to_thread(cls, name, api_key=api_key, api_base=api_base)

    async def call(self, request: Request, n: int, on_token: OnToken | None = None) -> Reply:
        """Make one request for n choices. See `Backend.call`."""
        arguments = self._arguments(request, n)
        try:
            if on_token is not None:
                answer = await self._stream(arguments, on_token)
            else:
                answer = await self._litellm.acompletion(**arguments)
        except (asyncio.CancelledError, EmoagentsError):
            raise
        except Exception as error:  # litellm's errors share no root but Exception
            raise self._translate(error) from None
        return self._reply(answer, n)

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Return litellm's count for this model's tokenizer (its nearest one where unknown)."""
        return int(self._litellm.token_counter(model=self._model, messages=list(messages)))

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float | None:
        """Return litellm's price in US dollars, None where its list does not have the model."""
        if not self._priced:
            return None
        try:
            prompt, completion = self._litellm.cost_per_token(
                model=self._model,
                custom_llm_provider=self._provider,
                prompt_tokens=prompt_tokens,
                completion_tokens=completion_tokens,
            )
        except Exception:  # an unmapped model raises a bare Exception
            return None
        return float(prompt + completion)

    # -- setting up ----------------------------------------------------------------------------------------------

    def _resolve(self) -> tuple[str, str]:
        try:
            model, provider, _, _ = self._litellm.get_llm_provider(self.name, api_base=self._base)
        except Exception:  # a BadRequestError of several lines
            raise ModelConfigError(
                f"no provider known for model {self.name!r}: write it as PROVIDER/MODEL, as openai/gpt-4o-mini, "
                "ollama/llama3.2 or embedded/smollm2",
                model=self.name,
            ) from None
        return str(model), str(provider)

    def _check_key(self) -> None:
        if self._key or self._base:
            return
        missing = self._litellm.validate_environment(self.name).get("missing_keys") or []
        if missing:
            raise ModelConfigError(
                f"model {self.name} needs a key: set {' and '.join(missing)} in the environment, "
                "or use embedded/smollm2, which needs none",
                model=self.name,
            )

    def _info(self) -> Mapping[str, Any]:
        try:
            return dict(self._litellm.get_model_info(self._model, custom_llm_provider=self._provider))
        except Exception:  # unmapped models raise a bare Exception
            return {}

    # -- one call ------------------------------------------------------------------------------------------------

    def _arguments(self, request: Request, n: int) -> dict[str, Any]:
        values = {
            "temperature": request.temperature,
            "top_p": request.top_p,
            "max_tokens": request.max_tokens,
            "stop": list(request.stop) or None,
            "seed": request.seed if "seed" in self._params else None,
            "n": n if n > 1 else None,
            "response_format": request.response_format if self.native_schema else None,
            "tools": [dict(t) for t in request.tools] or None,
            "tool_choice": request.tool_choice,
            "logprobs": True if request.logprobs and "logprobs" in self._params else None,
            "top_logprobs": request.top_logprobs if "top_logprobs" in self._params else None,
            "api_key": self._key or ("none" if self._base and not self._key_in_environment() else None),
            "api_base": self._base,
        }
        given = {k: v for k, v in values.items() if v is not None}
        fixed = {"model": self.name, "messages": list(request.messages), "num_retries": 0, "max_retries": 0}
        return {**given, **request.extra, **fixed}

    def _key_in_environment(self) -> bool:
        return bool(os.environ.get(f"{self._provider.upper()}_API_KEY"))

    async def _stream(self, arguments: dict[str, Any], on_token: OnToken) -> Any:
        stream = await self._litellm.acompletion(**arguments, stream=True, stream_options={"include_usage": True})
        chunks = []
        async for chunk in stream:
            chunks.append(chunk)
            text = chunk.choices[0].delta.content if chunk.choices else None
            if text:
                on_token(text)
        if not any(c.choices and c.choices[0].finish_reason for c in chunks):
            raise self._malformed("the stream broke off")
        return self._litellm.stream_chunk_builder(chunks, messages=arguments["messages"])

    def _reply(self, answer: Any, n: int) -> Reply:
        choices = [c for c in (_choice(raw) for raw in answer.choices) if c is not None]
        if not choices:
            raise self._malformed("the reply has no usable choice")
        if all(c.finish_reason == "content_filter" and not c.text for c in choices):
            raise ModelCallError(f"{self.name} withheld its answer (content filter)", model=self.name, billed=True)
        usage: Any = getattr(answer, "usage", None)
        metered = bool(usage and usage.total_tokens)
        cost = (getattr(answer, "_hidden_params", None) or {}).get("response_cost")
        if metered and cost is None:
            cost = self.cost(usage.prompt_tokens, usage.completion_tokens)
        return Reply(
            choices=choices[:n],
            prompt_tokens=usage.prompt_tokens if metered else None,
            completion_tokens=usage.completion_tokens if metered else None,
            cost_usd=cost if metered else None,
        )

    def _malformed(self, what: str) -> ModelCallError:
        return ModelCallError(f"{self.name}: {what}", model=self.name, retryable=True, billed=True)

    # -- errors --------------------------------------------------------------------------------------------------

    def _translate(self, error: Exception) -> EmoagentsError:
        status = getattr(error, "status_code", None)
        status = int(status) if isinstance(status, int | str) and str(status).isdigit() else None
        headers = getattr(error, "litellm_response_headers", None) or {}
        text = self._sentence(error)
        if status in (401, 403, 404):
            return ModelConfigError(f"{self.name} refused the call ({status}): {text}", model=self.name, status=status)
        retryable = is_retryable_status(status) if status is not None else True
        # An HTTP answer carries headers; without them the connection broke or the body made no sense, and only
        # where it was never opened is it certain that nothing was billed.
        broken = not headers and (status is None or status >= 500 or status == 408)
        return ModelCallError(
            f"{self.name} did not answer ({status or 'no status'}): {text}",
            model=self.name,
            status=status,
            retry_after=retry_after_seconds(headers.get("retry-after")),
            retryable=retryable,
            billed=broken and not _never_sent(error),
        )

    def _sentence(self, error: Exception) -> str:
        text = re.sub(r"\s+", " ", str(error)).strip()
        text = re.sub(r"^(litellm\.)?(\w+(Error|Timeout|Exception)\b:? ?-? ?|litellm\.)+", "", text)
        return redact(text, self._key)[:300] or type(error).__name__


def redact(text: str, *secrets: str | None) -> str:
    """Return the text without these secrets, without any key of the environment, and without what looks like one."""
    known = [v for k, v in os.environ.items() if k.endswith(("_API_KEY", "_TOKEN", "_SECRET"))]
    for secret in (s for s in (*secrets, *known) if s and len(s) >= _SHORTEST_SECRET):
        text = text.replace(secret, "***")
    return re.sub(r"\b(sk|pk|key)-[\w*-]{4,}|(?<=Bearer )\S+", "***", text)


def _choice(raw: Any) -> Choice | None:
    message = raw.message
    calls = [call.model_dump(exclude_none=True) for call in (message.tool_calls or [])]
    if message.content is None and not calls and raw.finish_reason != "content_filter":
        return None
    logprobs = getattr(raw, "logprobs", None)
    content = getattr(logprobs, "content", None) if logprobs else None
    return Choice(
        text=message.content or "",
        finish_reason=raw.finish_reason or "stop",
        tool_calls=calls,
        logprobs=[_plain(entry) for entry in content] if content else None,
    )


def _plain(entry: Any) -> dict[str, Any]:
    return dict(entry) if isinstance(entry, Mapping) else dict(entry.model_dump())


def _never_sent(error: BaseException | None) -> bool:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if type(error).__name__ in _NOT_SENT:
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False
