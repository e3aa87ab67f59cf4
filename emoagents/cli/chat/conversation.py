"""One conversation with a strategy: said, answered, taken back, and always as the store has it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from langchain_core.messages import AnyMessage, SystemMessage, convert_to_openai_messages
from langgraph.graph import START

from emoagents.cli.chat.store import Point, Store, place_of
from emoagents.errors import ParameterError, RunError
from emoagents.state import Event, text_of
from emoagents.support.conversation import METADATA

if TYPE_CHECKING:
    from langgraph.graph.state import CompiledStateGraph

    from emoagents.context import Context
    from emoagents.model.ledger import Usage

__all__ = ["Account", "Conversation", "Hear", "Reply", "said"]

Hear: TypeAlias = Callable[[Event], None]
"""Told of each event while a reply is made."""


@dataclass(frozen=True, slots=True)
class Account:
    """What a reply cost."""

    usage: Usage
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The last reply and what is known of how it was made.

    Attributes:
        note: what the support strategy tells of it; {} for other strategies.
        trace: the events of the run. account: None if it was made before this session.
    """

    text: str
    note: Mapping[str, Any]
    model: str
    stopped_by: str
    verified: bool | None
    trace: list[Event]
    account: Account | None


class Conversation:
    """A thread of a store, and the graph that answers in it. Nobody else writes to the thread meanwhile.

    Args:
        background: what stands before the first message of a new thread.
    """

    def __init__(
        self, graph: CompiledStateGraph[Any, Context, Any, Any], store: Store, thread: str, background: str | None
    ) -> None:
        self.thread = thread
        self._graph, self._store, self._background = graph, store, background
        self._point: Point | None = None
        self._accounts: dict[str, Account] = {}

    @property
    def messages(self) -> list[AnyMessage]:
        """All messages, oldest first; a system message in front of them is the background."""
        return [] if self._point is None else self._point.messages

    @property
    def last(self) -> Reply | None:
        """The last reply, None where there is none."""
        if self._point is None or not self.messages or self.messages[-1].type != "ai":
            return None
        return _reply(self._point, self._accounts.get(self._point.id))

    async def begin(self) -> str | None:
        """Load the thread. A message that a killed process left unanswered is taken back, and returned.

        Raises:
            ParameterError: there is a background for a thread that has begun.
        """
        self._point = await self._store.newest(self.thread)
        if self._background is not None and self.messages:
            raise ParameterError(f"thread {self.thread} has begun already: --background is for a new one")
        if self._point is None or self._point.settled:
            return None
        lost = said(self.messages[-1])
        points = await self._store.points(self.thread)
        await self._back_to(next((point for point in points if point.settled), None))
        return lost

    async def say(self, text: str, context: Context, hear: Hear) -> Reply:
        """Say something and return the reply. Whatever goes wrong, or if it is cancelled: it was never said.

        Raises:
            RunError: there is no reply. UsageError: there can be none.
        """
        await self._set_scene()
        began = time.monotonic()
        try:
            await self._ask(text, context, hear)
            self._point = await self._reached()
        except BaseException:
            await self._back_to(self._point)
            raise
        account = Account(context.door.ledger.total, time.monotonic() - began)
        self._accounts[self._point.id] = account
        return _reply(self._point, account)

    async def undo(self) -> str:
        """Take back the last message with its reply, and return it.

        Raises:
            ParameterError: there is nothing to take back.
            RunError: the store does not hold the time before it.
        """
        at = max((i for i, message in enumerate(self.messages) if message.type == "human"), default=None)
        if at is None:
            raise ParameterError("nothing was said that could be taken back")
        text, kept = said(self.messages[at]), [message.id for message in self.messages[:at]]
        points = await self._store.points(self.thread)
        same = [point for point in points if [message.id for message in point.messages] == kept]
        if kept and not same:
            raise RunError(f"store {self._store.path} does not hold the time before that message")
        await self._back_to(same[-1] if kept else None)
        return text

    async def _set_scene(self) -> None:
        """Write the background as a point of its own, so that it stays if the first message is taken back."""
        await self._store.cut(self.thread, None if self._point is None else self._point.id)
        if self._background is None or self._point is not None:
            return
        async with self._store.writing():
            scene = {"messages": [SystemMessage(self._background)]}
            await self._graph.aupdate_state(place_of(self.thread), scene, as_node=START)
        self._point = await self._reached()

    async def _ask(self, text: str, context: Context, hear: Hear) -> None:
        stream: Any = self._graph.astream(
            {"messages": [{"role": "user", "content": text}]},
            place_of(self.thread),
            context=context,
            stream_mode=["custom"],
            subgraphs=True,
            durability="exit",  # one point for each turn, when it is over
        )
        async with self._store.writing(), aclosing(stream):
            async for _, _, event in stream:
                hear(event)

    async def _reached(self) -> Point:
        point = await self._store.newest(self.thread)
        if point is None or not point.settled:
            raise RunError("the strategy ended without a reply")
        return point

    async def _back_to(self, point: Point | None) -> None:
        await self._store.cut(self.thread, None if point is None else point.id)
        self._point = point


def said(message: AnyMessage) -> str:
    """Return a message's text."""
    converted: Any = convert_to_openai_messages(message)
    return text_of(converted)


def _reply(point: Point, account: Account | None) -> Reply:
    message, values = point.messages[-1], point.values
    known = message.response_metadata
    note = known.get(METADATA)
    return Reply(
        text=said(message),
        note=note if isinstance(note, Mapping) else {},
        model=str(known.get("model_name") or ""),
        stopped_by=str(known.get("stopped_by") or ""),
        verified=known.get("verified"),
        trace=list(values.get("trace") or []),
        account=account,
    )
