"""What `emoagents optimize` sets out to do, all of it checked before anything is paid."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import math
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from emoagents.cli.context import check_roles, context_of
from emoagents.cli.inputs import checked_text, read_parameters
from emoagents.cli.optimize_options import OptimizeOptions
from emoagents.errors import MissingExtraError, ParameterError, UnknownNameError, UsageError

if TYPE_CHECKING:
    from emoagents.context import Context
    from emoagents.evaluation.task import Item
    from emoagents.strategies.base import Strategy
    from emoagents.tuning.choices import Choices
    from emoagents.tuning.metrics import Metric

__all__ = ["OPTIMIZERS", "Job", "make_job"]

OPTIMIZERS = ("gepa", "mipro", "bootstrap", "search")
_EFFORTS = ("light", "medium", "heavy")
_DEV_SHARE = 1 / 3
_MEASURED = 2.5
"""Once before, once after, and the half of it that is kept back for longer answers."""
_STATE = "card.sha256"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """An optimisation that can begin.

    Attributes:
        train, dev, test: examples. split: dev was drawn from train.
        reflection: the context of the model that proposes texts; None where nothing is proposed.
        folder: where all is kept that makes going on possible, beside the card.
        choices: for search, from names to the values that are tried, or names whose values the cards declare.
    """

    options: OptimizeOptions
    strategy: Strategy
    metric: Metric
    train: list[Item]
    dev: list[Item]
    test: list[Item]
    split: bool
    context: Context
    reflection: Context | None
    out: Path
    folder: Path
    choices: Choices

    @property
    def selects_on_dev(self) -> bool:
        """Whether the best variant is chosen by its score on dev, which flatters what is measured there."""
        light = self.options.optimizer == "bootstrap" and self.options.effort == "light"
        return self.options.optimizer != "search" and not light

    @property
    def sets(self) -> dict[str, list[Item]]:
        """What is measured before and after."""
        return {"dev": self.dev, **({"test": self.test} if self.test else {})}

    def wrote(self) -> None:
        """Remember what was written to --out, so that the same command may write it again."""
        (self.folder / _STATE).write_text(_sha(self.out) + "\n", encoding="utf-8")


def make_job(options: OptimizeOptions) -> Job:
    """Read and check everything.

    Raises:
        UsageError: the caller's mistake, in one sentence.
    """
    from emoagents.evaluation.extra import require_evaluation
    from emoagents.tuning.data import check_apart

    _check_names(options)
    require_evaluation()
    out = _out(options)
    strategy, context = _strategy(options), _context(options)
    check_roles(strategy, context)
    _check_prompts(options, strategy)
    choices = _choices(options, strategy, context)
    metric, (train, dev, test) = _metric_and_items(options)
    split = options.dev is None
    check_apart(train=train, dev=dev, **({"test": test} if test else {}))
    reflection = _reflection(options, context)
    folder = out.parent / f"{out.stem}-{_fingerprint(options, strategy, metric, context, reflection, train, dev, test)}"
    _check_out(out, folder, options.force)
    job = Job(
        options=options,
        strategy=strategy,
        metric=metric,
        train=train,
        dev=dev,
        test=test,
        split=split,
        context=context,
        reflection=reflection,
        out=out,
        folder=folder,
        choices=choices,
    )
    _check_affordable(job)
    return job


def _check_names(options: OptimizeOptions) -> None:
    if options.optimizer not in OPTIMIZERS:
        raise UnknownNameError("optimizer", options.optimizer, OPTIMIZERS)
    if options.effort not in _EFFORTS:
        raise UnknownNameError("effort", options.effort, _EFFORTS)
    if options.strategy is None:
        raise ParameterError("say what to optimise, as --strategy heart")
    if options.train is None:
        raise ParameterError("say what to learn from, as --train train.jsonl: rows with an input and a target")
    if options.out is None:
        raise ParameterError("say where the card goes, as --out my.toml")
    if options.demos < 0:
        raise ParameterError(f"--demos must be 0 or more, not {options.demos}")
    if options.choices and options.optimizer != "search":
        raise ParameterError(f"--choice is for --optimizer search; {options.optimizer} changes prompts")
    if options.reflection_model and options.optimizer not in ("gepa", "mipro"):
        raise ParameterError(f"--reflection-model: {options.optimizer} proposes no texts, so it needs none")
    if options.optimizer != "search" and importlib.util.find_spec("dspy") is None:
        raise MissingExtraError("dspy", f"--optimizer {options.optimizer}")


# -- the strategy and the models -------------------------------------------------------------------------------------


def _strategy(options: OptimizeOptions) -> Strategy:
    from emoagents.registry import strategy

    parameters: dict[str, Any] = dict(read_parameters(options.params))
    if options.card is not None:
        parameters.setdefault("card", options.card)
    assert options.strategy is not None
    return strategy(options.strategy, **parameters)


def _context(options: OptimizeOptions) -> Context:
    return context_of(cast(Any, options), concurrency=options.concurrency)


def _reflection(options: OptimizeOptions, context: Context) -> Context | None:
    """Return the context of the reflecting model, at the provider's own temperature: it is to have ideas."""
    if options.optimizer not in ("gepa", "mipro"):
        return None
    from emoagents.model.role import Role

    changes: dict[str, Any] = {"models": {}, "temperature": None, "max_tokens": None, "stop": ()}
    if options.reflection_model is not None:
        other = Role(model=checked_text(options.reflection_model, "--reflection-model"))
        changes |= other.over(context)  # as roles do: --api-base holds for models of the same provider
    return context.fresh(**changes)


# -- the examples ----------------------------------------------------------------------------------------------------


def _metric_and_items(options: OptimizeOptions) -> tuple[Metric, tuple[list[Item], list[Item], list[Item]]]:
    from emoagents.tuning.data import split
    from emoagents.tuning.metrics import METRICS, make_metric

    name = options.metric or "exact"
    metric = make_metric(checked_text(name, "--metric"))
    columns = dict(read_parameters(options.columns, "--column"))
    own = name if name in METRICS else None
    sets = {"train": options.train, "dev": options.dev, "test": options.test}
    train, dev, test = (_items(part, source, columns, own) for part, source in sets.items())
    if options.dev is None:
        train, dev = split(train, _DEV_SHARE, options.seed)
    return metric, (train, dev, test)


def _items(part: str, source: str | None, columns: Mapping[str, str], metric: str | None) -> list[Item]:
    """Return the examples of a file, whose ids say which part they are of: rows of two files go by the same number."""
    from emoagents.tuning.data import read_items

    if source is None:
        return []
    found = read_items(checked_text(source, "a file's name"), columns=columns, metric=metric)
    return [replace(item, id=f"{part} {item.id}") for item in found]


def _choices(options: OptimizeOptions, strategy: Strategy, context: Context) -> Choices:
    """Return what a search tries; settings of the model are left out, for a card holds none."""
    from emoagents.tuning.choice_table import is_setting
    from emoagents.tuning.choices import configurations, declared_choices

    if options.optimizer != "search":
        return ()
    given = read_parameters(options.choices, "--choice")
    if any(map(is_setting, given)):
        raise ParameterError("--choice: a card holds no settings of the model, as temperature; compare those yourself")
    found: Choices = {name: _values(strategy, name, text) for name, text in given.items()}
    found = found or [name for name in declared_choices(strategy) if not is_setting(name)]
    if not found:
        raise ParameterError(f"{strategy.title} declares no choices: say what to try, as --choice samples=3,5,9")
    configurations(strategy, context, found)
    return found


def _values(strategy: Strategy, name: str, text: str) -> list[str | None]:
    """Read values to try; "none" is none where the parameter may be None."""
    from emoagents.tuning.places import checked_value, place_of

    parts: list[str | None] = [part.strip() for part in text.split(",")]
    if "none" in parts:
        with contextlib.suppress(UsageError):
            checked_value(strategy, place_of(strategy, name), name, None)
            return [None if part == "none" else part for part in parts]
    return parts


def _check_prompts(options: OptimizeOptions, strategy: Strategy) -> None:
    from emoagents.tuning.prompts import prompts_of

    if options.optimizer != "search" and not prompts_of(strategy):
        raise ParameterError(f"{strategy.title} asks no model by a prompt of its card: there is nothing to optimise")
    if options.optimizer == "bootstrap" and not options.demos:
        raise ParameterError("bootstrap finds demonstrations and nothing else: --demos must be at least 1")


# -- where it goes ---------------------------------------------------------------------------------------------------


def _out(options: OptimizeOptions) -> Path:
    assert options.out is not None
    out = options.out.expanduser()
    if out.suffix != ".toml":
        raise ParameterError(f"--out {out}: a card's name ends in .toml")
    if not out.parent.is_dir():
        raise ParameterError(f"--out {out}: there is no folder {out.parent}")
    if out.is_dir():
        raise ParameterError(f"--out {out}: this is a folder")
    try:
        tempfile.TemporaryFile(dir=out.parent).close()
    except OSError as error:
        raise ParameterError(f"--out {out}: can't write to the folder {out.parent}: {error.strerror}") from None
    return out


def _check_out(out: Path, folder: Path, force: bool) -> None:
    """See that nothing is overwritten but what the same command wrote before.

    Raises:
        ParameterError: there is another file.
    """
    if force or not out.exists():
        return
    state = folder / _STATE
    if not state.exists() or state.read_text(encoding="utf-8").strip() != _sha(out):
        raise ParameterError(f"--out {out} is there already: choose another name, or add --force to overwrite it")


def _sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _fingerprint(
    options: OptimizeOptions,
    strategy: Strategy,
    metric: Metric,
    context: Context,
    reflection: Context | None,
    *sets: list[Item],
) -> str:
    """Return 8 hex digits of all that decides the outcome but the budget: a command with a larger one goes on."""
    from emoagents.evaluation.content import context_digests, strategy_digest

    whole = [
        [strategy.title, repr(sorted(read_parameters(options.params).items())), strategy_digest(strategy)],
        [options.optimizer, options.effort, options.demos, sorted(options.choices), options.seed],
        [metric.name, _code_of(metric)],
        [context.door.name, options.temperature, options.max_tokens, options.api_base, context_digests(context)],
        [None if reflection is None else reflection.door.name, sorted(options.roles)],
        [[[i.id, i.messages, i.targets] for i in items] for items in sets],
    ]
    return hashlib.sha256(json.dumps(whole, default=str).encode()).hexdigest()[:8]


def _code_of(metric: Metric) -> str | None:
    """Return a digest of the file that a metric of the user's stands in: another metric means other scores."""
    source = getattr(metric, "source", None)
    return _sha(source) if isinstance(source, Path) and source.is_file() else None


def _check_affordable(job: Job) -> None:
    """See that no limit is 0, and that the budget's calls reach for measuring twice at one call an example.

    Raises:
        ParameterError: they do not.
    """
    if job.context.budget is not None and (nothing := [k for k, v in asdict(job.context.budget).items() if v == 0]):
        raise ParameterError(f"--budget {nothing[0]}=0 leaves nothing to measure or to optimise with")
    budget, items = job.context.budget, sum(map(len, job.sets.values()))
    least = math.ceil(_MEASURED * items)
    if budget is not None and budget.calls is not None and budget.calls <= least:
        raise ParameterError(
            f"--budget calls={budget.calls} is too small: measuring {items} examples before and after takes up to "
            f"{least} calls at one call each, and optimising comes on top"
        )
