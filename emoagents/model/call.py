"""One call on its way through the door: what is asked for, how it is split into requests, and who is told of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from emoagents.model.cache import answer_keys
from emoagents.model.request import Backend, Choice, OnToken, Reply, Request, Share

__all__ = ["Call", "Listener", "OnEvent"]

OnEvent: TypeAlias = Callable[[Mapping[str, Any]], None]
"""Told of what happens inside a call: {"event": "retry", "error", "seconds", "attempt"}, and {"event": "restart"}
where the tokens told so far belong to an answer that will not come: a screen should drop them."""

_log = logging.getLogger(__name__)


class Listener:
    """Tells the caller what happens. A listener that fails is not called again: its call goes on, and is paid once."""

    def __init__(self, on_token: OnToken | None = None, on_event: OnEvent | None = None) -> None:
        self.on_token = self.token if on_token else None
        self._on_token, self._on_event = on_token, on_event
        self._told = False

    def token(self, text: str) -> None:
        """Tell of a piece of the answer."""
        if self._on_token is not None:
            self._told = True
            self._tell("_on_token", text)

    def event(self, event: str, **data: Any) -> None:
        """Tell of an event."""
        if self._on_event is not None:
            self._tell("_on_event", {"event": event, **data})

    def restart(self) -> None:
        """Say that what was told of the answer is void."""
        if self._told:
            self._told = False
            self.event("restart")

    def _tell(self, name: str, what: Any) -> None:
        try:
            getattr(self, name)(what)
        except Exception:
            setattr(self, name, None)
            _log.exception("%s failed; it is not told of anything more", name.lstrip("_"))


@dataclass(frozen=True, slots=True)
class Call:
    """Samples of one prompt: index i is its i-th sample.

    Attributes:
        request: what is asked. node: whose account it is booked to. listener: who is told.
    """

    request: Request
    node: str
    listener: Listener

    @property
    def answers(self) -> bool:
        """Whether the model writes tokens for it."""
        return True

    def keys(self, backend: Backend, indices: Iterable[int]) -> dict[int, str]:
        """Return the cache key of each index."""
        return answer_keys(backend.endpoint, backend.name, self.request, indices)

    def groups(self, indices: Sequence[int], most: int) -> list[list[int]]:
        """Split indices into those that one physical request brings, at most so many."""
        return [list(indices[i : i + most]) for i in range(0, len(indices), most)]

    def part(self, indices: Sequence[int]) -> Call:
        """Return the call for one group. A request of other samples has another seed: the same would bring the same."""
        request = self.request
        if request.seed is None or not indices[0]:
            return self
        return replace(self, request=replace(request, seed=request.seed + indices[0]))

    def shares(self, reply: Reply) -> list[Share]:
        """Return what is known of each choice's part of a group's reply."""
        return reply.shares()

    def saved_prompt_tokens(self, shares: Sequence[Share], requests: int) -> int:
        """Return the prompt tokens that these samples of the cache and so many spared requests would have cost."""
        return requests * max((share.prompt_tokens or 0 for share in shares), default=0)

    def usable(self, choice: Choice) -> bool:
        """Return whether what the cache holds can be an answer."""
        return True
