"""`emoagents optimize`: what is printed, written, gone on with and refused."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emoagents.cli.optimize import run_optimization
from emoagents.cli.optimize_job import Job, make_job
from emoagents.cli.optimize_options import OptimizeOptions
from emoagents.registry import strategy
from tests.test_cli import Cli, Done, cli

__all__ = ["cli"]

needs_dspy = pytest.mark.skipif(importlib.util.find_spec("dspy") is None, reason="the extra 'dspy' is not installed")
IDEA = json.dumps({"new_instruction": "Say MAGIC to this: {{question}}"})
MAGIC = {"new_instruction": IDEA, "MAGIC": "yes", "": "no"}
METRICS = """
import os, signal, threading
from pathlib import Path

LOCK = threading.Lock()

def right(item, answer):
    return answer == "yes"

def broken_on_3(item, answer):
    if "3?" in item.messages[-1]["content"]:
        raise LookupError("nobody knows")
    return answer == "yes"

def says_yes(item, answer):
    return "yes"

def broken(item, answer):
    raise LookupError("nobody knows")

def _count():
    with LOCK:
        file = Path("count")
        number = int(file.read_text()) + 1 if file.exists() else 1
        file.write_text(str(number))
        return number

def kills(item, answer):
    if _count() == 16:
        os.kill(os.getpid(), signal.SIGKILL)
    return answer == "yes" and "101" not in item.messages[-1]["content"]

def interrupts(item, answer):
    if _count() == 20:
        os.kill(os.getpid(), signal.SIGINT)
    return answer == "yes" and "101" not in item.messages[-1]["content"]
"""


def rows(path: Path, numbers: range, target: str = "yes") -> Path:
    path.write_text("".join(json.dumps({"input": f"Question {n}?", "target": target}) + "\n" for n in numbers))
    return path


def model(folder: Path, rules: Any, name: str = "model") -> str:
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"rules": rules}))
    return f"scripted/{path.name}"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("DSPY_CACHEDIR", raising=False)
    rows(tmp_path / "train.jsonl", range(8))
    rows(tmp_path / "dev.jsonl", range(100, 104))
    rows(tmp_path / "test.jsonl", range(200, 203))
    (tmp_path / "checks.py").write_text(METRICS)
    model(tmp_path, MAGIC)
    return tmp_path


@pytest.fixture
def optimize(cli: Cli, here: Path) -> Callable[..., Done]:
    def call(line: str = "", *more: str) -> Done:
        given = "--train train.jsonl --dev dev.jsonl --out my.toml -m scripted/model.json --concurrency 4"
        return cli(f"optimize {given} {line}", *more)

    return call


def calls(folder: Path) -> int:
    return sum(len(file.read_text().splitlines()) for file in folder.glob("my-*/calls-*.jsonl"))


# -- what it brings ---------------------------------------------------------------------------------------------------


@needs_dspy
@pytest.mark.parametrize(
    "spec",
    [["emotion_prompt:EP02"], ["heart:1", "-p", "solver=gsa:2", "-p", "verifier=exact:yes"]],
    ids=["plain", "nested"],
)
def test_gepa_raises_dev_from_0_to_1_and_the_card_alone_scores_1(
    optimize: Callable[..., Done], cli: Cli, here: Path, spec: list[str]
) -> None:
    done = optimize("--test test.jsonl", "-s", *spec)
    assert done.status == 0, done.err
    table = done.out.splitlines()
    assert next(line.split()[:4] for line in table if line.startswith("dev ")) == ["dev", "4", "0.000", "1.000"]
    assert next(line.split()[:4] for line in table if line.startswith("test ")) == ["test", "3", "0.000", "1.000"]
    assert "dev: selected on. test: untouched." in table
    assert "better/worse" in done.out  # on 80 columns
    assert "Believe the untouched ones." in " ".join(done.out.split())
    assert "Say MAGIC to this" in done.out
    assert "emoagents run --strategy my.toml --model scripted/model.json" in done.out
    assert "INFO" not in done.out
    assert "INFO" not in done.err
    assert "rollouts/s" not in done.err
    assert list((here / "home").iterdir()) == []
    alone = cli("compare -t jsonl:test.jsonl -s my.toml -m scripted/model.json --out alone --json --no-twins")
    assert {arm["score"] for arm in json.loads(alone.out)["arms"]} == {1.0}
    assert cli("run hello -s my.toml -m scripted/model.json").out == "yes\n"


@needs_dspy
def test_bootstrap_shows_what_was_right(optimize: Callable[..., Done], here: Path) -> None:
    model(here, {r"yes\nQuestion 10\d": "yes", r"Question [0-3]\?$": "yes", "": "no"})
    done = optimize("-s plain --optimizer bootstrap --demos 3 --json")
    found = json.loads(done.out)
    (dev,) = found["measured"]
    assert (dev["role"], dev["before"]["score"], dev["after"]["score"]) == ("untouched", 0, 1)
    assert found["changes"]
    assert all(change["place"].endswith("ask.demos") for change in found["changes"])
    assert len(tomllib.loads((here / "my.toml").read_text())["prompts"]["ask"]["demos"]) == 3
    assert found["command"] == 'emoagents run --strategy my.toml --model scripted/model.json "..."'


def test_search_finds_the_stimulus_and_leaves_dev_untouched(optimize: Callable[..., Done], here: Path) -> None:
    model(here, {"very important to my career": "yes", "": "no"})
    done = optimize("-s emotion_prompt:EP01 --optimizer search --choice stimulus=EP01,EP02,EP03")
    assert done.status == 0, done.err
    assert next(line.split()[:4] for line in done.out.splitlines() if line.startswith("dev ")) == (
        ["dev", "4", "0.000", "1.000"]
    )
    assert "\ndev: untouched.\n" in done.out
    assert "An answer before: 1 sample of the model" in done.out
    said = " ".join(done.out.split())
    assert "Best: stimulus=EP02: 1.000 on 8 items" in said
    assert "Ranking by exact" in said
    assert "best 1.000 of 3 tried" in done.err
    again = optimize("-s emotion_prompt:EP01 --optimizer search --choice stimulus=EP01,EP02,EP03")
    assert "optimised: nothing was left to run, best 1.000 of 3 tried" in again.err
    assert strategy("my.toml").stimulus == "EP02"


def test_nothing_better_is_said_plainly_and_the_card_is_written(
    optimize: Callable[..., Done], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model(here, {"": "no"})
    monkeypatch.setenv("COLUMNS", "30")
    done = optimize("-s emotion_prompt:EP01 --optimizer search --choice stimulus=EP01,EP02")
    said = " ".join(done.out.split())
    assert "\ndev: untouched.\n" in done.out  # however narrow
    assert "dev: no difference was shown, the interval includes 0." in said
    assert "Nothing better was found: the card is the strategy as it began." in said
    assert "No way is better than the default on train (1 other way scored the same): the default is kept." in said
    assert strategy("my.toml").run("hi", model="scripted/model.json").answer == "no"


def test_a_tie_keeps_the_default_though_another_way_asks_less(optimize: Callable[..., Done], here: Path) -> None:
    model(here, {"": "no"})
    found = json.loads(optimize("-s self_consistency:3 --optimizer search --choice samples=1,3 --json").out)
    assert [row["configuration"] for row in found["ranking"]] == ["samples=1", "samples=3"]
    assert found["changes"] == []
    assert strategy("my.toml").samples == 3


def test_a_declared_choice_that_the_temperature_rules_out_is_left_out(
    optimize: Callable[..., Done], here: Path
) -> None:
    model(here, {"": "yes"})
    done = optimize("-s self_consistency --optimizer search --temperature 0.5 --json")
    assert done.status == 0, done.err
    assert "temperature not tried: the context's temperature takes its place" in json.loads(done.out)["notes"]


def test_none_is_tried_where_a_parameter_may_be_none(optimize: Callable[..., Done], here: Path) -> None:
    model(here, {"": "no"})
    ways = "--choice schedule=cycle,fixed --choice emotion=none,anger"
    done = optimize(f"-s heart:1 -p verifier=exact:yes --optimizer search {ways} --json")
    assert done.status == 0, done.err
    tried = {row["configuration"] for row in json.loads(done.out)["ranking"]}
    assert tried >= {"schedule=cycle, emotion=none", "schedule=fixed, emotion=anger"}


def test_failures_of_the_metric_in_a_search_are_told_as_such(optimize: Callable[..., Done], here: Path) -> None:
    line = "-s emotion_prompt:EP01 --optimizer search --choice stimulus=EP01,EP02 --metric checks.py:broken_on_3 --json"
    found = json.loads(optimize(line).out)["optimising"]
    assert (found["failed_metrics"]["count"], found["failed_runs"]["count"]) == (2, 0)
    assert (found["tried"], found["runs"]) == (2, 16)


@needs_dspy
def test_without_dev_a_share_of_train_is_drawn_and_said(optimize: Callable[..., Done], cli: Cli, here: Path) -> None:
    rows(here / "more.jsonl", range(30))
    done = cli("optimize -s plain --train more.jsonl --out my.toml -m scripted/model.json --json")
    assert json.loads(done.out)["examples"] == {"train": 20, "dev": 10}
    assert "a third of the examples was drawn for it by seed 0" in done.err
    assert "the same model proposes new texts" in done.err


# -- budgets, failures ------------------------------------------------------------------------------------------------


@needs_dspy
def test_one_budget_for_everything(optimize: Callable[..., Done], here: Path) -> None:
    rules = {"new_instruction": IDEA, r"MAGIC.*10[0-2]": "yes", r"MAGIC.*\b[0-2]\?": "yes", "": "no"}
    model(here, rules)
    done = optimize("-s plain --budget calls=40 --json")
    found = json.loads(done.out)
    assert found["stopped_by"] == "budget"
    assert found["missing"] == 0
    assert found["measured"][0]["after"]["score"] == 0.75
    assert found["spent"]["calls"] <= 40
    assert calls(here) <= 40


def test_a_budget_that_can_t_measure_twice_is_refused(optimize: Callable[..., Done], here: Path) -> None:
    done = optimize("-s plain --budget calls=10")
    assert done.status == 2
    assert "measuring 4 examples before and after takes up to 10 calls" in done.err
    assert calls(here) == 0


@needs_dspy
def test_a_budget_that_leaves_nothing_says_what_it_took(optimize: Callable[..., Done], here: Path) -> None:
    done = optimize("-s gsa:2 --budget calls=20")
    assert done.status == 1
    assert "the budget leaves nothing to optimise with: the first measurement took 12 calls" in done.err
    assert not (here / "my.toml").exists()


@needs_dspy
def test_failures_of_the_metric_are_counted_and_shown(optimize: Callable[..., Done]) -> None:
    done = optimize("-s plain --optimizer bootstrap --metric checks.py:broken_on_3")
    said = " ".join(done.out.split())
    assert "answers could not be scored, and count as 0; as: metric checks.py:broken_on_3 failed on" in said
    assert "failed on example train " in said
    assert "LookupError: nobody knows" in said
    assert "25% of before on dev failed, and are in no mean" in said
    assert "25% of after on dev failed, and are in no mean" in said
    assert done.status == 1


@needs_dspy
def test_a_metric_that_never_works_ends_it(optimize: Callable[..., Done], here: Path) -> None:
    rows(here / "dev.jsonl", range(100, 130))
    done = optimize("-s plain --metric checks.py:broken")
    assert done.status == 1
    assert "metric checks.py:broken failed on example" in done.err
    assert not (here / "my.toml").exists()


@needs_dspy
@pytest.mark.parametrize(
    ("metric", "reason"),
    [("broken", "LookupError: nobody knows"), ("says_yes", "gave 'yes' for example")],
)
def test_where_nothing_can_be_scored_nothing_is_optimised(
    optimize: Callable[..., Done], here: Path, metric: str, reason: str
) -> None:
    done = optimize(f"-s plain --metric checks.py:{metric}")
    assert done.status == 1
    assert "nothing was optimised, for none of 4 dev examples could be scored: " in done.err
    assert reason in done.err
    assert not (here / "my.toml").exists()
    assert calls(here) == 4


# -- the reflecting model ---------------------------------------------------------------------------------------------


def job_of(**options: Any) -> Job:
    given = {"strategy": "plain", "optimizer": "gepa", "train": "train.jsonl", "out": Path("my.toml")}
    return make_job(OptimizeOptions(**{**given, **options}))


@needs_dspy
@pytest.mark.parametrize(
    ("reflecting", "base"), [("openai/large", "http://here/v1"), ("anthropic/large", None), (None, "http://here/v1")]
)
def test_the_reflecting_model_of_the_same_provider_is_asked_at_the_same_address(
    here: Path, reflecting: str | None, base: str | None
) -> None:
    job = job_of(model="openai/small", api_base="http://here/v1", reflection_model=reflecting)
    assert job.reflection is not None
    assert job.reflection.api_base == base


# -- going on ---------------------------------------------------------------------------------------------------------


@needs_dspy
def test_a_killed_run_goes_on_and_pays_nothing_twice(optimize: Callable[..., Done], here: Path) -> None:
    line = "optimize -s plain --train train.jsonl --dev dev.jsonl --out my.toml -m scripted/model.json --concurrency 1"
    command = [sys.executable, "-m", "emoagents", *line.split(), "--metric", "checks.py:kills", "--budget", "calls=60"]
    killed = subprocess.run(command, cwd=here, capture_output=True, timeout=100)
    assert killed.returncode == -9, killed.stderr
    assert not (here / "my.toml").exists()
    before = calls(here)
    assert before
    done = optimize("-s plain --metric checks.py:kills --budget calls=60 --json")
    assert done.status == 0, done.err
    found = json.loads(done.out)
    assert found["measured"][0]["after"]["score"] == 0.75
    assert before < calls(here) <= 60
    assert len(list(here.glob("my-*"))) == 1
    keys = [
        json.loads(line)["key"] for file in here.glob("my-*/calls-*.jsonl") for line in file.read_text().splitlines()
    ]
    assert len(keys) == len(set(keys))
    after = calls(here)
    again = optimize("-s plain --metric checks.py:kills --budget calls=60 --json")
    assert again.status == 0, again.err
    assert json.loads(again.out)["measured"] == found["measured"]
    assert calls(here) == after


@needs_dspy
def test_ctrl_c_leaves_the_best_so_far_at_out(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = OptimizeOptions(
        strategy="plain",
        optimizer="gepa",
        train="train.jsonl",
        dev="dev.jsonl",
        out=Path("my.toml"),
        metric="checks.py:interrupts",
        model="scripted/model.json",
        concurrency=2,
    )
    with pytest.raises(KeyboardInterrupt):
        run_optimization(options)
    said = " ".join(capsys.readouterr().err.split())
    assert "interrupted: the best so far, 0.750 where it was scored, is in my.toml; the same command goes on" in said
    assert strategy("my.toml").run("hi", model="scripted/model.json").answer == "yes"


# -- mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "say what to optimise, as --strategy heart"),
        ("-s hart", "did you mean heart"),
        ("-s plain --optimizer geppa", "did you mean gepa"),
        ("-s plain --metric exakt", "did you mean exact"),
        ("-s plain --metric checks.py:rigth", "did you mean right"),
        ("-s plain --metric no_such_module:right", "there is no module 'no_such_module'"),
        ("-s plain --effort lite", "did you mean light"),
        ("-s plain --train none.jsonl", "none.jsonl: there is no such file"),
        ("-s plain --dev train.jsonl", "8 of 8 examples of dev stand in train, too, as 'Question 0?'"),
        ("-s plain --test dev.jsonl", "4 of 4 examples of test stand in dev, too"),
        ("-s plain --out none/my.toml", "there is no folder none"),
        ("-s plain --out my.json", "a card's name ends in .toml"),
        ("-s plain --out /proc/my.toml", "--out /proc/my.toml: can't write to the folder /proc"),
        ("-s plain --budget usd=0", "--budget usd=0 leaves nothing to measure or to optimise with"),
        ("-s plain --budget clls=3", "no limit 'clls'"),
        ("-s plain --metric numeric", "the target 'yes' is no number"),
        ("-s plain --role sage=x", "no part of plain has roles"),
        ("-s plain --choice stimulus=a", "--choice is for --optimizer search"),
        ("-s plain --optimizer bootstrap --reflection-model x", "bootstrap proposes no texts"),
        ("-s plain --optimizer search --choice context.temperature=1", "a card holds no settings of the model"),
        ("-s plain --optimizer search", "plain declares no choices: say what to try"),
        ("-s emotion_prompt --optimizer search --choice stimulus=EP0X", "EP0X"),
        ("-s emotion_prompt --optimizer search --choice stimulous=EP01", "did you mean stimulus"),
        ("-s plain --optimizer bootstrap --demos 0", "--demos must be at least 1"),
        ("-s plain --demos -1", "--demos must be 0 or more"),
        ("-s heart -p ronds=3", "did you mean rounds"),
    ],
)
def test_mistakes_are_said_before_anything_is_paid(
    optimize: Callable[..., Done], here: Path, line: str, message: str
) -> None:
    done = optimize(line)
    assert done.status == 2
    assert message in done.err
    assert done.err.count("\n") == 1
    assert done.out == ""
    assert not list(here.glob("my-*"))


@needs_dspy
def test_a_reflecting_model_that_can_t_be_opened_is_said_before_anything_is_paid(
    optimize: Callable[..., Done], here: Path
) -> None:
    done = optimize("-s plain --reflection-model scripted/none.json")
    assert done.status == 2
    assert "--reflection-model scripted/none.json: script none.json: No such file or directory" in done.err
    assert "kept in" not in done.err
    assert not list(here.glob("my-*"))


def test_another_file_at_out_is_not_overwritten_without_force(optimize: Callable[..., Done], here: Path) -> None:
    (here / "my.toml").write_text("precious")
    model(here, {"very important": "yes", "": "no"})
    line = "-s emotion_prompt:EP01 --optimizer search --choice stimulus=EP01,EP02"
    done = optimize(line)
    assert done.status == 2
    assert "--out my.toml is there already" in done.err
    assert (here / "my.toml").read_text() == "precious"
    assert optimize(f"{line} --force").status == 0
    assert strategy("my.toml").stimulus == "EP02"
    assert optimize(line).status == 0


def test_without_dspy_its_optimizers_say_what_to_install(
    optimize: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "dspy" else real(name, *a))
    done = optimize("-s plain")
    assert (done.status, done.out) == (2, "")
    assert "pip install 'emoagents[dspy]'" in done.err


def test_another_metric_of_the_same_name_is_another_optimisation(optimize: Callable[..., Done], here: Path) -> None:
    line = "-s emotion_prompt:EP01 --optimizer search --choice stimulus=EP01,EP02 --metric checks.py:right --force"
    assert optimize(line).status == 0
    (here / "checks.py").write_text(METRICS.replace('answer == "yes"', 'answer == "no"'))
    assert optimize(line).status == 0
    assert len(list(here.glob("my-*"))) == 2
