"""What goes on inside a DSPy optimiser: runs and failures counted, the best variant kept, and how it is made to stop.

DSPy's `Evaluate` turns every exception into a score of 0, and its optimisers have no way to stop early. So this listens
to DSPy's callbacks, which see each run before that, and stops by an exception that nothing in DSPy catches.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from dspy.utils.callback import BaseCallback

from emoagents.errors import BudgetExceeded, EmoagentsError, MetricError, NoAnswerError, RunError, UsageError
from emoagents.evaluation.task import Item, Score
from emoagents.tuning.metrics import Metric
from emoagents.tuning.progress import HOPELESS, Tally
from emoagents.tuning.scoring import judged

__all__ = ["CountedMetric", "Stop", "Watch", "budget_ended"]

_MUTE = 3
"""Proposals that fail before any succeeds, until it gives up: a dead model takes its time over each."""

_LOOK = 0.02
"""Seconds."""
_AFTERWORD = 0.1
"""Seconds that a thread of DSPy's is given to log how its run ended."""


class Stop(BaseException):
    """Ends an optimiser. No Exception, for those DSPy takes for a failed example."""


class Watch(BaseCallback):  # type: ignore[misc]
    """Listens to one optimisation.

    Args:
        tally: is told of what happens.
        kind: the class of the programs that are optimised.
        selection: how many examples a variant is scored on before it counts; 0: scores are not taken from here.
        raises: stop by raising `Stop`; else who optimises looks at `is_over`.

    Attributes:
        best: the best variant so far, a copy; None before any was scored.
        stopped: "budget" once the budget ended, "interrupted" after Ctrl-C, "perfect" where nothing can be better.
        error: what made it give up.
        reflecting: the engine of the reflecting model, whose calls are watched.
    """

    def __init__(self, tally: Tally, kind: type, *, selection: int = 0, raises: bool = True) -> None:
        self.best: Any = None
        self.stopped = ""
        self.error: Exception | None = None
        self._tally, self._kind, self._selection, self._raises = tally, kind, selection, raises
        self.reflecting: Any = None
        self._proposals: set[str] = set()
        self._proposed = False
        self._runs: set[str] = set()
        self._evaluations: dict[str, Any] = {}
        self._lock = threading.Lock()

    # -- runs of the program -----------------------------------------------------------------------------------------

    def on_module_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        if not isinstance(instance, self._kind):
            return
        self.stop_here()  # what is still queued in DSPy's threads
        self._runs.add(call_id)

    def on_module_end(self, call_id: str, outputs: Any | None, exception: BaseException | None = None) -> None:
        if call_id not in self._runs:
            return
        self._runs.discard(call_id)
        if isinstance(exception, Exception):
            self._failed(exception)
        elif exception is None:
            self._tally.ran()
            if _stopped_by(outputs) == "budget":
                self.stopped = "budget"
        self.stop_here()

    @property
    def is_over(self) -> bool:
        """Whether the optimiser is to stop."""
        return bool(self.stopped or self.error)

    def stop_here(self) -> None:
        """Raise `Stop` if it is over."""
        if self._raises and self.is_over:
            raise Stop

    def settle(self, seconds: float) -> None:
        """Wait for runs that are in flight in DSPy's threads, so that what they log comes before the end."""
        ends = time.monotonic() + seconds
        while self._runs and time.monotonic() < ends:
            time.sleep(_LOOK)
        time.sleep(_AFTERWORD)

    def _failed(self, exception: Exception) -> None:
        if budget_ended(exception):
            self.stopped = "budget"
            return
        self._tally.ran(failed=_reason(exception))
        if isinstance(exception, UsageError):
            self.error = exception
        else:
            self._give_up_if_hopeless()

    def _give_up_if_hopeless(self) -> None:
        now = self._tally.progress
        if now.failed_runs.count == now.runs >= HOPELESS:
            self.error = RunError(f"the first {HOPELESS} runs all failed, as: {now.failed_runs.reasons[0]}")

    # -- scores of variants ------------------------------------------------------------------------------------------

    def on_evaluate_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        examples = inputs.get("devset") or instance.devset
        if self._selection and len(examples) == self._selection:
            self._evaluations[call_id] = inputs["program"]

    def on_evaluate_end(self, call_id: str, outputs: Any | None, exception: BaseException | None = None) -> None:
        program = self._evaluations.pop(call_id, None)
        if program is not None and outputs is not None:
            self.scored(program, outputs.score / 100)

    def scored(self, program: Any, score: float) -> None:
        """Take in a variant that was scored on all examples of selection."""
        with self._lock:
            if self._tally.scored(score):
                self.best = program.deepcopy()
            if score >= 1:
                self.stopped = self.stopped or "perfect"

    # -- calls of the reflecting model -------------------------------------------------------------------------------

    def on_lm_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        if self.reflecting is not None and getattr(instance, "engine", None) is self.reflecting:
            self.stop_here()  # DSPy asks a second time in another form
            self._proposals.add(call_id)

    def on_lm_end(self, call_id: str, outputs: Any | None, exception: BaseException | None = None) -> None:
        if call_id not in self._proposals:
            return
        self._proposals.discard(call_id)
        if exception is None:
            self._proposed = True
        elif budget_ended(exception):
            self.stopped = self.stopped or "budget"
        elif isinstance(exception, Exception):
            self._proposal_failed(_cause(exception))

    def _proposal_failed(self, exception: Exception) -> None:
        self._tally.proposal_failed(_reason(exception))
        if isinstance(exception, UsageError):
            self.error = exception
        elif not self._proposed and self._tally.progress.failed_proposals.count >= _MUTE:
            self.error = RunError(f"the reflecting model never answered: {_reason(exception)}")

    # -- the metric --------------------------------------------------------------------------------------------------

    def metric_failed(self, error: MetricError, scored: int) -> None:
        """Take in an answer that the metric failed on, and how many it has scored."""
        self._tally.metric_failed(str(error))
        if not scored and self._tally.progress.failed_metrics.count >= HOPELESS:
            self.error = error


class CountedMetric:
    """A metric whose failures are counted; it raises them as before."""

    def __init__(self, metric: Metric, watch: Watch) -> None:
        self._metric, self._watch, self._scored = metric, watch, 0

    @property
    def name(self) -> str:
        """The metric's name."""
        return self._metric.name

    def __call__(self, item: Item, answer: str) -> Score:
        """Return the score.

        Raises:
            MetricError: as the metric does, or it came to no verdict. Stop: it never worked.
        """
        try:
            score = judged(self._metric, item, answer)
        except MetricError as error:
            self._watch.metric_failed(error, self._scored)
            self._watch.stop_here()
            raise
        self._scored += 1
        return score


def budget_ended(error: BaseException | None) -> bool:
    """Return whether an error, or what it was made of, is the end of the budget."""
    seen: set[int] = set()
    queue = [error]
    while queue:
        one = queue.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, BudgetExceeded):
            return True
        queue += [one.__cause__, one.__context__, *(one.causes if isinstance(one, NoAnswerError) else ())]
    return False


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, RunError | UsageError) and text else f"{type(error).__name__}: {text}"


def _cause(error: Exception) -> Exception:
    """Return our own error where DSPy's was made of one."""
    one: BaseException | None = error
    while one is not None and not isinstance(one, EmoagentsError):
        one = one.__cause__ or one.__context__
    return one if isinstance(one, Exception) else error


def _stopped_by(outputs: Any) -> str | None:
    prediction = outputs[0] if isinstance(outputs, tuple) and outputs else outputs  # with its trace, while GEPA looks
    return getattr(prediction, "stopped_by", None)
