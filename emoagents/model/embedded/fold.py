"""From the pieces that the engine streams to whole choices."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from emoagents.model.embedded.engine import Chunk
from emoagents.model.request import Choice, Reply

__all__ = ["Fold"]

_NEVER = -9999.0
"""The logarithm written for a probability of 0, as OpenAI does."""


class _Sample:
    """One choice as it grows."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.logprobs: list[dict[str, Any]] = []
        self.tool_calls: dict[int, dict[str, Any]] = {}
        self.finish_reason: str | None = None

    def add(self, part: Mapping[str, Any]) -> str:
        delta = part.get("delta") or {}
        piece = delta.get("content") or ""
        self.pieces.append(piece)
        self.finish_reason = part.get("finish_reason") or self.finish_reason
        self.logprobs += [_entry(raw) for raw in (part.get("logprobs") or {}).get("content") or ()]
        for call in delta.get("tool_calls") or ():
            self._add_tool_call(call)
        return piece

    def choice(self) -> Choice:
        return Choice(
            text="".join(self.pieces),
            finish_reason=self.finish_reason or "stop",
            tool_calls=[self.tool_calls[i] for i in sorted(self.tool_calls)],
            logprobs=self.logprobs or None,
        )

    def _add_tool_call(self, call: Mapping[str, Any]) -> None:
        empty = {"id": call.get("id"), "type": "function", "function": {"name": "", "arguments": ""}}
        known = self.tool_calls.setdefault(int(call.get("index", 0)), empty)
        for key, piece in (call.get("function") or {}).items():
            known["function"][key] = known["function"].get(key, "") + (piece or "")


class Fold:
    """Gathers the pieces of n choices.

    Args:
        n: choices that were asked for.
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self._samples = [_Sample() for _ in range(n)]
        self._prompt_tokens = 0
        self._completion_tokens = 0

    def add(self, chunk: Chunk) -> str:
        """Take a piece; return the text that it adds."""
        usage = chunk.get("usage")
        if usage:  # each choice ends with one of its own, which counts that choice only
            self._prompt_tokens = usage["prompt_tokens"]
            self._completion_tokens += usage["completion_tokens"]
        return "".join(self._samples[part["index"]].add(part) for part in chunk.get("choices") or ())

    @property
    def complete(self) -> bool:
        """Whether every choice came to its end."""
        return all(sample.finish_reason for sample in self._samples)

    def reply(self) -> Reply:
        """Return the whole choices. The prompt was read once for all of them, and counts once."""
        return Reply(
            choices=[sample.choice() for sample in self._samples],
            prompt_tokens=self._prompt_tokens,
            completion_tokens=self._completion_tokens,
            cost_usd=0.0,
        )


def _entry(raw: Mapping[str, Any]) -> dict[str, Any]:
    tops = raw.get("top_logprobs", raw.get("top_probs")) or ()
    return {**_scored(raw), "top_logprobs": [_scored(top) for top in tops]}


def _scored(raw: Mapping[str, Any]) -> dict[str, Any]:
    """With `post_sampling_probs` the engine gives probabilities in place of their logarithms."""
    logprob = raw.get("logprob")
    if logprob is None:
        probability = float(raw.get("prob", 0.0))
        logprob = math.log(probability) if probability > 0 else _NEVER
    return {"token": raw["token"], "bytes": raw.get("bytes"), "logprob": logprob}
