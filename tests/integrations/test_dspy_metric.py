"""Metrics and examples of ours as DSPy calls them: by hand, by Evaluate, by GEPA."""

from __future__ import annotations

import gc
import json
import logging
import weakref
from typing import Any

import pytest

dspy = pytest.importorskip("dspy", reason="the extra 'dspy' is not installed")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from emoagents import Context, Heart, ScriptedModel, SelfAggregation  # noqa: E402
from emoagents.errors import MetricError, ParameterError  # noqa: E402
from emoagents.evaluation.task import Item, Score  # noqa: E402
from emoagents.integrations.dspy import to_dspy, to_lm  # noqa: E402
from emoagents.integrations.dspy.metric import as_dspy, dspy_metric, gepa_metric, item_of  # noqa: E402
from emoagents.integrations.dspy.proposer import proposer  # noqa: E402
from emoagents.strategies.base import Strategy  # noqa: E402
from emoagents.strategies.plain import Plain  # noqa: E402
from emoagents.tuning.metrics import make_metric  # noqa: E402
from emoagents.tuning.scoring import Failures  # noqa: E402

WORD = "step by step"
DIGITS = {"one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6"}


def question(name: str) -> str:
    return f"Write {name} as a digit."


def item(name: str = "one", *, target: str | None = None, **more: Any) -> Item:
    messages = ({"role": "user", "content": question(name)},)
    return Item(id=name, messages=messages, targets=(target or DIGITS[name],), **more)


def solving() -> ScriptedModel:
    """Right only where the instruction has the word in it."""

    def answer(messages: list[dict[str, Any]]) -> str:
        text = "\n".join(str(m["content"]) for m in messages)
        name = next(name for name in DIGITS if f"Write {name} as" in text)
        return DIGITS[name] if WORD in text else "I do not know."

    return ScriptedModel(answer)


def program_of(strategy: Strategy, answers: Any = None) -> Any:
    return to_dspy(strategy, context=Context(model=solving() if answers is None else ScriptedModel(answers)))


# -- examples ---------------------------------------------------------------------------------------------------------

words = st.text(max_size=20)
messages = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "system"]), "content": words}),
    min_size=1,
    max_size=3,
)
plain_data = st.dictionaries(words, st.none() | st.booleans() | st.integers() | words | st.lists(words), max_size=3)
items = st.builds(
    Item,
    id=st.text(min_size=1, max_size=20),
    messages=messages.map(tuple),
    targets=st.lists(words, max_size=3).map(tuple),
    groups=st.dictionaries(words, words, max_size=2),
    cluster=words,
    data=plain_data,
)


@given(items)
def test_an_item_comes_back_from_dspy_as_it_was(whole: Item) -> None:
    assert item_of(as_dspy(whole)) == whole
    assert item_of(as_dspy(whole).copy()) == whole


def test_the_fields_that_a_program_and_a_demonstration_see() -> None:
    one = as_dspy(item())
    assert one.keys() == ["question", "answer"]
    assert one.inputs().toDict() == {"question": question("one")}
    assert one.answer == "1"
    hash(one)
    json.dumps(one.toDict())
    talk = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"})
    several = as_dspy(Item(id="a", messages=talk, targets=("Hello", "Hey")))
    assert several.inputs().toDict() == {"messages": list(talk)}
    assert (several.question, several.answer) == ("Hi", "Hello")
    picture = {"role": "user", "content": [{"type": "text", "text": "What is it?"}]}
    assert as_dspy(Item(id="b", messages=(picture,))).inputs().keys() == ["messages"]


def test_an_example_of_ones_own_becomes_an_item() -> None:
    own = dspy.Example(question="Why?", answer=4).with_inputs("question")
    made = item_of(own)
    assert made.messages == ({"role": "user", "content": "Why?"},)
    assert made.targets == ("4",)
    assert made.id == item_of(dspy.Example(question="Why?", answer=4)).id != item_of(dspy.Example(question="Why")).id
    assert item_of(dspy.Example(question="Why?")).targets == ()


# -- scores and feedback ----------------------------------------------------------------------------------------------


def test_the_score_is_the_same_with_and_without_feedback_and_made_once() -> None:
    calls: list[str] = []

    def rising(item: Item, answer: str) -> float:
        calls.append(answer)
        return len(calls) / 10

    metric = gepa_metric(make_metric(rising))
    gold, pred = as_dspy(item()), program_of(Plain())(question=question("one"))
    score = metric(gold, pred)
    assert score == 0.1
    told = metric(gold, pred, None, "ask", None)
    assert (told.score, calls) == (0.1, ["I do not know."])
    assert told.feedback.startswith('The prompt "ask" was sent for 1 answer:')
    assert 'The expected answer: "1".' in told.feedback
    assert metric(as_dspy(item("two")), pred) == 0.2, "another example is another score"
    pred = program_of(Plain())(question=question("one"))
    gc.collect()
    assert metric(gold, pred) == 0.3, "another prediction is another score"


def test_a_metric_that_fails_on_a_prediction_is_asked_once() -> None:
    calls: list[str] = []

    def broken(item: Item, answer: str) -> float:
        calls.append(answer)
        raise LookupError("nobody knows")

    metric = gepa_metric(make_metric(broken))
    gold, pred = as_dspy(item()), program_of(Plain())(question=question("one"))
    for name in (None, "ask"):
        with pytest.raises(MetricError, match="nobody knows"):
            metric(gold, pred, None, name, None)
    assert (len(calls), metric.failures.count) == (1, 1)
    seen = weakref.ref(pred)
    del pred
    gc.collect()
    assert seen() is None, "the reason must not keep the prediction"


def test_feedback_is_on_the_predictor_that_gepa_names() -> None:
    program = program_of(
        Heart(rounds=1, verifier="contains:1", solver=SelfAggregation(samples=2)),
        {"(?s)responses": ["3", "1"], "": "I do not know."},
    )
    metric = gepa_metric(make_metric("exact"), program)
    pred = program(question=question("one"))
    for name in ("solver.ask", "solver.synthesize"):
        assert name in dict(program.named_predictors())
        told = metric(as_dspy(item()), pred, None, name, None)
        assert f'The prompt "{name}" was sent for ' in told.feedback
        assert 'Round 0: "3" was verified and is not right.' in told.feedback
        assert told.score == 1.0


class Outer(dspy.Module):  # type: ignore[misc]
    """A program of a user's with ours in it."""

    def __init__(self) -> None:
        super().__init__()
        self.helper = program_of(SelfAggregation(samples=2), {"(?s)responses": "1", "": "3"})

    def forward(self, question: str) -> Any:
        return self.helper(question=question)


def test_a_prompt_is_known_where_our_program_is_a_part_of_another() -> None:
    program = Outer()
    told = gepa_metric(make_metric("exact"), program)(
        as_dspy(item()), program(question=question("one")), None, "helper.synthesize", None
    )
    assert told.feedback.startswith('The prompt "synthesize" was sent for 1 answer:\n- answered with "1".')


def test_a_program_of_somebody_else_gets_feedback_from_answer_and_score() -> None:
    metric = gepa_metric(make_metric("exact"), dspy.Predict("question -> answer"))
    told = metric(as_dspy(item()), dspy.Prediction(answer="7"), None, "self", None)
    assert (told.score, told.feedback) == (0.0, 'The answer "7" has a score of 0 of 1. The expected answer: "1".')
    with pytest.raises(ParameterError, match="no predictors"):
        gepa_metric(make_metric("exact"), dspy.Module())


def test_a_failing_metric_is_counted_and_raised() -> None:
    failures = Failures()
    metric = dspy_metric(make_metric(lambda item, answer: {}[answer]), failures=failures)
    for _ in range(2):
        with pytest.raises(MetricError, match="KeyError"):
            metric(as_dspy(item()), dspy.Prediction(answer="7"))
    assert failures.count == 2
    assert list(failures.reasons.values()) == [2]
    assert "2 failed; the first: metric" in str(failures)
    unjudged = dspy_metric(make_metric(lambda item, answer: Score(value=0.0, unjudged=True)))
    with pytest.raises(MetricError, match="no verdict"):
        unjudged(as_dspy(item()), dspy.Prediction(answer="7"))
    assert unjudged.failures.count == 1


def test_evaluate_goes_on_after_a_metric_that_failed(caplog: pytest.LogCaptureFixture) -> None:
    def sometimes(item: Item, answer: str) -> float:
        return 1 / (item.id != "two")

    metric = dspy_metric(make_metric(sometimes))
    examples = [as_dspy(item(name)) for name in ("one", "two", "three", "four")]
    with caplog.at_level(logging.CRITICAL):
        found = dspy.Evaluate(devset=examples, metric=metric, num_threads=2)(program_of(Plain()))
    assert found.score == 75.0
    assert metric.failures.count == 1


# -- GEPA itself ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "strategy", [Plain(), Heart(solver=SelfAggregation(samples=2), rounds=1)], ids=["plain", "nested"]
)
def test_gepa_finds_the_word_and_reads_our_feedback(strategy: Strategy, caplog: pytest.LogCaptureFixture) -> None:
    read: list[str] = []

    def reflect(messages: list[dict[str, Any]]) -> dict[str, str]:
        read.append("\n".join(str(m["content"]) for m in messages))
        return {"new_instruction": f"Think {WORD}."}

    metric = gepa_metric(make_metric("exact"))
    program = program_of(strategy)
    with caplog.at_level(logging.WARNING):
        tuned = dspy.GEPA(
            metric=metric,
            max_metric_calls=60,
            reflection_lm=to_lm(Context(model=ScriptedModel(reflect))),
            instruction_proposer=proposer(),
            num_threads=2,
        ).compile(
            program,
            trainset=[as_dspy(item(name)) for name in ("one", "two", "three")],
            valset=[as_dspy(item(name)) for name in ("four", "five", "six")],
        )
    assert [tuned(question=question(name)).answer for name in DIGITS] == list(DIGITS.values())
    assert metric.failures.count == 0
    assert not [r for r in caplog.records if "different from the overall metric score" in r.message]
    assert "keep every place of the current one" in read[0]
    assert "was sent for" in read[0]
    assert "The answer is not right (score 0 of 1)." in read[0]


def test_the_proposer_tells_of_places_and_what_else_it_is_told() -> None:
    made = proposer(additional_instructions="Write in French.", max_chars=500)
    assert made.additional_instructions.endswith("Write in French.")
    assert "{{question}}" in made.additional_instructions
    assert made.max_chars == 500
