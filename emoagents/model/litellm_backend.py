"""The one place that calls litellm: one request, one reply, and errors in this library's words."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self
from urllib.parse import urlsplit

from emoagents.errors import EmoagentsError, ModelCallError, ModelConfigError
from emoagents.model.heap import set_aside
from emoagents.model.loop import before_exit
from emoagents.model.request import Choice, Message, OnToken, Reply, Request, is_secret
from emoagents.model.retry import is_retryable_status, retry_after_seconds

__all__ = ["LitellmBackend", "LitellmModel", "load_litellm", "redact"]

_IMPORTED = threading.Event()
_MOST_CHOICES = 8
"""Providers that honour `n` differ in how far (Gemini stops at 8)."""
_MOST_ALTERNATIVES = 20
"""OpenAI tells so many tokens for each place."""
_SHORTEST_SECRET = 6
"""Characters; shorter "keys" are placeholders, and replacing them would garble the text."""
_NOT_SENT = ("ClientConnectorError", "ClientConnectorDNSError", "ConnectError", "ConnectionRefusedError", "gaierror")
_NEED_KEY = frozenset(
    {"anthropic", "cerebras", "deepseek", "fireworks_ai", "gemini", "groq", "mistral", "openai", "openrouter"}
    | {"perplexity", "together_ai", "xai"}
)
"""Providers whose keys litellm can tell to be missing. Others have more ways in than it knows (profiles, logins)."""
_TAIL = re.compile(r"Traceback \(most recent|Original exception:|This looks like a bug in LiteLLM")
"""Where what litellm says of an error ends and what it adds begins."""
_BODY = re.compile(r"code: \d+ - \{.*?'message': (?P<quote>['\"])(?P<message>.*?)(?P=quote)[,}]")
"""What litellm passes on for embeddings as the client wrote it: the whole body, of which one part is for people."""
_NOT_SET_UP = re.compile(r"missing credentials|missing \w+ api key|unable to locate credentials|no module named", re.I)
"""litellm reports these as a server's error (500); no server was asked."""


def load_litellm() -> Any:
    """Import litellm (seconds, the first time) so that it neither fetches anything nor prints hints."""
    ours = "litellm" not in sys.modules
    if ours:
        os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm

    if ours and "LITELLM_LOG" not in os.environ:
        logging.getLogger("LiteLLM").setLevel(logging.CRITICAL)  # what it logs as an error, we raise
    litellm.suppress_debug_info = True
    if litellm.disable_hf_tokenizer_download is None:
        litellm.disable_hf_tokenizer_download = True  # or counting tokens of a Llama would download
    if not _IMPORTED.is_set():
        before_exit(_close_clients)
        _IMPORTED.set()
    return litellm


async def _close_clients() -> None:
    """Close the connections on the loop that they belong to: litellm's own way, later at exit, takes another."""
    await load_litellm().close_litellm_async_clients()
    await asyncio.sleep(0)  # lets the transports finish


class LitellmModel:
    """One model through litellm, for whatever purpose: its name, address, key, price, and its errors.

    Args:
        name: litellm's name of the model, as "openai/gpt-4o-mini".
        api_key: the key; None lets litellm find it in the environment.
        api_base: address of the server, None for the provider's own.

    Raises:
        ModelConfigError: no provider of litellm has that name, or its key is missing.
    """

    max_n: int
    native_schema: bool
    context_window: int | None
    _priced: bool

    def __init__(self, name: str, *, api_key: str | None = None, api_base: str | None = None) -> None:
        self.name = name
        self._key = api_key
        self._litellm = load_litellm()
        self._model, self._provider, found_key, found_base = self._resolve(api_base)
        self.endpoint = f"{self._provider} {_address(api_base or self._base_of_environment() or found_base)}"
        self._fixed = {"model": name, "num_retries": 0, "max_retries": 0}
        if key := api_key or self._placeholder(api_base, found_key):
            self._fixed["api_key"] = key
        if api_base:
            self._fixed["api_base"] = api_base
        elif not found_key:
            self._check_key()
        self._learn()

    @classmethod
    async def open(cls, name: str, *, api_key: str | None = None, api_base: str | None = None) -> Self:
        """Make a backend without blocking the loop while litellm is imported."""
        if not _IMPORTED.is_set():
            await asyncio.to_thread(load_litellm)
        return cls(name, api_key=api_key, api_base=api_base)

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Return litellm's count for this model's tokenizer (its nearest one where unknown)."""
        try:
            return int(
                self._litellm.token_counter(
                    model=self._model, messages=list(messages), use_default_image_token_count=True
                )
            )
        except Exception:  # a message of a kind it does not know; a token has at least one character
            return len(json.dumps(list(messages), default=str))

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float | None:
        """Return litellm's price in US dollars, None where its list does not have the model."""
        self._priced = self._priced or self._has_price()  # it may have been registered meanwhile
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

    def _resolve(self, api_base: str | None) -> tuple[str, str, str | None, str | None]:
        try:
            model, provider, key, base = self._litellm.get_llm_provider(self.name, api_base=api_base)
        except Exception:  # a BadRequestError of several lines
            raise ModelConfigError(
                f"no provider known for model {self.name!r}: write it as PROVIDER/MODEL, as openai/gpt-4o-mini, "
                "ollama/llama3.2 or embedded/smollm2",
                model=self.name,
            ) from None
        return str(model), str(provider), key, base

    def _base_of_environment(self) -> str | None:
        names = (f"{self._provider.upper()}_BASE_URL", f"{self._provider.upper()}_API_BASE")
        return self._litellm.api_base or next(filter(None, map(os.environ.get, names)), None)

    def _placeholder(self, api_base: str | None, found_key: str | None) -> str | None:
        """Return what stands for a key where a server of one's own needs none but the client insists."""
        if not api_base or found_key or os.environ.get(f"{self._provider.upper()}_API_KEY"):
            return None
        needs = self._provider == "openai" or self._provider in self._litellm.openai_compatible_providers
        return "none" if needs else None

    def _check_key(self) -> None:
        settings = (self._key, self._litellm.api_key, getattr(self._litellm, f"{self._provider}_key", None))
        if any(settings) or self._provider not in _NEED_KEY:
            return
        if missing := self._litellm.validate_environment(self.name).get("missing_keys"):
            raise ModelConfigError(
                f"model {self.name} needs a key: set {' or '.join(missing)} in the environment, "
                "or use embedded/smollm2, which needs none",
                model=self.name,
            )

    def _has_price(self) -> bool:
        return self._info().get("input_cost_per_token") is not None

    def _info(self) -> Mapping[str, Any]:
        try:
            info = self._litellm.get_model_info(self._model, custom_llm_provider=self._provider)
        except Exception:  # unmapped models raise a bare Exception
            return {}
        return dict(info)

    def _learn(self) -> None:
        """Learn what the model can do from litellm's list."""
        self.context_window = self._info().get("max_input_tokens")
        self._priced = self._has_price()

    # -- errors --------------------------------------------------------------------------------------------------

    def _translate(self, error: Exception, extra: Mapping[str, Any]) -> EmoagentsError:
        status = getattr(error, "status_code", None)
        status = int(status) if isinstance(status, int | str) and str(status).isdigit() else None
        headers = getattr(error, "litellm_response_headers", None) or {}
        text = _sentence(error, self._key, *_secrets(extra))
        if not headers and _NOT_SET_UP.search(text):
            return ModelConfigError(f"{self.name} can't be called from here: {text}", model=self.name)
        if status in (401, 403, 404):
            return ModelConfigError(f"{self.name} refused the call ({status}): {text}", model=self.name, status=status)
        # An HTTP answer carries headers; without them the connection broke or the body made no sense, and only
        # where it was never opened is it certain that nothing was billed.
        broken = not headers and (status is None or status >= 500 or status == 408)
        return ModelCallError(
            f"{self.name} did not answer ({'broken connection or reply' if broken else status}): {text}",
            model=self.name,
            status=None if broken and status != 408 else status,
            retry_after=retry_after_seconds(headers.get("retry-after")),
            retryable=is_retryable_status(status) if status is not None else True,
            billed=broken and not _never_sent(error),
        )

    def _malformed(self, what: str) -> ModelCallError:
        return ModelCallError(f"{self.name}: {what}", model=self.name, retryable=True, billed=True)


class LitellmBackend(LitellmModel):
    """One chat model through litellm. See `LitellmModel`."""

    logprobs: int

    async def call(self, request: Request, n: int, on_token: OnToken | None = None) -> Reply:
        """Make one request for n choices. See `Backend.call`."""
        arguments = self._arguments(request, n)
        try:
            with set_aside():
                if on_token is not None:
                    return await self._streamed(arguments, on_token)
                return self._reply(await self._litellm.acompletion(**arguments), n)
        except EmoagentsError:
            raise
        except Exception as error:  # litellm's errors share no root but Exception
            raise self._translate(error, request.extra) from None

    def _learn(self) -> None:
        super()._learn()
        about = {"model": self._model, "custom_llm_provider": self._provider}
        self._params = frozenset(self._litellm.get_supported_openai_params(**about) or ())
        self.max_n = _MOST_CHOICES if "n" in self._params else 1
        self.native_schema = bool(self._litellm.supports_response_schema(**about))
        self.logprobs = _MOST_ALTERNATIVES if "top_logprobs" in self._params else 0

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
            "_skip_mcp_handler": True if request.tools else None,  # else litellm wants the package mcp for any tool
            "logprobs": True if request.logprobs and "logprobs" in self._params else None,
            "top_logprobs": request.top_logprobs if "top_logprobs" in self._params else None,
            # a cache of litellm's own would bring the first sample again as the second
            "cache": {"no-cache": True, "no-store": True} if self._litellm.cache is not None else None,
        }
        given = {k: v for k, v in values.items() if v is not None}
        return {**self._fixed, **given, **request.extra, "messages": list(request.messages)}

    async def _streamed(self, arguments: dict[str, Any], on_token: OnToken) -> Reply:
        stream = await self._litellm.acompletion(**arguments, stream=True, stream_options={"include_usage": True})
        chunks = []
        try:
            async for chunk in stream:
                chunks.append(chunk)
                if chunk.choices and (text := chunk.choices[0].delta.content):
                    on_token(text)
        finally:
            await stream.aclose()  # or a cancelled call would keep its connection
        if stream.received_finish_reason is None:  # litellm itself ends such a stream with "stop"
            raise self._malformed("the stream broke off")
        answer = self._litellm.stream_chunk_builder(chunks, messages=arguments["messages"])
        deltas = [chunk.choices[0] for chunk in chunks if chunk.choices]
        if all(d.delta.content is None for d in deltas):
            answer.choices[0].message.content = None  # litellm makes "" of it
        if not any(getattr(chunk, "usage", None) for chunk in stream.chunks):
            answer.usage = None  # what litellm puts there then is its own guess
        reply = self._reply(answer, 1)
        logprobs = [entry for d in deltas for entry in _logprobs(d) or ()]  # litellm drops them
        return replace(reply, choices=[replace(reply.choices[0], logprobs=logprobs or None)])

    def _reply(self, answer: Any, n: int) -> Reply:
        choices = [c for c in map(_choice, answer.choices) if c is not None]
        if not choices:
            raise self._malformed("the reply has no usable choice")
        if all(c.finish_reason == "content_filter" and not c.text for c in choices):
            raise ModelCallError(f"{self.name} withheld its answer (content filter)", model=self.name, billed=True)
        usage = getattr(answer, "usage", None)
        unusable = len(answer.choices) - len(choices)
        if not (usage and usage.total_tokens):
            return Reply(choices=choices[:n], unusable=unusable)
        cost = (getattr(answer, "_hidden_params", None) or {}).get("response_cost")
        if cost is None and self._priced:
            cost = self.cost(usage.prompt_tokens, usage.completion_tokens)
        return Reply(
            choices=choices[:n],
            unusable=unusable,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            cost_usd=cost,
        )


def _address(base: str | None) -> str:
    """Return the server's address without what may be secret in it."""
    if not base:
        return "default"
    parts = urlsplit(base)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"


def _sentence(error: Exception, *secrets: str | None) -> str:
    text = _TAIL.split(str(error))[0]
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r"^((litellm\.)?\w*(Error|Timeout|Exception)\b:? ?-? ?)+", "", text)
    if body := _BODY.match(text):
        text = body["message"]
    return redact(text, *secrets)[:300] or type(error).__name__


def redact(text: str, *secrets: str | None) -> str:
    """Return the text without these secrets, without any key of the environment, and without what looks like one."""
    known = [v for k, v in os.environ.items() if is_secret(k)]
    for secret in (s for s in (*secrets, *known) if s and len(s) >= _SHORTEST_SECRET):
        text = text.replace(secret, "***")
    return re.sub(r"\b(sk|pk|key)-[\w*-]{4,}|(?<=Bearer )\S+|(?<=[?&]key=)[^&\s]+", "***", text)


def _secrets(values: Any) -> list[str]:
    """Return the texts that stand under a secret's name, at any depth."""
    if isinstance(values, list | tuple):
        return [s for v in values for s in _secrets(v)]
    if not isinstance(values, Mapping):
        return []
    return [s for k, v in values.items() for s in (_texts(v) if is_secret(str(k)) else _secrets(v))]


def _texts(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [s for v in value.values() for s in _texts(v)]
    return [value] if isinstance(value, str) else []


def _choice(raw: Any) -> Choice | None:
    message = raw.message
    calls = [call.model_dump(exclude_none=True) for call in (message.tool_calls or [])]
    if message.content is None and not calls and raw.finish_reason != "content_filter":
        return None
    return Choice(
        text=message.content or "",
        finish_reason=raw.finish_reason or "stop",
        tool_calls=calls,
        logprobs=_logprobs(raw),
    )


def _logprobs(raw: Any) -> list[dict[str, Any]] | None:
    content = getattr(getattr(raw, "logprobs", None), "content", None)
    return [dict(e) if isinstance(e, Mapping) else e.model_dump() for e in content] if content else None


def _never_sent(error: BaseException | None) -> bool:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if type(error).__name__ in _NOT_SENT:
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False
