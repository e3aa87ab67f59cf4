"""How an optimisation ended, and the card that is written of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from emoagents.cli.optimize_job import Job
from emoagents.cli.optimize_screen import Screen

if TYPE_CHECKING:
    from emoagents.strategies.base import Strategy
    from emoagents.tuning.progress import Progress
    from emoagents.tuning.search_result import SearchResult

__all__ = ["Ending", "say_interrupted", "write_card"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How an optimisation ended.

    Attributes:
        tuned: the best that was found. stopped_by: "complete", "perfect" or "budget".
        progress: runs and failures while optimising. notes: what else there is to say, in sentences.
        search: what a search found, with its ranking.
    """

    tuned: Strategy
    stopped_by: str
    progress: Progress
    notes: tuple[str, ...] = ()
    search: SearchResult | None = None


def write_card(job: Job, ending: Ending) -> None:
    """Write the best that was found to --out, in one step."""
    from emoagents.strategy_file import save_strategy

    o = job.options
    how = (
        f"Optimised by {o.optimizer} ({o.effort}) for {job.context.door.name} on {len(job.train)} examples, "
        f"metric {job.metric.name}, seed {o.seed}."
    )
    save_strategy(ending.tuned, job.out, notes=[how])
    job.wrote()


def say_interrupted(job: Job, screen: Screen, ending: Ending) -> None:
    """Keep the best so far after Ctrl-C, and say where."""
    write_card(job, ending)
    best = ending.progress.best
    what = "nothing better was found until then" if best is None else f"the best so far, {best:.3f} where it was scored"
    screen.say(f"interrupted: {what}, is in {job.out}; the same command goes on")
