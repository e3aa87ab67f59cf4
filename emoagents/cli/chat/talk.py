"""The session: a person, or lines of a pipe, on one side, a strategy on the other."""

from __future__ import annotations

import asyncio
import secrets
import signal
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from emoagents.cli import loading
from emoagents.cli.chat.commands import is_command, obey, unescaped
from emoagents.cli.chat.conversation import Conversation, Reply, said
from emoagents.cli.chat.reading import Reader, checked_message
from emoagents.cli.chat.screen import ReplyScreen, Screen
from emoagents.cli.chat.store import Store, alone_with, checked_thread, default_store, prepared
from emoagents.cli.context import context_of
from emoagents.cli.inputs import checked_text, read_parameters
from emoagents.cli.options import ChatOptions
from emoagents.context import Context
from emoagents.errors import EmoagentsError, ParameterError, RunError, UsageError
from emoagents.model.role import Role
from emoagents.registry import strategy
from emoagents.strategies.base import Strategy

if TYPE_CHECKING:
    from langgraph.graph.state import CompiledStateGraph

__all__ = ["Talk", "chat"]

T = TypeVar("T")

_SUPPORT = "support"
_RECALLED = 4
"""Messages that are shown again when a conversation goes on."""
_GUESSES = 16
_LETTING_GO = 10.0
"""Seconds that a reply which was cancelled may take to let go of what it held."""


def chat(options: ChatOptions) -> int:
    """Talk until the end; return the exit status: 1 if something that a pipe asked for failed.

    Raises:
        UsageError: the caller's mistake. RunError: the conversation can't be kept.
        KeyboardInterrupt: the person left so.
    """
    talk = Talk(options)
    with _orderly_end(talk):
        try:
            with talk:
                return talk.to_the_end()
        except KeyboardInterrupt:
            if talk.terminated:
                return 128 + signal.SIGTERM
            raise


@contextmanager
def _orderly_end(talk: Talk) -> Iterator[None]:
    """Let SIGTERM end the session the way Ctrl-C does: what runs is cancelled, and the terminal is as it was."""

    def leave(number: int, frame: object) -> None:
        talk.terminated = True
        signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Talk:
    """A session. Use it as a context manager.

    The event loop runs only while there is something to wait for, so that reading a line may block, and Ctrl-C
    there is Python's own.

    Attributes:
        over: set it to end the session. terminated: whether the system wants it to end.
    """

    def __init__(self, options: ChatOptions) -> None:
        self.reader = Reader()
        self.screen = Screen()
        self.strategy: Strategy = strategy(options.strategy, **read_parameters(options.params))
        self.over = self.failed = self.terminated = False
        self.store: Store
        self.conversation: Conversation
        self._context = context_of(options)
        self.strategy.check_roles(self._context)
        self._thread = None if options.thread is None else checked_thread(options.thread)
        self._background = _background(options)
        self._path: Path = options.store if options.store is not None else default_store()
        self._runner = asyncio.Runner()
        self._open, self._in_thread = ExitStack(), ExitStack()
        self._interrupts = 0

    def __enter__(self) -> Talk:
        with ExitStack() as stack:
            stack.enter_context(self._runner)
            with prepared(self._path):
                self.store = self.run(Store.open(self._path))
            stack.callback(lambda: self.run(self.store.close()))
            stack.enter_context(self._in_thread)
            self._fetch()
            self._introduce()
            self.begin(self._thread)
            self._open = stack.pop_all()
        return self

    def __exit__(self, *raised: Any) -> None:
        self._open.__exit__(*raised)

    @cached_property
    def _graph(self) -> CompiledStateGraph[Any, Context, Any, Any]:
        return self.strategy.compile(checkpointer=self.store.saver)

    @cached_property
    def _roles(self) -> dict[str, Role]:
        """The roles, each with its address: beside an opened model it is not to be seen whose provider they share."""
        return {name: _role(self._context.in_role(name)) for name in self._context.models}

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Await something. Ctrl-C cancels it."""
        try:
            return self._runner.run(work)
        except KeyboardInterrupt:  # a second one does not wait for what the first has cancelled
            self._runner.run(_rest())
            raise

    def to_the_end(self) -> int:
        """Take one message after the other; return the exit status."""
        while not self.over:
            try:
                self._step()
            except KeyboardInterrupt:
                self._interrupted()
        return 1 if self.failed and not self.reader.interactive else 0

    def begin(self, thread: str | None) -> None:
        """Go over to a thread; None begins a new one.

        Raises:
            RunError: the thread is open elsewhere; the present one goes on.
            ParameterError: there is a background, and it has begun.
        """
        with ExitStack() as stack:
            name = self._fresh(stack) if thread is None else thread
            if thread is not None:
                stack.enter_context(alone_with(self._path, thread))
            conversation = Conversation(self._graph, self.store, name, self._background)
            lost = self.run(conversation.begin())
            self._in_thread.close()
            self._in_thread.push(stack.pop_all())
        self.conversation = conversation
        self._present(lost)

    def _fresh(self, stack: ExitStack) -> str:
        """Return a short name that no other conversation has."""
        for guess in range(_GUESSES):
            name = secrets.token_hex(2 + guess // 4)
            if self.run(self.store.newest(name)) is not None:
                continue
            try:
                stack.enter_context(alone_with(self._path, name))
            except RunError:
                continue
            return name
        raise RunError(f"store {self._path}: no short name is left for a thread, give it one by --thread")

    # -- saying things -------------------------------------------------------------------------------------------

    def _step(self) -> None:
        try:
            text = self.reader.read()
        except ParameterError as error:
            self._complain(error)
            return
        self._interrupts = 0
        if text is None:
            self.over = True
        else:
            self._take(text)

    def _take(self, text: str) -> None:
        try:
            checked_message(text)
            if is_command(text):
                obey(self, text)
        except EmoagentsError as error:
            self._complain(error)
        else:
            if text.strip() and not is_command(text):
                self._say(unescaped(text))

    def _say(self, text: str) -> None:
        doing = "choosing how to answer" if self._is_support else "asking the model"
        with self.screen.reply(self._context.door.name, doing) as shown:
            reply = self._reply_to(text, shown)
            if reply is not None:
                shown.finish(reply)

    def _reply_to(self, text: str, shown: ReplyScreen) -> Reply | None:
        try:
            return self.run(self._answered(text, shown))
        except KeyboardInterrupt:
            if not self._goes_on:
                raise
            shown.stop()
            self.screen.notice("cancelled; the conversation is as it was before your message")
        except EmoagentsError as error:
            if isinstance(error, UsageError) and not self.reader.interactive:
                raise  # the same is wrong with all that is still to come
            shown.stop()
            self._complain(error)
            self.screen.notice("your message was not answered; the conversation is as it was before it")
        self.reader.remember(text)
        return None

    async def _answered(self, text: str, shown: ReplyScreen) -> Reply:
        async with shown.waiting():
            backend = await self._context.door.backend()  # opened once; each reply has its own budget and ledger
            context = self._context.fresh(model=backend, models=self._roles, stream=True)
            return await self.conversation.say(text, context, shown.hear)

    # -- telling things ------------------------------------------------------------------------------------------

    @property
    def _is_support(self) -> bool:
        return self.strategy.answering.name == _SUPPORT

    def _introduce(self) -> None:
        self.screen.heading(f"{self.strategy.title} on {self._context.door.name}")
        if self._is_support:
            self.screen.notice("not a medical device; in danger call your local emergency number")

    def _present(self, lost: str | None) -> None:
        """Say which thread this is, and what was said last."""
        name = self.conversation.thread
        shown = [message for message in self.conversation.messages if message.type in ("human", "ai")]
        so_far = f"{len(shown)} messages so far" if shown else f"go on with it by --thread {name}"
        self.screen.notice(f"thread {name}: {so_far}; /help lists the commands")
        for message in shown[-_RECALLED:]:
            self.screen.recap("you:" if message.type == "human" else "reply:", said(message))
        if lost is not None:
            self.reader.remember(lost)
            self.screen.notice("the last message was not answered before the program ended; it was taken back")

    def _complain(self, error: EmoagentsError) -> None:
        self.failed = True
        self.screen.error(error)

    def _interrupted(self) -> None:
        """The first Ctrl-C at the prompt says how to leave, the second in a row leaves."""
        self._interrupts += 1
        if self._interrupts > 1 or not self._goes_on:
            raise KeyboardInterrupt
        self.screen.notice("\nto leave: /quit, Ctrl-D, or Ctrl-C again")

    @property
    def _goes_on(self) -> bool:
        """Whether Ctrl-C ends no more than what is being done."""
        return self.reader.interactive and not self.terminated

    def _fetch(self) -> None:
        if loading.needs_fetching(self._context.door.name):
            loading.fetch()


async def _rest() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        await asyncio.wait(others, timeout=_LETTING_GO)


def _role(context: Context) -> Role:
    return Role(model=context.model, api_key=context.api_key, api_base=context.api_base)


def _background(options: ChatOptions) -> str | None:
    if options.background is None:
        return None
    text = checked_text(options.background, "--background").strip()
    if not text:
        raise ParameterError("--background is empty")
    return text
