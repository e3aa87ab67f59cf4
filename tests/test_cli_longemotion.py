"""`emoagents longemotion eval`: what is printed, written, resumed and refused."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emoagents.evaluation.rubric import load_rubric
from tests.test_cli import Cli, Done, cli

__all__ = ["cli"]

SAMPLES = Path(__file__).parent / "longemotion" / "samples"
CORE = {
    "All but one": {"index": 2},
    "YOUR CHOICE": "Fear",
    "Answer the question": "The level of rumination.",
    "Summarise the case": dict.fromkeys(load_rubric("longemotion_summary").each, "brakes"),
    "tell of your feelings": "It sits in my hands.",
    "Rate each": "Interested 3, as it is my work.",
    ".": "You have come a long way.",
}


def verdict(name: str, number: float, group: str = "") -> dict[str, float]:
    return dict.fromkeys(load_rubric(name).of_group(group).keys, number)


JUDGE = {
    "Score each of these from 1 to 5 ": verdict("longemotion_summary", 4),
    "Score each of these from 0 to 5 ": verdict("longemotion_conversation", 3, "4"),
    "Score each of these from 0 to 100 ": verdict("longemotion_expression", 80),
}


def model(folder: Path, name: str, rules: dict[str, Any]) -> str:
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"rules": rules}))
    return f"scripted/{path}"


@pytest.fixture
def evaluate(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    monkeypatch.chdir(tmp_path)
    core, judge = model(tmp_path, "core", CORE), model(tmp_path, "judge", JUDGE)
    sage = model(tmp_path, "sage", {".": "a passage that says little"})

    def call(task: str, arm: str, *more: str, data: Path = SAMPLES, judged: bool = True) -> Done:
        line = f"longemotion eval --task {task} --data {data} -m {core} --out out"
        ranked = ["--role", f"sage={sage}", "-p", "ranker=bm25"] if arm != "plain" else []
        return cli(line, "--arm", arm, *ranked, *(["--judge", judge] if judged else []), *more)

    return call


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]


def test_all_tasks_with_the_overall_score(evaluate: Callable[..., Done], tmp_path: Path) -> None:
    done = evaluate("all", "plain,base,coem")
    assert done.status == 0, done.err
    made = records(tmp_path / "out")
    assert Counter(r["arm"] for r in made) == {"plain": 16, "coem:base": 16, "coem:coem": 16}
    assert {r["status"] for r in made if r["task"] == "longemotion/expression"} == {"scored"}
    found = json.loads((tmp_path / "out" / "longemotion.json").read_text())
    plain = found["arms"][0]
    figures = {one["short"]: one["figure"] for one in plain["tasks"]}
    assert {name: round(figure, 6) for name, figure in figures.items() if name != "QA"} == {
        "EC": 25,
        "ED": 50,
        "ES": 4,
        "MC-4": 3,
        "EE": 80,
    }
    assert plain["overall"] == pytest.approx((25 + 50 + 80 + figures["QA"] + 60 + 80) / 6)
    assert found["missing"] == []
    assert "GPT-4o coem (published)" in done.out
    assert "overall" in done.out
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Figures by task" in page
    assert "data:image/png" in page or (tmp_path / "out" / "figures").is_dir()

    again = evaluate("all", "plain,base,coem", "--json")
    assert "48 of 48 attempts were made before" in again.err
    told = json.loads(again.out)
    assert told["longemotion"]["arms"][0]["overall"] == pytest.approx(plain["overall"])
    assert len(records(tmp_path / "out")) == 48

    other = evaluate("all", "plain,base,coem", "--role", "rank=embedded/minilm")
    assert other.status == 2
    assert "holds a comparison with settings" in other.err


def test_a_useless_judge_leaves_answers_unjudged(evaluate: Callable[..., Done], tmp_path: Path) -> None:
    useless = model(tmp_path, "useless", {"can't be used": '{"causes_consistency": 7', ".": "7 of 5"})
    done = evaluate("summary", "plain", "--judge", useless, judged=False)
    assert done.status == 0, done.err
    (record,) = records(tmp_path / "out")
    assert (record["status"], record["scores"], record["judge"]["answers"]) == ("unjudged", {}, 2)
    found = json.loads((tmp_path / "out" / "longemotion.json").read_text())
    assert (found["arms"][0]["tasks"][0]["unjudged"], found["arms"][0]["tasks"][0]["figure"]) == (1, None)
    assert "1 answer has no usable verdict of the judge" in done.out
    assert "unjudged" in done.out
    assert '"unjudged"' in (tmp_path / "out" / "report.html").read_text()


def test_arms_by_their_short_names(evaluate: Callable[..., Done]) -> None:
    done = evaluate("detection", "base,rag,coem,coem-no-enrich,coem-no-rerank,plain", "--dry-run")
    assert done.status == 0, done.err
    assert "6 arms, 2 items: 12 attempts" in done.err
    for arm in ("coem:base", "coem:rag", "coem:coem", "coem:coem[enrich=false]", "coem:coem[rerank=false]", "plain"):
        assert arm in done.err


def test_several_tasks_and_options(evaluate: Callable[..., Done]) -> None:
    options = ("--task-option", "stages=all", "--task-option", "checkpoints=all", "--limit", "3", "--dry-run")
    done = evaluate("conversation,qa", "plain", *options, "-p", "guard=off")
    assert done.status == 2
    assert "no arm has a parameter 'guard'" in done.err
    done = evaluate("conversation,qa", "base", *options)
    assert "1 arm, 14 items, 5 tasks: 14 attempts" in done.err


@pytest.mark.parametrize(
    ("task", "arm", "more", "said"),
    [
        ("detektion", "base", [], "did you mean detection?"),
        ("all,qa", "base", [], "--task all is all there are"),
        ("qa,qa", "base", [], "names a part twice"),
        ("qa", "koem", [], "unknown strategy 'koem'"),
        ("qa", "base,coem:base", [], "arm 'coem:base' is given twice"),
        ("qa", "base", ["--role", "sage"], "--role is NAME=MODEL, as sage=openai/gpt-4o, not 'sage'"),
        ("qa", "base", ["--role", "sage=embedded/none"], "--role sage is given twice"),
        ("qa", "base", ["--task-option", "stages=2"], "stages of longemotion is 4 or all"),
        ("qa", "base", ["--task-option", "stage=all"], "did you mean stages"),
        ("qa", "base", ["--rubric", "none.toml"], "none.toml"),
        ("qa", "base", ["--limit", "0"], "limit must be a whole number of at least 1"),
    ],
)
def test_mistakes_are_told_before_anything_is_asked(
    task: str, arm: str, more: list[str], said: str, evaluate: Callable[..., Done], tmp_path: Path
) -> None:
    done = evaluate(task, arm, *more, judged=False)
    assert (done.status, done.out) == (2, "")
    assert said in done.err
    assert not (tmp_path / "out").exists()


def test_a_judge_and_a_file_are_needed(evaluate: Callable[..., Done], tmp_path: Path) -> None:
    done = evaluate("expression", "plain", judged=False)
    assert done.status == 2
    assert "longemotion/expression is scored by a judge model: name one with --judge MODEL" in done.err
    done = evaluate("qa", "base", data=tmp_path / "nowhere")
    assert done.status == 2
    assert "there is no such file or folder" in done.err
    done = evaluate("qa", "base", data=SAMPLES / "Emotion_Detection.jsonl")
    assert done.status == 2
    assert "line 1: there is no 'context'" in done.err
