"""Where the command line begins and ends: every error becomes one sentence and an exit status.

0: done. 1: the run failed. 2: the caller's mistake. 130: Ctrl-C. 141: whoever read our output went away.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import warnings
from collections.abc import Sequence
from typing import Any, TextIO

from emoagents.cli.text import one_line
from emoagents.errors import EmoagentsError, ParameterError, UsageError, did_you_mean

__all__ = ["main"]

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

_LAST_WAIT = 1.0
"""Seconds that threads which can't be stopped (an import under way) may hold the process after Ctrl-C."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words or bool(os.environ.get("EMOAGENTS_DEBUG"))
    _prepare_streams(debug)
    try:
        status = _dispatch(words)
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return _interrupted()
    except BrokenPipeError:
        _abandon_output()
        return 141
    except Exception as error:
        return _failed(error, debug)


def _dispatch(words: list[str]) -> int:
    """Parse the words; then do what they ask for, outside of typer, which has its own mind about exceptions."""
    from typer.main import get_command

    from emoagents.cli.app import app

    try:
        outcome = get_command(app).main(args=words, prog_name="emoagents", standalone_mode=False)
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        raise ParameterError(_sentence(error)) from error
    if outcome == 130:  # Ctrl-C while typer was at it, which says nothing
        raise KeyboardInterrupt
    return int(outcome()) if callable(outcome) else int(outcome or 0)


def _sentence(error: Any) -> str:
    """Say typer's usage error in our style."""
    option = getattr(error, "option_name", None)
    if option and hasattr(error, "possibilities"):
        known = [name for param in error.ctx.command.params for name in param.opts if name.startswith("--")]
        return f"no such option: {option}{did_you_mean(option, [*known, '--help'])}"
    text = error.format_message().rstrip(".")
    return f"{text[:1].lower()}{text[1:]}"


def _prepare_streams(debug: bool) -> None:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # half a character from a model must not end the run
    if not debug and not sys.warnoptions:
        warnings.simplefilter("ignore")  # other libraries' notes to their developers


# -- endings -----------------------------------------------------------------------------------------------------


def _failed(error: Exception, debug: bool) -> int:
    if debug:
        _complain(_traceback(error))
    if isinstance(error, EmoagentsError):
        _complain(f"error: {_redacted(one_line(str(error)))}")
        return 2 if isinstance(error, UsageError) else 1
    if isinstance(error, OSError) and error.errno in _FULL:
        _abandon_output()
        _complain(f"error: cannot write the output: {error.strerror}")
        return 1
    hint = "" if debug else ", run again with --debug"
    _complain(f"error: internal error: {type(error).__name__}: {_redacted(one_line(str(error)))}{hint}")
    return 1


def _interrupted() -> int:
    """End at once: what is in flight was cancelled, and a thread that can't be is not waited for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _complain("interrupted")
    watchdog = threading.Timer(_LAST_WAIT, os._exit, args=(130,))
    watchdog.daemon = True
    watchdog.start()
    return 130


def _complain(text: str) -> None:
    if sys.stderr is not None:
        print(text, file=sys.stderr, flush=True)


def _traceback(error: Exception) -> str:
    import traceback

    return _redacted("".join(traceback.format_exception(error)).rstrip())


def _redacted(text: str) -> str:
    """Return the text without keys. Only what has talked to a provider can hold one."""
    if "emoagents.model.litellm_backend" not in sys.modules:
        return text
    from emoagents.model.litellm_backend import redact

    return redact(text)


def _abandon_output() -> None:
    """Let what is still in the buffers go nowhere, or Python would complain about it at the very end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and _is_broken(stream):
            os.dup2(nowhere, stream.fileno())


def _is_broken(stream: TextIO) -> bool:
    try:
        stream.flush()
    except OSError:
        return True
    return stream is sys.stdout
