"""`emoagents compare` and `emoagents report`: what is printed, written and returned."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.evaluation.test_comparison import knows_even
from tests.loopback import LoopbackServer
from tests.test_cli import Cli, Done, cli

__all__ = ["cli"]


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer(reply=knows_even) as running:
        yield running


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.csv"
    rows = [f"How much is {i} and {i}?,{2 * i},{'even' if i % 2 == 0 else 'odd'}" for i in range(8)]
    path.write_text("question,answer,kind\n" + "\n".join(rows) + "\n")
    return path


@pytest.fixture
def compare(cli: Cli, server: LoopbackServer, mine: Path, tmp_path: Path) -> Callable[..., Done]:
    columns = "--column input=question --column target=answer --column group=kind --task-option metric=numeric"

    def call(arms: str, *more: str, out: str = "out", task: str | None = None) -> Done:
        line = f"compare -t {task or f'csv:{mine}'} {columns} -m openai/loopback --api-base {server.url}"
        return cli(line, "-s", arms, "--out", str(tmp_path / out), *more)

    return call


def test_a_comparison_from_the_command_line(
    compare: Callable[..., Done], server: LoopbackServer, tmp_path: Path
) -> None:
    done = compare("plain, emotion_prompt:EP02, self_consistency:3")
    assert done.status == 0, done.err
    out, err = done.out, done.err
    assert "4 arms, 8 items: 32 attempts" in err
    assert "3 (3 samples) calls an attempt: self_consistency:3" in err
    assert re.search(r"^plain +0\.500", out, re.M)
    assert re.search(r"^emotion_prompt.*neutral +0\.500", out, re.M)
    folder = tmp_path / "out"
    assert f"report: {folder / 'report.html'}" in err
    page = (folder / "report.html").read_text()
    assert "emotion_prompt:EP02@neutral" in page
    assert len((folder / "records.jsonl").read_text().splitlines()) == 32
    rows = list(csv.DictReader((folder / "results.csv").open()))
    assert len(rows) == 32
    assert {row["status"] for row in rows} == {"scored"}
    assert (folder / "results.parquet").stat().st_size > 0
    assert {path.name for path in (folder / "figures").iterdir()} >= {"cost_quality.png", "differences.png"}
    before = server.stats.requests
    again = compare("plain, emotion_prompt:EP02, self_consistency:3", "--json")
    assert server.stats.requests == before
    assert "going on: 32 of 32 attempts were made before" in again.err
    found = json.loads(again.out)
    assert {row["arm"]: row["score"] for row in found["arms"] if row["task"] == "all"}["plain"] == 0.5


def test_the_plan_says_how_to_run_it_again_and_no_password(
    compare: Callable[..., Done], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(
        "sys.argv", ["emoagents", "compare", "--api-base", "http://me:sec/ret@host/v1?api-key=secret", "-s", "plain, x"]
    )
    compare("plain")
    plan = (tmp_path / "out" / "plan.json").read_text()
    assert json.loads(plan)["command"] == "emoagents compare --api-base http://host/v1 -s 'plain, x'"
    assert "secret" not in plan
    assert "sec/ret" not in plan


def test_equal_tokens_adds_a_vote_that_costs_as_much(compare: Callable[..., Done]) -> None:
    done = compare("plain, gsa:3", "--equal-tokens", "--json")
    match = re.search(r"as many tokens as gsa:3: self_consistency:(\d+)", done.err)
    assert match
    rows = {row["arm"]: row for row in json.loads(done.out)["arms"] if row["task"] == "all"}
    vote = rows[f"self_consistency:{match[1]}"]
    assert 0.7 * rows["gsa:3"]["tokens"] < vote["tokens"] <= rows["gsa:3"]["tokens"]


def test_a_budget_that_ends_is_said_and_the_rest_is_left(compare: Callable[..., Done], server: LoopbackServer) -> None:
    done = compare("plain, emotion_prompt:EP02", "--budget", "calls=5")
    assert done.status == 1
    assert "the budget ended first: run the same command with a larger one" in done.err
    assert server.stats.requests == 5
    assert compare("plain, emotion_prompt:EP02").status == 0
    assert server.stats.requests == 24


def test_equal_tokens_are_not_guessed_from_a_part(compare: Callable[..., Done]) -> None:
    done = compare("plain, gsa:3", "--equal-tokens", "--budget", "calls=5")
    assert "no arm of equal tokens is added yet" in done.err
    assert "self_consistency" not in done.err


def test_failures_say_why(compare: Callable[..., Done], server: LoopbackServer) -> None:
    server.set(rates={"ctx": 1.0})
    done = compare("plain", "--limit", "2")
    assert done.status == 1
    assert re.search(r"^2 attempts failed, the last because: .*context", done.err, re.M)


def test_a_dry_run_asks_nothing_and_writes_nothing(
    compare: Callable[..., Done], server: LoopbackServer, tmp_path: Path
) -> None:
    done = compare("plain, heart:2", "--dry-run", "-p", "verifier=oracle")
    assert done.status == 0
    assert "1 to 3 calls an attempt: heart:2, heart:2@neutral" in done.err
    assert server.stats.requests == 0
    assert not (tmp_path / "out").exists()


def test_workers_give_the_same_table(compare: Callable[..., Done]) -> None:
    one = compare("plain, emotion_prompt:EP02", "--json", out="one")
    two = compare("plain, emotion_prompt:EP02", "--json", "--workers", "2", out="two")
    assert two.status == 0, two.err
    scores = [
        [(row["arm"], row["task"], row["score"], row["low"], row["high"]) for row in json.loads(done.out)["arms"]]
        for done in (one, two)
    ]
    assert scores[0] == scores[1]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_roles_are_part_of_the_plan_and_reach_all_workers(
    compare: Callable[..., Done], server: LoopbackServer, tmp_path: Path, workers: str
) -> None:
    done = compare("coem:base", "--role", "core=openai/other", "--workers", workers)
    assert done.status == 0, done.err
    assert {seen.body["model"] for seen in server.requests} == {"other"}
    assert json.loads((tmp_path / "out" / "plan.json").read_text())["settings"]["roles"] == {"core": "openai/other"}
    before = server.stats.requests
    for more in ([], ["--role", "core=openai/third"]):
        refused = compare("coem:base", *more)
        assert (refused.status, "choose another folder" in refused.err) == (2, True), refused.err
    assert compare("coem:base", "--role", "core=openai/other").status == 0
    assert server.stats.requests == before


def test_a_role_that_no_arm_has_is_refused(compare: Callable[..., Done], server: LoopbackServer) -> None:
    for arms, said in (
        ("plain", "--role croe: no arm has roles"),
        ("plain, coem:base", "unknown role 'croe'; did you mean core?"),
    ):
        done = compare(arms, "--role", "croe=openai/other")
        assert (done.status, said in done.err) == (2, True), done.err
    assert server.stats.requests == 0
    assert compare("plain, coem:base", "--role", "core=openai/other").status == 0


def test_reports_merge_runs(compare: Callable[..., Done], cli: Cli, tmp_path: Path) -> None:
    compare("plain", out="a")
    compare("plain, self_consistency:3", out="b")
    done = cli("report", str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(tmp_path / "both"))
    assert done.status == 0, done.err
    assert "2 runs are joined here" in done.out
    assert (tmp_path / "both" / "report.html").exists()


@pytest.mark.parametrize(
    ("arms", "more", "says"),
    [
        ("plain, heartt:3", [], "did you mean heart"),
        ("plain, plain", [], "arm 'plain' is given twice"),
        ("", [], "there is no arm to compare"),
        ("plain, heart:3[rounds", [], "a bracket or a quotation mark is left open"),
        ("plain, heart:3[rounds]", [], "'rounds' is not NAME=VALUE"),
        ("emotion_prompt:XX*", [], "unknown stimulus 'XX*'"),
        ("plain", ["-p", "placement=system"], "no arm has a parameter 'placement'"),
        ("plain", ["--baseline", "plan"], "did you mean plain"),
        ("plain", ["--limit", "0"], "limit must be a whole number of at least 1"),
        ("plain", ["--workers", "0"], "--workers must be at least 1"),
        ("plain", ["--engine", "slurm"], "--engine is local or ray"),
        ("plain", ["--budget", "calls=9", "--workers", "2"], "a budget is kept by one process"),
        ("plain", ["--budget", "dollars=3"], "no limit 'dollars'"),
    ],
)
def test_mistakes_are_one_sentence_and_cost_nothing(
    compare: Callable[..., Done], server: LoopbackServer, arms: str, more: list[str], says: str
) -> None:
    done = compare(arms, *more)
    assert done.status == 2, done.err
    lines = [line for line in done.err.splitlines() if line.startswith("error:")]
    assert len(lines) == 1
    assert says in lines[0]
    assert "Traceback" not in done.err
    assert server.stats.requests == 0


def test_other_mistakes(cli: Cli, tmp_path: Path) -> None:
    for line, says in {
        "compare -s plain": "say what to compare on, as --task gsm8k",
        "compare -t nothing -s plain": "unknown task",
        f"compare -t csv:{tmp_path}/none.csv -s plain": "none.csv",
        "compare -t gsm8k -s plain --data nowhere": "nowhere",
        f"report {tmp_path}": "this is not the folder of a comparison",
    }.items():
        done = cli(line)
        assert (done.status, says in done.err) == (2, True), done.err
