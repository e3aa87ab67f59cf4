"""Embeddings through litellm: texts in, vectors out, each request once."""

from __future__ import annotations

import asyncio
import base64
import binascii
import warnings
from collections.abc import Mapping
from typing import Any

from emoagents.errors import EmoagentsError, ModelCallError
from emoagents.model.embedding import as_choices
from emoagents.model.heap import set_aside
from emoagents.model.litellm_backend import LitellmModel
from emoagents.model.request import OnToken, Reply, Request

__all__ = ["LitellmEmbeddings"]

_MOST_TEXTS = 128
_TOO_LONG = (400, 413, 422)
_PACKING = frozenset({"openai", "hosted_vllm"})
"""Providers whose vectors may come as base64. As lists of numbers they cost the client eight times the work."""
_TYPE_OF_PACKED = r"(?s)Pydantic serializer warnings.*field_name='embedding', input_value='"
"""What litellm's own model of a reply warns of where a vector is a text."""


class _Never(int):
    """No retries, said so that litellm hears it: for embeddings it takes a plain 0 as not said, and asks 3 times."""

    def __bool__(self) -> bool:
        return True


class LitellmEmbeddings(LitellmModel):
    """One model that embeds, through litellm. See `LitellmModel`, and `emoagents.model.embedding` for its replies."""

    max_n = _MOST_TEXTS
    native_schema = False
    _packs = True
    """Whether vectors are asked for as base64, where the provider may know that."""

    async def call(self, request: Request, n: int, on_token: OnToken | None = None) -> Reply:
        """Make one request for the vectors of n texts. See `Backend.call`."""
        texts = [str(message["content"]) for message in request.messages]
        packing = self._packing()
        arguments = {**self._fixed, "max_retries": _Never(0), **packing, **request.extra, "input": texts}
        if self._litellm.cache is not None:  # a cache of litellm's own would take part in ours
            arguments["cache"] = {"no-cache": True, "no-store": True}
        try:
            with set_aside():
                answer = await self._litellm.aembedding(**arguments)
        except EmoagentsError:
            raise
        except Exception as error:  # litellm's errors share no root but Exception
            raise self._unpacked(_advised(self._translate(error, request.extra)), packing) from None
        return await asyncio.to_thread(self._embedded, answer, n)

    def _packing(self) -> dict[str, str]:
        if self._provider not in _PACKING or self._packs is False:
            return {}
        warnings.filterwarnings("ignore", message=_TYPE_OF_PACKED, category=UserWarning)
        return {"encoding_format": "base64"}

    def _unpacked(self, error: EmoagentsError, asked: Mapping[str, str]) -> EmoagentsError:
        """Ask for lists from now on where a server, which most do not, refuses base64; repeat all that asked for it."""
        if asked and isinstance(error, ModelCallError) and "encoding_format" in str(error):
            self._packs, error.retryable = False, True
        return error

    def _embedded(self, answer: Any, n: int) -> Reply:
        choices = as_choices(self._ordered(answer.data or []), n, self.name)
        usage = getattr(answer, "usage", None)
        if not (usage and usage.prompt_tokens):
            return Reply(choices=choices)
        cost = (getattr(answer, "_hidden_params", None) or {}).get("response_cost")
        if cost is None and self._priced:
            cost = self.cost(usage.prompt_tokens, 0)
        return Reply(choices=choices, prompt_tokens=usage.prompt_tokens, completion_tokens=0, cost_usd=cost)

    def _ordered(self, data: Any) -> list[Any]:
        """Return the vectors in the order of the texts."""
        entries = [dict(entry) if isinstance(entry, Mapping) else entry.model_dump() for entry in data]
        places = [entry.get("index", i) for i, entry in enumerate(entries)]
        if sorted(places) != list(range(len(entries))):
            raise self._malformed("it numbers its vectors in a way that does not tell which text each is for")
        ordered = sorted(zip(places, entries, strict=True), key=lambda pair: pair[0])
        return [self._vector(entry["embedding"]) for _, entry in ordered]

    def _vector(self, given: Any) -> Any:
        if not isinstance(given, str):
            return given
        import numpy as np

        try:
            return np.frombuffer(base64.b64decode(given, validate=True), dtype="<f4")
        except (binascii.Error, ValueError):
            raise self._malformed("a vector is neither a list of numbers nor base64 of 32-bit floats") from None


def _advised(error: EmoagentsError) -> EmoagentsError:
    """Say what to do about a refusal that mostly means that a text is too long."""
    if not isinstance(error, ModelCallError) or error.status not in _TOO_LONG:
        return error
    return ModelCallError(
        f"{error}; if a text is too long for the model, cut the texts into smaller chunks",
        model=error.model,
        status=error.status,
    )
