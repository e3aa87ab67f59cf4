"""`emoagents optimize --optimizer search`: the choices of a strategy instead of its texts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from emoagents.cli.optimize_job import Job
from emoagents.cli.optimize_result import Ending, say_interrupted
from emoagents.cli.optimize_screen import Screen

if TYPE_CHECKING:
    from emoagents.context import Context
    from emoagents.tuning.search_result import SearchResult

__all__ = ["searched"]

_RUNS = {"light": 200, "medium": 600, "heavy": 2000}
"""Runs of a search, by effort."""


def searched(job: Job, screen: Screen, account: Context) -> Ending:
    """Search the choices on train; return the best.

    Raises:
        KeyboardInterrupt: Ctrl-C; the best after the last whole round lies at --out.
    """
    from emoagents.tuning.search import search

    follower = _Follower(job, screen)
    screen.begin("search")
    work = search(
        job.strategy,
        job.train,
        job.metric,
        account,
        choices=job.choices,
        runs=_RUNS[job.options.effort],
        seed=job.options.seed,
        on_event=follower.take,
        journal=job.folder / "search.jsonl",
    )
    try:
        found = asyncio.run(work)
    except KeyboardInterrupt:
        say_interrupted(job, screen, follower.ending())
        raise
    better = found.difference is not None and found.difference.difference > 0
    return Ending(
        tuned=found.best.strategy if better else job.strategy,
        stopped_by=found.stopped_by,
        progress=follower.tally.progress,
        search=found,
        notes=() if better else (_kept(found),),
    )


def _kept(found: SearchResult) -> str:
    from emoagents.evaluation.report.words import plural

    default = found.default
    tied = sum((one.mean, one.n) == (default.mean, default.n) for one in found.ranking) - 1
    same = f" ({plural(tied, 'other way')} scored the same)" if tied else ""
    return f"No way is better than the default on train{same}: the default is kept."


class _Follower:
    """Follows a search by its events."""

    def __init__(self, job: Job, screen: Screen) -> None:
        from emoagents.tuning.progress import Tally

        self.tally = Tally(screen.progressed)
        self._job, self._best = job, ""
        self._default, self._first, self._tried = "", 0.0, 0

    def take(self, event: dict[str, Any]) -> None:
        """Take an event in."""
        match event["event"]:
            case "begin":
                self.tally.expect(event["runs"])
                self._default, self._tried = event["configurations"][0], len(event["configurations"])
            case "run" if event["by_metric"]:
                self.tally.ran()
                self.tally.metric_failed(event["error"])
            case "run":
                self.tally.ran(failed=event["error"])
            case "ranked":
                scores = {label: score or 0.0 for label, score in event["ranking"]}
                self._first = scores.get(self._default, self._first)
                best, score = next(iter(scores.items()))
                self._best = best if score > self._first else self._default
                self.tally.ranked(self._tried, best=score, first=self._first)

    def ending(self) -> Ending:
        """Return the best after the last whole round."""
        from emoagents.tuning.choices import configurations

        space = configurations(self._job.strategy, self._job.context, self._job.choices)
        found = [one.strategy for one in space.configurations if one.label == self._best]
        tuned = found[0] if found else self._job.strategy
        return Ending(tuned=tuned, stopped_by="interrupted", progress=self.tally.progress)
