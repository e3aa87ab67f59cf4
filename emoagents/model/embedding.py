"""Texts to vectors through the model door: a call whose samples are texts, and the vectors that come as its choices.

A model that embeds is a `Backend`: its `call(request, n)` gets one message for each of n texts and brings n choices in
their order, each with its vector as `text`, written by `as_choices`. So all that the door does for chat calls (cache,
retries, budget, limits, ledger) is done for embeddings by the same code.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from emoagents.errors import MissingExtraError, ModelCallError, ParameterError, RunError
from emoagents.model.cache import answer_keys
from emoagents.model.call import Call
from emoagents.model.request import Backend, Choice, Message, Reply, Request, Share

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "EMBEDDING_MODEL",
    "EmbeddingCall",
    "Vectors",
    "as_choices",
    "as_matrix",
    "checked",
    "request_of",
    "require_numpy",
]

EMBEDDING_MODEL = "embedded/minilm"
"""The model of a role that is to embed and for which the context names none."""

_TEXTS = 128
"""Texts of one request at most."""
_BYTES = 32_000
"""UTF-8 bytes of one request's texts at most, about 8,000 tokens of English; a longer text goes alone."""
_LOOKED_UP = 8 * _TEXTS
"""Texts looked up in the cache at once: SQLite takes 32,766 values in one query."""
_STAND_IN = "."
"""Embedded where all texts are blank, only to learn how long the model's vectors are."""


@dataclass(frozen=True, slots=True)
class Vectors:
    """What came of embedding texts.

    Attributes:
        rows: float32 array [texts, dimensions], each row of unit length, or zero where the text is blank.
        cached: how many of the texts the cache knew.
    """

    rows: NDArray[np.float32]
    cached: int


@dataclass(frozen=True, slots=True)
class EmbeddingCall(Call):
    """The vectors of texts, one message each: index i is the i-th text."""

    @property
    def answers(self) -> bool:
        return False

    def keys(self, backend: Backend, indices: Iterable[int]) -> dict[int, str]:
        """Return the cache key of each text, whatever other texts it comes with."""
        beside = replace(self.request, messages=[])
        common = answer_keys(f"{backend.endpoint} embeddings", backend.name, beside, [0])[0]
        return {i: _key(common, self._text(i)) for i in indices}

    def slices(self) -> list[list[int]]:
        """Split the texts into parts that one visit to the cache can look up."""
        count = len(self.request.messages)
        return [list(range(i, min(i + _LOOKED_UP, count))) for i in range(0, count, _LOOKED_UP)]

    def groups(self, indices: Sequence[int], most: int) -> list[list[int]]:
        """Split texts into requests of at most 128 texts and 32,000 bytes."""
        return list(self._batches(indices, min(most, _TEXTS)))

    def _batches(self, indices: Sequence[int], most: int) -> Iterator[list[int]]:
        batch: list[int] = []
        room = _BYTES
        for i in indices:
            size = len(self._text(i).encode("utf-8", "replace"))
            if batch and (len(batch) == most or size > room):
                yield batch
                batch, room = [], _BYTES
            batch.append(i)
            room -= size
        if batch:
            yield batch

    def part(self, indices: Sequence[int]) -> Call:
        """Return the call for some of the texts."""
        return replace(self, request=replace(self.request, messages=[self.request.messages[i] for i in indices]))

    def shares(self, reply: Reply) -> list[Share]:
        """Return each text's part of the prompt tokens, by its length: nobody tells more."""
        shares = reply.shares()
        if reply.prompt_tokens is None:
            return shares
        lengths = [len(self._text(i)) for i in range(len(shares))]
        return [replace(s, prompt_tokens=n) for s, n in zip(shares, _split(reply.prompt_tokens, lengths), strict=True)]

    def saved_prompt_tokens(self, shares: Sequence[Share], requests: int) -> int:
        """Return the tokens of these texts."""
        return sum(share.prompt_tokens or 0 for share in shares)

    def usable(self, choice: Choice) -> bool:
        """Return whether it is a vector."""
        return _bytes_of(choice.text) is not None

    def _text(self, index: int) -> str:
        return str(self.request.messages[index]["content"])


def _key(common: str, text: str) -> str:
    return hashlib.sha256(f"{common}#{text}".encode("utf-8", "surrogatepass")).hexdigest()


def _split(total: int, weights: Sequence[int]) -> Iterator[int]:
    """Split a whole number by weights, so that the parts add up to it."""
    whole, passed, given = sum(weights), 0, 0
    for weight in weights:
        passed += weight
        upto = total * passed // whole if whole else 0
        yield upto - given
        given = upto


# -- texts -------------------------------------------------------------------------------------------------------


def checked(texts: Sequence[str]) -> list[str]:
    """Return the texts as a list.

    Raises:
        ParameterError: they are no sequence of texts.
    """
    if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
        raise ParameterError("texts to embed must be a list of strings")
    return list(texts)


def require_numpy() -> None:
    """Raise where vectors could not be put together, before anything is paid for.

    Raises:
        MissingExtraError: numpy is not installed.
    """
    if "numpy" not in sys.modules and importlib.util.find_spec("numpy") is None:
        raise MissingExtraError("retrieval", "embedding texts")


def request_of(texts: Sequence[str], extra: Any) -> tuple[Request, dict[str, int]]:
    """Return a request for each different text once, and at which place of it each text stands.

    Blank texts are not asked for: providers refuse the empty one, and a blank has no meaning that a vector could hold.
    """
    asked = list(dict.fromkeys(text for text in texts if text.strip())) or [_STAND_IN][: len(texts)]
    messages: list[Message] = [{"role": "user", "content": text} for text in asked]
    return Request(messages=messages, extra=extra), {text: i for i, text in enumerate(asked)}


# -- vectors -----------------------------------------------------------------------------------------------------


def as_choices(vectors: Any, count: int, model: str) -> list[Choice]:
    """Return a backend's choices for `count` vectors: each as base64 of little-endian 32-bit floats.

    Args:
        vectors: array-like [count, dimensions].

    Raises:
        ModelCallError: they are fewer or more, empty, of different lengths, or hold what is no finite number.
    """
    import numpy as np

    try:
        with np.errstate(over="ignore"):  # what is too large for 32 bits is found below
            rows = np.asarray(vectors, dtype="<f4")
    except (ValueError, TypeError):
        raise _malformed(model, "its vectors differ in length or hold what is no number") from None
    if len(rows) != count:
        raise _malformed(model, f"it returned {len(rows)} vectors for {count} texts")
    if rows.ndim != 2 or not rows.shape[1]:
        raise _malformed(model, "its vectors are empty or no lists of numbers")
    if not np.isfinite(rows).all():
        raise _malformed(model, "its vectors hold NaN or infinite numbers")
    return [Choice(text=base64.b64encode(row.tobytes()).decode()) for row in rows]


def _malformed(model: str, what: str) -> ModelCallError:
    return ModelCallError(f"{model}: {what}", model=model, retryable=True, billed=True)


def _bytes_of(text: str) -> bytes | None:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if data and len(data) % 4 == 0 else None


def as_matrix(written: Sequence[str], places: Sequence[int | None], model: str) -> NDArray[np.float32]:
    """Return unit vectors as rows. Blocks for about a microsecond a row.

    Args:
        written: different vectors, as in a choice's `text`.
        places: for each row, which of these it is; None: a row of zeros.

    Raises:
        RunError: one is no vector, or they are not all of one length.
    """
    import numpy as np

    if not places:
        return np.zeros((0, 0), np.float32)
    found = [data for data in map(_bytes_of, written) if data is not None]
    if len(found) < len(written):
        raise RunError(f"{model} does not embed: its answer is no vector", model=model)
    if len({len(data) for data in found}) > 1:
        raise RunError(
            f"the vectors of {model} differ in length: the cache may hold some of an older version of the model; "
            "name another cache",
            model=model,
        )
    table = np.stack([np.frombuffer(data, dtype="<f4") for data in found])
    if not np.isfinite(table).all():
        raise RunError(f"the vectors of {model} hold NaN or infinite numbers", model=model)
    table = np.vstack([_unit(table), np.zeros((1, table.shape[1]), np.float32)])
    blank = len(written)
    return table[[blank if place is None else place for place in places]]


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    import numpy as np

    lengths: NDArray[np.float64] = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    lengths[lengths == 0] = 1
    return (rows / lengths[:, None]).astype(np.float32)
