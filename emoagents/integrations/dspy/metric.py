"""Metrics and examples of ours as DSPy wants them: for GEPA with feedback, for other optimisers as a number."""

from __future__ import annotations

import hashlib
import json
import threading
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import dspy

from emoagents.errors import MetricError, ParameterError
from emoagents.evaluation.task import Item
from emoagents.result import Result
from emoagents.tuning.data import question_of
from emoagents.tuning.feedback import feedback
from emoagents.tuning.metrics import Metric
from emoagents.tuning.quotes import quoted
from emoagents.tuning.scoring import Failures, score_of

__all__ = ["GepaMetric", "NumberMetric", "as_dspy", "dspy_metric", "gepa_metric", "item_of"]

_REST = "dspy_item"
"""Field with what an Item has beside question and answer. DSPy leaves fields that begin with "dspy_" out of demos."""


# -- examples ---------------------------------------------------------------------------------------------------------


def as_dspy(item: Item) -> dspy.Example:
    """Return an example with the fields `question` and `answer` (the first target, "" where there is none).

    Its input is `question` where the conversation is one message of the user in plain text, else `messages`, a field
    that only such an example has. `item_of` gives the Item back.
    """
    rest = {
        "id": item.id,
        "targets": list(item.targets),
        "groups": dict(item.groups),
        "cluster": item.cluster,
        "data": dict(item.data),
    }
    fields: dict[str, Any] = {
        "question": question_of(item),
        "answer": next(iter(item.targets), ""),
        _REST: json.dumps(rest, ensure_ascii=False),
    }
    if _is_one_question(item.messages):
        return dspy.Example(**fields).with_inputs("question")
    return dspy.Example(**fields, messages=[dict(m) for m in item.messages]).with_inputs("messages")


def item_of(example: dspy.Example) -> Item:
    """Return the Item of an example: of `as_dspy`, or of your own with `question` (or `messages`) and `answer`.

    One of your own is named by a hash of what it asks and expects. Only the field `answer` becomes a target.
    """
    messages = tuple(example.get("messages") or [{"role": "user", "content": str(example.get("question", ""))}])
    answer = example.get("answer")
    known = {"targets": [] if answer is None else [str(answer)], **json.loads(example.get(_REST) or "{}")}
    return Item(
        id=known.get("id") or _named(messages, known["targets"]),
        messages=messages,
        targets=tuple(known["targets"]),
        groups=known.get("groups", {}),
        cluster=known.get("cluster", ""),
        data=known.get("data", {}),
    )


def _is_one_question(messages: Sequence[Mapping[str, Any]]) -> bool:
    return len(messages) == 1 and set(messages[0]) == {"role", "content"} and _is_plain(messages[0])


def _is_plain(message: Mapping[str, Any]) -> bool:
    return message["role"] == "user" and isinstance(message["content"], str)


def _named(messages: Sequence[Mapping[str, Any]], targets: Sequence[str]) -> str:
    whole = json.dumps([list(messages), list(targets)], sort_keys=True, default=str)
    return hashlib.sha256(whole.encode()).hexdigest()[:12]


# -- metrics ----------------------------------------------------------------------------------------------------------


class NumberMetric:
    """A metric of ours as `(example, pred, trace=None) -> float`. See `dspy_metric`.

    Attributes:
        failures: how often the metric itself failed, and why.
    """

    def __init__(self, metric: Metric, failures: Failures | None = None) -> None:
        self.metric = metric
        self.failures = failures or Failures()
        self._scores = _Scores()

    def __call__(self, example: dspy.Example, pred: dspy.Prediction, trace: object = None) -> float:
        """Return the score, 0 to 1.

        Raises:
            MetricError: the metric failed; it is counted. DSPy tells of it and goes on, up to its `max_errors`.
        """
        return self._score(example, pred)

    def _score(self, example: dspy.Example, pred: dspy.Prediction) -> float:
        known = self._scores.get(pred, example)
        if known is None:
            known = self._scored(item_of(example), str(pred.get("answer", "")))
            self._scores.put(pred, example, known)
        if isinstance(known, str):
            raise MetricError(known)
        return known

    def _scored(self, item: Item, answer: str) -> float | str:
        """Return the score, or why there is none."""
        try:
            return score_of(self.metric, item, answer, self.failures)
        except MetricError as error:
            return str(error)


class GepaMetric(NumberMetric):
    """A metric of ours as GEPA calls it, with feedback for each predictor. See `gepa_metric`."""

    def __init__(
        self, metric: Metric, failures: Failures | None = None, prompts: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(metric, failures)
        self._prompts = prompts or {}

    def __call__(
        self,
        gold: dspy.Example,
        pred: dspy.Prediction,
        trace: object = None,
        pred_name: str | None = None,
        pred_trace: object = None,
    ) -> float | dspy.Prediction:
        """Return the score; where a predictor is named, with feedback on its part in the run.

        Raises:
            MetricError: the metric failed; it is counted.
        """
        score = self._score(gold, pred)
        if pred_name is None:
            return score
        return dspy.Prediction(score=score, feedback=self._feedback(gold, pred, pred_name, score))

    def _feedback(self, gold: dspy.Example, pred: dspy.Prediction, pred_name: str, score: float) -> str:
        expected = next(iter(item_of(gold).targets), None)
        result = getattr(pred, "result", None)
        if isinstance(result, Result):
            return feedback(result, self._prompts.get(pred_name, pred_name), expected=expected, score=score)
        known = "" if expected is None else f" The expected answer: {quoted(expected)}."
        return f"The answer {quoted(str(pred.get('answer', '')))} has a score of {score:g} of 1.{known}"


def gepa_metric(metric: Metric, program: dspy.Module | None = None, *, failures: Failures | None = None) -> GepaMetric:
    """Return a metric for `dspy.GEPA`: `metric(gold, pred, trace=None, pred_name=None, pred_trace=None)`.

    It gives a float, and where GEPA names a predictor `dspy.Prediction(score=, feedback=)` with the same score: each
    prediction is scored once, so a metric that asks a judge is paid once and can't disagree with itself.

    Args:
        metric: of ours, see `emoagents.tuning.metrics.make_metric`.
        program: what is optimised: a program of `to_dspy`, or one with such a part whose predictions it returns. It
            tells which prompt a predictor is. Where a prediction is none of ours, feedback is its answer and score.
        failures: where failures of the metric are counted; its attribute `failures` else.

    Raises:
        ParameterError: the program has no predictors.
    """
    if program is not None and not program.predictors():
        raise ParameterError("the program has no predictors: there is no prompt that GEPA could improve")
    return GepaMetric(metric, failures, None if program is None else _prompts_of(program))


def dspy_metric(metric: Metric, *, failures: Failures | None = None) -> NumberMetric:
    """Return a metric for DSPy's other optimisers and `dspy.Evaluate`: `metric(example, pred, trace=None) -> float`.

    While demonstrations are bootstrapped, DSPy takes any score above 0 for a success: give those optimisers a
    `metric_threshold` where the metric has values between 0 and 1.

    Args:
        metric: of ours. failures: where failures of the metric are counted; its attribute `failures` else.
    """
    return NumberMetric(metric, failures)


def _prompts_of(program: dspy.Module) -> dict[str, str]:
    """Return the names of our prompts by those of the predictors, which differ where a module has such a name itself,
    or where our program is a part of another one."""
    names = {id(predictor): name for name, predictor in program.named_predictors()}
    ours = [module for _, module in program.named_sub_modules() if hasattr(module, "by_prompt")]
    known: dict[str, str] = {}
    for module in ours:  # the outermost comes first
        for prompt, predictor in module.by_prompt():
            known.setdefault(names[id(predictor)], prompt)
    return known


class _Scores:
    """Scores of predictions that are still alive; of one that can't be scored the reason."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[Any], dspy.Example, float | str]] = {}
        self._lock = threading.Lock()

    def get(self, pred: dspy.Prediction, example: dspy.Example) -> float | str | None:
        """Return the score that this prediction has for this example; None where none is known."""
        with self._lock:
            alive, of, score = self._known.get(id(pred), (None, None, 0.0))
        return score if alive is not None and alive() is pred and of is example else None

    def put(self, pred: dspy.Prediction, example: dspy.Example, score: float | str) -> None:
        """Keep a score as long as the prediction lives."""
        key = id(pred)
        with self._lock:
            self._known[key] = (weakref.ref(pred, lambda _: self._known.pop(key, None)), example, score)
