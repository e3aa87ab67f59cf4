"""Preferences of models that were measured beforehand."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from emoagents.card import cards_dir
from emoagents.support.debias import Distribution, distribution_of

__all__ = ["shipped_preference"]


def shipped_preference(key: str) -> Distribution | None:
    """Return a preference that comes with emoagents, by the key of the model and the prompts it was measured with."""
    found = _shipped().get(key)
    return distribution_of(found["preferences"]) if found else None


@cache
def _shipped() -> dict[str, dict[str, Any]]:
    path = cards_dir() / "support" / "priors.json"
    found: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return found
