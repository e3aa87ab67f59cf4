"""What goes through the model door: a request in, choices out, and the protocol a backend fulfils."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, runtime_checkable

from pydantic import BaseModel

__all__ = ["Backend", "Choice", "Completion", "Message", "OnToken", "Reply", "Request", "Share", "is_secret"]

_SECRET = re.compile(
    r"(^|[_-]|api)key$|access_key|secret|password|authorization|headers|credential|(^|[_-])token$", re.IGNORECASE
)

Message: TypeAlias = dict[str, Any]
"""One chat message in OpenAI's format: `role`, `content`, and what tools need."""

OnToken: TypeAlias = Callable[[str], None]
"""Called with each piece of text as it arrives."""


def is_secret(name: str) -> bool:
    """Return whether a parameter or environment variable of that name holds a key, a header or the like."""
    return _SECRET.search(name) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One prompt with all that decides its answer, save the model. None means: the provider's default."""

    messages: Sequence[Message]
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    response_format: type[BaseModel] | None = None
    tools: tuple[Mapping[str, Any], ...] = ()
    tool_choice: str | Mapping[str, Any] | None = None
    logprobs: bool = False
    top_logprobs: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Parameters of one provider only, passed on as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What is known of the request that brought a sample: the tokens of its whole prompt, and the sample's own part of
    tokens and cost; `of` samples came together. None: the provider did not tell."""

    prompt_tokens: int | None
    completion_tokens: int | None
    cost_usd: float | None = None
    of: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One sample as a backend returns it.

    `logprobs` is OpenAI's list of `{"token", "logprob", "top_logprobs"}`, or None where there are none. `share` is
    filled in by the door, so that the cache knows what an answer was worth.
    """

    text: str
    finish_reason: str = "stop"
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    logprobs: list[dict[str, Any]] | None = None
    share: Share | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What one physical request brought: choices and, where the provider tells, what it used.

    `completion_tokens` is the sum over all choices. `cost_usd` is None where the price is unknown. `unusable`
    counts choices that came without content; they are not among the choices.
    """

    choices: list[Choice]
    unusable: int = 0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: float | None = None

    def shares(self) -> list[Share]:
        """Return each choice's part; completion tokens are split evenly, for nobody tells more."""
        count, tokens = len(self.choices), self.completion_tokens
        usd = None if self.cost_usd is None or not count else self.cost_usd / count
        return [
            Share(
                prompt_tokens=self.prompt_tokens,
                completion_tokens=None if tokens is None else tokens // count + (i < tokens % count),
                cost_usd=usd,
                of=count,
            )
            for i in range(count)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """One sample as the door returns it.

    `share` is what is known of the request that brought it; None where that is not kept.

    `parsed` holds the validated object where the request had a `response_format`; if the text did not fit,
    `parsed` is None and `parse_error` says why: unparsed is a state of its own, never a default value.
    """

    text: str
    index: int = 0
    finish_reason: str = "stop"
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    logprobs: list[dict[str, Any]] | None = None
    cached: bool = False
    share: Share | None = None
    parsed: BaseModel | None = None
    parse_error: str | None = None


@runtime_checkable
class Backend(Protocol):
    """One model at one endpoint. All that is common (cache, budget, retries, limits) lies outside it, in the door.

    `call` makes exactly one physical request, with no retry of its own, on the door's event loop. It raises
    `ModelCallError` (with `status`, `retry_after`, `retryable`, `billed`) or a `UsageError`, nothing else.

    One that can tell log-probabilities has an attribute `logprobs`: of how many alternatives at most. Where there is
    none, or it is 0, what reads them draws samples instead. One that can work on few requests at once has an attribute
    `most_at_once`: how many are sent to it at most, so that the others' deadlines don't run while they wait. One
    that nobody bills and that is quick has an attribute `free`, true: its requests are none of a budget's `calls`.
    """

    @property
    def name(self) -> str:
        """The model's name as the caller gave it, as "openai/gpt-4o-mini"."""

    @property
    def endpoint(self) -> str:
        """What shares limits: server and account in one string without secrets."""

    @property
    def max_n(self) -> int:
        """Most choices that one request can bring; 1 where `n` is not honoured."""

    @property
    def context_window(self) -> int | None:
        """Tokens of prompt and answer together, None where unknown."""

    @property
    def native_schema(self) -> bool:
        """Whether `response_format` is enforced by the provider; else the door prompts and parses."""

    async def call(self, request: Request, n: int, on_token: OnToken | None = None) -> Reply:
        """Make one request for n choices. With `on_token` (only with n=1), report the text as it comes."""

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Return how many tokens the prompt has, as exactly as this backend can tell."""

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float | None:
        """Return the price in US dollars, None where unknown."""
