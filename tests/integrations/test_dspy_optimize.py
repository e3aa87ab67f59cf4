"""DSPy's optimisers on strategies: what they find, and how they stop without losing it."""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

dspy = pytest.importorskip("dspy", reason="the extra 'dspy' is not installed")

from emoagents import Budget, Context, EmotionPrompt, Heart, Plain, SelfAggregation  # noqa: E402
from emoagents.errors import (  # noqa: E402
    MetricError,
    ModelConfigError,
    ParameterError,
    RunError,
    UnknownNameError,
)
from emoagents.evaluation.task import Item, Score  # noqa: E402
from emoagents.integrations.dspy.optimize import Optimisation  # noqa: E402
from emoagents.integrations.dspy.quiet import chatter_to  # noqa: E402
from emoagents.model.scripted import ScriptedModel  # noqa: E402
from emoagents.strategies.base import Strategy  # noqa: E402
from emoagents.tuning.metrics import Metric, make_metric  # noqa: E402
from emoagents.tuning.progress import Progress  # noqa: E402
from emoagents.tuning.prompts import prompts_of  # noqa: E402

EXACT = make_metric("exact")
IDEA = json.dumps({"new_instruction": "Answer with MAGIC: {{question}}"})
FORM = "[[ ## proposed_instruction ## ]]\nUse MAGIC here. {{question}}\n\n[[ ## completed ## ]]"


@pytest.fixture(autouse=True)
def _quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test writes to the home folder, and none leaves DSPy configured."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("DSPY_CACHEDIR", raising=False)
    before = (dspy.settings.lm, dspy.settings.callbacks, dspy.settings.adapter)
    with chatter_to(tmp_path / "chatter.log"):
        yield
    assert (dspy.settings.lm, dspy.settings.callbacks, dspy.settings.adapter) == before
    assert list(home.iterdir()) == []


def items(count: int, start: int = 0) -> list[Item]:
    return [
        Item(id=str(n), messages=({"role": "user", "content": f"Question {n}?"},), targets=("yes",))
        for n in range(start, start + count)
    ]


def magic(**rules: Any) -> ScriptedModel:
    """A model that is right where it is asked with a certain word, and has the idea of that word."""
    return ScriptedModel({"new_instruction": IDEA, "proposed_instruction": FORM, **rules, "MAGIC": "yes", "": "no"})


def optimisation(strategy: Strategy, optimizer: str, model: Any, **more: Any) -> Optimisation:
    context = more.pop("context", None) or Context(model=model, concurrency=4, budget=more.pop("budget", None))
    given = {"train": items(4), "dev": items(3, 50), "metric": EXACT, "context": context, **more}
    return Optimisation(strategy, optimizer, **given)


def asked(strategy: Strategy) -> dict[str, str]:
    return {name: prompt.text for name, prompt in prompts_of(strategy).items()}


# -- what they find ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("strategy", "changed"),
    [
        (EmotionPrompt("EP02"), "ask"),
        (Heart(rounds=1, verifier=lambda answer: answer == "yes", solver=SelfAggregation(samples=2)), "solver."),
    ],
    ids=["plain", "nested"],
)
def test_gepa_finds_the_word(strategy: Strategy, changed: str) -> None:
    model = magic()
    work = optimisation(strategy, "gepa", model)
    tuned = work.run()
    new = {name for name, text in asked(tuned).items() if text != asked(strategy)[name]}
    assert new
    assert all(name.startswith(changed) and "MAGIC" in asked(tuned)[name] for name in new)
    assert (work.progress.first, work.progress.best, work.stopped_by) == (0, 1, "perfect")
    assert tuned.run("Anything?", model=magic()).answer == "yes"
    assert strategy.run("Anything?", model=magic()).answer == "no"
    assert work.usage.calls == len(model.calls)


def test_mipro_finds_the_word() -> None:
    summary = "[[ ## observations ## ]]\nThey are questions.\n[[ ## summary ## ]]\nQuestions."
    rules = {"proposed_instruction": FORM, "(?s)summar|observations": summary, "MAGIC": "yes", "": "no"}
    work = optimisation(Plain(), "mipro", ScriptedModel(rules), demos=0)
    tuned = work.run()
    assert asked(tuned) == {"ask": "Use MAGIC here. {{question}}"}
    assert work.progress.best == 1


def shown(messages: Any) -> str:
    """Answer right where a demonstration is shown, or where the question is one of the easy ones."""
    return "yes" if len(messages) > 1 or messages[-1]["content"] in ("Question 0?", "Question 2?") else "no"


@pytest.mark.parametrize("effort", ["light", "medium"])
def test_bootstrap_finds_demonstrations(effort: str) -> None:
    work = optimisation(Plain(), "bootstrap", ScriptedModel(shown), effort=effort, demos=3)
    tuned = work.run()
    demos = prompts_of(tuned)["ask"].demos
    assert 1 <= len(demos) <= 3
    assert {demo.answer for demo in demos} == {"yes"}
    assert tuned.run("Question 99?", model=ScriptedModel(shown)).answer == "yes"
    assert asked(tuned) == asked(Plain())
    assert work.progress.tried == (0 if effort == "light" else work.progress.tried or 1)


def test_only_runs_of_the_strategy_become_demonstrations_of_prompts_that_take_more_than_a_question() -> None:
    work = optimisation(SelfAggregation(samples=2), "bootstrap", ScriptedModel({"": "yes"}), demos=3)
    tuned = prompts_of(work.run())
    assert all(set(demo.values) == {"question", "count", "candidates"} for demo in tuned["synthesize"].demos)
    assert len(tuned["synthesize"].demos) == 3


def test_another_seed_shows_other_demonstrations() -> None:
    def demos(seed: int) -> list[Any]:
        work = optimisation(Plain(), "bootstrap", ScriptedModel({"": "yes"}), train=items(30), demos=2, seed=seed)
        return [demo.values for demo in prompts_of(work.run())["ask"].demos]

    assert demos(1) == demos(1)
    assert demos(1) != demos(2)


# -- budgets ----------------------------------------------------------------------------------------------------------


def test_gepa_stops_where_the_budget_ends_and_keeps_the_best() -> None:
    half = {"MAGIC.*Question 5[01]": "yes", "MAGIC.*Question [01]": "yes"}
    model = ScriptedModel({"new_instruction": IDEA, **half, "": "no"})
    work = optimisation(Plain(), "gepa", model, budget=Budget(calls=40))
    tuned = work.run()
    assert work.stopped_by == "budget"
    assert "MAGIC" in asked(tuned)["ask"]
    assert work.progress.best == pytest.approx(2 / 3)
    assert len(model.calls) <= 40


@pytest.mark.parametrize("optimizer", ["gepa", "mipro", "bootstrap"])
@pytest.mark.parametrize("calls", [0, 2, 5])
def test_a_budget_that_ends_at_once_leaves_the_strategy_as_it_was(optimizer: str, calls: int) -> None:
    model = ScriptedModel({"new_instruction": IDEA, "": "no"})
    work = optimisation(Plain(), optimizer, model, train=items(9), budget=Budget(calls=calls))
    assert asked(work.run()) == asked(Plain())
    assert work.stopped_by == "budget"
    assert len(model.calls) <= calls


def test_bootstrap_keeps_what_it_found_when_the_budget_ends() -> None:
    work = optimisation(
        SelfAggregation(samples=2), "bootstrap", ScriptedModel({"": "yes"}), train=items(9), budget=Budget(calls=5)
    )
    assert len(prompts_of(work.run())["synthesize"].demos) == 2
    assert work.stopped_by == "budget"


def test_reflection_draws_on_the_same_budget() -> None:
    account = Context(model=ScriptedModel({"": "no"}), concurrency=2, budget=Budget(calls=20)).pooled()
    reflecting = ScriptedModel({"": IDEA})
    work = optimisation(Plain(), "gepa", None, context=account, reflection=account.fresh(model=reflecting))
    work.run()
    assert work.stopped_by == "budget"
    assert reflecting.calls
    assert work.usage.calls == 20


# -- failures ---------------------------------------------------------------------------------------------------------


def failing(often: Callable[[Item], bool]) -> Metric:
    def mine(item: Item, answer: str) -> float:
        if often(item):
            raise KeyError("no such field")
        return float(answer == "yes")

    return make_metric(mine)


@pytest.mark.parametrize("optimizer", ["gepa", "bootstrap"])
def test_a_failing_metric_is_counted_and_its_reason_kept(optimizer: str) -> None:
    metric = failing(lambda item: item.id in ("0", "50"))
    work = optimisation(Plain(), optimizer, magic(), metric=metric, budget=Budget(calls=60))
    work.run()
    failed = work.progress.failed_metrics
    assert failed.count >= 1
    assert all("KeyError: 'no such field'" in reason for reason in failed.reasons)


def test_a_metric_that_never_works_ends_it_with_its_own_error() -> None:
    work = optimisation(Plain(), "gepa", magic(), metric=failing(lambda item: True), train=items(30), dev=items(30, 50))
    with pytest.raises(MetricError, match="failed on example"):
        work.run()


def test_failed_runs_are_counted_and_score_0() -> None:
    model = magic(**{"Question 50": RunError("the line is dead")})
    work = optimisation(Plain(), "gepa", model, budget=Budget(calls=60))
    work.run()
    assert work.progress.failed_runs.count >= 1
    assert work.progress.failed_runs.reasons == ("the line is dead",)
    assert work.progress.best == pytest.approx(2 / 3)


def test_a_model_that_never_answers_ends_it() -> None:
    model = ScriptedModel({"": RunError("the line is dead")})
    work = optimisation(Plain(), "gepa", model, train=items(30), dev=items(30, 50))
    with pytest.raises(RunError, match=r"the first 20 runs all failed, as: the line is dead"):
        work.run()


def test_a_mistake_of_the_caller_ends_it_at_once() -> None:
    model = ScriptedModel({"": ModelConfigError("no key")})
    with pytest.raises(ModelConfigError, match="no key"):
        optimisation(Plain(), "bootstrap", model).run()
    assert len(model.calls) == 1


def test_failed_proposals_are_counted() -> None:
    model = ScriptedModel({"new_instruction": [RunError("too tired"), RunError("too tired"), *[IDEA] * 9], "": "no"})
    work = optimisation(Plain(), "gepa", model, budget=Budget(calls=40))
    work.run()
    assert work.progress.failed_proposals.count == 2
    assert work.progress.failed_proposals.reasons == ("too tired",)


def test_a_reflecting_model_that_never_answers_ends_it() -> None:
    model = ScriptedModel({"new_instruction": RunError("too tired"), "": "no"})
    with pytest.raises(RunError, match="the reflecting model never answered: too tired"):
        optimisation(Plain(), "gepa", model).run()
    assert sum("new_instruction" in call.prompt for call in model.calls) == 3


def test_a_reflecting_model_that_answers_in_no_form_is_said_so() -> None:
    with pytest.raises(
        RunError, match="did not answer in the form that it was asked for, but 'no': take a stronger one"
    ):
        optimisation(Plain(), "mipro", ScriptedModel({"": "no"})).run()


# -- going on ---------------------------------------------------------------------------------------------------------


def interrupting(after: int) -> Metric:
    """A metric in whose k-th use somebody presses Ctrl-C."""
    lock, count = threading.Lock(), [0]

    def mine(item: Item, answer: str) -> float:
        with lock:
            count[0] += 1
            if count[0] == after:
                os.kill(os.getpid(), signal.SIGINT)
        return float(answer == "yes") if item.id != "51" else 0.0

    return make_metric(mine)


def test_ctrl_c_keeps_the_best_and_gepa_goes_on_in_its_folder(tmp_path: Path) -> None:
    work = optimisation(Plain(), "gepa", magic(), folder=tmp_path / "kept", metric=interrupting(20))
    with pytest.raises(KeyboardInterrupt):
        work.run()
    assert work.stopped_by == "interrupted"
    assert "MAGIC" in asked(work.best())["ask"]
    again = optimisation(
        Plain(), "gepa", magic(), folder=tmp_path / "kept", metric=interrupting(0), budget=Budget(calls=12)
    )
    assert "MAGIC" in asked(again.run())["ask"]
    assert again.progress.tried >= 2
    assert again.progress.best == pytest.approx(2 / 3)


# -- mistakes ---------------------------------------------------------------------------------------------------------


def test_mistakes_show_before_anything_is_asked() -> None:
    model = magic()
    with pytest.raises(UnknownNameError, match="did you mean gepa"):
        optimisation(Plain(), "geppa", model)
    with pytest.raises(UnknownNameError, match="light"):
        optimisation(Plain(), "gepa", model, effort="ligth")
    with pytest.raises(ParameterError, match="demos must be at least 1"):
        optimisation(Plain(), "bootstrap", model, demos=0)
    with pytest.raises(ParameterError, match="examples to learn from"):
        optimisation(Plain(), "gepa", model, dev=[])
    assert not model.calls


def test_progress_is_told_as_it_comes() -> None:
    told: list[Progress] = []
    work = optimisation(Plain(), "gepa", magic(), on_progress=told.append)
    work.run()
    assert [p.runs for p in told] == sorted(p.runs for p in told)
    assert {p.best for p in told} == {None, 0.0, 1.0}
    assert told[-1].total is not None
    assert told[-1] == work.progress


def test_chatter_goes_to_the_file_and_comes_back(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    handler = logging.StreamHandler()
    logging.getLogger("optuna").addHandler(handler)
    stream = handler.stream
    with chatter_to(tmp_path / "log"):
        print("printed")
        logging.getLogger("optuna").warning("logged")
    logging.getLogger("optuna").removeHandler(handler)
    assert handler.stream is stream
    assert (tmp_path / "log").read_text().startswith("printed\n")
    assert (tmp_path / "log").read_text().endswith("\nlogged\n")
    assert capfd.readouterr().out == ""


def test_score_of_unjudged_is_a_failure_of_the_metric() -> None:
    work = optimisation(
        Plain(), "bootstrap", magic(), metric=make_metric(lambda item, answer: Score(value=0.0, unjudged=True))
    )
    work.run()
    assert work.progress.failed_metrics.count == 4
