"""What `emoagents optimize` ends with: before and after, what it cost, what changed, and where the card lies."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from emoagents.cli.layout import WIDEST, quiet_console
from emoagents.cli.optimize_job import Job
from emoagents.cli.optimize_screen import failures_in_words

if TYPE_CHECKING:
    from rich.console import Console

    from emoagents.cli.optimize_result import Ending
    from emoagents.evaluation.comparison import Comparison
    from emoagents.evaluation.findings import ArmRow
    from emoagents.tuning.measure import Row
    from emoagents.tuning.search_result import Ranked

__all__ = ["print_ending"]

_HELD_OUT, _SELECTED = "untouched", "selected on"


def print_ending(job: Job, ending: Ending, comparison: Comparison) -> int:
    """Print the table, or one JSON object; return 0 if all was measured, else 1."""
    from emoagents.tuning.measure import rows

    found, spent = rows(comparison), _paid(job)
    if job.options.json:
        print(json.dumps(_as_data(job, ending, comparison, found, spent), default=str))
    else:
        _print(quiet_console(sys.stdout, widest=WIDEST), job, ending, comparison, found, spent)
    findings = comparison.findings
    return 1 if findings.missing or any(arm.failed for arm in findings.arms) else 0


def _paid(job: Job) -> dict[str, Any]:
    """Return all that was ever paid in the folder, measurements and earlier runs of the command included; dollars are
    None where the price of a call is unknown."""
    from contextlib import closing
    from dataclasses import asdict

    from emoagents.evaluation.journal import CallJournal

    with closing(CallJournal(job.folder)) as journal:
        return asdict(journal.spent) | ({"usd": None} if journal.unpriced else {})


def _role(job: Job, name: str) -> str:
    return _SELECTED if name == "dev" and job.selects_on_dev else _HELD_OUT


# -- for people ------------------------------------------------------------------------------------------------------


def _print(
    console: Console, job: Job, ending: Ending, comparison: Comparison, found: list[Row], spent: dict[str, Any]
) -> None:
    from emoagents.cli.search import show_search
    from emoagents.evaluation.report.table import print_title, sayer

    say = sayer(console)
    print_title(console, say, f"Before and after, by {job.metric.name}")
    _print_table(console, say, job, found)
    for sentence in [*_verdicts(job, found), *_limits(job, ending, comparison), *failures_in_words(ending.progress)]:
        say(f"- {sentence}")
    for note in ending.notes:
        say(f"- {note}")
    if ending.search is not None:
        console.print()
        show_search(console, ending.search)
    _print_changes(console, say, job, ending)
    print_title(console, say, "Cost")
    say(f"All together: {_total(**spent)}.")
    for line in _per_answer(found):
        say(line)
    print_title(console, say, "The card")
    say(f"{job.out}")
    say(_command(job), wrap=False)


def _print_table(console: Console, say: Callable[..., None], job: Job, found: list[Row]) -> None:
    from emoagents.evaluation.report.table import Column, print_columns
    from emoagents.evaluation.report.words import interval, probability, score, signed

    differences = [row.difference for row in found]
    columns = [
        Column("examples", [row.name for row in found], left=True),
        Column("n", ["0" if row.difference is None else str(row.difference.n) for row in found]),
        Column("before", [score(row.before.score if row.before else None) for row in found]),
        Column("after", [score(row.after.score if row.after else None) for row in found]),
        Column("difference", [signed(d.difference) if d else "-" for d in differences]),
        Column("95 % interval", [interval(d.low, d.high, sign=True) if d else "" for d in differences]),
        Column("better/worse", [f"{d.wins}/{d.losses}" if d else "" for d in differences], goes=2),
        Column("p", [probability(d.p) if d else "" for d in differences], goes=1),
    ]
    print_columns(console, say, columns)
    say(" ".join(f"{row.name}: {_role(job, row.name)}." for row in found))


def _verdicts(job: Job, found: list[Row]) -> list[str]:
    sentences = []
    for row in found:
        d = row.difference
        if d is None:
            sentences.append(f"{row.name}: no example was answered both before and after.")
        elif d.low > 0:
            sentences.append(f"{row.name}: better after, the interval of the difference is above 0.")
        elif d.high < 0:
            sentences.append(f"{row.name}: worse after, the interval of the difference is below 0.")
        else:
            sentences.append(f"{row.name}: no difference was shown, the interval includes 0.")
    if job.selects_on_dev:
        held_out = " Believe the untouched ones." if job.test else " --test FILE measures on examples that nothing saw."
        sentences.append(f"dev was also what the best was chosen by, which flatters it.{held_out}")
    return sentences


def _limits(job: Job, ending: Ending, comparison: Comparison) -> list[str]:
    from emoagents.strategy_file import strategy_changes
    from emoagents.tuning.measure import BEFORE

    sentences = []
    if not strategy_changes(job.strategy, ending.tuned):
        sentences.append("Nothing better was found: the card is the strategy as it began.")
    if ending.stopped_by == "budget":
        sentences.append("The budget ended the optimisation; the card is the best until then. A larger one goes on.")
    if ending.stopped_by == "perfect":
        sentences.append("It stopped early: every example of selection is answered right.")
    findings = comparison.findings
    if findings.missing:
        sentences.append(
            f"{findings.missing:,} answers of the last measurement are missing, for the budget ended: the same command "
            "with a larger one asks for them."
        )
    for row in findings.arms:
        if row.failed and row.task in job.sets:
            arm = BEFORE if row.arm == BEFORE else "after"
            sentences.append(f"{row.failed:.0%} of {arm} on {row.task} failed, and are in no mean.")
    return sentences


def _print_changes(console: Console, say: Callable[..., None], job: Job, ending: Ending) -> None:
    from emoagents.cli.diff import show_changes
    from emoagents.evaluation.report.table import print_title
    from emoagents.strategy_file import strategy_changes

    changes = strategy_changes(job.strategy, ending.tuned)
    if changes:
        print_title(console, say, "What changed")
        show_changes(console, changes)


def _total(*, calls: float, tokens: float, usd: float | None) -> str:
    dollars = "price unknown" if usd is None else f"${usd:.4g}"
    return f"{calls:,.0f} calls, {tokens:,.0f} tokens, {dollars}"


def _per_answer(found: list[Row]) -> list[str]:
    row = found[0]
    return [
        f"An answer {what}: {_count(arm)}"
        for what, arm in (("before", row.before), ("after", row.after))
        if arm is not None
    ]


def _count(arm: ArmRow) -> str:
    from emoagents.evaluation.report.words import cost, count

    samples = count(arm.answers)
    return f"{samples} sample{'' if samples == '1' else 's'} of the model, {count(arm.tokens)} tokens, {cost(arm.usd)}."


def _command(job: Job) -> str:
    model = [] if job.options.model is None else ["--model", job.options.model]
    return f'emoagents run --strategy {shlex.quote(str(job.out))} {shlex.join(model)} "..."'.replace("  ", " ")


# -- for machines ----------------------------------------------------------------------------------------------------


def _as_data(
    job: Job, ending: Ending, comparison: Comparison, found: list[Row], spent: dict[str, Any]
) -> dict[str, Any]:
    from dataclasses import asdict

    from emoagents.strategy_file import strategy_changes

    o, changes = job.options, strategy_changes(job.strategy, ending.tuned)
    return {
        "strategy": job.strategy.title,
        "model": job.context.door.name,
        "reflection_model": None if job.reflection is None else job.reflection.door.name,
        "optimizer": o.optimizer,
        "effort": o.effort,
        "metric": job.metric.name,
        "seed": o.seed,
        "stopped_by": ending.stopped_by,
        "examples": {"train": len(job.train), **{name: len(items) for name, items in job.sets.items()}},
        "measured": [_row(job, row) for row in found],
        "missing": comparison.findings.missing,
        "optimising": asdict(ending.progress),
        "spent": spent,
        "changes": [{"place": c.place, "old": c.old, "new": c.new} for c in changes],
        "ranking": [] if ending.search is None else [_ranked(row) for row in ending.search.ranking],
        "notes": [*ending.notes, *(ending.search.notes if ending.search is not None else ())],
        "card": str(job.out),
        "folder": str(job.folder),
        "command": _command(job),
    }


def _ranked(row: Ranked) -> dict[str, Any]:
    return {"configuration": row.label, "score": row.mean, "items": row.n, "rounds": row.rounds, "failed": row.failed}


def _row(job: Job, row: Row) -> dict[str, Any]:
    def data(part: Any) -> Any:
        return None if part is None else part.model_dump()

    parts = {"before": row.before, "after": row.after, "difference": row.difference}
    return {"examples": row.name, "role": _role(job, row.name), **{name: data(part) for name, part in parts.items()}}
