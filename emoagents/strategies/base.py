"""What all strategies share: validated parameters, a graph compiled once, composition, and ways to run."""

from __future__ import annotations

import dataclasses
from abc import ABCMeta, abstractmethod
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias, TypeVar, cast, dataclass_transform

import pydantic
from langchain_core.messages import AnyMessage, convert_to_openai_messages
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from emoagents.card import Card, load_card, override_card
from emoagents.context import Context
from emoagents.errors import CompositionError, EmoagentsError, ParameterError, UnknownNameError, did_you_mean
from emoagents.model.loop import run_sync
from emoagents.model.request import Backend, Message
from emoagents.result import Result
from emoagents.state import AnswerState, Event, Input, Output, Update
from emoagents.step import Run, StepFunction, step

__all__ = ["Answering", "CardSource", "Messages", "Preparing", "Strategy", "parameters"]

Messages: TypeAlias = str | Sequence[AnyMessage | Message]
"""A question, or a conversation as LangChain messages or OpenAI dicts."""

CardSource: TypeAlias = Card | str | Path | None
"""A card, the file of one (which may give only a part), or None for the shipped one."""

_RESULT_CHANNELS = ["messages", "answer", "trace", "stopped_by", "verified"]

_T = TypeVar("_T")
_CONFIG = pydantic.ConfigDict(arbitrary_types_allowed=True, extra="forbid")


@dataclass_transform(frozen_default=True)
def parameters(cls: type[_T]) -> type[_T]:
    """Decorate a strategy's class: its fields are its parameters, typed, validated, and then fixed."""
    return pydantic.dataclasses.dataclass(frozen=True, config=_CONFIG)(cls)  # type: ignore[return-value]


class _Validating(ABCMeta):
    """Makes a strategy: fills in the card's defaults, and turns pydantic's report into one sentence."""

    if not TYPE_CHECKING:  # type checkers read the parameters from the dataclass

        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            names = [f.name for f in dataclasses.fields(cls) if f.init]
            given = {**dict(zip(names, args, strict=False)), **kwargs}
            if len(args) > len(names):
                raise ParameterError(f"{cls.__name__} takes at most {len(names)} parameters, {len(args)} were given")
            for name in given:
                if name not in names:
                    raise ParameterError(f"{cls.__name__} has no parameter {name!r}{did_you_mean(name, names)}")
            if "card" in names:
                given["card"] = _card(cls.name, given.get("card"))
                given = {**{k: v for k, v in given["card"].defaults.items() if k in names}, **given}
            try:
                return super().__call__(**given)
            except pydantic.ValidationError as error:
                raise _explained(cls.__name__, error) from None


def _card(name: str, source: CardSource) -> Card:
    if isinstance(source, Card):
        return source
    shipped = load_card(name)
    return shipped if source is None else override_card(shipped, source)


def _explained(owner: str, error: pydantic.ValidationError) -> EmoagentsError:
    first = error.errors(include_url=False)[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, EmoagentsError):  # raised by the strategy itself: already one clear sentence
        return cause
    place = ".".join(str(part) for part in first["loc"][:1])
    message = first["msg"].removeprefix("Value error, ")
    return ParameterError(f"{owner}: {place}: {message} (given: {first['input']!r:.80})")


class Strategy(metaclass=_Validating):
    """A way of asking: what to say to a model, how often, and what to do with the answers.

    Strategies are immutable and free of any model; one object serves any number of runs side by side.
    """

    name: ClassVar[str]
    kind: ClassVar[Literal["prepare", "answer"]]
    primary: ClassVar[str | None] = None
    """The parameter that a short form sets: "heart:3"."""
    own_roles: ClassVar[tuple[str, ...]] = ()
    """Roles by which its own steps ask, see `Context.models`."""

    # -- what a strategy is made of ------------------------------------------------------------------------------

    @property
    @abstractmethod
    def preparing(self) -> tuple[Preparing, ...]:
        """The parts that prepare the prompt, in order."""

    @property
    @abstractmethod
    def answering(self) -> Answering:
        """The part that answers it."""

    @property
    @abstractmethod
    def title(self) -> str:
        """How the strategy is written down: "emotion_prompt | self_aggregation"."""

    @abstractmethod
    def expected_calls(self) -> str:
        """Say how many model calls a run makes, as "4 (3 samples + 1 synthesis)"."""

    @property
    def roles(self) -> frozenset[str]:
        """All roles by which it asks: its own, and those of its parts, of what it nests, and of what has `roles`."""
        values = (getattr(self, f.name) for f in dataclasses.fields(cast(Any, self)))
        parts = (part for value in values for part in (value if isinstance(value, tuple) else (value,)))
        return frozenset(self.own_roles).union(*(_roles_of(part) for part in parts))

    def check_roles(self, context: Context) -> None:
        """See that a context names no role that this strategy has not. Without any roles it takes all, as one of
        several strategies that are given the same context; and a `pooled` context may name roles of others.

        Raises:
            UnknownNameError: it does.
        """
        if self.roles and context.pool is None:
            for name in context.models:
                if name not in self.roles:
                    raise UnknownNameError("role", name, self.roles)

    @cached_property
    def graph(self) -> CompiledStateGraph[Any, Context, Any, Any]:
        """The LangGraph graph: takes and gives `messages`, gives `answer`; a node for anyone's graph."""
        return self.compile()

    def compile(self, **options: Any) -> CompiledStateGraph[Any, Context, Any, Any]:
        """Compile the graph with LangGraph's options, as `checkpointer=`."""
        builder = StateGraph(AnswerState, context_schema=Context, input_schema=Input, output_schema=Output)
        wiring = Wiring(builder)
        for part in self.preparing:
            wiring.then(part.node, part.prepare)
        self.answering.wire(wiring)
        return builder.compile(name=self.title, **options)

    def __or__(self, other: object) -> Strategy:
        from emoagents.strategies.pipe import pipe

        return pipe(self, other)

    # -- running -------------------------------------------------------------------------------------------------

    def run(self, messages: Messages, *, model: str | Backend | None = None, context: Context | None = None) -> Result:
        """Answer, from code that is not async; works in notebooks too.

        Args:
            messages: the question, or a conversation.
            model: the model; shorthand for `Context(model=...)`.
            context: all settings of the run; its budget and ledger begin anew.

        Raises:
            UsageError: the caller's mistake; `UnknownNameError` where the context names a role that it has not.
            RunError: the run failed and there is no answer at all.
        """
        return run_sync(lambda: self.arun(messages, model=model, context=context))

    async def arun(
        self, messages: Messages, *, model: str | Backend | None = None, context: Context | None = None
    ) -> Result:
        """Answer. See `run`."""
        return await self.answer_on(_account(model, context), messages)

    async def answer_on(self, account: Context, messages: Messages) -> Result:
        """Answer on an account that has begun, for what wraps runs: the result's usage is all that the account used.

        Raises:
            UsageError, RunError: as `run`.
        """
        self.check_roles(account)
        try:
            state = await self.graph.ainvoke(_input(messages), context=account, output_keys=_RESULT_CHANNELS)
        except EmoagentsError as error:
            error.usage = account.door.ledger.total
            raise
        return self._result(state, account)

    async def astream(
        self, messages: Messages, *, model: str | Backend | None = None, context: Context | None = None
    ) -> AsyncIterator[Event]:
        """Answer, and yield each event as it happens; the last one is {"event": "result", "result": Result}.

        Events are dicts with "event" and "node"; see docs/events.md for their kinds. See `run` for the rest.
        """
        account = _account(model, context).fresh(stream=True)
        self.check_roles(account)
        state: dict[str, Any] = {}
        stream: Any = self.graph.astream(
            _input(messages),
            context=account,
            stream_mode=["custom", "values"],
            subgraphs=True,
            output_keys=_RESULT_CHANNELS,
        )
        async for namespace, mode, data in stream:
            if mode == "custom":
                yield data
            elif not namespace:
                state = data
        yield {"event": "result", "node": "", "result": self._result(state, account)}

    def _result(self, state: dict[str, Any], account: Context) -> Result:
        ledger, last = account.door.ledger, state["messages"][-1]
        return Result(
            answer=state["answer"],
            strategy=self.title,
            model=last.response_metadata.get("model_name", account.door.name),
            stopped_by=state["stopped_by"],
            verified=state.get("verified"),
            usage=ledger.total,
            usage_by_node=dict(ledger.nodes),
            trace=state["trace"],
            tool_calls=_tool_calls(last),
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> Strategy:
        return self  # immutable; and a compiled graph does not survive being copied

    def __getstate__(self) -> dict[str, Any]:
        made = {name for c in type(self).__mro__ for name, kept in vars(c).items() if isinstance(kept, cached_property)}
        return {name: value for name, value in self.__dict__.items() if name not in made}


class Wiring:
    """Adds steps to a graph one after another."""

    def __init__(self, builder: StateGraph[Any, Any, Any, Any]) -> None:
        self.builder = builder
        self._last = START
        self._names: set[str] = set()

    def then(self, name: str, function: StepFunction) -> str:
        """Add a step behind the last one and return its name, numbered if there is one of that name."""
        node = name if name not in self._names else f"{name}_{len(self._names) + 1}"
        self.builder.add_node(node, step(function, first=self._last == START))
        self.builder.add_edge(self._last, node)
        self._names.add(node)
        self._last = node
        return node

    def beside(self, name: str, function: StepFunction) -> str:
        """Add a step that stands on no line yet; lead to it with the builder's own edges."""
        self.builder.add_node(name, step(function))
        return name

    def end(self) -> None:
        """Lead from the last step to the end."""
        self.builder.add_edge(self._last, END)


class Preparing(Strategy):
    """A strategy that prepares the prompt and leaves the answering to another, or to one plain question."""

    kind: ClassVar[Literal["prepare", "answer"]] = "prepare"
    node: ClassVar[str]

    @abstractmethod
    async def prepare(self, state: AnswerState, run: Run) -> Update:
        """Return the update with the new `prompt`."""

    @property
    def preparing(self) -> tuple[Preparing, ...]:
        return (self,)

    @property
    def answering(self) -> Answering:
        from emoagents.strategies.plain import Plain

        return Plain()

    @property
    def title(self) -> str:
        return self.name

    def expected_calls(self) -> str:
        return "1 (0 where another strategy answers)"


class Answering(Strategy):
    """A strategy that answers the prompt."""

    kind: ClassVar[Literal["prepare", "answer"]] = "answer"
    pipes: ClassVar[bool] = True
    """Whether it answers the prompt that others prepared; False where it makes all its requests of the messages."""

    @property
    def asks(self) -> tuple[str, ...]:
        """Names of the prompts of its card by which a run with these parameters may ask a model; not those of what it
        nests."""
        return ()

    @property
    def nests(self) -> bool:
        """Whether another strategy may use this one as its solver."""
        return True

    @abstractmethod
    def wire(self, wiring: Wiring) -> None:
        """Add the steps from the prepared prompt to the answer, and the way to the end."""

    @property
    def preparing(self) -> tuple[Preparing, ...]:
        return ()

    @property
    def answering(self) -> Answering:
        return self

    @property
    def title(self) -> str:
        return self.name


def require_solver(owner: str, solver: object) -> None:
    """Check that what is nested can answer.

    Raises:
        CompositionError: it is not a strategy, or one that must stand outermost.
    """
    if solver is not None and not isinstance(solver, Strategy):
        raise CompositionError(f"{owner}: solver must be a strategy, as EmotionPrompt('EP02'), not {solver!r:.80}")
    if isinstance(solver, Strategy) and not solver.answering.nests:
        raise CompositionError(
            f"{owner}: {solver.title} can't be a solver while its crisis guard is on: the guard's reply must reach the "
            "person, and would be one attempt among others; put a guard before it all, then turn this one off"
        )


def _roles_of(part: object) -> frozenset[str]:
    """Return the roles that what a strategy was given asks by, as a solver or a ranker."""
    roles = getattr(part, "roles", ())
    return frozenset(roles) if isinstance(roles, Iterable) and not isinstance(roles, str | Mapping) else frozenset()


def _tool_calls(message: AnyMessage) -> list[dict[str, Any]]:
    return cast(Any, convert_to_openai_messages(message)).get("tool_calls") or []


def _account(model: str | Backend | None, context: Context | None) -> Context:
    if context is None:
        return Context(model=model)
    return context.fresh(model=model) if model is not None else context.fresh()


def _input(messages: Messages) -> Any:
    if isinstance(messages, str):
        return {"messages": [{"role": "user", "content": messages}]}
    return {"messages": list(messages)}
