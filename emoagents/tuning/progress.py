"""How far an optimisation is, for a screen or a log."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

__all__ = ["HOPELESS", "Failures", "OnProgress", "Progress", "Tally"]

HOPELESS = 20
"""Runs, or answers to score, that fail one after another before any succeeds, until an optimisation gives up."""

_REASONS = 3
"""Reasons of each kind of failure that are kept."""


@dataclass(frozen=True, slots=True)
class Failures:
    """Failures of one kind: how many, and the first different reasons."""

    count: int = 0
    reasons: tuple[str, ...] = ()

    def and_(self, reason: str) -> Failures:
        """Return these and one more."""
        new = reason not in self.reasons and len(self.reasons) < _REASONS
        return Failures(self.count + 1, (*self.reasons, reason) if new else self.reasons)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an optimisation is.

    Attributes:
        runs: runs of the strategy, failed ones included. total: how many there may be at most; None: not known.
        tried: variants that were scored on all examples of selection. best: the best of their mean scores, 0 to 1.
        first: the score of the strategy as it began.
        failed_runs, failed_metrics, failed_proposals: runs that gave no answer, answers that the metric failed on, and
            calls of the reflecting model that failed.
    """

    runs: int = 0
    total: int | None = None
    tried: int = 0
    best: float | None = None
    first: float | None = None
    failed_runs: Failures = Failures()
    failed_metrics: Failures = Failures()
    failed_proposals: Failures = Failures()


OnProgress: TypeAlias = Callable[[Progress], None]


@dataclass(slots=True)
class Tally:
    """Counts for an optimisation; may be told from any thread."""

    on_progress: OnProgress | None = None
    progress: Progress = field(default_factory=Progress)
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def expect(self, runs: int | None) -> None:
        """Take in how many runs there may be in all."""
        self._change(total=runs)

    def ran(self, failed: str | None = None) -> None:
        """Count a run, with the reason if it failed."""
        with self._lock:
            now = self.progress
            failures = now.failed_runs if failed is None else now.failed_runs.and_(failed)
            self._change(runs=now.runs + 1, failed_runs=failures)

    def metric_failed(self, reason: str) -> None:
        """Count an answer that the metric failed on."""
        with self._lock:
            self._change(failed_metrics=self.progress.failed_metrics.and_(reason))

    def proposal_failed(self, reason: str) -> None:
        """Count a call of the reflecting model that failed."""
        with self._lock:
            self._change(failed_proposals=self.progress.failed_proposals.and_(reason))

    def scored(self, score: float) -> bool:
        """Take in a variant's mean score; return whether none before was as good."""
        with self._lock:
            now = self.progress
            better = now.best is None or score > now.best
            self._change(
                tried=now.tried + 1,
                best=score if better else now.best,
                first=score if now.first is None else now.first,
            )
            return better

    def ranked(self, tried: int, *, best: float, first: float) -> None:
        """Take in how many variants were tried, and the mean scores of the best and of the strategy as it began."""
        self._change(tried=tried, best=best, first=first)

    def _change(self, **changes: object) -> None:
        with self._lock:
            self.progress = replace(self.progress, **changes)  # type: ignore[arg-type]
            if self.on_progress is not None:
                self.on_progress(self.progress)
