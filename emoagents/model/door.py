"""The model door: every call to a model goes through here, and all that is common to calls is done here.

In this order: cache, retries, budget, limits, one physical request by the backend, ledger, cache again.
"""

from __future__ import annotations

import asyncio
import copy
import json
import time
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from emoagents.errors import ModelCallError, ModelConfigError, RunError
from emoagents.model.budget import Budget, BudgetMeter, Hold
from emoagents.model.cache import AnswerCache
from emoagents.model.call import Call, Listener, OnEvent
from emoagents.model.embedding import (
    EMBEDDING_MODEL,
    EmbeddingCall,
    Vectors,
    as_matrix,
    checked,
    request_of,
    require_numpy,
)
from emoagents.model.ledger import Ledger, Usage
from emoagents.model.limits import endpoint
from emoagents.model.loop import on_model_loop
from emoagents.model.request import Backend, Choice, Completion, OnToken, Reply, Request, Share
from emoagents.model.resolve import default_model, open_backend, open_embeddings
from emoagents.model.retry import Deadline
from emoagents.model.role import Role
from emoagents.model.structured import parsed, re_ask, with_schema_in_prompt
from emoagents.together import together

if TYPE_CHECKING:
    from emoagents.context import Context

__all__ = ["ModelDoor", "OnEvent", "Samples"]

T = TypeVar("T")

_ROUNDS = 3
"""Times that a choice is asked for, if replies hold fewer than asked."""


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
        self._beside: dict[tuple[str, bool], ModelDoor] = {}
        self._embeds = False
        self._extra: Mapping[str, Any] = {}
        self._set_up(settings)

    def _set_up(self, settings: Context) -> None:
        self.settings = settings
        self._opening: asyncio.Task[None] | None = None
        self._backend: Backend | None = None
        self._cache: AnswerCache | None = None
        self._cost_of_lost: float | None = None

    def of(self, role: str | None) -> ModelDoor:
        """Return the door of a role's model; this one where the context names no model for the role."""
        given = self._given(role)
        return self if given is None else self._sibling(str(role), given, embeds=False)

    def embedder(self, role: str) -> ModelDoor:
        """Return the door through which a role's texts become vectors; the embedded model where none is named."""
        given = self._given(role) or Role()
        return self._sibling(role, replace(given, model=given.model or EMBEDDING_MODEL), embeds=True)

    def _given(self, role: str | None) -> Role | None:
        given = self._main.settings.models.get(role) if role is not None else None
        return given if isinstance(given, Role) else None

    def _sibling(self, name: str, role: Role, *, embeds: bool) -> ModelDoor:
        key = (name, embeds)
        if key not in self._beside:
            door = copy.copy(self)
            door._embeds, door._extra = embeds, role.extra
            door._set_up(self._main.settings.with_model(role))
            self._beside.setdefault(key, door)  # two threads may come at once: one door is kept
        return self._beside[key]

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
        listener = Listener(on_token if len(indices) == 1 else None, on_event)
        call = Call(request, node, listener)
        return await on_model_loop(lambda: self._sample(call, list(indices)))

    async def embed(self, texts: Sequence[str], *, node: str = "", on_event: OnEvent | None = None) -> Vectors:
        """Return the vectors of texts, in their order. Only for a door of `embedder`.

        Equal texts are bought once. What came is in the cache even where others failed.

        Args:
            node: whose account the calls are booked to.
            on_event: told of retries, on the model loop's thread.

        Raises:
            RunError: a text can't be embedded; the first error.
            UsageError: the caller's mistake.
        """
        asked, places = request_of(checked(texts), self._extra)
        call = EmbeddingCall(asked, node, Listener(on_event=on_event))
        found = (await on_model_loop(lambda: self._embed(call))).completions
        rows = [places.get(text) for text in texts]
        table = await asyncio.to_thread(as_matrix, [c.text for c in found], rows, self.name)
        return Vectors(table, sum(place is not None and found[place].cached for place in rows))

    async def groups(self, indices: Sequence[int]) -> list[list[int]]:
        """Split indices into those that one physical request can bring together."""
        backend = await self.backend()
        return Call(Request(messages=[]), "", Listener()).groups(indices, _most(backend))

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
        opened = open_embeddings if self._embeds else open_backend
        backend = await opened(s.model or default_model(), api_key=s.api_key, api_base=s.api_base)
        price = backend.cost(1000, 1000)
        if price is None and s.budget is not None and s.budget.usd is not None:
            raise _unknown_price(backend.name)
        self._cost_of_lost = 0.0 if price == 0 else None
        self._backend = backend

    async def _sample(self, call: Call, indices: list[int]) -> Samples:
        await self.backend()
        if call.request.response_format is not None:
            return await self._sample_structured(call, indices)
        return await self._sample_text(call, indices)

    async def _embed(self, call: EmbeddingCall) -> Samples:
        require_numpy()
        await self.backend()
        parts = await _all(self._sample_text(call, part) for part in call.slices())
        if errors := [e for part in parts for e in part.errors]:
            raise errors[0]
        return Samples(completions=[c for part in parts for c in part.completions])

    # -- structured output ---------------------------------------------------------------------------------------

    async def _sample_structured(self, call: Call, indices: list[int]) -> Samples:
        if not self._b.native_schema:
            call = replace(call, request=with_schema_in_prompt(call.request))
        samples = await self._sample_text(call, indices)
        return replace(samples, completions=await _all(self._fitting(call, c) for c in samples.completions))

    async def _fitting(self, call: Call, completion: Completion) -> Completion:
        """Return the completion with what was parsed; where it does not fit, after one repeated question."""
        schema = call.request.response_format
        assert schema is not None
        first = parsed(completion, schema)
        if first.parse_error is None or first.tool_calls:
            return first
        call.listener.restart()
        again = await self._sample_text(replace(call, request=re_ask(call.request, first)), [first.index])
        if not again.completions:
            return first
        second = again.completions[0]
        return parsed(replace(second, share=_both(first.share, second.share)), schema)

    # -- cache ---------------------------------------------------------------------------------------------------

    async def _sample_text(self, call: Call, indices: list[int]) -> Samples:
        keys = call.keys(self._b, indices) if self._cache else {}
        found = await self._look_up(keys, call)
        missing = [i for i in indices if i not in found]
        bought, errors = await self._buy_once(call, missing, keys) if missing else ({}, [])
        both = {**found, **bought}
        return Samples(completions=[both[i] for i in indices if i in both], errors=errors)

    async def _buy_once(
        self, call: Call, indices: list[int], keys: dict[int, str]
    ) -> tuple[dict[int, Completion], list[RunError]]:
        """Buy samples, save those that somebody else who shares the cache is just buying."""
        if self._cache is None:
            return await self._buy(call, indices, keys)
        async with self._cache.buying([keys[i] for i in indices]) as waited:
            found = await self._look_up({i: keys[i] for i in indices}, call) if waited else {}
            missing = [i for i in indices if i not in found]
            bought, errors = await self._buy(call, missing, keys) if missing else ({}, [])
        return {**found, **bought}, errors

    async def _look_up(self, keys: dict[int, str], call: Call) -> dict[int, Completion]:
        if self._cache is None:
            return {}
        choices = await self._cache.get(list(keys.values()))
        known = {i: c for i, c in zip(keys, choices, strict=True) if c is not None and call.usable(c)}
        found = {i: _completion(c, i, cached=True) for i, c in known.items()}
        if found:
            missing, most = [i for i in keys if i not in found], _most(self._b)
            spared = len(call.groups(list(keys), most)) - len(call.groups(missing, most))
            self.ledger.cached(call.node, len(found), self._saved(call, list(known.values()), max(0, spared)))
            call.listener.token(next(iter(found.values())).text)
        return found

    def _saved(self, call: Call, choices: Sequence[Choice], requests: int) -> Usage:
        """Return what samples would have cost: their completions, and the prompt of each request that was spared."""
        known = [c.share for c in choices if c.share is not None and c.share.completion_tokens is not None]
        prompt = call.saved_prompt_tokens(known, requests)
        completion = sum(share.completion_tokens or 0 for share in known)
        usd = self._b.cost(prompt, completion) if len(known) == len(choices) else None
        return Usage(saved_prompt_tokens=prompt, saved_completion_tokens=completion, saved_usd=usd)

    async def _keep(self, call: Call, got: dict[str, Choice]) -> None:
        if self._cache is None:
            return
        bounded = call.request.max_tokens is not None or not self.meter.budget.needs_estimate or self.meter.whole
        if not bounded:  # the budget's bound is not the request's
            got = {k: c for k, c in got.items() if c.finish_reason != "length"}
        await asyncio.shield(self._cache.put(got))

    # -- physical requests ---------------------------------------------------------------------------------------

    async def _buy(
        self, call: Call, indices: list[int], keys: dict[int, str]
    ) -> tuple[dict[int, Completion], list[RunError]]:
        bought: dict[int, Completion] = {}
        errors: list[RunError] = []
        missing = indices
        for _ in range(_ROUNDS):
            groups = call.groups(missing, _most(self._b))
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

    async def _request(self, call: Call, indices: list[int], keys: dict[int, str]) -> dict[int, Completion]:
        """Make one physical request, repeated until it is answered, and keep what came."""
        part = call.part(indices)
        reply = await self.meter.within_seconds(lambda: self._with_retries(part, len(indices)))
        if call.answers and len(indices) > 1 and len(reply.choices) + reply.unusable == 1:
            endpoint(self._b.endpoint).ignores_n.add(self._b.name)
        shared = [replace(c, share=s) for c, s in zip(reply.choices, part.shares(reply), strict=True)]
        got = dict(zip(indices, shared, strict=False))
        await self._keep(part, {keys[i]: c for i, c in got.items() if keys})
        return {i: _completion(c, i) for i, c in got.items()}

    async def _with_retries(self, call: Call, n: int) -> Reply:
        deadline = Deadline(self.settings.retry.deadline)
        try:
            async with deadline.limit:
                return await self._repeated(call, n, deadline)
        except TimeoutError:
            if not deadline.limit.expired():
                raise
            text = f"{self.name} did not answer within {deadline.seconds:g} s"
            raise ModelCallError(text, model=self.name, status=408) from None

    async def _repeated(self, call: Call, n: int, deadline: Deadline) -> Reply:
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

    async def _attempt(self, call: Call, n: int, deadline: Deadline) -> Reply:
        request, hold = await self._hold(call, n)
        spent, began = Hold(calls=0), None
        try:
            most = min(self.settings.concurrency, getattr(self._b, "most_at_once", self.settings.concurrency))
            async with endpoint(self._b.endpoint).slot(most, self.settings.rpm):
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

    def _lost(self, call: Call, billed: bool, seconds: float) -> None:
        cost = self._cost_of_lost if billed else 0.0
        self.ledger.failed(call.node, calls=int(billed), cost_usd=cost, seconds=seconds)

    async def _hold(self, call: Call, n: int) -> tuple[Request, Hold]:
        """Reserve what the request may cost; return it with the bound for its answer that this takes."""
        request = call.request
        calls = int(not getattr(self._b, "free", False))
        if not self.meter.budget.needs_estimate:
            return request, (await self.meter.hold(lambda _: Hold(calls)))[0]
        prompt = await asyncio.to_thread(self._count, request)
        most = request.max_tokens or self._room(prompt)
        least = request.max_tokens or (most if self.meter.whole else min(Budget.LEAST_ANSWER_TOKENS, most))
        if not call.answers:
            most = least = 0

        def bound(answer: int) -> Hold:
            return Hold(calls, prompt + answer * n, self._b.cost(prompt, answer * n) or 0.0)

        hold, answer = await self.meter.hold(bound, most, least)
        return (replace(request, max_tokens=answer) if call.answers else request), hold

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


def _most(backend: Backend) -> int:
    """Return how many choices one request to it brings."""
    return 1 if backend.name in endpoint(backend.endpoint).ignores_n else backend.max_n


def _spent(reply: Reply, hold: Hold) -> Hold:
    if reply.prompt_tokens is None or reply.completion_tokens is None:
        return hold  # not told: count what was held
    usd = reply.cost_usd if reply.cost_usd is not None else hold.usd
    return Hold(hold.calls, reply.prompt_tokens + reply.completion_tokens, usd)


def _completion(choice: Choice, index: int, *, cached: bool = False) -> Completion:
    return Completion(
        text=choice.text,
        index=index,
        finish_reason=choice.finish_reason,
        tool_calls=choice.tool_calls,
        logprobs=choice.logprobs,
        cached=cached,
        share=choice.share,
    )


def _both(one: Share | None, other: Share | None) -> Share | None:
    """Return what two requests for one answer used together; None where it is not known."""
    if one is None or other is None:
        return None
    prompt = _sum(one.prompt_tokens, other.prompt_tokens)
    completion = _sum(one.completion_tokens, other.completion_tokens)
    return Share(prompt_tokens=prompt, completion_tokens=completion)


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


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
