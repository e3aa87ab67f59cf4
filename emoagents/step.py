"""What a node is made of: an async function with a state and a `Run`, usable from sync and async graphs alike."""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import json
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from langchain_core.messages import AIMessageChunk
from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.config import get_config
from langgraph.func import task
from langgraph.graph.message import push_message
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import get_runtime
from langgraph.types import Overwrite
from pydantic import BaseModel

from emoagents.asked import asked_in, sent
from emoagents.context import Context, resolve_context
from emoagents.model.door import OnEvent, Samples
from emoagents.model.loop import run_sync
from emoagents.model.request import Completion, Message, OnToken, Request
from emoagents.model.structured import parsed
from emoagents.program import PromptCall
from emoagents.state import AnswerState, Event, Update
from emoagents.together import together

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Run", "StepFunction", "step"]

StepFunction: TypeAlias = Callable[[AnswerState, "Run"], Awaitable[Update]]

_PRIVATE = tuple(k for k in AnswerState.__annotations__ if k not in ("messages", "answer"))
_REPLICA = 10_000
"""Sample indices that one repetition of the same work has to itself."""
_SYNC_GRAPH: contextvars.ContextVar[bool] = contextvars.ContextVar("emoagents_sync_graph", default=False)


def step(function: StepFunction, *, first: bool = False) -> Step:
    """Make a LangGraph node of a step.

    The first step of a graph clears the private channels, which a checkpointer would else carry over from the
    previous turn of the conversation.
    """
    return Step(function, first)


class Step(Runnable[AnswerState, Update]):
    """One async body for `invoke` and `ainvoke`. LangGraph's own wrapper takes one of the two; LangChain's
    RunnableLambda takes both and costs half a millisecond more a step."""

    def __init__(self, function: StepFunction, first: bool) -> None:
        self.name = function.__name__
        self._function = function
        self._first = first

    def invoke(self, input: AnswerState, config: RunnableConfig | None = None, **kwargs: Any) -> Update:
        """Run in a synchronous graph."""
        with _graph_is(sync=True):
            return run_sync(lambda: self._body(input))

    async def ainvoke(self, input: AnswerState, config: RunnableConfig | None = None, **kwargs: Any) -> Update:
        """Run in an async graph."""
        with _graph_is(sync=False):
            return await self._body(input)

    async def _body(self, state: AnswerState) -> Update:
        run = Run.here()
        if not self._first:
            return {**await self._function(state, run), "trace": run.trace}
        left_over = {k: None for k in _PRIVATE if state.get(k) is not None}
        update = await self._function({"messages": state["messages"]}, run)
        return {**left_over, **update, "trace": Overwrite(run.trace) if state.get("trace") else run.trace}


@contextmanager
def _graph_is(*, sync: bool) -> Iterator[None]:
    token = _SYNC_GRAPH.set(sync)
    try:
        yield
    finally:
        _SYNC_GRAPH.reset(token)


@dataclass(slots=True)
class Run:
    """What a step has at hand: the context, its own name, and the trace it writes to.

    Attributes:
        context: the model and all that belongs to the run.
        node: the step's place, as "think/attempt/sample".
        trace: what happened in this step so far.
    """

    context: Context
    node: str
    trace: list[Event]
    _tell: Callable[[Event], None]
    _durable: bool

    @classmethod
    def here(cls) -> Run:
        """Return the Run of the LangGraph node that is running."""
        config, runtime = get_config(), get_runtime()
        context = resolve_context(runtime.context) if runtime.context is not None else Context()
        # a checkpointer may be listening: it needs a thread's id
        durable = "thread_id" in config.get("configurable", {})
        return cls(context, _place(config), [], runtime.stream_writer, durable)

    @classmethod
    def alone(cls, context: Context, node: str = "") -> Run:
        """Return a Run outside any graph, for code and tests that ask or rank without one; only its trace is told."""
        return cls(context.silent(), node, [], lambda _: None, False)

    def emit(self, event: str, **data: Any) -> None:
        """Tell who is watching (LangGraph's `custom` stream) and write to the trace."""
        entry = {"event": event, "node": self.node, **data}
        self.trace.append(entry)
        self._tell(entry)

    async def ask(
        self,
        prompt: Sequence[Message],
        indices: Sequence[int] = (0,),
        *,
        temperature: float | None = None,
        own_temperature: float | None = None,
        max_tokens: int | None = None,
        top_logprobs: int | None = None,
        response_format: type[BaseModel] | None = None,
        message_id: str | None = None,
        role: str | None = None,
        tools: bool = True,
    ) -> Samples:
        """Ask the context's model, or that of a role, for samples of one prompt.

        Args:
            prompt: messages in OpenAI's format; one of them may be `Asked`, a card's prompt.
            indices: which samples of it.
            temperature: the strategy's own, used where the context has none.
            own_temperature: goes before the context's, for a measurement that means nothing at another one.
            max_tokens: the strategy's own, which goes before the context's, for an answer of known length.
            role: whose model to ask, see `Context.models`; its own settings go before the context's.
            top_logprobs: ask for the log-probabilities of so many tokens at each place, where the provider has them.
            response_format: what the answer must fit.
            message_id: id of the message that this answer will be, if its tokens may be shown as they come.
            tools: whether the model is offered the context's tools. False for what is no answer to the person: a
                strategy can't use a tool's call where it needs a text.

        Raises:
            UsageError: the caller's mistake; failures of the model are in the samples' `errors`.
        """
        c = self.context.in_role(role)
        base = c.replica * _REPLICA
        if own_temperature is None:
            own_temperature = c.temperature if c.temperature is not None else temperature
        indices = [base + i for i in indices]
        request = Request(
            messages=sent(prompt),
            temperature=own_temperature,
            top_p=c.top_p,
            max_tokens=max_tokens if max_tokens is not None else c.max_tokens,
            stop=c.stop,
            seed=c.seed,
            response_format=response_format,
            tools=c.tools if tools else (),
            tool_choice=c.tool_choice if tools else None,
            logprobs=c.logprobs or top_logprobs is not None,
            top_logprobs=top_logprobs,
            extra=c.extra,
        )
        on_token = self._token_sink(message_id, indices[0] - base) if c.stream else None
        samples = await self._answered(prompt, request, indices, role, on_token)
        if base:
            samples = replace(samples, completions=[replace(x, index=x.index - base) for x in samples.completions])
        self._log_call(prompt, request, samples, role)
        return samples

    async def _answered(
        self,
        prompt: Sequence[Message],
        request: Request,
        indices: list[int],
        role: str | None,
        on_token: OnToken | None,
    ) -> Samples:
        program = self.context.program
        if program is None:
            return await self._in_groups(request, indices, role, on_token)
        call = PromptCall(
            messages=prompt,
            request=request,
            indices=indices,
            door=self.context.door.of(role),
            node=self.node,
            on_event=self._event_sink(),
        )
        return await program.ask(call)

    async def _in_groups(
        self, request: Request, indices: list[int], role: str | None, on_token: OnToken | None
    ) -> Samples:
        if len(indices) == 1:
            return await self._remembered(request, indices, role, on_token)
        if not self._durable:  # the door makes groups itself, in one visit to its loop
            return await self._sample(request, indices, role, on_token)
        groups = await self.context.door.of(role).groups(indices)
        parts = await together(self._remembered(request, group, role, on_token) for group in groups)
        return Samples(
            completions=[c for part in parts for c in part.completions],
            errors=[e for part in parts for e in part.errors],
        )

    async def ask_one(self, prompt: Sequence[Message], **options: Any) -> Completion:
        """Ask for one sample.

        Raises:
            RunError: the model did not answer.
            UsageError: the caller's mistake.
        """
        return (await self.ask(prompt, **options)).require()[0]

    async def embed(self, texts: Sequence[str], role: str = "rank") -> NDArray[np.float32]:
        """Return the vectors of texts: an array [texts, dimensions], each row of unit length.

        The role's model embeds them, "embedded/minilm" where the context has none for it. Equal texts are bought once,
        each text has a place of its own in the cache, and what it costs is in the run's ledger and budget as that of
        any call. The row of a blank text is zero. Checkpoints don't keep vectors: a resumed run asks the cache.

        Args:
            texts: at least one text, unless the array may be of shape [0, 0].
            role: whose model, see `Context.models`.

        Raises:
            RunError: a text can't be embedded.
            UsageError: the caller's mistake.
        """
        door = self.context.door.embedder(role)
        vectors = await door.embed(texts, node=self.node, on_event=self._event_sink())
        self.emit("embed", model=door.name, texts=len(texts), cached=vectors.cached)
        return vectors.rows

    async def nest(self, graph: CompiledStateGraph[Any, Any, Any, Any], prompt: Sequence[Message], index: int) -> Any:
        """Run another strategy's graph on a prompt, as the index-th of its kind, and return its answer and trace."""
        given = {"messages": list(prompt)}
        context, keys = self.context.nested(index), ["answer", "trace", "stopped_by"]
        if _SYNC_GRAPH.get() and self._durable:
            # a checkpointer of a synchronous graph may have no async methods, and the nested graph inherits it
            return await _in_own_thread(lambda: graph.invoke(given, context=context, output_keys=keys))
        return await graph.ainvoke(given, context=context, output_keys=keys)

    def _log_call(self, prompt: Sequence[Message], request: Request, samples: Samples, role: str | None) -> None:
        at = asked_in(prompt)
        answers = [{"index": c.index, "text": c.text, "cached": c.cached} for c in samples.completions]
        failures = [str(e) for e in samples.errors]
        self.emit(
            "call",
            model=self.context.door.of(role).name,
            prompt=list(request.messages),
            answers=answers,
            errors=failures,
            **({} if at is None else {"asked": cast(Any, prompt[at]).name}),
            **({} if role is None else {"role": role}),
        )

    async def _remembered(
        self, request: Request, indices: list[int], role: str | None, on_token: OnToken | None
    ) -> Samples:
        """Ask through a LangGraph task where a checkpointer may be listening: a finished call outlives the process."""
        if not self._durable:
            return await self._sample(request, indices, role, on_token)
        asked: list[Samples] = []

        async def call() -> dict[str, Any]:
            asked.append(await self._sample(request, indices, role, on_token))
            return _as_data(asked[0])

        stored = await _as_task(call, _fingerprint(request, indices, role))
        if asked:
            return asked[0]
        if stored["errors"]:  # the finished part of a call that had failed: ask again for the whole
            return await self._sample(request, indices, role, on_token)
        self.context.door.ledger.cached(self.node, len(indices))
        return _from_data(stored, request)

    async def _sample(
        self, request: Request, indices: list[int], role: str | None, on_token: OnToken | None
    ) -> Samples:
        door, on_event = self.context.door.of(role), self._event_sink()
        return await door.sample(request, indices, node=self.node, on_token=on_token, on_event=on_event)

    def _event_sink(self) -> OnEvent:
        loop, node, tell = asyncio.get_running_loop(), self.node, self._tell
        return lambda event: cast(None, loop.call_soon_threadsafe(tell, {**event, "node": node}))

    def _token_sink(self, message_id: str | None, index: int) -> OnToken:
        loop, here = asyncio.get_running_loop(), contextvars.copy_context()
        node, tell, final = self.node, self._tell, message_id is not None

        def show(text: str) -> None:
            tell({"event": "token", "node": node, "index": index, "text": text, "final": final})
            if final:
                push_message(AIMessageChunk(content=text, id=message_id), state_key=None)

        return lambda text: cast(None, loop.call_soon_threadsafe(show, text, context=here))


def _place(config: RunnableConfig) -> str:
    """Return the node's place in the graphs around it, without LangGraph's task ids and counters."""
    namespace = str(config["metadata"].get("langgraph_checkpoint_ns", ""))
    names = (part.partition(":")[0] for part in namespace.split("|"))
    return "/".join(name for name in names if name and not name.isdigit())


async def _in_own_thread(work: Callable[[], Any]) -> Any:
    """Await blocking work in a new thread: in a shared pool, nested runs could wait for each other's places."""
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="emoagents-nested")
    try:
        return await asyncio.wrap_future(pool.submit(contextvars.copy_context().run, work))
    finally:
        pool.shutdown(wait=False)


def _fingerprint(request: Request, indices: Sequence[int], role: str | None) -> str:
    """Name a call by what it asks and whom, so that a resumed run never takes another call's answer for it."""
    asked = [list(request.messages), request.temperature, request.seed, list(indices)]
    whole = json.dumps(asked if role is None else [*asked, role], default=str)
    return f"call-{hashlib.sha256(whole.encode()).hexdigest()[:16]}"


async def _as_task(call: Callable[[], Coroutine[Any, Any, dict[str, Any]]], name: str) -> dict[str, Any]:
    as_task: Any = task(name=name)
    if _SYNC_GRAPH.get():
        in_thread: Future[dict[str, Any]] = as_task(lambda: run_sync(call))()
        return await asyncio.wrap_future(in_thread)
    stored: dict[str, Any] = await as_task(call)()
    return stored


def _as_data(samples: Samples) -> dict[str, Any]:
    return {
        "completions": [{**asdict(replace(c, parsed=None, share=None))} for c in samples.completions],
        "errors": [str(e) for e in samples.errors],
    }


def _from_data(stored: dict[str, Any], request: Request) -> Samples:
    completions = [Completion(**{**c, "cached": True}) for c in stored["completions"]]
    if request.response_format is not None:
        completions = [parsed(c, request.response_format) for c in completions]
    return Samples(completions=completions)
