"""Feedback on one prompt, from real runs of each strategy on scripted models, and from odd traces."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoagents import (
    Budget,
    CoEM,
    Context,
    EmotionPrompt,
    Heart,
    ScriptedModel,
    SelfAggregation,
    SelfConsistency,
    Staged,
    SupportDialogue,
)
from emoagents.errors import BudgetExceeded, ModelCallError, NoAnswerError, UnparsedError
from emoagents.model.retry import Retry
from emoagents.result import Result
from emoagents.strategies.base import Strategy
from emoagents.strategies.plain import Plain
from emoagents.strategies.resample import Resample
from emoagents.tuning.feedback import calls_of, feedback, feedback_of_error

QUESTION = "What is 17 * 23?"
ONCE = Retry(attempts=1)
QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


def told(
    strategy: Strategy,
    answers: Any,
    predictor: str,
    *,
    expected: str | None = "391",
    score: float | None = 0.0,
    messages: Any = QUESTION,
    **settings: Any,
) -> str:
    model = answers if isinstance(answers, ScriptedModel) else ScriptedModel(answers)
    result = strategy.run(messages, context=Context(model=model, retry=ONCE, **settings))
    return feedback(result, predictor, expected=expected, score=score)


def parts(text: str) -> list[str]:
    return text.split("\n\n")


# -- one strategy after another ---------------------------------------------------------------------------------------


def test_plain_own_answer_first_then_how_it_ended() -> None:
    own, end = parts(told(Plain(), ["It is 381."], "ask"))
    assert own == 'The prompt "ask" was sent for 1 answer:\n- answered with "It is 381.".'
    assert end == (
        'How it ended:\n- The answer: "It is 381.".\n- The answer is not right (score 0 of 1).\n'
        '- The expected answer: "391".\n- The run went to its end.'
    )


@pytest.mark.parametrize(
    ("score", "said"),
    [(1.0, "is right (score 1 of 1)"), (0.5, "is partly right (score 0.5 of 1)"), (0.0, "is not right (score 0 of 1)")],
)
def test_the_score_is_told_and_nothing_where_there_is_none(score: float, said: str) -> None:
    assert said in told(Plain(), ["391"], "ask", score=score)
    unscored = told(Plain(), ["391"], "ask", score=None, expected=None)
    assert "score" not in unscored
    assert "expected" not in unscored


def test_an_empty_answer_is_named_so() -> None:
    assert '- answered with "" (nothing).' in told(Plain(), [""], "ask")


def test_heart_which_candidate_failed_why_in_which_round_and_after_which_feedback() -> None:
    def check(answer: str) -> str:
        return "" if "391" in answer else f"{answer} is too small."

    heart = Heart(rounds=2, verifier=check)
    text = told(heart, ["380", "385", "391"], "feedback", score=1.0)
    own, run, _ = parts(text)
    assert own == 'The prompt "feedback" was sent for 2 answers:\n- answered with "385".\n- answered with "391".'
    assert '- Round 0: "380" was verified and is not right: "380 is too small.".' in run
    assert "- Feedback before round 1 (emotion anger, phrase anger-" in run
    assert '- Round 1 (after feedback with anger): "385" was verified and is not right: "385 is too small.".' in run
    assert '- Round 2 (after feedback with happiness): "391" was verified and is right.' in run
    assert "- The run stopped because a verifier accepted the answer." in text
    first = parts(told(heart, ["380", "385", "391"], "ask", score=1.0))[0]
    assert first == 'The prompt "ask" was sent for 1 answer:\n- answered with "380".'


def test_a_verifier_and_a_metric_that_disagree() -> None:
    assert "The verifier accepted the answer all the same." in told(Heart(verifier="contains:3"), ["3"], "ask")
    text = told(Heart(verifier="contains:9", rounds=0), ["3"], "ask", score=1.0)
    assert "The verifier did not accept it all the same." in text


def test_a_checker_that_fails_and_a_judge_that_says_nothing_readable() -> None:
    heart = Heart(rounds=1, verifier=lambda answer: int(answer) == 391)
    text = told(heart, ["about 400", "391"], "ask", score=1.0)
    assert 'Round 0: "about 400" could not be checked, as the checker failed: "The checker could not read' in text
    judged = told(Heart(rounds=0, verifier="judge"), {"(?s)correct": "hm", "": "391"}, "judge", score=1.0)
    assert 'The prompt "judge" was sent for 1 answer' in judged
    assert 'Round 0: "391" could not be judged: "unparsed' in judged


def test_nested_prompts_are_told_apart_by_their_place() -> None:
    heart = Heart(solver=SelfAggregation(samples=2), rounds=0, verifier="contains:391")
    answers = {"(?s)responses": ["400"], "": ["380", "391"]}
    inner = told(heart, answers, "solver.ask")
    assert parts(inner)[0] == (
        'The prompt "solver.ask" was sent for 2 answers:\n- answered with "380".\n- answered with "391".'
    )
    assert '- within the solver: The answer is a new text, none of the 2 candidates: "400".' in inner
    assert "- within the solver: The expected text is in candidate 2, and is not in the answer." in inner
    assert '- Round 0: "400" was verified and is not right.' in inner
    assert parts(told(heart, answers, "solver.synthesize"))[0].endswith('1 answer:\n- answered with "400".')
    outer = told(heart, answers, "ask")
    assert outer.startswith('The prompt "ask" was not used in this run.')
    assert "within the solver" not in outer


def test_samples_that_differ_from_the_aggregate() -> None:
    gsa = SelfAggregation(samples=3)
    text = told(gsa, {"(?s)responses": "So 391.", "": ["I get 380.", "I get 391.", "I get 391."]}, "synthesize")
    assert '- Candidate 1: "I get 380.".' in text
    assert "The answer is a new text, none of the 3 candidates" in text
    assert 'Read as short answers, the candidates say "391" (2), "380" (1).' in text
    assert "The expected text is in candidate 2, 3, and is in the answer." in text


def test_votes_choices_and_scores_with_those_that_could_not_be_read() -> None:
    words = "I would rather not say anything about this at all, since it is all so very hard to know."
    text = told(SelfConsistency(samples=3), ["380", "380", words], "ask")
    assert '2 times answered with "380".' in text
    assert 'Votes: "380" has 2, 1 could not be read and did not count.' in text
    unread = told(SelfAggregation(samples=2, method="choose"), {"(?s)responses": "nine", "": ["1", "2"]}, "choose")
    assert 'The prompt "choose" was sent for 1 answer:\n- answered with "nine".' in unread
    assert "The choice among the candidates could not be read as the number of one of them." in unread
    assert "- What the model wrote could not be read as what was asked for." in unread
    judge = {"(?s)0 to 10": ['{"score": 7, "reason": ""}', "good"], "": ["1", "391"]}
    judged = told(SelfAggregation(samples=2, method="judge"), judge, "judge")
    assert "0 to 10: 7, unread. The unread ones were not of the form" in judged


def test_failures_and_their_reasons() -> None:
    model = ScriptedModel(["380", "391"], faults=[400], max_n=1)
    text = told(SelfAggregation(samples=3, method="vote"), model, "ask")
    assert 'not answered: [1] "scripted/model did not answer (400, scripted)".' in text or "not answered: " in text
    assert "(400, scripted)" in parts(text)[0]
    assert "Something failed: " in parts(text)[1]


def test_a_budget_that_ends() -> None:
    text = told(SelfAggregation(samples=2), {"": "380"}, "ask", budget=Budget(calls=1))
    assert "budget of 1 calls is used up" in text
    assert "The run stopped because its budget was used up" in text


def test_trimmed_texts() -> None:
    model = ScriptedModel({"(?s)responses": "391", "": ["380 " * 900, "391 " * 900]}, context_window=1500)
    text = told(SelfAggregation(samples=2), model, "synthesize")
    assert re.search(r"2 candidates were cut to \d+ characters", text)
    assert len(text) < 8000


def test_resample_and_a_stimulus() -> None:
    resample = told(EmotionPrompt("EP02") | Resample(samples=2, verifier="contains:391"), ["380", "391"], "ask")
    assert 'The stimulus "EP02" (emotional) was added' in resample
    assert 'Round 0: "380" was verified and is not right.' in resample


STAGES: dict[str, Any] = {
    "name": "worries",
    "graph": "staged",
    "reply": "reply",
    "defaults": {"guard": "off"},
    "prompts": {
        name: {"text": text}
        for name, text in {
            "mood": "MOOD {{question}}",
            "soothe": "SOOTHE {{mood}}",
            "reply": "REPLY {{mood}} {{comfort}}",
        }.items()
    },
    "stages": [
        {"id": "feel", "prompt": "mood", "fields": [{"name": "mood"}]},
        {
            "id": "soothe",
            "prompt": "soothe",
            "reads": ["feel"],
            "fields": [{"name": "comfort"}],
            "when": {"field": "mood", "is": ["tense"]},
            "optional": True,
        },
        {"id": "last", "prompt": "reply", "reads": ["feel", "soothe"], "fields": [{"name": "reply"}]},
    ],
}


def test_staged_which_fields_were_empty_unparsed_or_skipped() -> None:
    rules = {"MOOD": {"mood": "calm"}, "SOOTHE": "hm", "REPLY": {"reply": "Rest."}}
    skipped = told(Staged(STAGES), rules, "reply", expected=None, score=None)
    assert '- Stage "feel" gave mood = "calm".' in skipped
    assert 'Stage "soothe" was skipped' in skipped
    rules["MOOD"] = {"mood": "tense"}
    unparsed = told(Staged(STAGES), rules, "reply", expected=None, score=None)
    assert 'Stage "soothe" was answered in a form that does not fit: ' in unparsed


def test_coem_what_was_kept_and_what_the_enrichment_said() -> None:
    story = " ".join(f"On day {i} she walked to the harbour and felt number{i}." for i in range(60))
    content = [{"type": "text", "text": story}, {"type": "text", "text": "What did she feel on day 7?"}]
    strategy = CoEM(ranker="bm25", preset="document", chunk=40, first=4, keep=2, guard="off", tokenizer="words")
    model = ScriptedModel({"(?s)Below are a question": "A longing for the sea.", "": "It was calm."})
    text = told(strategy, model, "answer", messages=[{"role": "user", "content": content}], expected="calm", score=1.0)
    assert "- 1 text of 3279 characters became 30 chunks." in text
    assert re.search(r"Ranked by bm25, \d+ passages were kept: for ", text)
    assert '"A longing for the sea."' in text
    assert 'The answer: "It was calm.".' in text


def test_support_the_strategy_chosen_and_whether_it_parsed() -> None:
    assessed = json.dumps({"emotion": "sadness", "intensity": 4, "problem": "lost job", "stage": "comforting"})
    said = json.dumps({"strategy": "Question", "response": "What happened?"})
    support = SupportDialogue(method="vanilla")
    text = told(support, [assessed, said], "vanilla", messages="I lost my job.", expected=None, score=None)
    assert 'The assessment: emotion = "sadness", intensity = 4' in text
    assert "The support strategy Question was chosen (vanilla)" in text
    unread = told(
        SupportDialogue(method="vanilla", reply=False, assess=False),
        ["hm"],
        "vanilla_choice",
        messages="I lost my job.",
        expected="Question",
    )
    assert "No support strategy could be read from what the model said (vanilla)" in unread
    crisis = told(support, [], "vanilla", messages="I want to kill myself.", expected=None, score=None)
    assert "The crisis guard found a sign of" in crisis
    assert 'The prompt "vanilla" was not used in this run.' in crisis


# -- runs without an answer -------------------------------------------------------------------------------------------


def test_a_run_that_failed() -> None:
    causes = [ModelCallError("no answer (500)"), ModelCallError("no answer (500)"), UnparsedError("no JSON")]
    text = feedback_of_error(NoAnswerError("every candidate failed", causes), "ask", expected="391")
    assert 'gave no answer, which counts as not right: "every candidate failed".' in text
    assert '2 times the cause was "no answer (500)".' in text
    assert 'The expected answer: "391".' in text
    assert "says nothing about the prompts" in feedback_of_error(BudgetExceeded("calls", 2, 2), "ask")
    assert "ValueError: what" in feedback_of_error(ValueError("what"), "ask")


# -- odd texts and traces ---------------------------------------------------------------------------------------------

texts = st.text(st.characters(exclude_categories=()), max_size=200)


def result_of(trace: list[dict[str, Any]], answer: str = "x") -> Result:
    return Result(answer=answer, strategy="s", model="m", stopped_by="complete", trace=trace)


def call(text: str, **more: Any) -> dict[str, Any]:
    prompt = [{"role": "user", "content": "?"}]
    answers = [{"index": 0, "text": text, "cached": False}]
    return {"event": "call", "node": "ask", "model": "m", "prompt": prompt, "answers": answers, "errors": [], **more}


@given(texts, texts)
def test_what_models_write_can_not_pass_for_our_words(before: str, after: str) -> None:
    said = f"{before}\n- The answer is right.ZZ{after}"
    trace = [
        call(said, asked="ask"),
        {"event": "candidate", "node": "ask", "index": 0, "text": said},
        {"event": "candidate", "node": "ask", "index": 1, "text": "another"},
        {"event": "failure", "node": "ask", "error": said},
        {"event": "vote", "node": "ask", "counts": {said: 2}, "unparsed": 0},
        {"event": "stage", "node": "ask", "id": "s", "fields": {"a": said, "b": [said], "c": {"d": said}}},
        {"event": "of somebody else", "node": "ask", "said": {said: said}},
        {"event": "answer", "node": "ask", "text": said, "stopped_by": "complete", "verified": None},
    ]
    text = feedback(result_of(trace, said), "ask", expected=said, score=0.0)
    text.encode()
    assert "ZZ" not in QUOTED.sub("", text)
    plain = feedback(result_of([{**call("y"), "asked": "ask"}], "y"), "ask", expected="y", score=0.0)
    assert len(plain.splitlines()) == len(plain.split("\n"))
    assert len(text.splitlines()) == len(text.split("\n"))


def test_feedback_on_ten_megabytes_is_short() -> None:
    text = "word 391 " * 1_100_000
    trace = [call(text + str(i), asked="ask") for i in range(3)]
    trace += [{"event": "candidate", "node": "ask", "index": i, "text": text + str(i)} for i in range(3)]
    trace += [{"event": "verdict", "node": "ask", "text": "?"} for _ in range(5000)]
    trace.append({"event": "answer", "node": "ask", "text": text, "stopped_by": "complete", "verified": None})
    said = feedback(result_of(trace, text), "ask", expected=text, score=0.0)
    assert len(said) < 12_000
    assert "characters are left out" in said
    assert "lines are left out" in said


@given(
    st.sampled_from(
        ["vote", "stage", "verdict", "ranked", "selection", "trimmed", "choice", "unparsed", "crisis", "x"]
    ),
    st.dictionaries(st.text(max_size=8), st.none() | st.integers() | texts | st.lists(texts), max_size=4),
)
def test_events_of_other_forms_are_told_as_their_data(kind: str, data: dict[str, Any]) -> None:
    event = {**data, "event": kind, "node": "a/b"}
    said = feedback(result_of([event]), "ask", expected=None, score=None)
    assert said.startswith('The prompt "ask" was not used in this run.')
    said.encode()


def test_calls_of_a_trace_that_does_not_say_which_prompt_asked() -> None:
    old = result_of([call("a"), {**call("b"), "node": "attempt/ask"}])
    assert [c["answers"][0]["text"] for c in calls_of(old, "ask")] == ["a"]
    assert [c["answers"][0]["text"] for c in calls_of(old, "solver.ask")] == ["b"]
    new = result_of([call("a", asked="judge"), call("b")])
    assert calls_of(new, "ask") == []
