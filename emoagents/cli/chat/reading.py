"""What a person says: lines of a terminal or of a pipe."""

from __future__ import annotations

import contextlib
import sys
from typing import Any

from emoagents.cli.text import is_terminal
from emoagents.errors import ParameterError, RunError

__all__ = ["MOST_CHARACTERS", "Reader", "checked_message"]

MOST_CHARACTERS = 100_000
"""Of one message; more is a slip of the clipboard."""

_PROMPT, _MORE = "> ", "… "


def checked_message(text: str) -> str:
    """Return a message that can be sent.

    Raises:
        ParameterError: it can't.
    """
    if len(text) > MOST_CHARACTERS:
        raise ParameterError(f"the message has {len(text)} characters, more than {MOST_CHARACTERS}; it was not sent")
    if "\0" in text:
        raise ParameterError("the message holds a NUL character, so it is no text; it was not sent")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ParameterError("the message is not UTF-8 text; it was not sent") from None
    return text


class Reader:
    """Reads messages from stdin.

    Attributes:
        interactive: whether a person sits there; else lines come from a pipe or a file.

    Raises:
        ParameterError: stdin is closed.
    """

    def __init__(self) -> None:
        if sys.stdin is None or sys.stdin.closed:
            raise ParameterError("nothing to read from: standard input is closed")
        self.interactive = is_terminal(sys.stdin)
        self._on_screen = self.interactive and is_terminal(sys.stdout)
        self._editor = _line_editor() if self._on_screen else None

    def read(self) -> str | None:
        """Return the next message, None at the end of input. A line that ends in a backslash goes on in the next one.

        Raises:
            ParameterError: what came is no UTF-8 text.
            RunError: there is nothing more to be read, for it can't be.
        """
        parts: list[str] = []
        line = self._line(_PROMPT)
        while line is not None and line.endswith("\\"):
            parts.append(line[:-1])
            line = self._line(_MORE)
        if line is None and not parts:
            return None
        return "\n".join([*parts, line or ""])

    def remember(self, text: str) -> None:
        """Make a message the last one that the key "up" brings back, where there is such a key."""
        if self._editor is None:
            return
        size = self._editor.get_current_history_length()
        if size == 0 or self._editor.get_history_item(size) != text:
            self._editor.add_history(text)

    def _line(self, prompt: str) -> str | None:
        try:
            return self._asked(prompt) if self._on_screen else self._piped(prompt)
        except UnicodeDecodeError:
            raise ParameterError("the message is not UTF-8 text; it was not sent") from None
        except OSError as error:
            raise RunError(f"standard input cannot be read: {error.strerror or error}") from None

    def _asked(self, prompt: str) -> str | None:
        try:
            return input(_plain(prompt))
        except EOFError:
            print()
            return None

    def _piped(self, prompt: str) -> str | None:
        if self.interactive and sys.stderr is not None:  # stdout is going to a file
            print(_plain(prompt), end="", file=sys.stderr, flush=True)
        line = sys.stdin.buffer.readline()
        return line.decode("utf-8-sig").rstrip("\r\n") if line else None


def _plain(prompt: str) -> str:
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    return prompt.encode(encoding, errors="replace").decode(encoding)


def _line_editor() -> Any:
    """Return the module that `input` edits lines with, None where there is none, as on Windows."""
    with contextlib.suppress(ImportError):
        import readline

        if "libedit" not in (readline.__doc__ or ""):
            readline.parse_and_bind("set enable-bracketed-paste on")  # pasted lines are one message
        return readline
    return None
