"""The crisis guard that stands before the stages."""

from __future__ import annotations

from typing import Any

from emoagents.errors import ParameterError
from emoagents.support.crisis import CrisisGuard

__all__ = ["guard_of"]


def guard_of(given: Any, locale: str) -> CrisisGuard | None:
    """Return the guard; None only where it was turned off in so many words.

    Raises:
        ParameterError: it is something else.
    """
    if isinstance(given, CrisisGuard):
        if locale != "auto":
            raise ParameterError("a CrisisGuard has a locale of its own: give it there")
        return given
    if given in ("on", "model"):
        return CrisisGuard(locale=locale)
    if given == "off":
        return None
    raise ParameterError(f"guard must be on, model, off, or a CrisisGuard, not {given!r:.80}")
