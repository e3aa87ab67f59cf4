"""`emoagents optimize`: measure, optimise, write the card, measure again."""

from __future__ import annotations

import asyncio
import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from emoagents.cli import loading
from emoagents.cli.optimize_job import Job, make_job
from emoagents.cli.optimize_options import OptimizeOptions
from emoagents.cli.optimize_result import Ending, say_interrupted, write_card
from emoagents.cli.optimize_screen import Screen
from emoagents.cli.optimize_search import searched
from emoagents.errors import ParameterError, RunError, UsageError

if TYPE_CHECKING:
    from emoagents.context import Context
    from emoagents.evaluation.comparison import Comparison
    from emoagents.model.budget import Budget, Hold
    from emoagents.model.ledger import Usage
    from emoagents.strategies.base import Strategy

__all__ = ["run_optimization"]


def run_optimization(options: OptimizeOptions) -> int:
    """Optimise, and print what it brought; return 0 if all was measured, else 1.

    Raises:
        UsageError: the caller's mistake. RunError: nothing works, or the budget leaves nothing to optimise with.
        KeyboardInterrupt: Ctrl-C; what was best until then lies at --out, and was said.
    """
    from emoagents.cli.optimize_ending import print_ending

    job = make_job(options)
    screen = Screen()
    _headline(job, screen)
    if loading.needs_fetching(job.context.door.name):
        loading.fetch()
    asyncio.run(_open_models(job))
    job.folder.mkdir(exist_ok=True)
    screen.say(f"kept in {job.folder}: the same command goes on from there")
    began = time.monotonic()
    with screen:
        first = _measured(job, screen, [job.strategy], job.context.budget)
        ending = _optimised(job, screen, _left(job, first, time.monotonic() - began))
        screen.found(ending.progress)
        write_card(job, ending)
        last = _last(job, screen, ending, _remaining(job.context.budget, time.monotonic() - began))
    return print_ending(job, ending, last)


async def _open_models(job: Job) -> None:
    """Open the models before any is paid: a missing key of the reflecting one must not show after the measurement."""
    for context in filter(None, (job.context, job.reflection)):
        try:
            await context.door.backend()
        except UsageError as error:
            if context is not job.reflection or job.options.reflection_model is None:
                raise
            raise ParameterError(f"--reflection-model {job.options.reflection_model}: {error}") from error


def _headline(job: Job, screen: Screen) -> None:
    o, counts = job.options, {"train": job.train, "dev": job.dev, "test": job.test}
    screen.say(f"{o.optimizer} on {job.strategy.title}, {job.context.door.name}, metric {job.metric.name}")
    screen.say(", ".join(f"{len(items):,} {name}" for name, items in counts.items() if items) + " examples")
    if job.split:
        screen.say(f"no --dev: a third of the examples was drawn for it by seed {o.seed}, and is not learned from")
    if job.reflection is not None and o.reflection_model is None:
        screen.say("no --reflection-model: the same model proposes new texts")
    if job.reflection is not None and job.reflection.api_base != job.context.api_base:
        screen.say(f"{job.reflection.door.name} proposes new texts at its provider's own address, not at --api-base")


# -- measuring -------------------------------------------------------------------------------------------------------


def _measured(job: Job, screen: Screen, strategies: Sequence[Strategy], budget: Budget | None) -> Comparison:
    from emoagents.tuning.measure import measure

    what = "measuring before" if len(strategies) == 1 else "measuring after"
    return asyncio.run(
        measure(
            strategies,
            job.sets,
            job.metric,
            job.context.fresh(budget=budget),
            job.folder,
            seed=job.options.seed,
            command=shlex.join(["emoagents", *sys.argv[1:]]),
            on_begin=lambda total, made: screen.begin(what, total, made),
            on_record=screen.recorded,
        )
    )


def _last(job: Job, screen: Screen, ending: Ending, budget: Budget | None) -> Comparison:
    try:
        return _measured(job, screen, [job.strategy, ending.tuned], budget)
    except KeyboardInterrupt:
        screen.say(f"interrupted: the card is in {job.out}; the same command finishes the last measurement")
        raise


def _left(job: Job, first: Comparison, seconds: float) -> Budget | None:
    """Return what optimising may cost: the budget without what the last measurement may take.

    Raises:
        RunError: the first measurement is unfinished, nothing in it has a score, or nothing is left.
    """
    from emoagents.tuning.measure import left_for_search, spent_on

    budget = job.context.budget
    if first.outcome is not None and first.outcome.stopped_by:
        raise RunError(
            "the budget ended in the first measurement: the same command with a larger one goes on with what is "
            f"missing of {sum(map(len, job.sets.values()))} examples"
        )
    _check_any_scored(first)
    spent = spent_on(first)
    left = left_for_search(budget, spent, seconds)
    if left is not None and _is_used_up(left, spent):
        raise RunError(
            "the budget leaves nothing to optimise with: the first measurement took "
            f"{_in_words(first)}, and half as much again is kept back for the last; give a larger one"
        )
    return left


def _check_any_scored(first: Comparison) -> None:
    """See that there is a score to improve on.

    Raises:
        RunError: every run on dev failed, or none of its answers could be scored.
    """
    records = [record for record in first.records() if record.task == "dev"]
    if not any(record.scores for record in records):
        reason = next((record.error for record in records if record.error), "no verdict on an answer can be read")
        raise RunError(f"nothing was optimised, for none of {len(records)} dev examples could be scored: {reason}")


def _is_used_up(left: Budget, spent: Hold) -> bool:
    """Return whether what was spent leaves nothing of a budget that covers it, too."""
    used = ((left.calls, spent.calls), (left.tokens, spent.tokens), (left.usd, spent.usd), (left.seconds, 0.0))
    return any(limit is not None and limit <= amount and (limit == 0 or amount > 0) for limit, amount in used)


def _in_words(comparison: Comparison) -> str:
    from emoagents.tuning.measure import spent_on

    spent = spent_on(comparison)
    return f"{spent.calls:,.0f} calls, {spent.tokens:,.0f} tokens, ${spent.usd:.4g}"


def _remaining(budget: Budget | None, seconds: float) -> Budget | None:
    """Return the budget for the rest: what was paid is in the folder, what time has passed is not."""
    if budget is None or budget.seconds is None:
        return budget
    from dataclasses import replace

    return replace(budget, seconds=max(0.0, budget.seconds - seconds))


# -- optimising ------------------------------------------------------------------------------------------------------


def _optimised(job: Job, screen: Screen, left: Budget | None) -> Ending:
    from emoagents.evaluation.journal import CallJournal

    with closing(CallJournal(job.folder)) as journal:
        account = job.context.fresh(cache=journal, budget=left).pooled(journal.spent)
        if job.options.optimizer == "search":
            return searched(job, screen, account)
        return _compiled(job, screen, account)


def _compiled(job: Job, screen: Screen, account: Context) -> Ending:
    screen.begin("loading DSPy")
    from emoagents.integrations.dspy.optimize import Optimisation
    from emoagents.integrations.dspy.quiet import chatter_to

    o = job.options
    work = Optimisation(
        job.strategy,
        o.optimizer,
        train=job.train,
        dev=job.dev,
        metric=job.metric,
        context=account,
        reflection=None if job.reflection is None else _beside(account, job.reflection),
        effort=o.effort,
        demos=o.demos,
        seed=o.seed,
        folder=job.folder,
        on_progress=screen.progressed,
    )
    screen.spent = lambda: _spent(work.usage)
    screen.begin(o.optimizer)
    try:
        with chatter_to(job.folder / "optimizer.log"):
            tuned = work.run()
    except KeyboardInterrupt:
        say_interrupted(job, screen, Ending(tuned=work.best(), stopped_by="interrupted", progress=work.progress))
        raise
    return Ending(tuned=tuned, stopped_by=work.stopped_by, progress=work.progress)


def _beside(account: Context, other: Context) -> Context:
    """Return the other context's model on the account's cache and budget."""
    settings = ("model", "models", "temperature", "max_tokens", "stop", "api_base")
    return account.fresh(**{name: getattr(other, name) for name in settings})


def _spent(usage: Usage) -> str:
    dollars = "price unknown" if usage.cost_usd is None else f"${usage.cost_usd:.4g}"
    return f"{usage.calls:,} calls, {dollars}"
