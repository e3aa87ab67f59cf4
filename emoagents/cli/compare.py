"""`emoagents compare`: arms on tasks, with what it costs and what it shows."""

from __future__ import annotations

import asyncio
import hashlib
import math
import os
import re
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoagents.cli import loading
from emoagents.cli.context import context_of, read_roles
from emoagents.cli.inputs import read_parameters
from emoagents.cli.options import CompareOptions
from emoagents.cli.tally import Tally
from emoagents.errors import ParameterError, UnknownNameError
from emoagents.evaluation.arms import split_arms

if TYPE_CHECKING:
    from emoagents.context import Context
    from emoagents.evaluation.arms import MadeArm
    from emoagents.evaluation.comparison import Comparison
    from emoagents.evaluation.record import Plan
    from emoagents.evaluation.remote import Setup, TaskRecipe
    from emoagents.evaluation.task import Task
    from emoagents.evaluation.work import Workers

__all__ = ["run_comparison"]

_MANY = 1000
"""Attempts from which several processes are worth their start."""
_PROCESSES = 4


def run_comparison(options: CompareOptions) -> int:
    """Compare, and print what it shows; return 0 if all attempts were made, else 1.

    Raises:
        UsageError: the caller's mistake. RunError: the model never answers.
    """
    from emoagents.evaluation.extra import require_evaluation

    require_evaluation()
    if options.engine not in ("local", "ray"):
        raise ParameterError(f"--engine is local or ray, not {options.engine!r}")
    if options.budget is not None and (options.engine == "ray" or (options.workers or 1) > 1):
        raise ParameterError("a budget is kept by one process: leave out --budget, or --workers and --engine ray")
    recipes = _recipes(options)
    tasks = _unique([task for recipe in recipes for task in recipe.load()])
    context = context_of(options, stop=tuple(options.stop), concurrency=options.concurrency)
    bench = _Bench(options, recipes, tasks, context)
    arms = _arms(options, [*split_arms(options.strategies or ""), *options.arms])
    _check_roles(context, arms)
    plan = bench.plan(arms)
    folder = _folder(options, plan)
    tally = Tally(folder)
    tally.headline(plan, arms)
    if options.dry_run:
        return 0
    if loading.needs_fetching(bench.context.door.name):
        loading.fetch()
    comparison = bench.compared(arms, plan, folder, tally)
    if options.equal_tokens and _whole(comparison, tally) and (more := _matched(bench, comparison)):
        tally.matched(more)
        known = {made.arm.label for made in arms}
        specs = [made.arm.label for made in arms] + [spec for spec in dict.fromkeys(more.values()) if spec not in known]
        arms = _arms(options, specs)
        comparison = bench.compared(arms, bench.plan(arms), folder, tally)
    return _told(comparison, tally, as_json=options.json)


def _whole(comparison: Comparison, tally: Tally) -> bool:
    """Return whether all attempts were made: costs of a part would match the wrong number of samples."""
    outcome = comparison.outcome
    whole = outcome is not None and not outcome.stopped_by and not outcome.failed
    if not whole:
        tally.unmatched()
    return whole


def _matched(bench: _Bench, comparison: Comparison) -> dict[str, str]:
    """Return the arm of equal tokens for each arm that draws several answers."""
    from emoagents.evaluation.matching import matched_samples

    backend = asyncio.run(bench.context.door.backend())
    found = matched_samples(comparison.plan, comparison.records(), native_n=backend.max_n > 1)
    return {arm: f"self_consistency:{samples}" for arm, samples in found.items()}


def _told(comparison: Comparison, tally: Tally, *, as_json: bool) -> int:
    """Write the report and print the table."""
    from emoagents.cli.report import print_and_write

    outcome = comparison.outcome
    assert outcome is not None
    findings = comparison.findings
    print_and_write(comparison.folder, comparison.plan, comparison.records, findings, as_json=as_json)
    tally.ending(comparison, outcome, findings)
    return 1 if findings.missing or any(row.failed for row in findings.arms) else 0


# -- what was asked for ----------------------------------------------------------------------------------------------


def _arms(options: CompareOptions, specs: list[str]) -> list[MadeArm]:
    from emoagents.evaluation.arms import make_arms

    return make_arms(specs, common=read_parameters(options.params), twins=options.twins)


def _check_roles(context: Context, arms: list[MadeArm]) -> None:
    """See that each --role is a role of an arm.

    Raises:
        ParameterError: no arm has roles. UnknownNameError: none has this one.
    """
    known = frozenset[str]().union(*(made.strategy.roles for made in arms))
    if context.models and not known:
        raise ParameterError(f"--role {next(iter(context.models))}: no arm has roles")
    for name in context.models:
        if name not in known:
            raise UnknownNameError("role", name, known)


def _recipes(options: CompareOptions) -> list[TaskRecipe]:
    from emoagents.evaluation.remote import TaskRecipe

    if not options.tasks:
        raise ParameterError("say what to compare on, as --task gsm8k or --task csv:FILE")
    return [
        TaskRecipe(
            spec=spec,
            data=None if options.data is None else str(options.data.absolute()),
            shots=options.shots,
            columns=_columns(options.columns),
            seed=options.seed,
            options=dict(read_parameters(options.task_options, "--task-option")),
        )
        for spec in options.tasks
    ]


def _columns(pairs: list[str]) -> dict[str, str]:
    return dict(read_parameters(pairs, "--column"))


def _unique(tasks: list[Task]) -> list[Task]:
    names = [task.name for task in tasks]
    for name in names:
        if names.count(name) > 1:
            raise ParameterError(f"task {name} is given twice")
    return tasks


def _settings(options: CompareOptions) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "shots": options.shots or None,
        "columns": _columns(options.columns) or None,
        "task_options": dict(read_parameters(options.task_options, "--task-option")) or None,
        "params": read_parameters(options.params) or None,
        "server": _digest(options.api_base) if options.api_base else None,
        "judge": options.judge,
    }
    return {name: value for name, value in settings.items() if value is not None}


def _command() -> str:
    return shlex.join(["emoagents", *map(_without_secrets, sys.argv[1:])])


def _without_secrets(word: str) -> str:
    """Return a word of the command line; an address loses what may be a password or a key."""
    if "://" not in word:
        return word
    scheme, _, rest = word.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _folder(options: CompareOptions, plan: Plan) -> Path:
    """Return where the comparison is kept; the same command finds it again."""
    from emoagents.evaluation.comparison import fingerprint

    return options.out or Path("comparisons") / f"{_slug(plan)}-{fingerprint(plan)}"


def _slug(plan: Plan) -> str:
    suites = dict.fromkeys(task.name.partition("/")[0] for task in plan.tasks)
    return re.sub(r"[^\w.-]+", "-", f"{'+'.join(suites)}-{plan.model}")[:80].strip("-")


# -- where it runs ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Bench:
    """Everything about a comparison but its arms."""

    options: CompareOptions
    recipes: list[TaskRecipe]
    tasks: list[Task]
    context: Context

    def plan(self, arms: list[MadeArm]) -> Plan:
        """Return the plan for these arms."""
        from emoagents.evaluation.comparison import make_plan

        o = self.options
        return make_plan(
            self.tasks,
            arms,
            self.context,
            baseline=o.baseline,
            limit=o.limit,
            replicas=o.replicas,
            seed=o.seed,
            settings=_settings(o),
            command=_command(),
        )

    def compared(self, arms: list[MadeArm], plan: Plan, folder: Path, tally: Tally) -> Comparison:
        """Make the attempts that are missing."""
        from emoagents.evaluation.comparison import compare

        with tally:
            return asyncio.run(
                compare(
                    self.tasks,
                    arms,
                    self.context,
                    folder,
                    plan=plan,
                    judge=self.judge(),
                    workers=self.workers(arms, folder, plan.attempts),
                    on_begin=tally.begin,
                    on_record=tally.add,
                )
            )

    def judge(self) -> Context | None:
        """Return the judge's settings: greedy, and without the budget, which is the arms'."""
        if self.options.judge is None:
            return None
        return self.context.fresh(
            model=self.options.judge, models={}, temperature=0.0, max_tokens=None, stop=(), api_base=None, budget=None
        )

    def workers(self, arms: list[MadeArm], folder: Path, attempts: int) -> Callable[[], Workers] | None:
        """Return what makes the workers; None where this process does the work itself."""
        size = self._size(attempts)
        if self.options.engine == "ray":
            from emoagents.integrations.ray import RayWorkers

            return lambda: RayWorkers(self._setup(arms, folder, size), size)
        if size == 1:
            return None
        from emoagents.evaluation.processes import Processes

        return lambda: Processes(self._setup(arms, folder, size), size)

    def _size(self, attempts: int) -> int:
        cores = os.cpu_count() or 1
        if self.options.workers is not None:
            if self.options.workers < 1:
                raise ParameterError(f"--workers must be at least 1, not {self.options.workers}")
            return self.options.workers
        if self.options.engine == "ray":
            return cores
        models = [self.context.door.name, *read_roles(self.options.roles).values()]
        local = any(name.startswith(("embedded/", "scripted/")) for name in models)  # the model itself uses the cores
        return 1 if local or attempts < _MANY or self.context.budget is not None else min(cores, _PROCESSES)

    def _setup(self, arms: list[MadeArm], folder: Path, size: int) -> Setup:
        from emoagents.evaluation.remote import Setup

        o = self.options
        common = {"seed": o.seed, "concurrency": math.ceil(o.concurrency / size), "api_base": o.api_base}
        return Setup(
            tasks=self.recipes,
            arms={made.arm.label: made.arm.spec for made in arms},
            context={
                **common,
                "model": self.context.door.name,
                "models": read_roles(o.roles),
                "temperature": o.temperature,
                "max_tokens": o.max_tokens,
                "stop": o.stop,
            },
            judge=None if o.judge is None else {**common, "model": o.judge, "temperature": 0.0, "api_base": None},
            folder=str(folder.absolute()),
        )
