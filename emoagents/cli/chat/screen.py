"""What a person sees: replies on stdout, and all that is said about them on stderr."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager

from rich.text import Text

from emoagents.cli.chat.conversation import Reply
from emoagents.cli.chat.flow import Flow
from emoagents.cli.chat.label import label_of
from emoagents.cli.chat.waiting import Waiting
from emoagents.cli.layout import WIDEST, Row, print_rows, quiet_console
from emoagents.cli.output import print_answer
from emoagents.cli.text import harmless, is_terminal, one_line
from emoagents.state import Event

__all__ = ["Screen"]


class Screen:
    """The two streams. Into a pipe replies go as they are; on a terminal they come word by word."""

    def notice(self, text: str) -> None:
        """Say something about the conversation."""
        self._tell(Text(harmless(text), style="dim"))

    def heading(self, text: str) -> None:
        """Say what this is."""
        self._tell(Text(one_line(text), style="bold"))

    def error(self, error: Exception) -> None:
        """Say what went wrong, in one sentence."""
        self._tell(Text(f"error: {_redacted(one_line(str(error)))}"))

    def rows(self, rows: Iterable[Row]) -> None:
        """Print names and texts."""
        if sys.stderr is not None:
            print_rows(quiet_console(sys.stderr, widest=WIDEST), rows)

    def recap(self, who: str, text: str) -> None:
        """Show what was said before."""
        self._tell(Text.assemble((f"{who} ", "cyan"), (harmless(text).strip(), "dim")))

    @contextmanager
    def reply(self, model: str, doing: str) -> Iterator[ReplyScreen]:
        """Show a reply while it is made. Afterwards the screen is at the beginning of a line."""
        shown = ReplyScreen(self, model, doing)
        try:
            yield shown
        finally:
            shown.stop()

    def _tell(self, text: Text) -> None:
        if sys.stdout is not None and is_terminal(sys.stdout):
            sys.stdout.flush()
        if sys.stderr is not None:  # a file gets each sentence in one line
            quiet_console(sys.stderr).print(text, soft_wrap=not is_terminal(sys.stderr))


class ReplyScreen:
    """One reply on the screen."""

    def __init__(self, screen: Screen, model: str, doing: str) -> None:
        self._screen = screen
        self._flow = Flow(sys.stdout, quiet_console(sys.stdout).width) if is_terminal(sys.stdout) else None
        self._waiting = Waiting(sys.stderr, model, doing) if is_terminal(sys.stderr) else None
        self._streamed = ""
        self._node = ""

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        """Say that a reply is being made, as long as nothing comes of it."""
        if self._waiting is None:
            yield
            return
        task = asyncio.create_task(self._waiting.keep_showing())
        try:
            yield
        finally:
            task.cancel()

    def hear(self, event: Event) -> None:
        """Take an event in."""
        if self._waiting is not None:
            self._waiting.follow(event)
        if event["event"] == "token" and event["final"]:
            self._token(event["node"], event["text"])
        elif event["event"] == "restart" and event["node"] == self._node:
            self._void("the connection broke; once more:")

    def finish(self, reply: Reply) -> None:
        """Show what is still to be shown: the text, if it did not come in pieces, and what it was made with."""
        self.stop()
        if reply.stopped_by == "crisis":
            self._apart(reply.text)
        elif self._flow is None:
            print_answer(reply.text)
        elif self._streamed.split() != reply.text.split():
            self._instead(reply.text)
        if label := label_of(reply):
            self._screen.notice(label)
        if self._flow is not None:
            sys.stdout.write("\n")

    def stop(self) -> None:
        """Leave the screen at the beginning of a line, with no sign of waiting."""
        self._quiet()
        if self._flow is not None:
            self._flow.end()

    def _token(self, node: str, text: str) -> None:
        self._node = node
        self._streamed += text
        if self._flow is not None:
            self._quiet()
            self._flow.write(text)

    def _void(self, why: str) -> None:
        self.stop()
        if self._flow is not None and self._streamed:
            self._screen.notice(why)
        self._streamed = ""
        if self._waiting is not None:
            self._waiting.wanted = True

    def _instead(self, text: str) -> None:
        if self._streamed:
            self._void("in place of that:")
            self.stop()
        assert self._flow is not None
        self._flow.write(text)
        self._flow.end()

    def _apart(self, text: str) -> None:
        if self._flow is None:
            print_answer(text)
            return
        if self._streamed:
            self._void("in place of that:")
            self._quiet()
        bar = "│ " if (sys.stdout.encoding or "").lower().startswith("utf") else "| "
        sys.stdout.write("\n")
        flow = Flow(sys.stdout, quiet_console(sys.stdout).width, margin=f"  {bar}")
        flow.write(text.strip())
        flow.end()

    def _quiet(self) -> None:
        if self._waiting is not None and self._waiting.wanted:
            self._waiting.wanted = False
            self._waiting.clear()


def _redacted(text: str) -> str:
    """Return the text without keys. Only what has talked to a provider can hold one."""
    if "emoagents.model.litellm_backend" not in sys.modules:
        return text
    from emoagents.model.litellm_backend import redact

    return redact(text)
