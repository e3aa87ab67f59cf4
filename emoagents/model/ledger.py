"""The ledger: what was asked and what it cost, for each node and in total."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, fields, replace
from typing import Any

from emoagents.model.request import Reply

__all__ = ["Ledger", "Usage"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What model calls used.

    Attributes:
        calls: physical requests that were answered, or that may have been billed without an answer.
        cached_calls: samples that the cache or a checkpoint answered; they cost nothing.
        failed_calls: attempts that failed, whether or not a later one succeeded.
        prompt_tokens: tokens sent; a prompt with n samples in one request counts once, as it is billed.
        completion_tokens: tokens received, over all samples.
        cost_usd: US dollars; None as soon as the price of one call is unknown.
        unmetered_calls: calls whose tokens the provider did not tell; their tokens are in no sum.
        seconds: time spent waiting for the model, summed over calls that may have run side by side.
        saved_prompt_tokens, saved_completion_tokens, saved_usd: what the cached samples would have cost; tokens that
            are not known are in no sum, and None dollars are as in `cost_usd`.
    """

    calls: int = 0
    cached_calls: int = 0
    failed_calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = 0.0
    unmetered_calls: int = 0
    seconds: float = 0.0
    saved_prompt_tokens: int = 0
    saved_completion_tokens: int = 0
    saved_usd: float | None = 0.0

    def __add__(self, other: Usage) -> Usage:
        return Usage(**{f.name: _sum(getattr(self, f.name), getattr(other, f.name)) for f in fields(self)})


def _sum(one: float | None, other: float | None) -> Any:
    return None if one is None or other is None else one + other


@dataclass(slots=True)
class Ledger:
    """Usage by node, in the order in which the nodes first asked. Booked to and read from any thread."""

    nodes: dict[str, Usage] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def total(self) -> Usage:
        """Return the sum over all nodes."""
        with self._lock:
            return sum(self.nodes.values(), Usage())

    def add(self, node: str, usage: Usage) -> None:
        """Book usage to a node."""
        with self._lock:
            self.nodes[node] = self.nodes.get(node, Usage()) + usage

    def answered(self, node: str, reply: Reply, seconds: float) -> None:
        """Book a call that was answered."""
        metered = reply.prompt_tokens is not None and reply.completion_tokens is not None
        self.add(
            node,
            Usage(
                calls=1,
                prompt_tokens=reply.prompt_tokens or 0,
                completion_tokens=reply.completion_tokens or 0,
                cost_usd=reply.cost_usd,
                unmetered_calls=0 if metered else 1,
                seconds=seconds,
            ),
        )

    def failed(self, node: str, *, calls: int, cost_usd: float | None, seconds: float) -> None:
        """Book an attempt that failed: as a call of its own where it may have been billed."""
        lost = Usage(calls=calls, failed_calls=1, unmetered_calls=calls, cost_usd=cost_usd, seconds=seconds)
        self.add(node, lost)

    def cached(self, node: str, samples: int, saved: Usage = Usage(saved_usd=None)) -> None:
        """Book samples that were answered without a call, with what they would have cost."""
        self.add(node, replace(saved, cached_calls=samples))
