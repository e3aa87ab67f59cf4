"""Fit: trim candidates so that the prompt that shows them fits the model's context.

The rule: all candidates get the same length in characters, the longest that fits, and only longer ones are cut;
a cut one keeps its first quarter and its last three quarters, since answers stand at the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from emoagents.model.request import Message
from emoagents.step import Run

__all__ = ["fit_texts", "trimmed"]

_GAP = "\n[...]\n"
_ANSWER_ROOM = 512
_SHORTEST = 40


async def fit_texts(run: Run, texts: Sequence[str], build: Callable[[Sequence[str]], list[Message]]) -> list[str]:
    """Return the texts, trimmed if `build(texts)` would not leave room for an answer; tells of it (`trimmed`)."""
    backend = await run.context.door.backend()
    window = backend.context_window
    if window is None or _bytes(build(texts)) < window // 2:  # a token is at least a byte: no need to count
        return list(texts)
    room = window - min(run.context.max_tokens or _ANSWER_ROOM, window // 2)

    def fits(length: int) -> bool:
        return backend.count_tokens(build([trimmed(t, length) for t in texts])) <= room

    length = await asyncio.to_thread(_longest, max(map(len, texts)), fits)
    short = [trimmed(t, length) for t in texts]
    if short != list(texts):
        run.emit("trimmed", characters=length, candidates=[i for i, t in enumerate(texts) if len(t) > length])
    return short


def trimmed(text: str, length: int) -> str:
    """Return at most `length` characters: the first quarter and the last three quarters."""
    if len(text) <= length:
        return text
    keep = max(1, length - len(_GAP))
    head = keep // 4
    return f"{text[:head]}{_GAP}{text[len(text) - (keep - head) :]}"


def _longest(longest: int, fits: Callable[[int], bool]) -> int:
    if fits(longest):
        return longest
    low, high = _SHORTEST, longest
    while high - low > 16:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _bytes(messages: Sequence[Message]) -> int:
    return sum(len(str(m.get("content") or "").encode()) for m in messages)
