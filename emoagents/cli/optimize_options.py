"""The options of `emoagents optimize`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["OptimizeOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizeOptions:
    """What was written behind `emoagents optimize`; each means what its option's help says."""

    strategy: str | None
    optimizer: str
    train: str | None
    out: Path | None
    dev: str | None = None
    test: str | None = None
    metric: str | None = None
    columns: list[str] = field(default_factory=list)
    params: list[str] = field(default_factory=list)
    card: Path | None = None
    effort: str = "light"
    demos: int = 8
    choices: list[str] = field(default_factory=list)
    model: str | None = None
    reflection_model: str | None = None
    roles: list[str] = field(default_factory=list)
    budget: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    seed: int = 0
    concurrency: int = 32
    api_base: str | None = None
    force: bool = False
    json: bool = False
