"""The model door: every call to a model goes through here, and all that is common to calls is done here.

In this order: cache, retries, budget, limits, one physical request by the backend, ledger, cache again.
"""

from __future__ import annotations

import asyncio
import copy
import json
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from emoagents.errors import ModelCallError, ModelConfigError, RunError
from emoagents.model.budget import Budget, BudgetMeter, Hold
from emoagents.model.cache import AnswerCache, answer_keys
from emoagents.model.ledger import Ledger, Usage
from emoagents.model.limits import endpoint
from emoagents.model.loop import on_model_loop
from emoagents.model.request import Backend, Choice, Completion, OnToken, Reply, Request, Share
from emoagents.model.resolve import default_model, open_backend
from emoagents.model.retry import Deadline
from emoagents.model.role import Role
from emoagents.model.structured import parsed, re_ask, with_schema_in_prompt
from emoagents.together import together

if TYPE_CHECKING:
    from emoagents.context import Context

__all__ = ["ModelDoor", "OnEvent", "Samples"]

OnEvent: TypeAlias = Callable[[Mapping[str, Any]], None]
"""Told of what happens inside a call: {"event": "retry", "error", "seconds", "attempt"}, and {"event": "restart"}
where the tokens told so far belong to an answer that will not come: a screen should drop them."""

T = TypeVar("T")

_ROUNDS = 3
"""Times that a choice is asked for, if replies hold fewer than asked."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """What came of asking for some samples: completions in order of index, and the errors of those that failed."""

    completions: list[Completion]
    errors: list[RunError] = field(default_factory=list)

    def require(self) -> list[Completion]:
        """Return the completions.

        Raises:
            RunError: there is none; the first error of the samples.
        """
        if not self.completions:
            raise self.errors[0] if self.errors else RunError("no sample was asked for")
        return self.completions


class ModelDoor:
    """One model with one budget, one cache and one ledger: the account of one run.

    The models of roles have doors of their own (`of`) on the same account. Public methods may be awaited on any event
    loop.

    Attributes:
        ledger, meter: what the account used, and its budget. settings: the model and how to call it.

    Args:
        settings: the model and how to call it.
        meter: a budget to share with other doors; None: one of its own.
    """

    def __init__(self, settings: Context, meter: BudgetMeter | None = None) -> None:
        self.ledger = Ledger()
        self.meter = meter or BudgetMeter(settings.budget)
        self._main = self
        self._roles: dict[str, ModelDoor] = {}
        self._set_up(settings)

    def _set_up(self, settings: Context) -> None:
        self.settings = settings
        self._opening: asyncio.Task[None] | None = None
        self._backend: Backend | None = None
        self._cache: AnswerCache | None = None
        self._cost_of_lost: float | None = None

    def of(self, role: str | None) -> ModelDoor:
        """Return the door of a role's model; this one where the context names no model for the role."""
        given = self._main.settings.models.get(role) if role is not None else None
        if role is None or not isinstance(given, Role):
            return self
        return self._roles.get(role) or self._roles.setdefault(role, self._sibling(given))

    def _sibling(self, role: Role) -> ModelDoor:
        door = copy.copy(self)
        door._set_up(self._main.settings.with_model(role))
        return door

    @property
    def name(self) -> str:
        """The model's name."""
        model = self.settings.model or default_model()
        return model if isinstance(model, str) else model.name

    async def backend(self) -> Backend:
        """Return the backend, opening it if this is the first use.

        Raises:
            UsageError: unknown model, missing key, missing extra, unusable cache.
        """
        if self._backend is None:
            await on_model_loop(self._open)
        assert self._backend is not None
        return self._backend

    async def sample(
        self,
        request: Request,
        indices: Sequence[int] = (0,),
        *,
        node: str = "",
        on_token: OnToken | None = None,
        on_event: OnEvent | None = None,
    ) -> Samples:
        """Return the samples of these indices of one prompt.

        Args:
            request: the prompt and how to sample it.
            indices: which samples: the k-th sample of a prompt is always the same one in the cache.
            node: whose account the calls are booked to.
            on_token: told of the text as it comes, on the model loop's thread; only for a single index.
            on_event: told of retries, on the model loop's thread.

        Raises:
            UsageError: the caller's mistake. Failures of the model are returned in `errors`, for others go on.
        """
        listener = _Listener(on_token if len(indices) == 1 else None, on_event)
        call = _Call(request, node, listener)
        return await on_model_loop(lambda: self._sample(call, list(indices)))

    async def groups(self, indices: Sequence[int]) -> list[list[int]]:
        """Split indices into those that one physical request can bring together."""
        backend = await self.backend()
        size = 1 if backend.name in endpoint(backend.endpoint).ignores_n else backend.max_n
        return [list(indices[i : i + size]) for i in range(0, len(indices), size)]

    # -- everything below runs on the model loop -----------------------------------------------------------------

    @property
    def _b(self) -> Backend:
        assert self._backend is not None
        return self._backend

    async def _open(self) -> None:
        if self._opening is None or (self._opening.done() and self._backend is None):
            self._opening = asyncio.ensure_future(self._open_once())
        await asyncio.shield(self._opening)

    async def _open_once(self) -> None:
        s = self.settings
        self._cache = await s.opener.open()
        backend = await open_backend(s.model or default_model(), api_key=s.api_key, api_base=s.api_base)
        price = backend.cost(1000, 1000)
        if price is None and s.budget is not None and s.budget.usd is not None:
            raise _unknown_price(backend.name)
        self._cost_of_lost = 0.0 if price == 0 else None
        self._backend = backend

    async def _sample(self, call: _Call, indices: list[int]) -> Samples:
        await self.backend()
        if call.request.response_format is not None:
            return await self._sample_structured(call, indices)
        return await self._sample_text(call, indices)

    # -- structured output ---------------------------------------------------------------------------------------

    async def _sample_structured(self, call: _Call, indices: list[int]) -> Samples:
        if not self._b.native_schema:
            call = replace(call, request=with_schema_in_prompt(call.request))
        samples = await self._sample_text(call, indices)
        return replace(samples, completions=await _all(self._fitting(call, c) for c in samples.completions))

    async def _fitting(self, call: _Call, completion: Completion) -> Completion:
        """Return the completion with what was parsed; where it does not fit, after one repeated question."""
        schema = call.request.response_format
        assert schema is not None
        first = parsed(completion, schema)
        if first.parse_error is None or first.tool_calls:
            return first
        call.listener.restart()
        again = await self._sample_text(replace(call, request=re_ask(call.request, first)), [first.index])
        return parsed(again.completions[0], schema) if again.completions else first

    # -- cache ---------------------------------------------------------------------------------------------------

    async def _sample_text(self, call: _Call, indices: list[int]) -> Samples:
        keys = answer_keys(self._b.endpoint, self._b.name, call.request, indices) if self._cache else {}
        found = await self._look_up(keys, call)
        missing = [i for i in indices if i not in found]
        bought, errors = await self._buy_once(call, missing, keys) if missing else ({}, [])
        both = {**found, **bought}
        return Samples(completions=[both[i] for i in indices if i in both], errors=errors)

    async def _buy_once(
        self, call: _Call, indices: list[int], keys: dict[int, str]
    ) -> tuple[dict[int, Completion], list[RunError]]:
        """Buy samples, save those that somebody else who shares the cache is just buying."""
        if self._cache is None:
            return await self._buy(call, indices, keys)
        async with self._cache.buying([keys[i] for i in indices]) as waited:
            found = await self._look_up({i: keys[i] for i in indices}, call) if waited else {}
            missing = [i for i in indices if i not in found]
            bought, errors = await self._buy(call, missing, keys) if missing else ({}, [])
        return {**found, **bought}, errors

    async def _look_up(self, keys: dict[int, str], call: _Call) -> dict[int, Completion]:
        if self._cache is None:
            return {}
        choices = await self._cache.get(list(keys.values()))
        found = {i: _completion(c, i, cached=True) for i, c in zip(keys, choices, strict=True) if c is not None}
        if found:
            shares = [c.share for c in choices if c is not None]
            missing = [i for i in keys if i not in found]
            spared = len(await self.groups(list(keys))) - len(await self.groups(missing))
            self.ledger.cached(call.node, len(found), self._saved(shares, max(0, spared)))
            call.listener.token(next(iter(found.values())).text)
        return found

    def _saved(self, shares: Sequence[Share | None], requests: int) -> Usage:
        """Return what samples would have cost: their completions, and the prompt of each request that was spared."""
        known = [s for s in shares if s is not None and s.completion_tokens is not None]
        prompt = requests * max((share.prompt_tokens or 0 for share in known), default=0)
        completion = sum(share.completion_tokens or 0 for share in known)
        usd = self._b.cost(prompt, completion) if len(known) == len(shares) else None
        return Usage(saved_prompt_tokens=prompt, saved_completion_tokens=completion, saved_usd=usd)

    async def _keep(self, request: Request, got: dict[str, Choice]) -> None:
        if self._cache is None:
            return
        shrunk = request.max_tokens is None and self.meter.budget.needs_estimate and not self.meter.whole
        if shrunk:  # the budget's bound is not the request's
            got = {k: c for k, c in got.items() if c.finish_reason != "length"}
        await asyncio.shield(self._cache.put(got))

    # -- physical requests ---------------------------------------------------------------------------------------

    async def _buy(
        self, call: _Call, indices: list[int], keys: dict[int, str]
    ) -> tuple[dict[int, Completion], list[RunError]]:
        bought: dict[int, Completion] = {}
        errors: list[RunError] = []
        missing = indices
        for _ in range(_ROUNDS):
            groups = await self.groups(missing)
            missing = []
            outcomes = await _all(_or_error(self._request(call, group, keys)) for group in groups)
            for group, outcome in zip(groups, outcomes, strict=True):
                if isinstance(outcome, RunError):
                    errors.append(outcome)
                else:
                    bought.update(outcome)
                    missing += [i for i in group if i not in outcome]
            if not missing:
                return bought, errors
        short = ModelCallError(f"{self.name} keeps returning fewer choices than asked", model=self.name)
        return bought, [*errors, short]

    async def _request(self, call: _Call, indices: list[int], keys: dict[int, str]) -> dict[int, Completion]:
        """Make one physical request, repeated until it is answered, and keep what came."""
        request = _numbered(call.request, indices[0])
        numbered = replace(call, request=request)
        reply = await self.meter.within_seconds(lambda: self._with_retries(numbered, len(indices)))
        if len(indices) > 1 and len(reply.choices) + reply.unusable == 1:
            endpoint(self._b.endpoint).ignores_n.add(self._b.name)
        shared = [replace(c, share=s) for c, s in zip(reply.choices, reply.shares(), strict=True)]
        got = dict(zip(indices, shared, strict=False))
        await self._keep(request, {keys[i]: c for i, c in got.items() if keys})
        return {i: _completion(c, i) for i, c in got.items()}

    async def _with_retries(self, call: _Call, n: int) -> Reply:
        deadline = Deadline(self.settings.retry.deadline)
        try:
            async with deadline.limit:
                return await self._repeated(call, n, deadline)
        except TimeoutError:
            if not deadline.limit.expired():
                raise
            text = f"{self.name} did not answer within {deadline.seconds:g} s"
            raise ModelCallError(text, model=self.name, status=408) from None

    async def _repeated(self, call: _Call, n: int, deadline: Deadline) -> Reply:
        try:
            return await self._attempt(call, n, deadline)
        except ModelCallError as error:
            failed = [error]  # tenacity is shown this first attempt: most calls never need its loop

        async def attempt() -> Reply:
            if failed:
                raise failed.pop()
            return await self._attempt(call, n, deadline)

        def tell(error: ModelCallError, seconds: float, attempt: int) -> None:
            call.listener.event("retry", error=str(error), seconds=round(seconds, 3), attempt=attempt)
            call.listener.restart()

        reply: Reply = await self.settings.retry.runner(deadline, tell)(attempt)
        return reply

    async def _attempt(self, call: _Call, n: int, deadline: Deadline) -> Reply:
        request, hold = await self._hold(call.request, n)
        spent, began = Hold(calls=0), None
        try:
            async with endpoint(self._b.endpoint).slot(self.settings.concurrency, self.settings.rpm):
                deadline.begin()
                began = time.monotonic()
                reply = await self._b.call(request, n, call.listener.on_token)
            self.ledger.answered(call.node, reply, time.monotonic() - began)
            spent = _spent(reply, hold)
            return reply
        except (ModelCallError, asyncio.CancelledError) as error:
            billed = error.billed if isinstance(error, ModelCallError) else True  # cut off: it may be billed
            if began is not None:
                spent = hold if billed else spent
                self._lost(call, billed, time.monotonic() - began)
            raise
        finally:
            self.meter.settle(hold, spent)

    def _lost(self, call: _Call, billed: bool, seconds: float) -> None:
        cost = self._cost_of_lost if billed else 0.0
        self.ledger.failed(call.node, calls=int(billed), cost_usd=cost, seconds=seconds)

    async def _hold(self, request: Request, n: int) -> tuple[Request, Hold]:
        """Reserve what the request may cost; return it with the bound for its answer that this takes."""
        if not self.meter.budget.needs_estimate:
            return request, (await self.meter.hold())[0]
        prompt = await asyncio.to_thread(self._count, request)
        most = request.max_tokens or self._room(prompt)
        least = request.max_tokens or (most if self.meter.whole else min(Budget.LEAST_ANSWER_TOKENS, most))

        def bound(answer: int) -> Hold:
            return Hold(1, prompt + answer * n, self._b.cost(prompt, answer * n) or 0.0)

        hold, answer = await self.meter.hold(bound, most, least)
        return replace(request, max_tokens=answer), hold

    def _count(self, request: Request) -> int:
        """Return the prompt's tokens, with what of tools and schema is sent beside it."""
        beside: list[Any] = list(request.tools)
        if request.response_format is not None and self._b.native_schema:
            beside.append(request.response_format.model_json_schema())
        extra = [{"role": "user", "content": json.dumps(beside, default=str)}] if beside else []
        return self._b.count_tokens([*request.messages, *extra])

    def _room(self, prompt: int) -> int:
        window = self._b.context_window
        return min(Budget.ANSWER_TOKENS, max(1, window - prompt)) if window else Budget.ANSWER_TOKENS


@dataclass(frozen=True, slots=True)
class _Call:
    request: Request
    node: str
    listener: _Listener


class _Listener:
    """Tells the caller what happens. A listener that fails is not called again: its call goes on, and is paid once."""

    def __init__(self, on_token: OnToken | None, on_event: OnEvent | None) -> None:
        self.on_token = self.token if on_token else None
        self._on_token, self._on_event = on_token, on_event
        self._told = False

    def token(self, text: str) -> None:
        if self._on_token is not None:
            self._told = True
            self._tell("_on_token", text)

    def event(self, event: str, **data: Any) -> None:
        if self._on_event is not None:
            self._tell("_on_event", {"event": event, **data})

    def restart(self) -> None:
        """Say that what was told of the answer is void."""
        if self._told:
            self._told = False
            self.event("restart")

    def _tell(self, name: str, what: Any) -> None:
        try:
            getattr(self, name)(what)
        except Exception:
            setattr(self, name, None)
            _log.exception("%s failed; it is not told of anything more", name.lstrip("_"))


def _numbered(request: Request, index: int) -> Request:
    """Give each request of one sample a seed of its own: the same seed would bring the same sample."""
    return request if request.seed is None or not index else replace(request, seed=request.seed + index)


def _spent(reply: Reply, hold: Hold) -> Hold:
    if reply.prompt_tokens is None or reply.completion_tokens is None:
        return hold  # not told: count what was held
    usd = reply.cost_usd if reply.cost_usd is not None else hold.usd
    return Hold(1, reply.prompt_tokens + reply.completion_tokens, usd)


def _completion(choice: Choice, index: int, *, cached: bool = False) -> Completion:
    return Completion(
        text=choice.text,
        index=index,
        finish_reason=choice.finish_reason,
        tool_calls=choice.tool_calls,
        logprobs=choice.logprobs,
        cached=cached,
    )


async def _or_error(work: Coroutine[Any, Any, T]) -> T | RunError:
    try:
        return await work
    except RunError as error:
        return error


async def _all(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Await all side by side; one alone needs no task of its own."""
    coroutines = list(works)
    return [await coroutines[0]] if len(coroutines) == 1 else await together(coroutines)


def _unknown_price(model: str) -> ModelConfigError:
    return ModelConfigError(
        f"the price of {model} is not known, so a budget in usd can't be kept: "
        "use calls, tokens or seconds, or register its price with litellm.register_model",
        model=model,
    )
