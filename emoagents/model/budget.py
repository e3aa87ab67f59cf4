"""Budgets: what a run may spend, held before each call and settled after it."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, fields

from emoagents.errors import BudgetExceeded, ParameterError

__all__ = ["Budget", "BudgetMeter", "Hold"]

_EPSILON = 1e-9
"""Sums of dollar prices differ from the limit in the last bits."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What a run may spend at most. None means no limit.

    Attributes:
        calls: physical requests to the model that may be billed; a cached answer is none.
        tokens: prompt and completion tokens together.
        usd: US dollars. Needs a model with a known price.
        seconds: wall time from the first call on; calls in flight are cancelled when it ends.

    With `tokens` or `usd`, a call without `max_tokens` is given at most `ANSWER_TOKENS` tokens for its answer,
    since only what is bounded can be held in advance.

    Raises:
        ParameterError: a limit is negative or not a number.
    """

    calls: int | None = None
    tokens: int | None = None
    usd: float | None = None
    seconds: float | None = None

    ANSWER_TOKENS = 4096

    def __post_init__(self) -> None:
        for limit in fields(self):
            value = getattr(self, limit.name)
            if value is not None and (not isinstance(value, int | float) or isinstance(value, bool) or not value >= 0):
                raise ParameterError(f"budget: {limit.name} must be a number of at least 0, not {value!r}")

    @property
    def needs_estimate(self) -> bool:
        """Whether a call's tokens must be known before it is made."""
        return self.tokens is not None or self.usd is not None

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read "calls=20,usd=0.5".

        Raises:
            ParameterError: there is no part, one is not NAME=NUMBER, or the name is none of the limits.
        """
        values: dict[str, float] = {}
        for part in filter(None, (p.strip() for p in text.split(","))):
            name, _, number = part.partition("=")
            values[name.strip()] = _number(name.strip(), number.strip())
        if not values:
            raise ParameterError("budget: it is empty; write limits, as calls=20,usd=0.5")
        whole = {k: int(v) if k in ("calls", "tokens") else v for k, v in values.items()}
        return cls(**whole)  # type: ignore[arg-type]


def _number(name: str, text: str) -> float:
    if name not in ("calls", "tokens", "usd", "seconds"):
        raise ParameterError(f"budget: no limit {name!r}; there are calls, tokens, usd, seconds")
    try:
        number = float(text)
    except ValueError:
        raise ParameterError(f"budget: {name} must be a number, not {text!r}") from None
    if name in ("calls", "tokens") and not number.is_integer():
        raise ParameterError(f"budget: {name} must be a whole number, not {text!r}")
    return number


@dataclass(slots=True)
class Hold:
    """What one call in flight may still cost at most."""

    calls: int = 1
    tokens: int = 0
    usd: float = 0.0


class BudgetMeter:
    """Spent and held amounts of one run. Lives on the model loop, so it needs no lock.

    A call is let through only when all that is spent, all that is held by calls in flight, and its own bound fit.
    If only the held part is in the way it waits, since calls mostly cost less than they hold.
    """

    def __init__(self, budget: Budget | None) -> None:
        self.budget = budget or Budget()
        self.spent = Hold(calls=0)
        self._held = Hold(calls=0)
        self._in_flight = 0
        self._started: float | None = None
        self._settled = asyncio.Event()

    def seconds_left(self) -> float | None:
        """Return the wall time that is left, None without such a limit; the clock starts at the first question."""
        if self.budget.seconds is None:
            return None
        self._started = self._started or time.monotonic()
        return self.budget.seconds - (time.monotonic() - self._started)

    def out_of_time(self) -> BudgetExceeded:
        """Return the error of a run whose seconds are over."""
        seconds = self.budget.seconds or 0.0
        return BudgetExceeded("seconds", seconds, time.monotonic() - (self._started or time.monotonic()))

    async def hold(self, tokens: int = 0, usd: float = 0.0) -> Hold:
        """Reserve one call with at most so many tokens and dollars.

        Raises:
            BudgetExceeded: it would not fit even if all calls in flight turned out to be free.
        """
        need = Hold(1, tokens, usd)
        while True:
            if (left := self.seconds_left()) is not None and left <= 0:
                raise self.out_of_time()
            if self._over(need, Hold(0)) is not None:
                raise self._exceeded(need)
            if self._over(need, self._held) is None:
                self._take(need)
                return need
            self._settled.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._settled.wait(), left)

    def settle(self, hold: Hold, *, calls: int, tokens: int, usd: float) -> None:
        """Replace a hold by what the call really cost."""
        self._held.calls -= hold.calls
        self._held.tokens -= hold.tokens
        self._held.usd -= hold.usd
        self.spent.calls += calls
        self.spent.tokens += tokens
        self.spent.usd += usd
        self._settled.set()

    def _take(self, need: Hold) -> None:
        self._held.calls += need.calls
        self._held.tokens += need.tokens
        self._held.usd += need.usd

    def _over(self, need: Hold, held: Hold) -> str | None:
        for name in ("calls", "tokens", "usd"):
            limit = getattr(self.budget, name)
            total = getattr(self.spent, name) + getattr(held, name) + getattr(need, name)
            if limit is not None and total > limit + _EPSILON:
                return name
        return None

    def _exceeded(self, need: Hold) -> BudgetExceeded:
        name = self._over(need, Hold(0)) or "calls"
        return BudgetExceeded(name, getattr(self.budget, name), getattr(self.spent, name))
