"""The options of the larger commands."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

__all__ = ["ChatOptions", "CompareOptions", "EvaluationOptions", "Options", "SupportOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What `emoagents run` was given; each means what its option's help says."""

    prompt: str | None
    strategy: str
    model: str | None = None
    roles: list[str] = field(default_factory=list)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatOptions:
    """What was written behind `emoagents chat`."""

    strategy: str
    model: str | None = None
    roles: list[str] = field(default_factory=list)
    params: list[str] = field(default_factory=list)
    thread: str | None = None
    store: Path | None = None
    background: str | None = None
    budget: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    api_base: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareOptions:
    """What was written behind `emoagents compare`."""

    tasks: list[str]
    data: Path | None = None
    shots: int = 0
    columns: list[str] = field(default_factory=list)
    task_options: list[str] = field(default_factory=list)
    strategies: str | None = None
    arms: list[str] = field(default_factory=list)
    baseline: str | None = None
    params: list[str] = field(default_factory=list)
    twins: bool = True
    equal_tokens: bool = False
    model: str | None = None
    roles: list[str] = field(default_factory=list)
    judge: str | None = None
    api_base: str | None = None
    temperature: float | None = 0.7
    max_tokens: int | None = None
    stop: list[str] = field(default_factory=list)
    limit: int | None = None
    replicas: int = 1
    seed: int = 0
    budget: str | None = None
    concurrency: int = 32
    workers: int | None = None
    engine: str = "local"
    out: Path | None = None
    dry_run: bool = False
    json: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationOptions:
    """What is written behind each evaluation of one data set, which is a comparison with some of it decided."""

    data: Path
    model: str | None
    params: list[str]
    api_base: str | None
    temperature: float | None
    max_tokens: int | None
    limit: int | None
    seed: int
    budget: str | None
    concurrency: int
    workers: int | None
    out: Path | None
    dry_run: bool
    json: bool

    def comparison(self, **decided: Any) -> CompareOptions:
        """Return the options of the comparison that it is; neutral twins are no part of it."""
        shared = {f.name: getattr(self, f.name) for f in fields(EvaluationOptions)}
        return CompareOptions(**{**shared, "twins": False, **decided})


@dataclass(frozen=True, slots=True, kw_only=True)
class SupportOptions(EvaluationOptions):
    """What was written behind `emoagents support eval`."""

    methods: list[str]
    sampling: str
    replies: bool
    planner: Path | None
    examples: Path | None
