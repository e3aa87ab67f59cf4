"""GEPA without DSPy: the prompts of any strategy optimised by the package `gepa` alone (arXiv 2507.19457).

    import gepa
    from emoagents.integrations.gepa import StrategyAdapter, TEMPLATE, reflect_with, texts_of

    adapter = StrategyAdapter(strategy, "exact", context)
    found = gepa.optimize(
        seed_candidate=texts_of(strategy), trainset=items, valset=others, adapter=adapter,
        reflection_lm=reflect_with(stronger), reflection_prompt_template=TEMPLATE,
        max_metric_calls=200, stop_callbacks=adapter.out_of_budget,
    )
    tuned = adapter.strategy_of(found.best_candidate)

Needs the package `gepa`, which the extra `dspy` brings.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emoagents.context import Context
from emoagents.errors import BudgetExceeded, MetricError, MissingExtraError, RunError
from emoagents.evaluation.task import Item
from emoagents.model.loop import run_sync
from emoagents.model.request import Message
from emoagents.result import Result
from emoagents.state import text_of
from emoagents.strategies.base import Strategy
from emoagents.strategies.plain import Plain
from emoagents.together import together
from emoagents.tuning.data import question_of
from emoagents.tuning.feedback import calls_of, feedback, feedback_of_error
from emoagents.tuning.guidance import GUIDANCE
from emoagents.tuning.metrics import Metric, Rule, make_metric
from emoagents.tuning.prompts import as_template, prompts_of, with_prompts
from emoagents.tuning.quotes import quoted
from emoagents.tuning.scoring import Failures, score_of

try:
    from gepa.core.adapter import EvaluationBatch, GEPAAdapter
    from gepa.strategies.instruction_proposal import InstructionProposalSignature
except ImportError:
    raise MissingExtraError("dspy", "GEPA") from None

__all__ = ["TEMPLATE", "StrategyAdapter", "Trajectory", "reflect_with", "texts_of"]

_SHOWN = 3000
"""Characters of what was sent to a model and of what it answered that reflection is shown."""
_CALLS = 3

TEMPLATE = InstructionProposalSignature.default_prompt_template.replace(
    "Provide the new instructions within", f"{GUIDANCE}\n\nProvide the new instructions within"
)
"""GEPA's own prompt for reflection with a word of ours on templates, for `reflection_prompt_template=`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectory:
    """What became of one example.

    Attributes:
        result: of its run; None where that failed. error: why it failed, or why its answer could not be scored.
        score: 0 where either failed.
    """

    item: Item
    result: Result | None
    error: RunError | None
    score: float


def texts_of(strategy: Strategy) -> dict[str, str]:
    """Return what GEPA begins with: the texts of a strategy's prompts by name, as "ask", "solver.synthesize"."""
    return {name: prompt.text for name, prompt in prompts_of(strategy).items()}


class StrategyAdapter(GEPAAdapter[Item, Trajectory, str | None]):
    """Lets GEPA run a strategy with other texts, and read why it failed.

    The runs of a batch go side by side, `context.concurrency` at most, and all runs draw on one budget. A run or a
    metric that fails counts as 0 and is counted in `failures`.

    Args:
        strategy: what is optimised.
        metric: of ours, a metric's name, or a function of an Item and an answer.
        context: model and settings. Give it `pooled` where others shall draw on the same budget, as `reflect_with`.

    Attributes:
        failures: of runs and of the metric: `count`, and `reasons`.

    Raises:
        UsageError: the metric's name is wrong, or the context has a role that the strategy has not.
    """

    propose_new_texts = None

    def __init__(self, strategy: Strategy, metric: Metric | Rule | str, context: Context) -> None:
        strategy.check_roles(context)
        self._strategy = strategy
        self._prompts = prompts_of(strategy)
        self._metric = make_metric(metric)
        self._context = context if context.pool is not None else context.pooled()
        self._ended = False
        self._scored = False
        self.failures = Failures()

    def strategy_of(self, candidate: Mapping[str, str]) -> Strategy:
        """Return the strategy with these texts, each made a valid template.

        Raises:
            UnknownNameError: a name is none of its prompts'.
        """
        known = self._prompts
        tuned = {
            name: known[name].model_copy(update={"text": as_template(text, known[name]), "source": "tuned"})
            if name in known and text != known[name].text
            else known.get(name)
            for name, text in candidate.items()
        }
        return with_prompts(self._strategy, tuned)  # type: ignore[arg-type]  # it says which name is wrong

    def out_of_budget(self, state: object = None) -> bool:
        """Whether the budget is used up: for GEPA's `stop_callbacks`, so that it ends with the best it has."""
        return self._ended

    # -- what GEPA calls ---------------------------------------------------------------------------------------------

    def evaluate(
        self, batch: list[Item], candidate: dict[str, str], capture_traces: bool = False
    ) -> EvaluationBatch[Trajectory, str | None]:
        """Run the strategy with a candidate's texts on items.

        Raises:
            UsageError: nothing can run like this, as without a key. MetricError: the metric failed on every item, and
                has worked on none before.
        """
        strategy = self.strategy_of(candidate)
        found = run_sync(lambda: self._run_all(strategy, batch))
        self._check_metric(found)
        return EvaluationBatch(
            outputs=[None if one.result is None else one.result.answer for one in found],
            scores=[one.score for one in found],
            trajectories=found if capture_traces else None,
        )

    def make_reflective_dataset(
        self,
        candidate: dict[str, str],
        eval_batch: EvaluationBatch[Trajectory, str | None],
        components_to_update: list[str],
    ) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """Return for each prompt what it was asked and answered on each item, with feedback."""
        found = eval_batch.trajectories or []
        return {name: [_record(one, name) for one in found] for name in components_to_update}

    # -- runs --------------------------------------------------------------------------------------------------------

    async def _run_all(self, strategy: Strategy, batch: Sequence[Item]) -> list[Trajectory]:
        free = asyncio.Semaphore(self._context.concurrency)

        async def one(item: Item) -> Trajectory:
            async with free:
                return await self._run(strategy, item)

        return await together(one(item) for item in batch)

    async def _run(self, strategy: Strategy, item: Item) -> Trajectory:
        try:
            result = await strategy.arun(list(item.messages), context=self._context)
        except RunError as error:
            self._ended = self._ended or isinstance(error, BudgetExceeded)
            self.failures.add(error)
            return Trajectory(item=item, result=None, error=error, score=0.0)
        self._ended = self._ended or result.stopped_by == "budget"
        try:  # a metric may take its time, or run a strategy itself
            score = await asyncio.to_thread(score_of, self._metric, item, result.answer, self.failures)
        except MetricError as error:
            return Trajectory(item=item, result=result, error=error, score=0.0)
        self._scored = True
        return Trajectory(item=item, result=result, error=None, score=score)

    def _check_metric(self, found: Sequence[Trajectory]) -> None:
        errors = [one.error for one in found if isinstance(one.error, MetricError)]
        if errors and len(errors) == len(found) and not self._scored:
            raise errors[0]


def reflect_with(context: Context, *, failures: Failures | None = None) -> Callable[[str | list[Message]], str]:
    """Return a function that asks the context's model once, for GEPA's `reflection_lm=`.

    Each call is a sample of its own, so that the same prompt may bring another proposal; with a cache, a second run of
    the same work makes no call.

    Args:
        context: of the model that reflects. Its budget is one for all calls; where it is `pooled`, that of the pool.
        failures: where calls that fail are counted; GEPA tells of them in its log and goes on.

    The function raises RunError where the model does not answer.
    """
    account, ask = context if context.pool is not None else context.pooled(), Plain()
    asked: dict[str, int] = {}

    def reflect(prompt: str | list[Message]) -> str:
        messages: Any = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        key = str(prompt)
        asked[key] = asked.get(key, -1) + 1
        try:
            return ask.run(messages, context=account.fresh(replica=asked[key])).answer
        except RunError as error:
            if failures is not None:
                failures.add(error)
            raise

    return reflect


# -- what reflection is shown ----------------------------------------------------------------------------------------


def _record(one: Trajectory, name: str) -> dict[str, Any]:
    calls = [] if one.result is None else calls_of(one.result, name)[:_CALLS]
    expected = next(iter(one.item.targets), None)
    if one.result is None:
        said = feedback_of_error(one.error or RunError("the run failed"), name, expected=expected)
    else:
        score = one.score if one.error is None else None
        said = feedback(one.result, name, expected=expected, score=score)
    if one.result is not None and one.error is not None:
        said = f"{said}\n\nThe answer could not be scored: {quoted(str(one.error))}."
    return {
        "Inputs": {"question": quoted(question_of(one.item), _SHOWN), **_sent(calls)},
        "Generated Outputs": _answered(calls),
        "Feedback": said,
    }


def _sent(calls: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return what the first call put to the model: the template, filled."""
    users = [m for m in calls[0]["prompt"] if m.get("role") == "user"] if calls else []
    return {"sent": quoted(text_of(users[-1]), _SHOWN)} if users else {}


def _answered(calls: Sequence[Mapping[str, Any]]) -> str:
    texts = [quoted(a["text"], _SHOWN // _CALLS) for call in calls for a in call["answers"][:_CALLS]]
    return "\n".join(texts[:_CALLS]) or "(no answer)"
