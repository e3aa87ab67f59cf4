"""`emoagents support eval` and `support prior`: what is printed, written, resumed and refused."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from emoagents.support.labels import STRATEGIES
from tests.test_cli import Cli, Done, cli

__all__ = ["cli"]

MINIATURE = Path(__file__).parent.parent / "strategies" / "support" / "miniature.json"
RULES = {
    "Which strategy": {"strategy": "Question"},
    "Write the supporter": {"strategy": "Affirmation and Reassurance", "response": "You are strong."},
}


@pytest.fixture
def model(tmp_path: Path) -> str:
    path = tmp_path / "model.json"
    path.write_text(json.dumps({"rules": RULES}))
    return f"scripted/{path}"


@pytest.fixture
def evaluate(cli: Cli, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    monkeypatch.chdir(tmp_path)

    def call(methods: str, *more: str, sampling: str = "all", limit: str = "30") -> Done:
        line = f"support eval --data {MINIATURE} --sampling {sampling} --limit {limit} -m {model} --out out"
        return cli(line, "--method", methods, *more)

    return call


def records(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]


def test_methods_are_measured_on_the_same_instances(evaluate: Callable[..., Done], tmp_path: Path) -> None:
    done = evaluate("vanilla, calibrated[prior=none,samples=2], planner")
    assert done.status == 0, done.err
    made = records(tmp_path / "out")
    assert Counter(r["arm"] for r in made) == {
        "support:vanilla": 30,
        "support:calibrated[prior=none,samples=2]": 30,
        "support:planner": 30,
    }
    assert len({r["item"] for r in made}) == 30
    assert {r["parsed"] for r in made if r["arm"] == "support:vanilla"} == {"Question"}
    found = json.loads((tmp_path / "out" / "support.json").read_text())
    arms = {arm["arm"]: arm for arm in found["arms"]}
    assert arms["support:vanilla"]["b"]["value"] == pytest.approx(7**0.5, abs=0.05)
    assert arms["support:planner"]["b"]["value"] < arms["support:vanilla"]["b"]["value"]
    assert "macro-F1" in done.out
    assert "the crisis guard is off, for no person reads these replies\n" in done.err
    lines = (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()
    assert len(lines) == 90
    assert {json.loads(line)["predicted"] for line in lines} <= {*STRATEGIES}
    assert "data:image/png" in (tmp_path / "out" / "report.html").read_text()


def test_a_planner_is_never_asked_about_dialogues_it_was_trained_on(
    evaluate: Callable[..., Done], tmp_path: Path
) -> None:
    assert evaluate("planner").status == 0
    (folder,) = (tmp_path / "comparisons").glob("planner-*")
    again = evaluate("planner", "--out", "again")
    assert "training" not in again.err  # the same data and seed: the same planners
    assert list((tmp_path / "comparisons").iterdir()) == [folder]


def test_it_goes_on_where_it_stopped(evaluate: Callable[..., Done], tmp_path: Path) -> None:
    assert evaluate("vanilla", limit="10").status == 0
    done = evaluate("vanilla", limit="20")
    assert "going on: 10 of 20 attempts were made before" in done.err
    assert len(records(tmp_path / "out")) == 20


def test_replies_are_written_and_measured_where_they_are_asked_for(
    evaluate: Callable[..., Done], tmp_path: Path
) -> None:
    assert evaluate("vanilla", "--replies").status == 0
    assert {r["answer"] for r in records(tmp_path / "out")} == {"You are strong."}
    assert json.loads((tmp_path / "out" / "support.json").read_text())["arms"][0]["text"]["bleu_2"] >= 0


def test_parameters_reach_every_method_and_override_what_is_fixed(
    evaluate: Callable[..., Done], tmp_path: Path
) -> None:
    done = evaluate("vanilla", "--param", "shots=2", "--param", "guard=on", limit="3")
    assert done.status == 0, done.err
    assert "the crisis guard is off" not in done.err
    assert "Example 2" in json.dumps(records(tmp_path / "out"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--method", "vanila"], "vanila"),
        (["--method", "planner", "--planner", "nowhere.skops"], "nowhere.skops"),
        (["--sampling", "some"], "--sampling is paper or all"),
        (["--method", "vanilla", "--param", "guard=maybe"], "guard must be on, model, off"),
        (["--data", "nowhere.json"], "nowhere.json"),
    ],
)
def test_a_mistake_is_one_sentence(cli: Cli, model: str, words: list[str], says: str) -> None:
    done = cli(f"support eval --data {MINIATURE} -m {model}", *words)
    assert done.status == 2
    assert says in done.err
    assert "Traceback" not in done.err


def test_a_prior_is_measured_and_used(cli: Cli, model: str, tmp_path: Path) -> None:
    out = tmp_path / "prior.json"
    done = cli(f"support prior -m {model} --out {out}")
    assert done.status == 0, done.err
    found = json.loads(out.read_text())
    assert max(found["preferences"], key=found["preferences"].get) == "Question"
    assert "--param prior=" in done.err
    used = cli(f"run Hello -s support -m {model} -p prior={out} -p reply=no -p assess=no --json")
    assert json.loads(used.out)["answer"] in STRATEGIES
