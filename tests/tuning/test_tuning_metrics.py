"""Metrics for tuning: by name, from a module, from a function; mistakes in them show before anything is paid."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoagents.errors import MetricError, ParameterError, RunError, UnknownNameError
from emoagents.evaluation.task import Item, Score
from emoagents.tuning.metrics import METRICS, make_metric

ITEM = Item(id="q1", messages=({"role": "user", "content": "?"},), targets=("12 apples",))


@pytest.mark.parametrize(
    ("name", "answer", "value"),
    [
        ("exact", "12 Apples.", 1.0),
        ("exact", "12", 0.0),
        ("numeric", "That makes 12.0", 1.0),
        ("contains", "He has 12 apples now", 1.0),
        ("f1", "12 pears", 0.5),
    ],
)
def test_metrics_by_name(name: str, answer: str, value: float) -> None:
    metric = make_metric(name)
    assert metric.name == name
    assert metric(ITEM, answer).value == value


def test_a_name_that_there_is_not() -> None:
    with pytest.raises(UnknownNameError, match="did you mean exact"):
        make_metric("exakt")


@given(st.text(), st.sampled_from(METRICS))
def test_no_answer_breaks_a_metric_by_name(answer: str, name: str) -> None:
    assert 0 <= make_metric(name)(ITEM, answer).value <= 1


@pytest.mark.parametrize("given_", [True, 1, 1.0, Score(value=1.0, parsed="x")])
def test_a_function_may_give_a_number_a_bool_or_a_score(given_: Any) -> None:
    def mine(item: Item, answer: str) -> Any:
        return given_

    metric = make_metric(mine)
    assert metric.name == "mine"
    assert metric(ITEM, "").value == 1
    assert metric(ITEM, "").parsed == (given_.parsed if isinstance(given_, Score) else None)


@pytest.mark.parametrize("wrong", [2, -0.1, float("nan"), "1", None, [1], Score(value=3)])
def test_what_is_no_number_from_0_to_1_is_an_error_that_names_metric_and_example(wrong: Any) -> None:
    with pytest.raises(MetricError, match=r"metric <lambda> gave .* for example q1"):
        make_metric(lambda item, answer: wrong)(ITEM, "a")


def test_an_exception_becomes_one_kind_of_error() -> None:
    metric = make_metric(lambda item, answer: 1 / 0)
    with pytest.raises(MetricError, match="failed on example q1: ZeroDivisionError: division by zero") as caught:
        metric(ITEM, "a")
    assert isinstance(caught.value, RunError)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_metric_that_ends_the_process_is_a_metric_that_failed() -> None:
    with pytest.raises(MetricError, match="failed on example q1: SystemExit: 3"):
        make_metric(lambda item, answer: sys.exit(3))(ITEM, "a")


def test_a_function_of_a_module_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_checks_1.py").write_text("def score(item, answer):\n    return answer in item.targets[0]\n")
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    metric = make_metric("my_checks_1:score")
    assert metric(ITEM, "12").value == 1
    assert metric.name == "my_checks_1:score"
    assert sys.path == before


def test_a_function_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "checks.py"
    path.write_text("def score(item, answer):\n    return 0.25\n")
    assert make_metric(f"{path}:score")(ITEM, "").value == 0.25


@pytest.mark.parametrize(
    ("text", "spec", "message"),
    [
        ("", "no_such_module_x:score", "there is no module 'no_such_module_x'"),
        ("", "checks.py:", "write MODULE:FUNCTION"),
        ("", "none.py:score", "there is no file none.py"),
        ("def scorer(item, answer): ...", "checks.py:score", "no function 'score'; did you mean scorer"),
        ("score = 3", "checks.py:score", "a int is no function"),
        ("def score(answer): ...", "checks.py:score", "can't be called with an example and an answer"),
        ("def score(a, b, c): ...", "checks.py:score", "missing a required argument: 'c'"),
        ("async def score(item, answer): ...", "checks.py:score", "is async"),
        ("def score(:", "checks.py:score", "importing checks.py failed: SyntaxError"),
        ("import no_such_thing_x", "checks.py:score", "importing checks.py failed: ModuleNotFoundError"),
        ("raise SystemExit(3)", "checks.py:score", "importing checks.py failed: SystemExit"),
        ("1 / 0", "checks.py:score", "importing checks.py failed: ZeroDivisionError"),
    ],
)
def test_what_is_wrong_with_a_module_is_said_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, spec: str, message: str
) -> None:
    (tmp_path / "checks.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParameterError, match=message) as caught:
        make_metric(spec)
    assert "\n" not in str(caught.value).strip()
