"""The options of `emoagents run`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Options"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What `emoagents run` was given; each means what its option's help says."""

    prompt: str | None
    strategy: str
    model: str | None = None
    params: list[str] = field(default_factory=list)
    card: Path | None = None
    budget: str | None = None
    system: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    cache: str | None = None
    api_base: str | None = None
    timeout: float | None = None
    json: bool = False
    verbose: bool = False
