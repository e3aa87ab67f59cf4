"""Optimisers of DSPy on strategies: which there are, how each is set up, and how it stops without losing its best.

    work = Optimisation(Heart(), "gepa", train=train, dev=dev, metric=make_metric("exact"), context=context)
    tuned = work.run()

What is optimised runs on `context.model` through emoagents' door, so with its cache, budget and ledger; nothing of DSPy
is configured for the process, and none of DSPy's caches is used.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import dspy
from dspy.utils.exceptions import AdapterParseError

from emoagents.context import Context
from emoagents.errors import MissingExtraError, ParameterError, RunError, UnknownNameError
from emoagents.evaluation.task import Item
from emoagents.integrations.dspy.engine import to_lm, usage_of
from emoagents.integrations.dspy.metric import as_dspy, dspy_metric, gepa_metric
from emoagents.integrations.dspy.program import to_dspy
from emoagents.integrations.dspy.proposer import proposer
from emoagents.integrations.dspy.watch import CountedMetric, Stop, Watch
from emoagents.model.ledger import Usage
from emoagents.strategies.base import Strategy
from emoagents.tuning.metrics import Metric
from emoagents.tuning.progress import OnProgress, Progress, Tally

__all__ = ["EFFORTS", "OPTIMIZERS", "Effort", "Optimisation"]

Effort = Literal["light", "medium", "heavy"]
EFFORTS: tuple[Effort, ...] = get_args(Effort)

_SETS = {"medium": 6, "heavy": 16}
"""Sets of demonstrations that `bootstrap` draws beside the first, and compares on the dev set."""

_SETTLE = 10.0
"""Seconds at most that runs in flight are waited for when it stops early."""
_SETTLE_INTERRUPTED = 0.5
_GOOD = 0.7
"""Score from which a run may become a demonstration; of metrics that know right and wrong only, the right ones."""
_BOOTSTRAPPED = 4
"""Demonstrations at most that are runs of the strategy; the rest are examples as they stand."""


@dataclass(slots=True)
class Optimisation:
    """One optimisation of one strategy.

    Args:
        strategy: what is optimised.
        optimizer: "gepa", "mipro" or "bootstrap".
        train: examples to learn from. dev: examples by which the best variant is selected; `bootstrap` with light
            effort selects nothing, and does not look at them.
        metric: what an answer is worth.
        context: the model, and what all may cost. To let several optimisations, or a measurement, draw on one budget,
            give a `pooled` one.
        reflection: the model that proposes new texts (gepa, mipro); None: the same.
        effort: how much is tried; docs/optimizing.md says what each means.
        demos: demonstrations at most of one prompt (bootstrap, mipro).
        seed: of all that is drawn.
        folder: where the optimiser keeps its state; GEPA goes on from there. GEPA's state file is a pickle: give only
            a folder of your own.
        on_progress: told of each run and each scored variant, from any thread.

    Raises:
        ParameterError: there are too few examples. CompositionError: there is no prompt to optimise. UnknownNameError:
            there is no such optimiser or effort. MissingExtraError: Optuna is not installed (mipro).
    """

    strategy: Strategy
    optimizer: str
    train: Sequence[Item]
    dev: Sequence[Item]
    metric: Metric
    context: Context
    reflection: Context | None = None
    effort: str = "light"
    demos: int = 8
    seed: int = 0
    folder: Path | None = None
    on_progress: OnProgress | None = None
    _watch: Watch = field(init=False, repr=False)
    _tally: Tally = field(init=False, repr=False)
    _program: Any = field(init=False, repr=False)
    _lm: Any = field(init=False, repr=False)
    _reflecting: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._check()
        account = self.context if self.context.pool is not None else self.context.pooled()
        self._program = to_dspy(self.strategy, context=account)
        self._lm, self._reflecting = to_lm(account), to_lm((self.reflection or account).fresh())
        self._tally = Tally(self.on_progress)
        plain = self.optimizer == "bootstrap" and self.effort == "light"
        selection = 0 if plain or self.optimizer == "gepa" else len(self.dev)
        self._watch = Watch(self._tally, type(self._program), selection=selection, raises=not plain)
        self._watch.reflecting = self._reflecting.engine

    def _check(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise UnknownNameError("optimizer", self.optimizer, OPTIMIZERS)
        if self.effort not in EFFORTS:
            raise UnknownNameError("effort", self.effort, EFFORTS)
        if self.demos < 0:
            raise ParameterError(f"demos must be 0 or more, not {self.demos}")
        if not self.demos and self.optimizer == "bootstrap":
            raise ParameterError("bootstrap finds demonstrations and nothing else: demos must be at least 1")
        if not self.train or not self.dev:
            raise ParameterError("an optimiser needs examples to learn from (train) and to select by (dev)")
        if self.optimizer == "mipro":
            _require_optuna()

    @property
    def progress(self) -> Progress:
        """How far it is."""
        return self._tally.progress

    @property
    def stopped_by(self) -> str:
        """Why it ended: "complete", "perfect" (nothing can be better), "budget" or "interrupted"."""
        return self._watch.stopped or "complete"

    @property
    def usage(self) -> Usage:
        """What was used so far, by the strategy and the reflecting model together."""
        return usage_of(self._lm) + usage_of(self._reflecting)

    def best(self) -> Strategy:
        """Return the best variant so far; the strategy as it began where none is better."""
        tuned: Strategy | None = None if self._watch.best is None else self._watch.best.tuned()
        return tuned or self.strategy

    def run(self) -> Strategy:
        """Optimise; return the best variant. Runs in this thread, and starts others.

        When the budget ends it stops, and what was best until then is returned: see `stopped_by`. After Ctrl-C,
        `best` tells it.

        Raises:
            RunError: nothing works: the first runs, or the metric on the first answers, all failed; or the optimiser
                itself did. UsageError: a mistake that no run would survive. KeyboardInterrupt: Ctrl-C.
        """
        watch = self._watch
        try:
            with dspy.context(lm=self._lm, callbacks=[watch], max_errors=_without_limit(self), track_usage=False):
                _COMPILE[self.optimizer](self)
        except Stop:
            watch.settle(_SETTLE)
        except KeyboardInterrupt:
            watch.stopped = "interrupted"  # what is queued in DSPy's threads ends there
            watch.settle(_SETTLE_INTERRUPTED)
            raise
        except Exception as error:
            if not watch.stopped and watch.error is None:
                raise _failed(self.optimizer, error) from error
        if watch.error is not None:
            raise watch.error
        return self.best()


def _failed(optimizer: str, error: Exception) -> RunError:
    if isinstance(error, AdapterParseError):
        said = " ".join(str(error.lm_response).split())[:200]
        return RunError(
            f"{optimizer}: the reflecting model did not answer in the form that it was asked for, but {said!r}: "
            "take a stronger one"
        )
    return RunError(f"{optimizer} failed: {type(error).__name__}: {' '.join(str(error).split())[:500]}")


def _without_limit(work: Optimisation) -> int:
    """Return more errors than there can be: DSPy gives up after 10, and says nothing of what was found until then."""
    return 1000 * (len(work.train) + len(work.dev))


def _require_optuna() -> None:
    import importlib.util

    if importlib.util.find_spec("optuna") is None:
        raise MissingExtraError("dspy", "mipro")


def _examples(items: Sequence[Item]) -> list[Any]:
    return [as_dspy(item) for item in items]


def _most_labelled(work: Optimisation) -> int:
    """Return how many examples may stand among the demonstrations as they are.

    They have a question and an answer, which is what the prompt "ask" takes; of another prompt they would be half of a
    demonstration.
    """
    return work.demos if [name for name, _ in work._program.named_predictors()] == ["ask"] else 0


# -- bootstrap -------------------------------------------------------------------------------------------------------


class _WhileAffordable(list[Any]):
    """Examples that come to an end when the optimisation is stopped: so `BootstrapFewShot` keeps what it has."""

    def __init__(self, examples: Sequence[Any], watch: Watch) -> None:
        super().__init__(examples)
        self._watch = watch

    def __iter__(self) -> Iterator[Any]:
        for example in super().__iter__():
            if self._watch.is_over:
                return
            yield example


def _bootstrap(work: Optimisation) -> None:
    examples = _examples(work.train)
    random.Random(work.seed).shuffle(examples)  # DSPy takes them as they come, with no seed of its own
    settings = {
        "metric": dspy_metric(CountedMetric(work.metric, work._watch)),
        "metric_threshold": _GOOD,
        "max_bootstrapped_demos": min(_BOOTSTRAPPED, work.demos),
        "max_labeled_demos": _most_labelled(work),
        "max_errors": _without_limit(work),
    }
    if work.effort == "light":
        work._tally.expect(len(examples))
        found = dspy.BootstrapFewShot(**settings).compile(
            work._program, trainset=_WhileAffordable(examples, work._watch)
        )
        work._watch.best = found
        return
    sets = _SETS[work.effort]
    work._tally.expect((sets + 3) * len(work.dev) + (sets + 1) * len(examples))
    dspy.BootstrapFewShotWithRandomSearch(
        **settings, num_candidate_programs=sets, num_threads=work.context.concurrency, stop_at_score=100.0
    ).compile(work._program, trainset=examples, valset=_examples(work.dev))


# -- mipro -----------------------------------------------------------------------------------------------------------


def _mipro(work: Optimisation) -> None:
    optimizer = dspy.MIPROv2(
        metric=dspy_metric(CountedMetric(work.metric, work._watch)),
        prompt_model=work._reflecting,
        task_model=work._lm,
        auto=work.effort,
        max_bootstrapped_demos=min(_BOOTSTRAPPED, work.demos),
        max_labeled_demos=_most_labelled(work),
        num_threads=work.context.concurrency,
        max_errors=_without_limit(work),
        metric_threshold=_GOOD,
        seed=work.seed,
        track_stats=False,
    )
    optimizer.compile(
        work._program,
        trainset=_examples(work.train),
        valset=_examples(work.dev),
        program_aware_proposer=False,  # it would read our Python, which says nothing of the prompts
    )


# -- gepa ------------------------------------------------------------------------------------------------------------


def _gepa(work: Optimisation) -> None:
    listener = _GepaListener(work)
    optimizer = dspy.GEPA(
        metric=gepa_metric(CountedMetric(work.metric, work._watch), work._program),
        auto=work.effort,
        reflection_lm=work._reflecting,
        instruction_proposer=proposer(),
        num_threads=work.context.concurrency,
        log_dir=None if work.folder is None else str(work.folder / "gepa"),
        warn_on_score_mismatch=False,
        seed=work.seed,
        gepa_kwargs={"stop_callbacks": [listener.is_over], "callbacks": [listener]},
    )
    listener.optimizer = optimizer
    optimizer.compile(work._program, trainset=_examples(work.train), valset=_examples(work.dev))


class _GepaListener:
    """Takes GEPA's scores, also those of the run that it goes on with."""

    optimizer: Any = None

    def __init__(self, work: Optimisation) -> None:
        self._work, self._taken = work, 0

    def is_over(self, state: Any) -> bool:
        """Return whether GEPA is to stop; asked before each round."""
        self._take(state)
        return self._work._watch.is_over

    def on_optimization_start(self, event: Any) -> None:
        self._work._tally.expect(self.optimizer.max_metric_calls)

    def on_valset_evaluated(self, event: Any) -> None:
        """Take in a variant at once: a stop may come before the next round."""
        if event["candidate_idx"] == self._taken and event["num_examples_evaluated"] == event["total_valset_size"]:
            self._scored(event["candidate"], event["average_score"])

    def _take(self, state: Any) -> None:
        for texts, score in list(zip(state.program_candidates, state.program_full_scores_val_set, strict=False))[
            self._taken :
        ]:
            self._scored(texts, score)

    def _scored(self, texts: dict[str, str], score: float) -> None:
        self._taken += 1
        program = self._work._program.deepcopy()
        for name, predictor in program.named_predictors():
            predictor.signature = predictor.signature.with_instructions(
                texts.get(name, predictor.signature.instructions)
            )
        self._work._watch.scored(program, score)


_COMPILE: dict[str, Callable[[Optimisation], None]] = {"gepa": _gepa, "mipro": _mipro, "bootstrap": _bootstrap}
OPTIMIZERS = tuple(_COMPILE)
"""Optimisers of DSPy, by the names that the command line has for them."""
