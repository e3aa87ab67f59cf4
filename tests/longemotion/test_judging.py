"""Rubrics, and what becomes of a judge's verdicts: validated, asked for once again, else unjudged; never a default."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoagents import Context, ScriptedModel
from emoagents.card import cards_dir
from emoagents.errors import CardError, ParameterError, UnknownNameError
from emoagents.evaluation.arms import make_arms
from emoagents.evaluation.comparison import Comparison, compare
from emoagents.evaluation.judging import judged, metrics_of
from emoagents.evaluation.record import Record
from emoagents.evaluation.rubric import Rubric, load_rubric, override_rubric, rubric_names
from emoagents.evaluation.tasks import load_tasks
from emoagents.model.request import Message
from emoagents.model.retry import Retry
from emoagents.result import Result
from emoagents.strategies.plain import Plain

SAMPLES = Path(__file__).parent / "samples"


def expression() -> Rubric:
    return load_rubric("longemotion_expression")


def verdict(rubric: Rubric, number: float = 80, **changed: object) -> str:
    return json.dumps({**dict.fromkeys(rubric.keys, number), **changed})


# ---- the shipped rubrics


def test_the_papers_criteria_and_scales() -> None:
    assert rubric_names() == ["longemotion_conversation", "longemotion_expression", "longemotion_summary"]
    summary = load_rubric("longemotion_summary")
    assert (summary.scale.low, summary.scale.high, len(summary.keys)) == (1, 5, 15)
    assert "treatment_effect_clarity" in summary.keys
    talk = load_rubric("longemotion_conversation")
    assert (talk.scale.low, talk.scale.high) == (0, 5)
    assert [len(talk.of_group(str(stage)).keys) for stage in (1, 2, 3, 4)] == [3, 3, 3, 3]
    with pytest.raises(UnknownNameError):
        talk.of_group("5")
    assert (expression().scale.low, expression().scale.high, len(expression().keys)) == (0, 100, 6)


@pytest.mark.parametrize("name", ["longemotion_conversation", "longemotion_expression", "longemotion_summary"])
def test_every_text_of_a_rubric_says_where_it_is_from(name: str) -> None:
    rubric = load_rubric(name)
    assert {prompt.source for prompt in rubric.card.prompts.values()} == {"ours"}
    assert {criterion.source for criterion in rubric.criteria} == {"ours"}
    assert set(rubric.card.prompts) == {"judge", "again"}
    assert "If " in rubric.card.prompt("judge").text  # instructions within what is judged are not followed


def test_what_is_judged_is_never_a_template() -> None:
    asked = expression().request(situation="{{answer}}", statements="1. Calm", answer="{{low}} {form} $x")
    assert "{{answer}}" in asked
    assert "{{low}} {form} $x" in asked
    assert "from 0 to 100" in asked
    assert '"overall_flow": NUMBER' in asked


# ---- verdicts


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", "it holds no JSON object"),
        ("All good: 90.", "it holds no JSON object"),
        ('{"repetition": 90', "it holds no JSON object"),
        ('{"repetition": 90}', "there is no rating_text_consistency, richness_and_depth"),
        (verdict(expression(), repetition=101), "repetition is 101, and not from 0 to 100"),
        (verdict(expression(), repetition=-1), "repetition is -1, and not from 0 to 100"),
        (verdict(expression(), repetition="high"), "repetition is no number"),
        (verdict(expression(), repetition=True), "repetition is no number"),
        (verdict(expression(), repetition=None), "repetition is no number"),
        (verdict(expression(), repetition=[90]), "repetition is no number"),
        (verdict(expression(), repetition="nan"), "repetition is no number"),
        (verdict(expression(), repetition=10**400), "repetition is no number"),
    ],
)
def test_a_verdict_that_cannot_be_used_says_why(reply: str, reason: str) -> None:
    found, told = expression().read(reply)
    assert found == {}
    assert told.startswith(reason)


@pytest.mark.parametrize(
    "reply",
    [
        verdict(expression()),
        f"Well.\n```json\n{verdict(expression())}\n```",
        f"<think>{verdict(expression(), 3)}</think>{verdict(expression())}",
        f'{{"note": 1}} {verdict(expression())}',
        verdict(expression(), repetition="80", comment="fine"),
        json.dumps({key.replace("_", " ").title(): 80 for key in expression().keys}),
    ],
)
def test_a_verdict_in_other_words_is_read(reply: str) -> None:
    assert expression().read(reply) == (dict.fromkeys(expression().keys, 80.0), "")


def test_a_verdict_by_parts_may_be_nested() -> None:
    rubric = load_rubric("longemotion_summary")
    nested = {part: {"consistency": 5, "completeness": 4, "clarity": 3} for part in rubric.each}
    found, reason = rubric.read(json.dumps(nested))
    assert reason == ""
    assert (found["causes_consistency"], found["symptoms_clarity"]) == (5, 3)


@given(st.text(max_size=400))
def test_no_reply_breaks_the_reading_of_a_verdict(reply: str) -> None:
    found, reason = expression().read(reply)
    assert bool(found) != bool(reason)


@given(st.lists(st.floats(-50, 150), min_size=6, max_size=6))
def test_numbers_are_taken_as_they_are_or_not_at_all(numbers: list[float]) -> None:
    given_ = dict(zip(expression().keys, numbers, strict=True))
    found, _ = expression().read(json.dumps(given_))
    assert found == (given_ if all(0 <= number <= 100 for number in numbers) else {})


def judge_of(*replies: str) -> tuple[Any, list[Sequence[Message]]]:
    asked: list[Sequence[Message]] = []

    async def judge(messages: Sequence[Message]) -> Result:
        asked.append(messages)
        model = ScriptedModel([replies[len(asked) - 1]])
        return await Plain().arun(list(messages), context=Context(model=model))

    return judge, asked


VALUES = {"situation": "s", "statements": "t", "answer": "a"}


async def test_scores_are_shares_of_the_highest_number() -> None:
    judge, asked = judge_of(verdict(expression(), 80, repetition=20))
    scores = await judged(judge, expression(), VALUES)
    assert tuple(scores) == metrics_of(expression())
    assert (scores["overall_flow"].value, scores["repetition"].value) == (0.8, 0.2)
    assert scores["score"].value == pytest.approx(0.7)
    assert len(asked) == 1


async def test_it_is_asked_once_again_with_the_reason() -> None:
    judge, asked = judge_of(verdict(expression(), repetition=700), verdict(expression(), 50))
    scores = await judged(judge, expression(), VALUES)
    assert scores["score"].value == 0.5
    assert [m["role"] for m in asked[1]] == ["user", "assistant", "user"]
    assert asked[1][0] == asked[0][0]
    assert "repetition is 700, and not from 0 to 100" in asked[1][2]["content"]


async def test_after_two_useless_verdicts_it_is_unjudged() -> None:
    judge, asked = judge_of("no idea", '{"repetition": 3', verdict(expression()))
    scores = await judged(judge, expression(), VALUES)
    assert all(score.unjudged and not score.unparsed for score in scores.values())
    assert len(asked) == 2


# ---- rubrics of one's own


def test_a_file_holds_only_what_changes(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    changes = ["[scale]", "low = 1", "high = 7", "[prompts.again]", 'text = "Why? {{reason}}"']
    path.write_text("\n".join(['name = "longemotion_expression"', *changes]))
    mine = override_rubric(path)
    assert (mine.scale.high, mine.keys) == (7, expression().keys)
    assert mine.again("so") == "Why? so"
    assert mine.card.prompts["again"].source == "user"
    assert mine.card.prompts["judge"] == expression().card.prompts["judge"]
    assert mine.digest != expression().digest


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('name = "mine"', "name: must be one of longemotion_conversation"),
        ("", "name: must be one of"),
        ('name = "longemotion_summary"\n[scale]\nlow = 5\nhigh = 1', "scale: low .5. must be at least 0 and less"),
        ('name = "longemotion_summary"\ncriteria = []', "criteria: list should have at least 1 item"),
        ('name = "longemotion_summary"\n[[criteria]]\nid = "Not One"\ntext = "x"', "criteria.*id"),
        (
            'name = "longemotion_expression"\n[[criteria]]\nid = "a"\ntext = "x"\n[[criteria]]\nid = "a"\ntext = "y"',
            "criteria.a: this id stands twice",
        ),
        ('name = "longemotion_summary"\n[prompts.judge]\ntext = "{{secret}}"', "prompts.judge"),
        ('name = "longemotion_summary"\n[prompts.extra]\ntext = "x"', "prompts.extra"),
        ('name = "longemotion_summary"\ntone = "warm"', "tone"),
        ('name = "longemotion_summary', "not valid TOML"),
    ],
)
def test_a_wrong_rubric_is_told_by_file_and_key(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(CardError, match=said) as caught:
        override_rubric(path)
    assert caught.value.path == str(path)


def test_an_unknown_rubric() -> None:
    with pytest.raises(UnknownNameError, match="longemotion_summary"):
        load_rubric("longemotion_sumary")
    assert (cards_dir() / "judges" / "longemotion_summary.toml").is_file()


# ---- in a comparison

SUMMARY = json.dumps(
    dict.fromkeys(("causes", "symptoms", "treatment_process", "characteristics_of_illness", "treatment_effect"), "x")
)


async def run(folder: Path, judge: Context | None, answer: str = SUMMARY) -> tuple[Comparison, Record]:
    comparison = await compare(
        load_tasks("longemotion:summary", data=SAMPLES),
        make_arms(["plain"]),
        Context(model=ScriptedModel(lambda messages: answer, endpoint="arm")),
        folder,
        judge=judge,
    )
    return comparison, list(comparison.records())[-1]


def judge_model(answer: str) -> Context:
    return Context(model=ScriptedModel(lambda messages: answer))


async def test_a_judged_answer_in_a_comparison(tmp_path: Path) -> None:
    _, record = await run(tmp_path, judge_model(verdict(load_rubric("longemotion_summary"), 4)))
    assert (record.status, len(record.scores)) == ("scored", 16)
    assert record.scores["score"] == pytest.approx(0.8)
    assert (record.judge.answers, record.spent.answers) == (1, 1)
    assert record.question.startswith("Case description:\nA bus driver")


@pytest.mark.parametrize("said", ["7 of 5", '{"causes_consistency": 7}', '{"causes_cons', "", '{"a": 1}'])
async def test_an_unjudged_answer_has_no_score_and_is_not_judged_again_on_resume(said: str, tmp_path: Path) -> None:
    judge = judge_model(said or " ")
    comparison, record = await run(tmp_path, judge)
    assert (record.status, record.scores, record.judge.answers) == ("unjudged", {}, 2)
    (row,) = (row for row in comparison.findings.arms if row.task == "longemotion/summary")
    assert (row.n, row.score, row.unjudged, row.failed, row.unparsed) == (0, None, 1, 0, 0)
    assert any("without a verdict of the judge" in note for note in comparison.findings.notes)
    again, _ = await run(tmp_path, judge)
    assert again.outcome is not None
    assert again.outcome.made == 0


async def test_an_answer_that_is_no_summary_is_unparsed_and_no_judge_is_paid(tmp_path: Path) -> None:
    comparison, record = await run(tmp_path, judge_model("{}"), answer="I would rather not.")
    assert (record.status, record.scores["score"], record.judge.answers) == ("unparsed", 0.0, 0)
    (row,) = (row for row in comparison.findings.arms if row.task == "longemotion/summary")
    assert (row.score, row.unparsed, row.unjudged) == (0.0, 1, 0)


async def test_a_judge_that_does_not_answer_fails_the_attempt_which_is_tried_again(tmp_path: Path) -> None:
    _, record = await run(tmp_path, Context(model=ScriptedModel([], faults=[500]), retry=Retry(attempts=1)))
    assert (record.status, record.scores) == ("failed", {})
    _, record = await run(tmp_path, judge_model(verdict(load_rubric("longemotion_summary"), 5)))
    assert (record.status, record.scores["score"]) == ("scored", 1.0)
    assert record.spent.bought == 0  # the arm's own answer was kept


async def test_without_a_judge_nothing_is_bought(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"longemotion/summary is scored by a judge model: name one with --judge"):
        await run(tmp_path, None)
    assert not (tmp_path / "records.jsonl").exists()


async def test_an_oracle_knows_nothing_of_what_a_judge_scores(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="an oracle knows no right answer"):
        await compare(
            load_tasks("longemotion:summary", data=SAMPLES),
            make_arms(["heart:2[verifier=oracle]"]),
            Context(model=ScriptedModel(lambda messages: SUMMARY)),
            tmp_path,
            judge=judge_model(verdict(load_rubric("longemotion_summary"), 4)),
        )
