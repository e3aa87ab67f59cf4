"""Optimisers of DSPy on strategies: which there are, how each is set up, and how it stops without losing its best.

    work = Optimisation(Heart(), "gepa", train=train, dev=dev, metric=make_metric("exact"), context=context)
    tuned = work.run()

What is optimised runs on `context.model` through emoagents' door, so with its cache, budget and ledger; nothing of DSPy
is configured for the process, and none of DSPy's caches is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import dspy
from dspy.utils.exceptions import AdapterParseError

from emoagents.context import Context
from emoagents.errors import MissingExtraError, ParameterError, RunError, UnknownNameError
from emoagents.evaluation.task import Item
from emoagents.integrations.dspy.engine import to_lm, usage_of
from emoagents.integrations.dspy.optimizers import COMPILE, OPTIMIZERS, without_limit
from emoagents.integrations.dspy.program import to_dspy
from emoagents.integrations.dspy.watch import Stop, Watch
from emoagents.model.ledger import Usage
from emoagents.strategies.base import Strategy
from emoagents.tuning.metrics import Metric
from emoagents.tuning.progress import OnProgress, Progress, Tally
from emoagents.tuning.prompts import signed

__all__ = ["EFFORTS", "OPTIMIZERS", "Effort", "Optimisation"]

Effort = Literal["light", "medium", "heavy"]
EFFORTS: tuple[Effort, ...] = get_args(Effort)

_SETTLE = 10.0
"""Seconds at most that runs in flight are waited for when it stops early."""
_SETTLE_INTERRUPTED = 0.5


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
    watch: Watch = field(init=False, repr=False)
    tally: Tally = field(init=False, repr=False)
    program: Any = field(init=False, repr=False)
    lm: Any = field(init=False, repr=False)
    reflecting: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._check()
        account = self.context if self.context.pool is not None else self.context.pooled()
        self.program = to_dspy(self.strategy, context=account)
        self.lm, self.reflecting = to_lm(account), to_lm((self.reflection or account).fresh())
        self.tally = Tally(self.on_progress)
        plain = self.optimizer == "bootstrap" and self.effort == "light"
        selection = 0 if plain or self.optimizer == "gepa" else len(self.dev)
        self.watch = Watch(self.tally, type(self.program), selection=selection, raises=not plain)
        self.watch.reflecting = self.reflecting.engine

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
        return self.tally.progress

    @property
    def stopped_by(self) -> str:
        """Why it ended: "complete", "perfect" (nothing can be better), "budget" or "interrupted"."""
        return self.watch.stopped or "complete"

    @property
    def usage(self) -> Usage:
        """What was used so far, by the strategy and the reflecting model together."""
        return usage_of(self.lm) + usage_of(self.reflecting)

    def best(self) -> Strategy:
        """Return the best variant so far; the strategy as it began where none is better.

        Texts that were changed have the source "optimised", which names the optimiser.
        """
        if self.watch.best is None:
            return self.strategy
        note = f"{self.optimizer} of DSPy {dspy.__version__}, {len(self.train)} examples, seed {self.seed}"
        return signed(self.strategy, self.watch.best.tuned(), note)

    def run(self) -> Strategy:
        """Optimise; return the best variant. Runs in this thread, and starts others.

        When the budget ends it stops, and what was best until then is returned: see `stopped_by`. After Ctrl-C,
        `best` tells it.

        Raises:
            RunError: nothing works: the first runs, or the metric on the first answers, all failed; or the optimiser
                itself did. UsageError: a mistake that no run would survive. KeyboardInterrupt: Ctrl-C.
        """
        watch = self.watch
        try:
            with dspy.context(lm=self.lm, callbacks=[watch], max_errors=without_limit(self), track_usage=False):
                COMPILE[self.optimizer](self)
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


def _require_optuna() -> None:
    import importlib.util

    if importlib.util.find_spec("optuna") is None:
        raise MissingExtraError("dspy", "mipro")
