"""Budgets: what a run may spend, held before each call and settled after it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeAlias, TypeVar

from emoagents.errors import BudgetExceeded, ParameterError

__all__ = ["Budget", "BudgetMeter", "Hold"]

T = TypeVar("T")

_EPSILON = 1e-9
"""Sums of dollar prices differ from the limit in the last bits."""
_WHOLE = ("calls", "tokens")


@dataclass(frozen=True, slots=True)
class Budget:
    """What a run may spend at most. None means no limit.

    Attributes:
        calls: physical requests to the model that may be billed; a cached answer is none, and nor is a text that the
            embedded model turns into a vector (see `Backend`, `free`).
        tokens: prompt and completion tokens together.
        usd: US dollars. Needs a model with a known price.
        seconds: wall time from the first call on; calls in flight are cancelled when it ends.

    With `tokens` or `usd`, a call without `max_tokens` is given at most `ANSWER_TOKENS` tokens for its answer,
    since only what is bounded can be held in advance; where less is left, it is given that.

    Raises:
        ParameterError: a limit is negative or not a number.
    """

    calls: int | None = None
    tokens: int | None = None
    usd: float | None = None
    seconds: float | None = None

    ANSWER_TOKENS: ClassVar[int] = 4096
    LEAST_ANSWER_TOKENS: ClassVar[int] = 256
    """With less than this left, a call without `max_tokens` is not made: its answer would be a torso."""

    def __post_init__(self) -> None:
        for limit in fields(self):
            value = getattr(self, limit.name)
            if value is not None and not _is_limit(value, whole=limit.name in _WHOLE):
                kind = "a whole number" if limit.name in _WHOLE else "a number"
                raise ParameterError(f"budget: {limit.name} must be {kind} of at least 0, not {value!r}")

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
        values: dict[str, Any] = {}
        for part in filter(None, (p.strip() for p in text.split(","))):
            name, _, number = part.partition("=")
            values[name.strip()] = _number(name.strip(), number.strip())
        if not values:
            raise ParameterError("budget: it is empty; write limits, as calls=20,usd=0.5")
        return cls(**values)


def _is_limit(value: object, *, whole: bool) -> bool:
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        return False
    return value >= 0  # False for NaN


def _number(name: str, text: str) -> float:
    if name not in ("calls", "tokens", "usd", "seconds"):
        raise ParameterError(f"budget: no limit {name!r}; there are calls, tokens, usd, seconds")
    try:
        number = float(text)
    except ValueError:
        raise ParameterError(f"budget: {name} must be a number, not {text!r}") from None
    if name not in _WHOLE:
        return number
    if not number.is_integer():
        raise ParameterError(f"budget: {name} must be a whole number, not {text!r}")
    return int(number)


@dataclass(slots=True)
class Hold:
    """What one call in flight may still cost at most, or what it did cost."""

    calls: float = 1
    tokens: float = 0
    usd: float = 0.0

    def add(self, other: Hold, sign: int = 1) -> None:
        """Add another amount, or take it away."""
        self.calls += sign * other.calls
        self.tokens += sign * other.tokens
        self.usd += sign * other.usd


Bound: TypeAlias = Callable[[int], Hold]
"""From the tokens that the answer may have to what the call may cost."""


class BudgetMeter:
    """Spent and held amounts of one run. Lives on the model loop, so it needs no lock.

    A call is let through only when all that is spent, all that is held by calls in flight, and its own bound fit.
    If only the held part is in the way it waits, since calls mostly cost less than they hold.

    Args:
        budget: the limits.
        whole: a call is made with room for its whole answer, or not at all; else the last one may be cut short.
    """

    def __init__(self, budget: Budget | None, *, whole: bool = False) -> None:
        self.budget = budget or Budget()
        self.whole = whole
        self.spent = Hold(calls=0)
        self._held = Hold(calls=0)
        self._in_flight = 0
        self._ends_at: float | None = None
        self._turn = asyncio.Lock()
        self._settled = asyncio.Event()

    async def within_seconds(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Await `work()` and cancel it when the budget's seconds end; they begin with the first work.

        Raises:
            BudgetExceeded: they ended.
        """
        if self.budget.seconds is None:
            return await work()
        now = asyncio.get_running_loop().time()
        self._ends_at = self._ends_at or now + self.budget.seconds
        if self._ends_at <= now:
            raise self._out_of_time(now)
        try:
            async with asyncio.timeout_at(self._ends_at) as limit:
                return await work()
        except TimeoutError:
            if limit.expired():
                raise self._out_of_time(asyncio.get_running_loop().time()) from None
            raise

    async def hold(self, bound: Bound = lambda _: Hold(), most: int = 0, least: int = 0) -> tuple[Hold, int]:
        """Reserve one call; return what is held, and the tokens that its answer may have.

        These are `most` wherever that can fit. Only where nothing is in flight any more whose end could free
        something, they are what is left, if it is `least`.

        Raises:
            BudgetExceeded: not even `least` would fit.
        """
        async with self._turn:  # first come, first served: small calls don't overtake a large one for ever
            while self._over(bound(most), self._held):
                if self._over(bound(least), Hold(0)):
                    raise self._exceeded(bound(least))
                if not self._in_flight:
                    most = self._largest(bound, least, most)
                    break
                self._settled.clear()
                await self._settled.wait()
            hold = bound(most)
            self._held.add(hold)
            self._in_flight += 1
            return hold, most

    def settle(self, hold: Hold, spent: Hold) -> None:
        """Replace a hold by what the call really cost."""
        self._held.add(hold, -1)
        self._in_flight -= 1
        self.spent.add(spent)
        self._settled.set()

    def _largest(self, bound: Bound, fits: int, most: int) -> int:
        too_much = most
        while too_much - fits > 1:
            middle = (fits + too_much) // 2
            if self._over(bound(middle), Hold(0)):
                too_much = middle
            else:
                fits = middle
        return fits

    def _over(self, need: Hold, held: Hold) -> str | None:
        """Return the limit that spent, held and need together exceed."""
        for name in ("calls", "tokens", "usd"):
            limit = getattr(self.budget, name)
            if limit is None:
                continue
            total = getattr(self.spent, name) + getattr(held, name) + getattr(need, name)
            if total > limit + _EPSILON:
                return name
        return None

    def _exceeded(self, need: Hold) -> BudgetExceeded:
        name = self._over(need, Hold(0)) or "calls"
        return BudgetExceeded(name, getattr(self.budget, name), getattr(self.spent, name))

    def _out_of_time(self, now: float) -> BudgetExceeded:
        seconds = self.budget.seconds or 0.0
        return BudgetExceeded("seconds", seconds, seconds + now - (self._ends_at or now))
