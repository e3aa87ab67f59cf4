"""HEART-style self-correction through the public face."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from emoagents import Budget, Context, EmotionPrompt, Heart, ScriptedModel, SelfAggregation, Verdict, load_card
from emoagents.errors import ParameterError, UnknownNameError, VerifierError
from emoagents.model.retry import Retry
from emoagents.result import Result

CARD = load_card("heart")


def events(result: Result, kind: str) -> list[dict[str, Any]]:
    return [e for e in result.trace if e["event"] == kind]


def emotions(result: Result) -> list[str]:
    return [e["emotion"] for e in events(result, "feedback")]


def test_a_right_first_answer_costs_one_call_and_no_emotion() -> None:
    result = Heart(verifier="exact:42").run("Q", model=ScriptedModel(["42"]))
    assert (result.answer, result.stopped_by, result.verified) == ("42", "verified", True)
    assert result.usage.calls == 1
    assert not events(result, "feedback")


def test_feedback_carries_a_phrase_and_the_reason_until_it_is_right() -> None:
    model = ScriptedModel(["40", "41", "42"])
    check = lambda answer: "" if answer == "42" else f"{answer} is too small"  # noqa: E731
    result = Heart(verifier=check).run("What is it?", model=model)
    assert (result.answer, result.verified, result.usage.calls) == ("42", True, 3)
    second = model.calls[1].request.messages
    assert [m["role"] for m in second] == ["user", "assistant", "user"]
    assert "40 is too small" in second[2]["content"]
    assert any(s.text in second[2]["content"] for s in CARD.stimuli_of("anger"))
    third = model.calls[2].request.messages
    assert [m["content"] for m in third[:3]] == [m["content"] for m in second]
    assert any(s.text in third[4]["content"] for s in CARD.stimuli_of("happiness"))


def test_the_users_history_gains_one_message_and_no_feedback() -> None:
    graph = Heart(verifier="exact:42").graph
    out = graph.invoke({"messages": [("user", "Q")]}, context=Context(model=ScriptedModel(["40", "42"])))
    assert [m.content for m in out["messages"]] == ["Q", "42"]


def test_when_none_is_right_the_best_is_given_and_marked() -> None:
    score = {"a": 0.2, "b": 0.9, "c": 0.5, "d": 0.1}
    result = Heart(verifier=lambda answer: score[answer]).run("Q", model=ScriptedModel(list("abcd")))
    assert (result.answer, result.stopped_by, result.verified) == ("b", "rounds", False)


def test_without_a_verifier_all_rounds_run_and_the_answer_is_a_synthesis_nobody_checked() -> None:
    model = ScriptedModel(["a", "b", "c", "merged"])
    result = Heart(rounds=2).run("Q", model=model)
    assert (result.answer, result.stopped_by, result.verified) == ("merged", "rounds", None)
    assert events(result, "unverified")
    assert "not been checked" in model.calls[1].prompt
    assert "is not right" not in model.calls[1].prompt


def test_schedules() -> None:
    def run(**parameters: Any) -> list[str]:
        return emotions(Heart(rounds=4, verifier="exact:z", **parameters).run("Q", model=ScriptedModel({"": "a"})))

    assert run(schedule="cycle") == CARD.emotions()[:4]
    assert run(schedule="fixed", emotion="fear") == ["fear"] * 4
    alternating = run(schedule="alternate")
    valence = [CARD.stimuli_of(e)[0].valence for e in alternating]
    assert valence == ["negative", "positive", "negative", "positive"]
    assert len(set(alternating)) == 4


def test_parallel_tries_all_six_at_once_and_cancels_the_rest_at_the_first_right_one() -> None:
    happy = [s.text for s in CARD.stimuli_of("happiness")]

    async def answer(messages: Any) -> str:
        if len(messages) == 1:
            return "wrong"
        if any(phrase in messages[-1]["content"] for phrase in happy):
            return "right"
        import asyncio

        await asyncio.Event().wait()  # the others never answer: only cancelling ends the run
        return "never"

    model = ScriptedModel(answer)
    result = Heart(schedule="parallel", verifier="exact:right").run("Q", model=model)
    assert (result.answer, result.verified) == ("right", True)
    assert len(emotions(result)) == 6
    assert model.cancelled == 5
    assert model.in_flight == 0


def test_the_neutral_twin_makes_the_same_calls_without_emotion() -> None:
    def phrases(tone: Any) -> list[str]:
        model = ScriptedModel({"": "a"})
        result = Heart(rounds=4, verifier="exact:z", tone=tone).run("Q", context=Context(model=model, seed=1))
        assert result.usage.calls == 5
        return [e["text"] for e in events(result, "feedback")]

    emotional, neutral = phrases("emotional"), phrases("neutral")
    assert all(e != n for e, n in zip(emotional, neutral, strict=True))
    assert [len(e.split()) for e in emotional] == [len(n.split()) for n in neutral]


def test_fresh_history_shows_only_the_last_attempt() -> None:
    model = ScriptedModel(["40", "41", "42"])
    Heart(verifier="exact:42", history="fresh").run([{"role": "user", "content": "What?"}], model=model)
    last = model.calls[2].request.messages
    assert len(last) == 1
    assert "41" in last[0]["content"]
    assert "What?" in last[0]["content"]
    assert "40" not in last[0]["content"]


def test_several_samples_in_a_round_are_all_verified() -> None:
    model = ScriptedModel(["1", "2", "3", "42"])
    result = Heart(verifier="exact:42", samples=2).run("Q", model=model)
    assert (result.answer, len(events(result, "verdict"))) == ("42", 4)


class Plan(BaseModel):
    steps: list[str]


@pytest.mark.parametrize(
    ("verifier", "wrong", "right"),
    [
        ("exact:Paris", "Rome", " paris. "),
        ("contains:paris", "Rome", "It is Paris, of course."),
        ("numeric:1,200", "about 12 hundred", "That makes 1200.00"),
        (r"regex:^\d{3}$", "12", "The code:\n123"),
        (Plan, '{"steps": 3}', '```json\n{"steps": ["a"]}\n```'),
        (lambda a: int(a) == 7, "seven", "7"),
        (lambda a, q: a in q, "nope", "Q"),
        (lambda a: Verdict(a == "7"), "8", "7"),
    ],
)
def test_verifiers(verifier: Any, wrong: str, right: str) -> None:
    result = Heart(verifier=verifier).run("Q", model=ScriptedModel([wrong, right]))
    assert (result.answer, result.verified, result.usage.calls) == (right, True, 2)


async def test_an_async_verifier_and_one_that_runs_a_strategy_itself() -> None:
    async def check(answer: str) -> bool:
        return answer == "b"

    assert (await Heart(verifier=check).arun("Q", model=ScriptedModel(["a", "b"]))).verified
    inner = ScriptedModel({"": "yes"})

    def ask(answer: str) -> bool:
        return EmotionPrompt("EP02").run(f"Is {answer} right?", model=inner).answer == "yes"

    assert Heart(verifier=ask).run("Q", model=ScriptedModel(["a"])).verified
    assert len(inner.calls) == 1


def test_a_judge_model_is_a_verifier_whose_reason_becomes_feedback() -> None:
    model = ScriptedModel(["40", '{"correct": false, "reason": "Too low."}', "42", '{"correct": true}'])
    result = Heart(verifier="judge").run("Q", model=model)
    assert (result.answer, result.verified, result.usage.calls) == ("42", True, 4)
    assert "Too low." in model.calls[2].prompt


def test_a_judge_that_makes_no_sense_leaves_the_answer_unjudged() -> None:
    model = ScriptedModel(["40", "hmm", "hmm", "41", "well", "well"])
    result = Heart(rounds=1, verifier="judge").run("Q", model=model)
    assert (result.answer, result.stopped_by, result.verified) == ("41", "rounds", None)
    assert [e["ok"] for e in events(result, "verdict")] == [None, None]


def test_a_verifier_that_fails_on_everything_is_an_error_of_its_own() -> None:
    def broken(answer: str) -> bool:
        raise ZeroDivisionError

    with pytest.raises(VerifierError, match="ZeroDivisionError"):
        Heart(rounds=1, verifier=broken).run("Q", model=ScriptedModel(["a", "b"]))


def test_a_budget_that_ends_gives_the_best_answer_so_far() -> None:
    model = ScriptedModel({"": "a"})
    result = Heart(rounds=9, verifier="exact:z").run("Q", context=Context(model=model, budget=Budget(calls=3)))
    assert (result.answer, result.stopped_by, result.verified, len(model.calls)) == ("a", "budget", False, 3)


def test_a_round_that_fails_keeps_what_there_was() -> None:
    model = ScriptedModel(["a"], faults=[None, 400])
    result = Heart(verifier="exact:z").run("Q", context=Context(model=model, retry=Retry(attempts=1)))
    assert (result.answer, result.stopped_by) == ("a", "failed")


def test_nested_strategies_make_the_attempts() -> None:
    model = ScriptedModel(["a", "b", "m1", "c", "d", "42"])
    best = EmotionPrompt("EP02") | SelfAggregation(samples=2)
    result = Heart(solver=best, verifier="exact:42").run("Q", model=model)
    assert (result.answer, result.verified) == ("42", True)
    assert set(result.usage_by_node) == {"attempt/sample", "attempt/aggregate", "retry/sample", "retry/aggregate"}
    assert result.usage.calls == sum(u.calls for u in result.usage_by_node.values()) == 4


def test_the_same_phrase_asked_again_is_a_new_sample_in_the_cache() -> None:
    """A frozen prompt with a cache would otherwise bring the same wrong answer for ever."""
    model = ScriptedModel({"": ["a", "a", "b"]})
    heart = Heart(rounds=2, verifier="exact:b", history="fresh", schedule="fixed", emotion="fear")
    assert heart.run("Q", context=Context(model=model, cache="memory")).verified


def test_the_adaptive_schedule_learns_which_emotion_repairs_and_saves_it(tmp_path: Path) -> None:
    memory = tmp_path / "deep" / "memory.json"
    sad = [s.text for s in CARD.stimuli_of("sadness")]

    def answer(messages: Any) -> str:
        return "right" if any(p in messages[-1]["content"] for p in sad) else "wrong"

    heart = Heart(rounds=6, verifier="exact:right", schedule="adaptive", memory=memory)
    tried: list[list[str]] = []
    for seed in range(25):
        result = heart.run(f"Q{seed}", context=Context(model=ScriptedModel(answer), seed=seed))
        tried.append(emotions(result))
        assert events(result, "learned") or result.usage.calls == 1
    arms = json.loads(memory.read_text())["emotions"]
    assert arms["sadness"]["repaired"] == arms["sadness"]["tried"] > 5
    assert all(arm["repaired"] == 0 for name, arm in arms.items() if name != "sadness")
    late = [t[0] for t in tried[15:]]
    assert late.count("sadness") >= 7


def test_a_damaged_memory_is_told_and_not_overwritten(tmp_path: Path) -> None:
    memory = tmp_path / "memory.json"
    memory.write_text("{not json")
    heart = Heart(verifier="exact:z", schedule="adaptive", memory=memory)
    with pytest.raises(ParameterError, match=r"memory\.json"):
        heart.run("Q", model=ScriptedModel({"": "a"}))
    assert memory.read_text() == "{not json"


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        ({"verifier": "numeric:many"}, ParameterError, "not a number"),
        ({"verifier": "regex:("}, ParameterError, "not a regular expression"),
        ({"verifier": "exakt:x"}, ParameterError, "did you mean exact"),
        ({"verifier": 7}, ParameterError, "verifier must be"),
        ({"schedule": "adaptive"}, ParameterError, "needs one"),
        ({"schedule": "fixed"}, ParameterError, "go together"),
        ({"emotion": "fear"}, ParameterError, "go together"),
        ({"schedule": "fixed", "emotion": "feer"}, UnknownNameError, "did you mean fear"),
        ({"rounds": -1}, ParameterError, "rounds"),
    ],
)
def test_wrong_parameters_are_one_clear_sentence(wrong: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        Heart(**wrong)
