"""When to ask again, and when not. The waiting itself is tenacity's."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_random_exponential

from emoagents.errors import ModelCallError, ParameterError

__all__ = ["Deadline", "Retry", "is_retryable_status", "retry_after_seconds"]

_RETRYABLE = frozenset({408, 409, 429})


class Deadline:
    """The time of one call with all its attempts. It begins with the first request: to queue for it is free.

    Attributes:
        limit: surrounds the call and cancels it at the deadline.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.limit = asyncio.timeout(None)

    def begin(self) -> None:
        """Start the clock, if it does not run yet."""
        if self.limit.when() is None:
            self.limit.reschedule(asyncio.get_running_loop().time() + self.seconds)

    def left(self) -> float:
        """Return the seconds that are left."""
        ends_at = self.limit.when()
        return self.seconds if ends_at is None else ends_at - asyncio.get_running_loop().time()


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often and how long to ask again.

    Attributes:
        attempts: physical requests at most for one call, the first included.
        deadline: seconds for one call with all its attempts and waits, from its first request on.
        wait: seconds of the first wait; it doubles each time, is drawn at random below that (full jitter), and
            stays under `max_wait`. A provider's Retry-After replaces it; one beyond the deadline ends the call.

    Raises:
        ParameterError: a value is out of its range.
    """

    attempts: int = 8
    deadline: float = 600.0
    wait: float = 0.5
    max_wait: float = 8.0

    def __post_init__(self) -> None:
        if not (self.attempts >= 1 and self.deadline > 0 and self.wait >= 0 and self.max_wait >= 0):
            raise ParameterError(f"attempts and deadline must be above 0, waits at least 0, not {self}")

    def runner(self, deadline: Deadline, on_wait: Callable[[ModelCallError, float, int], None]) -> AsyncRetrying:
        """Return tenacity's loop; `on_wait(error, seconds, attempt)` is told of each wait before it begins."""
        backoff = wait_random_exponential(multiplier=self.wait, max=self.max_wait)

        def wait(state: RetryCallState) -> float:
            return _error(state).retry_after or backoff(state)  # a Retry-After of 0 does not mean: hammer me

        def too_late(state: RetryCallState) -> bool:
            return state.upcoming_sleep >= deadline.left()

        def tell(state: RetryCallState) -> None:
            on_wait(_error(state), state.upcoming_sleep, state.attempt_number)

        def give_up(state: RetryCallState) -> None:
            why = _too_late(state, deadline) if too_late(state) else f"after {state.attempt_number} attempts"
            raise _ended(_error(state), why)

        return AsyncRetrying(
            retry=retry_if_exception(lambda e: isinstance(e, ModelCallError) and e.retryable),
            wait=wait,
            stop=lambda state: too_late(state) or stop_after_attempt(self.attempts)(state),
            before_sleep=tell,
            retry_error_callback=give_up,
        )


def _error(state: RetryCallState) -> ModelCallError:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, ModelCallError)  # nothing else is retried
    return error


def _too_late(state: RetryCallState, deadline: Deadline) -> str:
    if _error(state).retry_after:
        return f"it asks to wait {state.upcoming_sleep:g} s, beyond the deadline of {deadline.seconds:g} s"
    return f"and the deadline of {deadline.seconds:g} s leaves no time to ask again"


def _ended(error: ModelCallError, why: str) -> ModelCallError:
    return ModelCallError(
        f"{error}; {why}",
        model=error.model,
        status=error.status,
        retry_after=error.retry_after,
        retryable=True,
        billed=error.billed,
    )


def is_retryable_status(status: int) -> bool:
    """Return whether asking again can help: 408, 409, 429 and 5xx, and no other 4xx."""
    return status in _RETRYABLE or status >= 500


def retry_after_seconds(value: str | None) -> float | None:
    """Read a Retry-After header: seconds, or an HTTP date. None where it is absent or neither."""
    if not value:
        return None
    try:
        seconds = float(value)
        return max(0.0, seconds) if math.isfinite(seconds) else None
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(value)
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        return max(0.0, (when - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError, IndexError, OverflowError):  # whatever the standard library makes of garbage
        return None
