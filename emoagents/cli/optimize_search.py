"""`emoagents optimize --optimizer search`: the choices of a strategy instead of its texts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from emoagents.cli.optimize_job import Job
from emoagents.cli.optimize_result import Ending, say_interrupted
from emoagents.cli.optimize_screen import Screen

if TYPE_CHECKING:
    from emoagents.context import Context

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
    best = f"Of {len(found.ranking)} ways that were tried on train, the best is: {found.best.label}."
    return Ending(
        tuned=found.best.strategy,
        stopped_by=found.stopped_by,
        progress=follower.tally.progress,
        notes=(best, *(note for note in found.notes if not _told_by_table(note))),
    )


def _told_by_table(note: str) -> bool:
    """Return whether a note is on the search's own held-out items: here dev is, and is measured."""
    return "Held-out items say" in note


class _Follower:
    """Follows a search by its events."""

    def __init__(self, job: Job, screen: Screen) -> None:
        from emoagents.tuning.progress import Tally

        self.tally = Tally(screen.progressed)
        self._job, self._best = job, ""

    def take(self, event: dict[str, Any]) -> None:
        """Take an event in."""
        match event["event"]:
            case "begin":
                self.tally.expect(event["runs"])
            case "run":
                self.tally.ran(failed=event["error"] if event["status"] == "failed" else None)
            case "ranked":
                self._best, score = event["ranking"][0]
                self.tally.scored(score or 0.0)

    def ending(self) -> Ending:
        """Return the best after the last whole round."""
        from emoagents.tuning.choices import configurations

        space = configurations(self._job.strategy, self._job.context, self._job.choices)
        found = [one.strategy for one in space.configurations if one.label == self._best]
        tuned = found[0] if found else self._job.strategy
        return Ending(tuned=tuned, stopped_by="interrupted", progress=self.tally.progress)
