"""The model door: every call to a model goes through here, and all that is common to calls is done here.

In this order: cache, budget, limits, retries, one physical request by the backend, ledger, cache again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from emoagents.errors import BudgetExceeded, ModelCallError, ModelConfigError, RunError
from emoagents.model.budget import Budget, BudgetMeter, Hold
from emoagents.model.cache import AnswerCache, answer_key, open_cache
from emoagents.model.ledger import Ledger
from emoagents.model.limits import endpoint
from emoagents.model.loop import on_model_loop
from emoagents.model.request import Backend, Choice, Completion, OnToken, Reply, Request
from emoagents.model.resolve import default_model, open_backend
from emoagents.model.retry import remaining
from emoagents.model.structured import parsed, re_ask, with_schema_in_prompt
from emoagents.together import together

if TYPE_CHECKING:
    from emoagents.context import Context

T = TypeVar("T")

__all__ = ["ModelDoor", "OnEvent", "Samples"]

OnEvent: TypeAlias = Callable[[Mapping[str, Any]], None]
"""Told of what happens inside a call: {"event": "retry", "error", "seconds", "attempt"}."""

_TOP_UPS = 3
"""Times that choices which did not come back are asked for again."""


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
            raise self.errors[0]
        return self.completions


class ModelDoor:
    """One model with one budget, one cache and one ledger: the account of one run.

    Public methods may be awaited on any event loop.

    Args:
        settings: the model and how to call it.
    """

    def __init__(self, settings: Context) -> None:
        self.ledger = Ledger()
        self._settings = settings
        self._meter = BudgetMeter(settings.budget)
        self._opening: asyncio.Task[None] | None = None
        self._backend: Backend | None = None
        self._cache: AnswerCache | None = None
        self._cost_of_lost: float | None = None

    @property
    def name(self) -> str:
        """The model's name."""
        model = self._settings.model or default_model()
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
        call = _Call(request, node, on_token if len(indices) == 1 else None, on_event or (lambda _: None))
        return await on_model_loop(lambda: self._sample(call, list(indices)))

    async def groups(self, indices: Sequence[int]) -> list[list[int]]:
        """Split indices into those that one physical request can bring together."""
        backend = await self.backend()
        size = backend.max_n if endpoint(backend.endpoint).honours_n else 1
        return [list(indices[i : i + size]) for i in range(0, len(indices), size)]

    # -- everything below runs on the model loop -----------------------------------------------------------------

    async def _open(self) -> None:
        if self._opening is None or (self._opening.done() and self._backend is None):
            self._opening = asyncio.ensure_future(self._open_once())
        await asyncio.shield(self._opening)

    async def _open_once(self) -> None:
        s = self._settings
        self._cache = await asyncio.to_thread(open_cache, s.cache)
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

    async def _sample_structured(self, call: _Call, indices: list[int]) -> Samples:
        schema = call.request.response_format
        assert schema is not None
        if not (await self.backend()).native_schema:
            call = replace(call, request=with_schema_in_prompt(call.request))
        samples = await self._sample_text(call, indices)
        checked = [parsed(c, schema) for c in samples.completions]
        again = [i for i, c in enumerate(checked) if c.parse_error is not None]
        repeats = await asyncio.gather(*(self._ask_again(call, checked[i]) for i in again))
        for i, completion in zip(again, repeats, strict=True):
            checked[i] = completion
        return replace(samples, completions=checked)

    async def _ask_again(self, call: _Call, failed: Completion) -> Completion:
        schema = call.request.response_format
        assert schema is not None
        repeat = replace(call, request=re_ask(call.request, failed), on_token=None)
        samples = await self._sample_text(repeat, [failed.index])
        return parsed(samples.completions[0], schema) if samples.completions else failed

    async def _sample_text(self, call: _Call, indices: list[int]) -> Samples:
        keys = {i: answer_key(self._b.endpoint, self._b.name, call.request, i) for i in indices} if self._cache else {}
        found = await self._look_up(keys, call)
        missing = [i for i in indices if i not in found]
        bought, errors = await self._buy(call, missing, keys)
        both = {**found, **bought}
        return Samples(completions=[both[i] for i in indices if i in both], errors=errors)

    @property
    def _b(self) -> Backend:
        assert self._backend is not None
        return self._backend

    async def _look_up(self, keys: dict[int, str], call: _Call) -> dict[int, Completion]:
        if self._cache is None:
            return {}
        choices = await self._cache.get(list(keys.values()))
        found = {i: _completion(c, i, cached=True) for i, c in zip(keys, choices, strict=True) if c is not None}
        if found:
            self.ledger.cached(call.node, len(found))
            if call.on_token is not None:
                call.on_token(next(iter(found.values())).text)
        return found

    async def _buy(
        self, call: _Call, indices: list[int], keys: dict[int, str]
    ) -> tuple[dict[int, Completion], list[RunError]]:
        bought: dict[int, Completion] = {}
        errors: list[RunError] = []
        for _ in range(_TOP_UPS):
            missing = [i for i in indices if i not in bought]
            if not missing or errors:
                break
            groups = await self.groups(missing)
            for outcome in await _all(self._request(call, group, keys) for group in groups):
                if isinstance(outcome, RunError):
                    errors.append(outcome)
                else:
                    bought.update(outcome)
        if not errors and len(bought) < len(indices):
            errors.append(ModelCallError(f"{self.name} keeps returning fewer choices than asked", model=self.name))
        return bought, errors

    async def _request(self, call: _Call, indices: list[int], keys: dict[int, str]) -> dict[int, Completion]:
        """Make one physical request, repeated until it is answered, and keep what came."""
        request = self._numbered(call.request, indices)
        reply = await self._with_retries(call, request, len(indices))
        place = endpoint(self._b.endpoint)
        if len(indices) > 1 and len(reply.choices) == 1:
            place.honours_n = False
        got = dict(zip(indices, reply.choices, strict=False))
        if self._cache is not None:
            await asyncio.shield(self._cache.put({keys[i]: c for i, c in got.items()}))
        return {i: _completion(c, i) for i, c in got.items()}

    def _numbered(self, request: Request, indices: list[int]) -> Request:
        """Give each request of one sample a seed of its own: the same seed would bring the same sample."""
        if request.seed is None or not indices[0]:
            return request
        return replace(request, seed=request.seed + indices[0])

    async def _with_retries(self, call: _Call, request: Request, n: int) -> Reply:
        retry = self._settings.retry
        deadline_at = time.monotonic() + retry.deadline
        try:
            return await self._attempt(call, request, n, deadline_at)
        except ModelCallError as error:
            failed: ModelCallError | None = error

        def tell(error: ModelCallError, seconds: float, attempt: int) -> None:
            event = {"event": "retry", "error": str(error), "seconds": round(seconds, 3), "attempt": attempt}
            call.on_event(event)

        async for attempt in retry.runner(tell):
            with attempt:
                if failed is not None:  # tenacity's first attempt is the one above: most calls never need its loop
                    first, failed = failed, None
                    raise first
                return await self._attempt(call, request, n, deadline_at)
        raise AssertionError("tenacity re-raises the last error")

    async def _attempt(self, call: _Call, request: Request, n: int, deadline_at: float) -> Reply:
        place = endpoint(self._b.endpoint)
        async with place.slot(self._settings.concurrency, self._settings.rpm):
            request, hold = await self._hold(request, n)
            began = time.monotonic()
            spent = Hold(calls=0)
            try:
                reply = await self._within_time(self._b.call(request, n, call.on_token), deadline_at)
                spent = self._booked(call, reply, time.monotonic() - began, hold)
                return reply
            except ModelCallError as error:
                spent = hold if error.billed else spent
                self._lost(call, error.billed, time.monotonic() - began)
                raise
            except (asyncio.CancelledError, BudgetExceeded):
                spent = hold  # cut off by us: the provider may bill what it did
                self._lost(call, True, time.monotonic() - began)
                raise
            finally:
                self._meter.settle(hold, calls=spent.calls, tokens=spent.tokens, usd=spent.usd)

    def _lost(self, call: _Call, billed: bool, seconds: float) -> None:
        self.ledger.failed(
            call.node, calls=int(billed), cost_usd=self._cost_of_lost if billed else 0.0, seconds=seconds
        )

    def _booked(self, call: _Call, reply: Reply, seconds: float, hold: Hold) -> Hold:
        self.ledger.answered(call.node, reply, seconds)
        if reply.prompt_tokens is None or reply.completion_tokens is None:
            return hold  # not told: count what was held
        usd = reply.cost_usd if reply.cost_usd is not None else hold.usd
        return Hold(1, reply.prompt_tokens + reply.completion_tokens, usd)

    async def _within_time(self, work: Any, deadline_at: float) -> Reply:
        left, budget_left = remaining(deadline_at), self._meter.seconds_left()
        try:
            async with asyncio.timeout(left if budget_left is None else min(left, max(budget_left, 1e-3))):
                reply: Reply = await work
                return reply
        except TimeoutError:
            if budget_left is not None and budget_left <= left:
                raise self._meter.out_of_time() from None
            seconds = self._settings.retry.deadline
            raise ModelCallError(
                f"{self.name} did not answer within {seconds:g} s", model=self.name, status=408, billed=True
            ) from None

    async def _hold(self, request: Request, n: int) -> tuple[Request, Hold]:
        budget = self._meter.budget
        if not budget.needs_estimate:
            return request, await self._meter.hold()
        prompt = await asyncio.to_thread(self._b.count_tokens, request.messages)
        answer = request.max_tokens or min(Budget.ANSWER_TOKENS, self._room(prompt))
        usd = self._b.cost(prompt, answer * n) or 0.0
        hold = await self._meter.hold(prompt + answer * n, usd)
        return replace(request, max_tokens=answer), hold

    def _room(self, prompt: int) -> int:
        window = self._b.context_window
        return max(1, window - prompt) if window else Budget.ANSWER_TOKENS


@dataclass(frozen=True, slots=True)
class _Call:
    request: Request
    node: str
    on_token: OnToken | None
    on_event: OnEvent


def _completion(choice: Choice, index: int, *, cached: bool = False) -> Completion:
    return Completion(
        text=choice.text,
        index=index,
        finish_reason=choice.finish_reason,
        tool_calls=choice.tool_calls,
        logprobs=choice.logprobs,
        cached=cached,
    )


async def _all(works: Iterable[Coroutine[Any, Any, T]]) -> list[T | RunError]:
    """Await all side by side and return each result or `RunError`; the caller's mistake is raised."""

    async def guarded(work: Coroutine[Any, Any, T]) -> T | RunError:
        try:
            return await work
        except RunError as error:
            return error

    guards = [guarded(work) for work in works]
    return [await guards[0]] if len(guards) == 1 else await together(guards)


def _unknown_price(model: str) -> ModelConfigError:
    return ModelConfigError(
        f"the price of {model} is not known, so a budget in usd can't be kept: "
        "use calls, tokens or seconds, or register its price with litellm.register_model",
        model=model,
    )
