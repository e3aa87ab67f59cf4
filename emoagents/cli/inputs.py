"""What the caller gives: the prompt, from the command line or stdin, and the parameters."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from emoagents.cli.text import is_terminal
from emoagents.errors import ParameterError

__all__ = ["checked_text", "read_parameters", "read_prompt"]

_ASK = "emoagents run 'your question', or pipe it in"


def read_prompt(given: str | None) -> str:
    """Return the prompt; without one, or for "-", from stdin.

    Raises:
        ParameterError: there is none, it is empty, or it is not UTF-8 text.
    """
    if given is None and is_terminal(sys.stdin):
        raise ParameterError(f"no prompt: {_ASK}")
    prompt = _from_stdin() if given in (None, "-") else checked_text(given, "the prompt")
    if not prompt.strip():
        raise ParameterError(f"the prompt is empty: {_ASK}")
    return prompt


def checked_text(text: str, what: str) -> str:
    """Return a text of the command line.

    Raises:
        ParameterError: it is not UTF-8; Python keeps such bytes as half characters that no model takes.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ParameterError(f"{what} is not UTF-8 text") from None
    return text


def _from_stdin() -> str:
    if sys.stdin is None or sys.stdin.closed:
        raise ParameterError(f"no prompt: standard input is closed; {_ASK}")
    if is_terminal(sys.stdin):
        print("Type the prompt; end with Ctrl-D on a line of its own.", file=sys.stderr)
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise ParameterError(f"standard input is not UTF-8 text (at byte {error.start})") from None
    except OSError as error:
        raise ParameterError(f"standard input cannot be read: {error.strerror or error}") from None


def read_parameters(given: Iterable[str], option: str = "--param") -> dict[str, str]:
    """Read "k=v" texts; a value may hold further equals signs.

    Raises:
        ParameterError: one has no equals sign or no name, or a name comes twice.
    """
    parameters: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise ParameterError(f"{option} takes NAME=VALUE, as samples=5, not {text!r}")
        if name in parameters:
            raise ParameterError(f"{option} {name} is given twice")
        parameters[name] = checked_text(value, f"{option} {name}")
    return parameters
