"""How each of DSPy's optimisers is set up for a strategy."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import dspy

from emoagents.evaluation.task import Item
from emoagents.integrations.dspy.metric import as_dspy, dspy_metric, gepa_metric
from emoagents.integrations.dspy.proposer import proposer
from emoagents.integrations.dspy.watch import CountedMetric, Watch

if TYPE_CHECKING:
    from emoagents.integrations.dspy.optimize import Optimisation

__all__ = ["COMPILE", "OPTIMIZERS", "without_limit"]

_SETS = {"medium": 6, "heavy": 16}
"""Sets of demonstrations that `bootstrap` draws beside the first, and compares on the dev set."""

_GOOD = 0.7
"""Score from which a run may become a demonstration; of metrics that know right and wrong only, the right ones."""
_BOOTSTRAPPED = 4
"""Demonstrations at most that are runs of the strategy; the rest are examples as they stand."""


def without_limit(work: Optimisation) -> int:
    """Return more errors than there can be: DSPy gives up after 10, and says nothing of what was found until then."""
    return 1000 * (len(work.train) + len(work.dev))


def _examples(items: Sequence[Item]) -> list[Any]:
    return [as_dspy(item) for item in items]


def _most_labelled(work: Optimisation) -> int:
    """Return how many examples may stand among the demonstrations as they are.

    They have a question and an answer, which is what the prompt "ask" takes; of another prompt they would be half of a
    demonstration.
    """
    return work.demos if [name for name, _ in work.program.named_predictors()] == ["ask"] else 0


# -- bootstrap -------------------------------------------------------------------------------------------------------


class _WhileAffordable(list[Any]):
    """Examples that come to an end when the optimisation is stopped: so `BootstrapFewShot` keeps what it has."""

    def __init__(self, examples: Sequence[Any], watch: Watch) -> None:
        super().__init__(examples)
        self.watch = watch

    def __iter__(self) -> Iterator[Any]:
        for example in super().__iter__():
            if self.watch.is_over:
                return
            yield example


def _bootstrap(work: Optimisation) -> None:
    examples = _examples(work.train)
    random.Random(work.seed).shuffle(examples)  # DSPy takes them as they come, with no seed of its own
    settings = {
        "metric": dspy_metric(CountedMetric(work.metric, work.watch)),
        "metric_threshold": _GOOD,
        "max_bootstrapped_demos": min(_BOOTSTRAPPED, work.demos),
        "max_labeled_demos": _most_labelled(work),
        "max_errors": without_limit(work),
    }
    if work.effort == "light":
        work.tally.expect(len(examples))
        found = dspy.BootstrapFewShot(**settings).compile(work.program, trainset=_WhileAffordable(examples, work.watch))
        work.watch.best = found
        return
    sets = _SETS[work.effort]
    work.tally.expect((sets + 3) * len(work.dev) + (sets + 1) * len(examples))
    dspy.BootstrapFewShotWithRandomSearch(
        **settings, num_candidate_programs=sets, num_threads=work.context.concurrency, stop_at_score=100.0
    ).compile(work.program, trainset=examples, valset=_examples(work.dev))


# -- mipro -----------------------------------------------------------------------------------------------------------


def _mipro(work: Optimisation) -> None:
    optimizer = dspy.MIPROv2(
        metric=dspy_metric(CountedMetric(work.metric, work.watch)),
        prompt_model=work.reflecting,
        task_model=work.lm,
        auto=work.effort,
        max_bootstrapped_demos=min(_BOOTSTRAPPED, work.demos),
        max_labeled_demos=_most_labelled(work),
        num_threads=work.context.concurrency,
        max_errors=without_limit(work),
        metric_threshold=_GOOD,
        seed=work.seed,
        track_stats=False,
    )
    optimizer.compile(
        work.program,
        trainset=_examples(work.train),
        valset=_examples(work.dev),
        program_aware_proposer=False,  # it would read our Python, which says nothing of the prompts
    )


# -- gepa ------------------------------------------------------------------------------------------------------------


def _gepa(work: Optimisation) -> None:
    listener = _GepaListener(work)
    optimizer = dspy.GEPA(
        metric=gepa_metric(CountedMetric(work.metric, work.watch), work.program),
        auto=work.effort,
        reflection_lm=work.reflecting,
        instruction_proposer=proposer(),
        num_threads=work.context.concurrency,
        log_dir=None if work.folder is None else str(work.folder / "gepa"),
        warn_on_score_mismatch=False,
        seed=work.seed,
        gepa_kwargs={"stop_callbacks": [listener.is_over], "callbacks": [listener]},
    )
    listener.optimizer = optimizer
    optimizer.compile(work.program, trainset=_examples(work.train), valset=_examples(work.dev))


class _GepaListener:
    """Takes GEPA's scores, also those of the run that it goes on with."""

    optimizer: Any = None

    def __init__(self, work: Optimisation) -> None:
        self._work, self._taken = work, 0

    def is_over(self, state: Any) -> bool:
        """Return whether GEPA is to stop; asked before each round."""
        self._take(state)
        return self._work.watch.is_over

    def on_optimization_start(self, event: Any) -> None:
        self._work.tally.expect(self.optimizer.max_metric_calls)

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
        program = self._work.program.deepcopy()
        for name, predictor in program.named_predictors():
            predictor.signature = predictor.signature.with_instructions(
                texts.get(name, predictor.signature.instructions)
            )
        self._work.watch.scored(program, score)


COMPILE: dict[str, Callable[[Optimisation], None]] = {"gepa": _gepa, "mipro": _mipro, "bootstrap": _bootstrap}
OPTIMIZERS = tuple(COMPILE)
"""Optimisers of DSPy, by the names that the command line has for them."""
