"""What a person can ask for in the middle of a conversation: words behind a slash."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from emoagents.cli.chat.transcript import save
from emoagents.cli.chat.why import why_rows
from emoagents.cli.text import one_line
from emoagents.errors import ParameterError, did_you_mean

if TYPE_CHECKING:
    from emoagents.cli.chat.talk import Talk

__all__ = ["is_command", "obey", "unescaped"]


@dataclass(frozen=True, slots=True)
class _Command:
    work: Callable[[Talk, str], None]
    help: str
    takes: str = ""


def is_command(text: str) -> bool:
    """Return whether a text is a command and no message."""
    return text.startswith("/") and not text.startswith("//")


def unescaped(text: str) -> str:
    """Return the message that a text stands for: "//etc" says "/etc"."""
    return text[1:] if text.startswith("//") else text


def obey(talk: Talk, text: str) -> None:
    """Do what a command says.

    Raises:
        EmoagentsError: there is no such command, or it can't be done.
    """
    name, _, rest = text.strip().partition(" ")
    command = _COMMANDS.get(name)
    if command is None:
        hint = "a message that begins with / is written with two of them"
        raise ParameterError(f"unknown command {one_line(name)!r:.60}{did_you_mean(name, [*_COMMANDS])} ({hint})")
    if bool(rest.strip()) != bool(command.takes):
        raise ParameterError(f"{name} takes {command.takes or 'nothing'} behind it")
    command.work(talk, rest.strip())


def _why(talk: Talk, _: str) -> None:
    if talk.conversation.last is None:
        raise ParameterError("there is no reply yet")
    talk.screen.rows(why_rows(talk.conversation.last, talk.strategy))


def _undo(talk: Talk, _: str) -> None:
    text = talk.run(talk.conversation.undo())
    talk.reader.remember(text)
    shown = one_line(text)
    talk.screen.notice(f"taken back: {shown if len(shown) <= 60 else f'{shown[:57]}...'}")


def _save(talk: Talk, file: str, *, overwrite: bool = False) -> None:
    path = Path(file).expanduser()
    save(talk.conversation.messages, path, overwrite=overwrite)
    talk.screen.notice(f"saved in {path}")


def _threads(talk: Talk, _: str) -> None:
    rows = []
    for name, point in talk.run(talk.store.threads()).items():
        count = sum(message.type in ("human", "ai") for message in point.messages)
        here = " · this one" if name == talk.conversation.thread else ""
        rows.append((name, f"{count} message{'s' * (count != 1)} · {point.when.astimezone():%Y-%m-%d %H:%M}{here}"))
    if not rows:
        raise ParameterError("no conversation is kept yet")
    talk.screen.rows(rows)


def _new(talk: Talk, _: str) -> None:
    talk.begin(None)


def _help(talk: Talk, _: str) -> None:
    rows = [(f"{name} {command.takes}".strip(), command.help) for name, command in _COMMANDS.items()]
    talk.screen.rows([*rows, ("//...", "a message that begins with a slash"), ("...\\", "the message goes on below")])


def _quit(talk: Talk, _: str) -> None:
    talk.over = True


_COMMANDS = {
    "/why": _Command(_why, "how the last reply was made, and what it cost"),
    "/undo": _Command(_undo, "take back your last message and its reply"),
    "/save": _Command(_save, "write the conversation as a support dialogue (ESConv's JSON)", "FILE"),
    "/save!": _Command(
        lambda talk, file: _save(talk, file, overwrite=True), "the same over a file that exists", "FILE"
    ),
    "/threads": _Command(_threads, "list the conversations that are kept"),
    "/new": _Command(_new, "begin a new conversation"),
    "/help": _Command(_help, "this list"),
    "/quit": _Command(_quit, "leave; Ctrl-D does it too"),
}
