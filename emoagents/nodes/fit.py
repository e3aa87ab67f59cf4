"""Fit: trim texts so that the prompt that shows them fits the model's context.

The rule: all texts get the same length in characters, the longest that fits, and only longer ones are cut;
a cut one keeps its first quarter and its last three quarters, since answers stand at the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from emoagents.asked import sent
from emoagents.model.request import Backend, Message
from emoagents.step import Run

__all__ = ["Room", "fit_texts", "room_of", "trimmed"]

_GAP = "\n[...]\n"
_ANSWER_ROOM = 512
_SHORTEST = 40


@dataclass(frozen=True, slots=True)
class Room:
    """What a model's context has room for.

    Attributes:
        backend: which counts. window: tokens of prompt and answer together. prompt: tokens of a prompt that leaves
            room for its answer.
    """

    backend: Backend
    window: int
    prompt: int

    def clearly_fits(self, messages: Sequence[Message]) -> bool:
        """Return whether a prompt fits even if each of its bytes is a token: then nobody need count."""
        return _bytes(sent(messages)) < self.window // 2

    def fits(self, messages: Sequence[Message]) -> bool:
        """Return whether a prompt leaves room for an answer. May take milliseconds."""
        return self.clearly_fits(messages) or self.backend.count_tokens(sent(messages)) <= self.prompt


async def room_of(run: Run, role: str | None = None, window: int | None = None) -> Room | None:
    """Return the room that the context's model (in this role) has; None where its context is not known.

    Args:
        window: tokens that shall be used at most.
    """
    door = run.context.door.of(role)
    backend = await door.backend()
    known = [size for size in (window, backend.context_window) if size is not None]
    if not known:
        return None
    window = min(known)
    answer = door.settings.max_tokens or _ANSWER_ROOM
    return Room(backend, window, window - min(answer, window // 2))


async def fit_texts(
    run: Run,
    texts: Sequence[str],
    build: Callable[[Sequence[str]], list[Message]],
    *,
    role: str | None = None,
    window: int | None = None,
    what: str = "candidates",
) -> list[str]:
    """Return the texts, trimmed if `build(texts)` would not leave room for an answer; tells of it (`trimmed`).

    Args:
        role: whose context counts. window: tokens that shall be used at most.
        what: the event's word for the texts.
    """
    room = await room_of(run, role, window)
    if room is None or not texts or room.clearly_fits(build(texts)):
        return list(texts)

    def fits(length: int) -> bool:
        return room.fits(build([trimmed(t, length) for t in texts]))

    length = await asyncio.to_thread(_longest, max(map(len, texts)), fits)
    short = [trimmed(t, length) for t in texts]
    if short != list(texts):
        run.emit("trimmed", characters=length, **{what: [i for i, t in enumerate(texts) if len(t) > length]})
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
