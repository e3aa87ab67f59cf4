"""Self-aggregation and the paper's baselines, through the public face."""

from __future__ import annotations

import pytest

from emoagents import Budget, Context, EmotionPrompt, Plain, ScriptedModel, SelfAggregation
from emoagents.errors import BudgetExceeded, CompositionError, NoAnswerError, ParameterError
from emoagents.model.retry import Retry
from emoagents.result import Result

ONCE = Retry(attempts=1)


def events(result: Result, kind: str) -> list[dict[str, object]]:
    return [e for e in result.trace if e["event"] == kind]


def test_three_samples_and_one_synthesis_that_sees_them_all() -> None:
    model = ScriptedModel(["alpha", "beta", "gamma", "delta"], max_n=1)
    result = SelfAggregation().run("Which letter?", model=model)
    assert (result.answer, result.stopped_by, result.usage.calls) == ("delta", "complete", 4)
    synthesis = model.calls[-1].prompt
    assert all(word in synthesis for word in ("alpha", "beta", "gamma", "Which letter?"))


def test_samples_of_one_prompt_come_in_one_request_where_the_provider_can() -> None:
    model = ScriptedModel(["a", "b", "c", "d"], max_n=8)
    SelfAggregation().run("Q", model=model)
    assert [call.n for call in model.calls] == [3, 1]


def test_samples_run_hot_and_the_users_temperature_wins() -> None:
    model = ScriptedModel({"": "x"})
    SelfAggregation().run("Q", model=model)
    assert [c.request.temperature for c in model.calls] == [0.7, None]
    SelfAggregation().run("Q", context=Context(model=model, temperature=0.2))
    assert model.calls[-2].request.temperature == 0.2


def test_the_order_of_candidates_is_drawn_with_the_seed() -> None:
    def order(**context: object) -> str:
        model = ScriptedModel(["one", "two", "three", "four", "end"], max_n=1)
        SelfAggregation(samples=4).run("Q", context=Context(model=model, **context))  # type: ignore[arg-type]
        text = model.calls[-1].prompt
        return " ".join(sorted(("one", "two", "three", "four"), key=text.index))

    assert order(seed=5) == order(seed=5)
    assert len({order(seed=s) for s in range(8)}) > 1


def test_one_failed_sample_does_not_fail_the_run() -> None:
    model = ScriptedModel(["a", "b", "end"], faults=[None, 400], max_n=1)
    result = SelfAggregation(order="sampled").run("Q", context=Context(model=model, retry=ONCE))
    assert result.answer == "end"
    assert len(events(result, "candidate")) == 2
    assert len(events(result, "failure")) == 1


def test_a_single_surviving_sample_is_refined() -> None:
    model = ScriptedModel(["lonely", "end"], faults=[None, 400, 400], max_n=1)
    SelfAggregation().run("Q", context=Context(model=model, retry=ONCE))
    assert "lonely" in model.calls[-1].prompt
    assert "responses" not in model.calls[-1].prompt


def test_when_all_samples_fail_the_causes_are_told() -> None:
    model = ScriptedModel(["x"], faults=[400, 400, 400], max_n=1)
    with pytest.raises(NoAnswerError) as caught:
        SelfAggregation().run("Q", context=Context(model=model, retry=ONCE))
    assert len(caught.value.causes) == 3
    assert caught.value.status == 400


def test_a_failed_synthesis_loses_no_sample() -> None:
    model = ScriptedModel(["so 7", "so 8", "so 7"], faults=[None, None, None, 400], max_n=1)
    result = SelfAggregation().run("Q", context=Context(model=model, retry=ONCE))
    assert (result.answer, result.stopped_by) == ("so 7", "failed")


@pytest.mark.parametrize("calls", [1, 2, 3])
def test_a_budget_that_ends_gives_the_best_answer_so_far(calls: int) -> None:
    model = ScriptedModel({"": "so 7"}, max_n=1)
    result = SelfAggregation().run("Q", context=Context(model=model, budget=Budget(calls=calls)))
    assert (result.answer, result.stopped_by, result.usage.calls) == ("so 7", "budget", calls)
    assert len(model.calls) == calls


def test_a_budget_of_nothing_is_an_error_and_no_call() -> None:
    model = ScriptedModel({"": "x"})
    with pytest.raises(BudgetExceeded, match="0 calls"):
        SelfAggregation().run("Q", context=Context(model=model, budget=Budget(calls=0)))
    assert not model.calls


def test_vote_counts_extracted_answers_and_returns_a_whole_one() -> None:
    model = ScriptedModel(["I think 4.", "The answer is 5.", "Adding up: 5"], max_n=1)
    result = SelfAggregation(method="vote").run("Q", model=model)
    assert result.answer == "The answer is 5."
    assert events(result, "vote")[0]["counts"] == {"5": 2, "4": 1}
    assert result.usage.calls == 3


def test_a_vote_that_nobody_can_read_says_so() -> None:
    long = "Nobody can tell what the answer to this might be, it depends on far too many things to say"
    result = SelfAggregation(method="vote", extract="number").run("Q", model=ScriptedModel({"": long}))
    assert (result.answer, result.stopped_by) == (long, "unparsed")


def test_vote_with_a_function_of_ones_own() -> None:
    model = ScriptedModel(["red apple", "green pear", "red plum"], max_n=1)
    result = SelfAggregation(method="vote", extract=lambda text: text.split()[0]).run("Q", model=model)
    assert result.answer == "red apple"


def test_choose_takes_the_candidate_that_the_model_names() -> None:
    model = ScriptedModel(["a", "b", "c", '{"choice": 2}'], max_n=1)
    result = SelfAggregation(method="choose", order="sampled").run("Q", model=model)
    assert (result.answer, result.stopped_by) == ("b", "complete")


def test_an_unreadable_choice_is_asked_again_once_and_then_told() -> None:
    model = ScriptedModel(["a", "b", "c", "the second", "really, the second"], max_n=1)
    result = SelfAggregation(method="choose", order="sampled").run("Q", model=model)
    assert (result.stopped_by, len(model.calls)) == ("unparsed", 5)


def test_a_choice_that_is_not_there_is_unparsed_too() -> None:
    model = ScriptedModel(["a", "b", "c", '{"choice": 9}'], max_n=1)
    assert SelfAggregation(method="choose").run("Q", model=model).stopped_by == "unparsed"


def test_judge_takes_the_best_rated_and_leaves_unreadable_ratings_out() -> None:
    scores = {"«a»": '{"score": 3}', "«b»": "excellent!", "«c»": '{"score": 8.5}'}
    rules = {**{rf"Rate.*{k}|{k}.*Rate": v for k, v in scores.items()}, "": ["«a»", "«b»", "«c»"]}
    model = ScriptedModel({f"(?s){k}" if k else "": v for k, v in rules.items()}, max_n=1)
    result = SelfAggregation(method="judge", order="sampled").run("Q", model=model)
    assert result.answer == "«c»"
    assert events(result, "scores")[0]["scores"] == [3.0, None, 8.5]


@pytest.mark.parametrize("diversity", ["templates", "languages"])
def test_variations_ask_the_same_question_in_other_words(diversity: str) -> None:
    model = ScriptedModel({"": "x"})
    SelfAggregation(samples=6, diversity=diversity).run("Why {so}?", model=model)  # type: ignore[arg-type]
    asked = [c.prompt for c in model.calls[:-1]]
    assert all("Why {so}?" in text for text in asked)
    assert len(set(asked)) == 5  # the card has five; the sixth sample takes the first again


def test_recursive_aggregation_makes_populations() -> None:
    model = ScriptedModel(lambda messages: f"<{len(messages[-1]['content'])}>", max_n=1)
    strategy = SelfAggregation(samples=4, loops=3, k=2)
    result = strategy.run("Q", model=model)
    assert result.usage.calls == 4 + 4 + 4 + 1
    assert strategy.expected_calls().startswith("13 ")
    assert result.usage_by_node["evolve"].calls == 8


def test_a_nested_solver_gives_the_samples_and_each_is_another_one() -> None:
    model = ScriptedModel({"": ["a", "b", "c", "end"]}, max_n=1)
    context = Context(model=model, cache="memory")
    result = SelfAggregation(solver=EmotionPrompt("EP02"), order="sampled").run("Q", context=context)
    assert [e["text"] for e in events(result, "candidate")] == ["a", "b", "c"]
    assert all("career" in c.prompt for c in model.calls[:3])


def test_candidates_that_do_not_fit_are_trimmed_and_the_trace_says_so() -> None:
    long = " ".join(f"w{i}" for i in range(900)) + " so 42"
    model = ScriptedModel([long, "short 42", long, "end"], max_n=1, context_window=800)
    result = SelfAggregation(order="sampled").run("Q", context=Context(model=model, max_tokens=100))
    assert result.answer == "end"
    assert events(result, "trimmed")[0]["candidates"] == [0, 2]
    last = model.calls[-1]
    assert model.count_tokens(last.request.messages) <= 700
    assert last.prompt.count("so 42") == 2
    assert "short 42" in last.prompt


@pytest.mark.parametrize(
    "wrong",
    [{"samples": 0}, {"k": 2}, {"loops": 2, "method": "vote"}, {"method": "guess"}, {"temperature": -1}],
)
def test_wrong_parameters_are_one_clear_sentence(wrong: dict[str, object]) -> None:
    with pytest.raises(ParameterError, match="SelfAggregation: "):
        SelfAggregation(**wrong)  # type: ignore[arg-type]


def test_what_is_no_strategy_can_not_be_nested_or_piped() -> None:
    with pytest.raises(CompositionError, match="solver must be a strategy"):
        SelfAggregation(solver="heart")
    with pytest.raises(CompositionError, match="they nest"):
        SelfAggregation() | Plain()
    with pytest.raises(CompositionError, match="must be a strategy"):
        EmotionPrompt("EP02") | "gsa"
