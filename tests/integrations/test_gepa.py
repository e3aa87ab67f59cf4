"""GEPA without DSPy: the prompts of a strategy optimised over card texts, on scripted models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

gepa = pytest.importorskip("gepa", reason="the extra 'dspy' is not installed")

from emoagents import Budget, Context, EmotionPrompt, Heart, ScriptedModel, SelfAggregation  # noqa: E402
from emoagents.errors import MetricError, ModelConfigError, UnknownNameError  # noqa: E402
from emoagents.evaluation.task import Item, Score  # noqa: E402
from emoagents.integrations.gepa import (  # noqa: E402
    TEMPLATE,
    StrategyAdapter,
    reflect_with,
    texts_of,
)
from emoagents.strategies.base import Strategy  # noqa: E402
from emoagents.strategies.plain import Plain  # noqa: E402
from emoagents.tuning.prompts import prompts_of  # noqa: E402
from emoagents.tuning.scoring import Failures  # noqa: E402

WORD = "step by step"
QUESTIONS = {"one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6"}


def items(*names: str) -> list[Item]:
    return [
        Item(id=name, messages=({"role": "user", "content": f"Write {name} as a digit."},), targets=(QUESTIONS[name],))
        for name in names or QUESTIONS
    ]


def solving() -> ScriptedModel:
    """Right only where the instruction has the word in it."""

    def answer(messages: list[dict[str, Any]]) -> str:
        text = "\n".join(str(m["content"]) for m in messages)
        name = next(name for name in QUESTIONS if f"Write {name} as" in text)
        return QUESTIONS[name] if WORD in text else "I do not know."

    return ScriptedModel(answer, endpoint="here")


def optimised(
    strategy: Strategy, *, metric: Any = "exact", model: Any = None, cache: Path | None = None, **options: Any
) -> Any:
    adapter = StrategyAdapter(strategy, metric, Context(model=model or solving(), cache=cache))
    found = gepa.optimize(
        seed_candidate=texts_of(strategy),
        trainset=items("one", "two", "three"),
        valset=items("four", "five", "six"),
        adapter=adapter,
        **{
            "reflection_lm": lambda prompt: f"```\nThink {WORD}.\n```",
            "reflection_prompt_template": TEMPLATE,
            "max_metric_calls": 60,
            "stop_callbacks": adapter.out_of_budget,
            **options,
        },
    )
    return adapter, found


@pytest.mark.parametrize(
    "strategy",
    [
        Plain(),
        EmotionPrompt("EP02") | SelfAggregation(samples=2, method="vote"),
        Heart(solver=SelfAggregation(samples=2), rounds=1),
    ],
    ids=["plain", "piped", "nested"],
)
def test_gepa_finds_the_word_that_makes_the_model_right(strategy: Strategy) -> None:
    adapter, found = optimised(strategy)
    assert found.val_aggregate_scores[0] == 0.0
    assert max(found.val_aggregate_scores) == 1.0
    tuned = adapter.strategy_of(found.best_candidate)
    answers = [tuned.run(list(item.messages), model=solving()).answer for item in items()]
    assert answers == list(QUESTIONS.values())
    assert adapter.failures.count == 0


def test_a_proposal_without_its_places_gets_them() -> None:
    adapter = StrategyAdapter(Plain(), "exact", Context(model=solving()))
    tuned = adapter.strategy_of({"ask": f"Think {WORD}."})
    assert prompts_of(tuned)["ask"].text.count("{{question}}") == 1
    assert adapter.strategy_of(texts_of(Plain())) == Plain()
    with pytest.raises(UnknownNameError, match="unknown prompt 'asks'; did you mean ask"):
        adapter.strategy_of({"asks": "{{question}}"})


def test_reflection_reads_what_was_sent_what_was_answered_and_what_was_expected() -> None:
    read: list[str] = []

    def reflect(prompt: str) -> str:
        read.append(prompt)
        return f"```\n{{{{question}}}} Think {WORD}.\n```"

    optimised(Heart(rounds=1, verifier="contains:9"), reflection_lm=reflect, max_metric_calls=8)
    assert '### sent\n"Write ' in read[0]
    assert '"I do not know."' in read[0]
    assert "The answer is not right (score 0 of 1)." in read[0]
    assert "Round 0:" in read[0]
    assert "keep every place of the current one" in read[0]


def test_runs_of_a_batch_go_side_by_side() -> None:
    model = ScriptedModel(lambda messages: "1", latency=0.05)
    adapter = StrategyAdapter(Plain(), "exact", Context(model=model, concurrency=4))
    batch = adapter.evaluate(items(), texts_of(Plain()))
    assert model.max_in_flight == 4
    assert batch.scores == [1, 0, 0, 0, 0, 0]
    assert batch.trajectories is None


def test_a_failed_run_counts_as_wrong_and_reflection_reads_why() -> None:
    model = ScriptedModel({"Write one": ["1"], "": ModelRefuses()})
    adapter = StrategyAdapter(Plain(), "exact", Context(model=model, retry=no_retry()))
    batch = adapter.evaluate(items("one", "two"), texts_of(Plain()), capture_traces=True)
    assert batch.scores == [1, 0]
    assert batch.outputs == ["1", None]
    assert adapter.failures.count == 1
    assert "the model refuses" in next(iter(adapter.failures.reasons))
    records = adapter.make_reflective_dataset(texts_of(Plain()), batch, ["ask"])["ask"]
    json.dumps(records)
    assert records[1]["Generated Outputs"] == "(no answer)"
    assert "The run failed and gave no answer" in records[1]["Feedback"]
    assert "the model refuses" in records[1]["Feedback"]
    assert 'The expected answer: "2".' in records[1]["Feedback"]


def ModelRefuses() -> Exception:  # noqa: N802
    from emoagents.errors import ModelCallError

    return ModelCallError("the model refuses")


def no_retry() -> Any:
    from emoagents.model.retry import Retry

    return Retry(attempts=1)


def test_the_budget_is_one_for_all_runs_and_ends_the_search_with_the_best_there_is() -> None:
    strategy = Plain()
    shared = Context(model=solving(), budget=Budget(calls=11)).pooled()
    adapter = StrategyAdapter(strategy, "exact", shared)
    found = gepa.optimize(
        seed_candidate=texts_of(strategy),
        trainset=items("one", "two", "three"),
        valset=items("four", "five", "six"),
        adapter=adapter,
        reflection_lm=lambda prompt: f"```\nThink {WORD}. {{{{question}}}}\n```",
        max_metric_calls=1000,
        stop_callbacks=adapter.out_of_budget,
    )
    assert adapter.out_of_budget()
    assert found.total_metric_calls < 20
    assert shared.pool is not None
    assert shared.pool.spent.calls == 11
    assert "budget of 11 calls is used up" in str(adapter.failures)


def test_a_metric_that_fails_now_and_then_is_counted_and_one_that_always_fails_ends_the_search() -> None:
    def sometimes(item: Item, answer: str) -> float:
        return 1 / (item.id != "two")

    adapter = StrategyAdapter(Plain(), sometimes, Context(model=solving()))
    batch = adapter.evaluate(items("one", "two"), texts_of(Plain()), capture_traces=True)
    assert batch.scores == [1, 0]
    assert adapter.failures.count == 1
    assert "ZeroDivisionError" in str(adapter.failures)
    records = adapter.make_reflective_dataset({}, batch, ["ask"])["ask"]
    assert "could not be scored" in records[1]["Feedback"]
    assert "(score" not in records[1]["Feedback"]
    with pytest.raises(MetricError, match="KeyError"):
        optimised(Plain(), metric=lambda item, answer: {}[answer])


def test_an_unjudged_answer_is_a_failure_and_no_zero_in_silence() -> None:
    adapter = StrategyAdapter(Plain(), lambda i, a: Score(value=0, unjudged=i.id == "one"), Context(model=solving()))
    assert adapter.evaluate(items("one", "two"), texts_of(Plain())).scores == [0, 0]
    assert "came to no verdict" in str(adapter.failures)


def test_what_can_never_work_is_raised_at_once() -> None:
    with pytest.raises(UnknownNameError, match="unknown metric"):
        StrategyAdapter(Plain(), "exakt", Context(model=solving()))
    adapter = StrategyAdapter(Plain(), "exact", Context(model=ScriptedModel(["1"] * 9, faults=[401] * 9)))
    with pytest.raises(ModelConfigError):
        adapter.evaluate(items(), texts_of(Plain()))


def test_a_context_reflects_each_time_with_a_sample_of_its_own() -> None:
    failures = Failures()
    model = ScriptedModel(["first", "second"], faults=[None, None, 400])
    context = Context(model=model, budget=Budget(calls=3)).pooled()
    reflect = reflect_with(context, failures=failures)
    assert reflect("How?") == "first"
    assert reflect([{"role": "user", "content": "How?"}]) == "second"
    with pytest.raises(Exception, match="did not answer"):
        reflect("How?")
    assert failures.count == 1
    assert context.pool is not None
    assert context.pool.spent.calls >= 2


def test_reflection_with_a_cache_makes_no_second_call(tmp_path: Path) -> None:
    model = ScriptedModel(["first", "second"], endpoint="here")
    for _ in range(2):
        reflect = reflect_with(Context(model=model, cache=tmp_path / "cache.db"))
        assert [reflect("How?"), reflect("How?")] == ["first", "second"]
    assert len(model.calls) == 2


def test_a_search_in_a_folder_goes_on_where_it_stopped(tmp_path: Path) -> None:
    kept: dict[str, Any] = {"run_dir": str(tmp_path / "search"), "cache": tmp_path / "calls.db"}
    stopped, again = solving(), solving()
    _, found = optimised(Plain(), model=stopped, max_metric_calls=3, **kept)
    assert len(found.candidates) == 1
    _, found = optimised(Plain(), model=again, max_metric_calls=12, **kept)
    assert max(found.val_aggregate_scores) == 1.0
    assert found.total_metric_calls == 12
    assert (len(stopped.calls), len(again.calls)) == (3, 9), "what was answered is not paid again"
