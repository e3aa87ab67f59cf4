"""The context: what a run is given. Strategies ask it for the model and never choose one themselves."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import InstanceOf
from pydantic.json_schema import SkipJsonSchema

from emoagents.errors import CompositionError, ParameterError
from emoagents.model.budget import Budget, BudgetMeter, Hold
from emoagents.model.cache import CacheOpener, CacheSetting
from emoagents.model.door import ModelDoor
from emoagents.model.request import Backend
from emoagents.model.retry import Retry
from emoagents.model.role import Role, as_role, check_extra, check_number

if TYPE_CHECKING:
    from emoagents.program import Program

__all__ = ["Context", "resolve_context"]

T = TypeVar("T")

_REPLICAS = 64
"""Repetitions that each level of nesting keeps apart."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a run is given: LangGraph's runtime context, passed as `context=` to any graph of a strategy.

    One Context is one account: its budget and ledger cover everything that runs under this object. `Strategy.run`
    and its siblings begin a new account for each run; in your own graph, make a new Context for each request
    (or `fresh()` one). Where it comes as JSON, budget and retry are objects with their attributes.

    Attributes:
        model: litellm's name ("openai/gpt-4o-mini"), "embedded/smollm2", "scripted/FILE.json", or a backend
            object. None: the environment's `EMOAGENTS_MODEL`, else the embedded model.
        models: for each role of a strategy (`Strategy.roles`) the model that does its part: a name, a backend object,
            or a `Role` with settings of its own. A role that is not here is `model`; one that is to embed,
            "embedded/minilm".
        temperature, top_p, max_tokens, stop, seed: sampling settings in OpenAI's meaning; None leaves the
            provider's default. A strategy that needs a temperature of its own uses it where this one is None.
        budget: what may be spent at most.
        cache: None, "memory" (shared with what `fresh` makes of this one), a file, a redis:// address, or a
            LangGraph cache.
        api_key, api_base: for providers that need them given; the key is never shown or stored.
        retry: how often and how long to ask again.
        concurrency: requests in flight at most, counted over all that this process sends to the same endpoint.
        rpm: requests that start in any minute at most, counted likewise.
        tools, tool_choice: passed through to the model, in OpenAI's format.
        logprobs: ask for log-probabilities where the provider has them.
        stream: pass the answer's tokens on as they come (LangGraph's `messages` and `custom` modes).
        extra: parameters of one provider only, passed on as they are.
        replica: which repetition of the same work this is: the same prompts, other samples.

    Raises:
        ParameterError: a value is of the wrong kind or out of its range.
    """

    model: str | SkipJsonSchema[InstanceOf[Backend]] | None = None
    models: Mapping[str, str | Role | SkipJsonSchema[InstanceOf[Backend]]] = field(default_factory=dict)
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    budget: Budget | None = None
    cache: CacheSetting = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    api_base: str | None = field(default=None, repr=False)
    retry: Retry = Retry()
    concurrency: int = 32
    rpm: int | None = None
    tools: tuple[Mapping[str, Any], ...] = ()
    tool_choice: str | Mapping[str, Any] | None = None
    logprobs: bool = False
    stream: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)
    replica: int = 0
    door: ModelDoor = field(init=False, repr=False, compare=False)
    """The model door of this account."""
    opener: CacheOpener = field(init=False, repr=False, compare=False)
    """What opens the cache, shared with `fresh` copies."""
    pool: BudgetMeter | None = field(init=False, repr=False, compare=False)
    """The budget that `fresh` copies of a `pooled` context have in common."""
    program: SkipJsonSchema[Program | None] = field(init=False, repr=False, compare=False)
    """What answers the calls instead of the model; see `through`."""

    def __post_init__(self) -> None:
        if not isinstance(self.model, str | Backend | None):
            given = type(self.model).__name__
            raise ParameterError(f"model must be a model's name or a Backend, as ScriptedModel, not {given}")
        check_number("temperature", self.temperature, 0, 10)
        check_number("top_p", self.top_p, 0, 1)
        check_number("max_tokens", self.max_tokens, 1)
        check_number("concurrency", self.concurrency, 1)
        check_number("rpm", self.rpm, 1)
        check_extra(self.extra)
        object.__setattr__(self, "models", _roles(self.models))
        object.__setattr__(self, "stop", (self.stop,) if isinstance(self.stop, str) else tuple(self.stop))
        object.__setattr__(self, "tools", tuple(self.tools))
        object.__setattr__(self, "budget", _made(Budget, "budget", self.budget))
        object.__setattr__(self, "retry", _made(Retry, "retry", self.retry))
        object.__setattr__(self, "opener", CacheOpener(self.cache))
        object.__setattr__(self, "door", ModelDoor(self))
        object.__setattr__(self, "pool", None)
        object.__setattr__(self, "program", None)

    def in_role(self, name: str | None) -> Context:
        """Return a copy on the same account whose own model is that of a role; this one, if `models` has no such role.

        Its door is the model's, and its sampling settings are those with which the role is asked.
        """
        door = self.door.of(name)
        if door is self.door:
            return self
        return self._beside(door, **{f.name: getattr(door.settings, f.name) for f in fields(Role)})

    def with_model(self, role: Role) -> Context:
        """Return a copy with the settings of a role as its own, on the same cache and on an account of its own."""
        return self._sharing(**role.over(self))

    def fresh(self, **changes: Any) -> Context:
        """Return a copy with these changes and an account of its own: a new ledger, and the budget anew.

        A copy of a `pooled` one draws on the common budget.
        """
        copy = self._copy(**changes) if "cache" in changes else self._sharing(**changes)
        if self.pool is not None and "budget" not in changes:
            copy._draw_on(self.pool)
        return copy

    def pooled(self, spent: Hold | None = None) -> Context:
        """Return a copy for many runs: each has a ledger of its own, and all draw on this one budget.

        No answer is cut short to fit in what is left of it.

        Args:
            spent: what was spent of the budget before.
        """
        copy = self.fresh()
        pool = BudgetMeter(self.budget, whole=True)
        if spent is not None:
            pool.spent.add(spent)
        copy._draw_on(pool)
        return copy

    def _draw_on(self, pool: BudgetMeter) -> None:
        object.__setattr__(self, "pool", pool)
        object.__setattr__(self, "door", ModelDoor(self, pool))

    def nested(self, replica: int = 0) -> Context:
        """Return a copy on the same account for a strategy inside another.

        Its tokens are not the final answer's, and each replica of it draws samples of its own.
        """
        copy = self._beside(self.door, stream=False, replica=self.replica * _REPLICAS + replica)
        return copy if self.program is None else copy.through(self.program.within())

    def through(self, program: Program) -> Context:
        """Return a copy on the same account whose calls go through a program, as an optimiser's."""
        copy = self._beside(self.door)
        object.__setattr__(copy, "program", program)
        return copy

    def silent(self) -> Context:
        """Return a copy on the same account whose answers' tokens are not passed on."""
        return self._beside(self.door, stream=False) if self.stream else self

    def _beside(self, door: ModelDoor, **changes: Any) -> Context:
        copy = self._sharing(**changes)
        object.__setattr__(copy, "door", door)
        object.__setattr__(copy, "pool", self.pool)
        return copy

    def _sharing(self, **changes: Any) -> Context:
        """Return a copy with these changes that shares the cache."""
        copy = self._copy(**changes)
        object.__setattr__(copy, "opener", self.opener)
        return copy

    def _copy(self, **changes: Any) -> Context:
        copy = replace(self, **changes)
        object.__setattr__(copy, "program", self.program)
        return copy

    def __deepcopy__(self, memo: dict[int, Any]) -> Context:
        return self  # immutable, and an account is not doubled

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the settings: in another process they begin an account of their own."""
        given = {f.name: getattr(self, f.name) for f in fields(self) if f.init}
        return functools.partial(Context, **given), ()


def _roles(given: object) -> dict[str, Role]:
    if not isinstance(given, Mapping):
        raise ParameterError(f"models must map roles to models, as {{'sage': 'openai/gpt-4o'}}, not {given!r:.80}")
    return {name: as_role(name, value) for name, value in given.items()}


def _made(kind: type[T], name: str, value: Any) -> T:
    """Return the value, made of its attributes where it came as JSON."""
    if not isinstance(value, Mapping):
        return value  # type: ignore[no-any-return]
    try:
        return kind(**value)
    except TypeError:
        names = ", ".join(f.name for f in fields(kind))  # type: ignore[arg-type]
        raise ParameterError(f"{name} has attributes {names}, and not all of {', '.join(map(str, value))}") from None


def resolve_context(given: object) -> Context:
    """Return the Context of a run from whatever the graph it runs in was given.

    A graph of yours with a context class of its own gives it a field `emoagents: Context`.

    Raises:
        CompositionError: the graph's context is of another class and has no such field.
    """
    if isinstance(given, Context):
        return given
    inner = given.get("emoagents") if isinstance(given, Mapping) else getattr(given, "emoagents", None)
    if isinstance(inner, Context):
        return inner
    raise CompositionError(
        f"the graph's context is a {type(given).__name__}: give it a field 'emoagents' that holds an "
        "emoagents.Context, or pass context=Context(...)"
    )
