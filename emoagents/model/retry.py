"""When to ask again, and when not. The waiting itself is tenacity's."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, stop_before_delay
from tenacity.wait import wait_random_exponential

from emoagents.errors import ModelCallError

__all__ = ["Retry", "is_retryable_status", "retry_after_seconds"]

_RETRYABLE = frozenset({408, 409, 429})


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often and how long to ask again.

    Attributes:
        attempts: physical requests at most for one call, the first included.
        deadline: seconds for one call with all its attempts and waits.
        wait: seconds of the first wait; it doubles each time, is drawn at random below that (full jitter), and
            stays under `max_wait`. A provider's Retry-After replaces it; one beyond the deadline ends the call.
    """

    attempts: int = 8
    deadline: float = 600.0
    wait: float = 0.5
    max_wait: float = 8.0

    def runner(self, on_wait: Callable[[ModelCallError, float, int], None]) -> AsyncRetrying:
        """Return tenacity's loop; `on_wait(error, seconds, attempt)` is told of each wait before it begins."""
        backoff = wait_random_exponential(multiplier=self.wait, max=self.max_wait)

        def wait(state: RetryCallState) -> float:
            asked = getattr(_error(state), "retry_after", None)
            return float(asked) if asked is not None else backoff(state)

        def tell(state: RetryCallState) -> None:
            error = _error(state)
            if isinstance(error, ModelCallError):
                on_wait(error, state.upcoming_sleep, state.attempt_number)

        return AsyncRetrying(
            retry=retry_if_exception(lambda e: isinstance(e, ModelCallError) and e.retryable),
            wait=wait,
            stop=stop_after_attempt(self.attempts) | stop_before_delay(self.deadline),
            before_sleep=tell,
            reraise=True,
        )


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def is_retryable_status(status: int) -> bool:
    """Return whether asking again can help: 408, 409, 429 and 5xx, and no other 4xx."""
    return status in _RETRYABLE or status >= 500


def retry_after_seconds(value: str | None) -> float | None:
    """Read a Retry-After header: seconds, or an HTTP date. None where it is absent or neither."""
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


def remaining(deadline_at: float) -> float:
    """Return the seconds until a monotonic time, at least a hair."""
    return max(1e-3, deadline_at - time.monotonic())
