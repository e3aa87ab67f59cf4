"""Opening an xllamacpp server inside this process, shut off from everybody else.

Each setting here answers something that was measured; see the comments before changing one.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from emoagents.errors import MissingExtraError, RunError, UsageError

__all__ = ["CONTEXT", "SLOTS", "open_server", "require_engine"]

SLOTS = 5
"""Requests, or choices of one request, that are worked on at once."""

CONTEXT = 4096
"""Tokens of prompt and answer together, for each slot."""

_PROMPT_STEP = 128
"""Prompt tokens between two looks at whether a call was cancelled: under a second. The engine's own default
of 2,048 let a cancelled call hold its slot for 7 s, and was no faster."""

_PROMPT_CACHE_MIB = 256
_SOCKET_PATH_LENGTH = 100


def require_engine() -> None:
    """Raise where the engine is not installed.

    Raises:
        MissingExtraError: xllamacpp is missing.
    """
    if importlib.util.find_spec("xllamacpp") is None:
        raise MissingExtraError("embedded", "the embedded model")


def open_server(gguf: Path) -> Any:
    """Import the engine, load the weights and warm up. Blocks for 1 to 4 s.

    Raises:
        MissingExtraError: xllamacpp is missing.
        UsageError: xllamacpp lacks a library of the system.
        RunError: the engine can't load the file.
    """
    require_engine()
    # Waiting OpenMP workers spin by default; one busy neighbour then costs a factor of ten. Read at import.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with _address() as address:
        server = _load(_engine_module(), gguf, address)
    # A server that never had a request may hang when it is deleted or the process ends.
    server.handle_chat_completions({"messages": [{"role": "user", "content": "hi"}], "max_tokens": 1})
    return server


def _engine_module() -> Any:
    try:
        return importlib.import_module("xllamacpp")
    except ImportError as error:  # installed, as was checked; a slim container may lack libgomp
        raise UsageError(f"the embedded engine does not load here: {error}") from error


def _load(xllamacpp: Any, gguf: Path, address: str | None) -> Any:
    try:
        return xllamacpp.Server(_parameters(xllamacpp, gguf, address))
    except RuntimeError as error:
        raise RunError(f"the embedded engine can't load {gguf}: {error}", model="embedded/smollm2") from error


def _parameters(xllamacpp: Any, gguf: Path, address: str | None) -> Any:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(gguf)
    parameters.n_parallel = SLOTS
    parameters.n_ctx = SLOTS * CONTEXT  # shared by the slots
    parameters.n_batch = parameters.n_ubatch = _PROMPT_STEP
    threads = max(1, (os.cpu_count() or 2) // 2)
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
    parameters.cache_ram_mib = _PROMPT_CACHE_MIB
    parameters.verbosity = -1
    parameters.api_keys = [secrets.token_hex(16)]  # for its HTTP door; calls in the process need none
    if address:
        parameters.hostnames = [address]
    return parameters


@contextmanager
def _address() -> Iterator[str | None]:
    """Give a unix socket to listen on and then remove it, so that nobody connects; None where there are none.

    The server can't be kept from listening. Where this fails, it listens on a random local port behind a key.
    """
    folder = _private_folder()
    try:
        path = os.path.join(folder, "s.sock") if folder else ""
        yield path if 0 < len(os.fsencode(path)) < _SOCKET_PATH_LENGTH else None
    finally:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def _private_folder() -> str | None:
    if sys.platform == "win32":
        return None
    try:
        return tempfile.mkdtemp(prefix="emoagents-")
    except OSError:
        return None
