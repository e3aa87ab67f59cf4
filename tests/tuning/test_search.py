"""A search through its public face: what it asks, what it finds, what it says of failures, and that it asks once."""

from __future__ import annotations

import asyncio
import io
import json
import math
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emoagents import Budget, Context, EmotionPrompt, Heart, Plain, ScriptedModel, SelfAggregation, SelfConsistency
from emoagents.cli.layout import quiet_console
from emoagents.cli.search import show_search
from emoagents.errors import BudgetExceeded, DataError, ModelConfigError, ParameterError, RunError
from emoagents.evaluation.oracle import Oracle
from emoagents.evaluation.task import Item, Score
from emoagents.model.request import Message
from emoagents.strategies.base import Strategy
from emoagents.tuning.metrics import make_metric
from emoagents.tuning.search import search
from emoagents.tuning.search_journal import SearchJournal
from emoagents.tuning.search_plan import most_configurations, plan_rounds
from emoagents.tuning.search_result import SearchResult

EXACT = make_metric("exact")
EPS = [f"EP{number:02}" for number in range(1, 12)]
STIMULUS = {"stimulus": EPS}
MAGIC = "Take pride in your work"
"""How EP10 begins: the stimulus that the model of these tests obeys."""


def items(count: int, prefix: str = "") -> list[Item]:
    return [
        Item(id=f"{prefix}{i}", messages=({"role": "user", "content": f"{prefix}Question {i}?"},), targets=("yes",))
        for i in range(count)
    ]


def text_of(messages: Sequence[Message]) -> str:
    return str(messages[-1]["content"])


def obeys(messages: Sequence[Message]) -> str:
    return "yes" if MAGIC in text_of(messages) else "no"


def find(
    strategy: Strategy | None = None,
    count: int = 20,
    model: ScriptedModel | None = None,
    *,
    metric: Any = EXACT,
    choices: Any = STIMULUS,
    context: Context | None = None,
    **options: Any,
) -> SearchResult:
    given = context or Context(model=model or ScriptedModel(obeys))
    return asyncio.run(search(strategy or EmotionPrompt(), items(count), metric, given, choices=choices, **options))


# -- the rule --------------------------------------------------------------------------------------------------------


def test_it_finds_the_stimulus_that_works() -> None:
    model = ScriptedModel(obeys)
    result = find(model=model, runs=176)
    assert result.best.label == "stimulus=EP10"
    assert result.best.strategy.stimulus == "EP10"  # type: ignore[attr-defined]
    assert result.best.context.model is model
    assert (result.best.mean, result.default.mean) == (1.0, 0.0)
    assert result.stopped_by == "complete"
    assert [(one.survivors, one.end - one.start) for one in result.rounds] == [(11, 8), (6, 12), (3, 0), (2, 0)]
    assert result.runs == len(model.calls) == result.usage.calls == 88 + 72
    assert result.difference is not None
    assert result.difference.difference == 1.0
    assert result.difference.n == result.default.n
    assert "Not needed of the runs allowed: 16, for the last survivors were run on all 20 items." in result.notes


def test_all_survivors_are_asked_the_same_items_and_none_twice() -> None:
    model = ScriptedModel(obeys)
    result = find(model=model, runs=176)
    asked = Counter(call.prompt for call in model.calls)
    assert set(asked.values()) == {1}
    by_question = Counter(prompt.partition("?")[0] for prompt in asked)
    assert sorted(by_question.values(), reverse=True) == [11] * 8 + [6] * 12
    assert [one.n for one in result.ranking] == [20] * 6 + [8] * 5
    assert [one.rounds for one in result.ranking] == [4, 4, 3, 2, 2, 2, 1, 1, 1, 1, 1]


def test_what_late_rounds_do_not_need_goes_to_the_early_ones() -> None:
    rounds = plan_rounds(33, 10, 200)
    assert [(one.survivors, one.runs) for one in rounds][:3] == [(33, 66), (17, 51), (9, 45)]
    assert sum(one.runs for one in rounds) == 162  # with equal shares 102, and the first cut on one item
    assert not any("Not needed" in note for note in find(count=4, runs=44).notes)


def test_a_budget_that_reaches_measures_everything() -> None:
    result = find(count=5, runs=55)
    assert {one.n for one in result.ranking} == {5}
    assert (len(result.rounds), result.runs) == (1, 55)


def test_the_order_of_items_is_drawn_with_the_seed() -> None:
    def first(seed: int) -> set[str]:
        model = ScriptedModel(obeys)
        find(model=model, runs=44, seed=seed)
        return {call.prompt.partition("?")[0] for call in model.calls}

    assert first(1) == first(1)
    assert first(1) != first(2)


def test_ties_go_to_fewer_calls_then_to_the_order_given() -> None:
    result = find(SelfConsistency(3), 6, ScriptedModel({"": "yes"}), choices={"samples": [5, 2, 1]}, runs=100)
    assert [one.label for one in result.ranking] == ["samples=1", "samples=2", "samples=3", "samples=5"]
    assert [one.answers for one in result.ranking] == [1, 2, 3, 5]
    result = find(count=4, model=ScriptedModel({"": "yes"}), choices={"stimulus": ["EP05", "EP01"]}, runs=100)
    assert [one.label for one in result.ranking] == ["stimulus=EP02", "stimulus=EP05", "stimulus=EP01"]
    assert result.difference is None  # the default is the best


def test_what_there_is_no_room_for_is_left_out_and_said() -> None:
    result = find(runs=12)
    assert len(result.ranking) == 4  # for 5 there are 3 rounds, so that the first one takes 15
    assert result.left_out == 7
    assert "7 of 11 combinations were not drawn: more runs try more." in result.notes


@given(n=st.integers(2, 300), size=st.integers(1, 500), runs=st.integers(2, 5000))
def test_rounds_keep_to_the_budget_and_halve(n: int, size: int, runs: int) -> None:
    n = min(n, most_configurations(size, runs))
    rounds = plan_rounds(n, size, runs)
    assert sum(one.runs for one in rounds) <= runs
    assert rounds[0].survivors == n
    assert rounds[0].end >= 1
    assert all(one.end <= size for one in rounds)
    if len(rounds) == 1:
        assert n * size <= runs or n == 2
    else:
        assert len(rounds) == math.ceil(math.log2(n))
        assert rounds[-1].survivors == 2
        for one, following in pairwise(rounds):
            assert following.survivors == math.ceil(one.survivors / 2)
            assert following.start == one.end


@given(size=st.integers(1, 500), runs=st.integers(2, 3000))
def test_no_more_configurations_would_fit(size: int, runs: int) -> None:
    most = most_configurations(size, runs)
    assert plan_rounds(most, size, runs)[0].end >= 1
    assert (most + 1) * size > runs
    assert (most + 1) * len(plan_rounds(most + 1, size, runs)) > runs


# -- the context, several choices ------------------------------------------------------------------------------------


def test_the_temperature_chosen_reaches_the_model() -> None:
    model = ScriptedModel({"": "yes"})
    result = find(Plain(), 3, model, choices={"context.temperature": [0.0, 0.7]}, runs=50)
    asked = Counter(call.request.temperature for call in model.calls)
    assert asked == {None: 3, 0.0: 3, 0.7: 3}
    assert {one.context.temperature for one in result.ranking} == {None, 0.0, 0.7}
    assert all(one.context.pool is None for one in result.ranking)  # each may be used by itself


def test_refused_combinations_are_counted() -> None:
    choices = {"schedule": ["cycle", "fixed"], "emotion": [None, "fear"], "rounds": [1]}
    model = ScriptedModel({"": "yes"})
    result = find(Heart(verifier="exact:yes", rounds=1), 2, model, choices=choices, runs=50)
    assert result.refused == 2
    assert any("refuses 2 combinations" in note for note in result.notes)


def test_what_a_card_declares_is_tried_without_being_told() -> None:
    result = find(SelfAggregation(), 2, ScriptedModel({"": "yes"}), choices=None, runs=60)
    assert set(result.best.configuration.values) == {"samples", "method", "temperature", "diversity"}
    assert result.total == 108


def test_a_strategy_beside_the_choices_is_the_control() -> None:
    result = find(
        model=ScriptedModel(lambda messages: "yes" if text_of(messages).endswith("?") else "no"), also=[Plain()]
    )
    labels = [one.label for one in result.ranking]
    assert "plain" in labels
    assert result.best.label in ("plain", "stimulus=EP04", "stimulus=EP05")


def test_an_oracle_sees_the_items_of_a_search() -> None:
    result = find(Heart(verifier=Oracle(), rounds=1), 3, ScriptedModel({"": "yes"}), choices={"rounds": [0, 1]}, runs=9)
    assert result.failed == 0
    assert result.best.answers == 1


# -- failures --------------------------------------------------------------------------------------------------------


def test_a_failed_run_scores_0_and_is_counted_and_shown() -> None:
    def answers(messages: Sequence[Message]) -> str:
        if "Question 3?" in text_of(messages):
            raise RunError("the model fell over")
        return obeys(messages)

    events: list[dict[str, Any]] = []
    result = find(model=ScriptedModel(answers), count=5, runs=55, on_event=events.append)
    assert result.failed == 11
    assert not any(e.get("by_metric") for e in events)
    assert (result.best.mean, result.best.failed, result.best.n) == (0.8, 1, 5)
    assert "the model fell over" in shown(result)


def test_a_metric_that_fails_scores_0_and_is_counted() -> None:
    def metric(item: Item, answer: str) -> Score:
        return Score(value=1 / (int(item.id) - 2) > 0)

    events: list[dict[str, Any]] = []
    result = find(metric=metric, count=4, runs=44, on_event=events.append)
    assert result.failed == 11
    assert [e["by_metric"] for e in events if e["event"] == "run" and e["status"] == "failed"] == [True] * 11
    assert "ZeroDivisionError" in (result.last_error or "")
    assert {one.mean for one in result.ranking} == {0.25}


def test_what_cannot_be_read_is_counted_apart() -> None:
    result = find(metric=make_metric("numeric"), count=4, runs=44)
    assert (result.failed, result.unparsed) == (0, 44)
    assert {one.mean for one in result.ranking} == {0.0}


def test_where_every_run_fails_it_raises_with_the_reason() -> None:
    model = ScriptedModel({"": RunError("no such luck")})
    with pytest.raises(RunError, match="the first 20 runs all failed, the last because: no such luck"):
        find(model=model, runs=200, context=Context(model=model, concurrency=1))
    assert len(model.calls) == 20  # and not 200
    with pytest.raises(RunError, match="every run of every configuration failed"):
        find(count=1, model=model, runs=11)


def test_a_mistake_of_the_callers_is_raised_as_it_is() -> None:
    with pytest.raises(ModelConfigError):
        find(model=ScriptedModel({"": "yes"}, faults=[401]))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"count": 0}, "no items"),
        ({"runs": 1}, "runs must be at least 2"),
        ({"runs": 2.5}, "whole number"),
        ({"choices": {"stimulus": ["EP99"]}}, "unknown stimulus"),
    ],
)
def test_a_wrong_call_asks_nothing(options: dict[str, Any], told: str) -> None:
    model = ScriptedModel(obeys)
    with pytest.raises(ParameterError, match=told):
        find(model=model, **options)
    assert not model.calls


def test_items_need_ids_of_their_own() -> None:
    with pytest.raises(ParameterError, match="2 items have the id '1'"):
        asyncio.run(search(Plain(), [*items(3), items(2)[1]], EXACT, Context(model=ScriptedModel(obeys))))


# -- money and time --------------------------------------------------------------------------------------------------


def test_when_the_budget_ends_the_best_so_far_is_returned() -> None:
    model = ScriptedModel(obeys)
    result = find(context=Context(model=model, budget=Budget(calls=60), concurrency=3), runs=176)
    assert len(model.calls) == result.runs == 60
    assert result.stopped_by == "budget"
    assert result.best.label == "stimulus=EP10"
    assert len(result.ranking) == 11
    assert "Best so far: stimulus=EP10" in shown(result)


def test_a_budget_that_ends_within_the_first_item_still_ranks_what_ran() -> None:
    result = find(context=Context(model=ScriptedModel(obeys), budget=Budget(calls=3), concurrency=1), runs=176)
    assert [one.n for one in result.ranking] == [1] * 3 + [0] * 8
    assert result.ranking[-1].mean is None
    assert "-" in shown(result)


def test_a_run_cut_short_by_the_budget_is_no_run() -> None:
    context = Context(model=ScriptedModel({"": "yes"}), budget=Budget(calls=5), concurrency=1)
    result = find(SelfAggregation(2, method="choose"), 4, context=context, choices={"samples": [3]}, runs=100)
    assert result.stopped_by == "budget"
    assert result.failed == 0
    assert result.runs < 5


def test_it_draws_on_the_budget_of_a_pooled_context() -> None:
    pooled = Context(model=ScriptedModel(obeys), budget=Budget(calls=30)).pooled()
    assert find(context=pooled).runs == 30
    with pytest.raises(BudgetExceeded):
        Plain().run("More?", context=pooled)


def test_without_any_money_it_raises() -> None:
    with pytest.raises(BudgetExceeded):
        find(context=Context(model=ScriptedModel(obeys), budget=Budget(calls=0)))


def test_runs_go_side_by_side_up_to_the_contexts_concurrency() -> None:
    model = ScriptedModel(obeys, latency=0.01)
    find(context=Context(model=model, concurrency=7), count=10, runs=110)
    assert model.max_in_flight == 7


def test_its_events_tell_what_happens() -> None:
    events: list[dict[str, Any]] = []
    find(runs=66, on_event=events.append)
    assert [e["event"] for e in events if e["event"] != "run"] == ["begin", *["round", "ranked"] * 4, "end"]
    assert sum(e["event"] == "run" for e in events) == events[0]["runs"] == 54
    assert events[-1]["best"] == "stimulus=EP10"
    json.dumps(events)


# -- held-out items --------------------------------------------------------------------------------------------------


def test_held_out_items_measure_the_best_against_the_default_afresh() -> None:
    model = ScriptedModel(obeys)
    result = find(model=model, runs=44, held_out=items(9, "held "))
    assert result.held_out is not None
    assert (result.held_out.best.n, result.held_out.default.n) == (9, 9)
    assert result.held_out.difference is not None
    assert (result.held_out.difference.n, result.held_out.difference.difference) == (9, 1.0)
    assert result.held_out.difference.low > 0
    assert sum("held Question" in call.prompt for call in model.calls) == 18
    assert result.best.n <= 20  # the ranking is of the search's own items
    assert "On held-out items: best 1.000, default 0.000" in shown(result)


def test_without_held_out_items_it_says_that_the_best_is_flattered() -> None:
    assert any("flatters" in note for note in find(count=4, runs=44).notes)
    assert not any("flatters" in note for note in find(count=4, runs=44, held_out=items(3, "held ")).notes)


def test_held_out_items_that_the_search_saw_are_told() -> None:
    result = find(runs=44, held_out=[*items(2), *items(2, "held ")])
    assert any("2 of the held-out items" in note for note in result.notes)


def test_where_the_default_wins_nothing_is_asked_of_the_held_out_items() -> None:
    model = ScriptedModel({"": "yes"})
    result = find(model=model, runs=44, held_out=items(5, "held "))
    assert result.held_out is None
    assert not any("held" in call.prompt for call in model.calls)
    assert any("held-out items were not asked" in note for note in result.notes)


# -- the journal -----------------------------------------------------------------------------------------------------


def test_a_journal_asks_nothing_twice(tmp_path: Path) -> None:
    file = tmp_path / "runs" / "search.jsonl"
    first = find(runs=66, journal=file)
    model = ScriptedModel(obeys)
    again = find(model=model, runs=66, journal=file)
    assert not model.calls
    assert again.resumed == again.runs == first.runs
    assert [(r.label, r.mean, r.n) for r in again.ranking] == [(r.label, r.mean, r.n) for r in first.ranking]
    assert again.usage == first.usage


def test_more_runs_and_other_choices_go_on_from_a_journal(tmp_path: Path) -> None:
    file = tmp_path / "search.jsonl"
    find(count=4, choices={"stimulus": EPS[:4]}, runs=16, journal=file)
    model = ScriptedModel(obeys)
    result = find(count=4, model=model, choices={"stimulus": EPS[:6]}, runs=24, journal=file)
    assert len(model.calls) == 8
    assert result.resumed == 16


def test_the_budget_covers_what_the_journal_was_paid(tmp_path: Path) -> None:
    file = tmp_path / "search.jsonl"
    for _ in range(2):
        model = ScriptedModel(obeys)
        result = find(context=Context(model=model, budget=Budget(calls=30)), runs=176, journal=file)
    assert not model.calls
    assert (result.stopped_by, result.runs) == ("budget", 30)


def test_a_failed_run_of_a_journal_is_asked_again(tmp_path: Path) -> None:
    file = tmp_path / "search.jsonl"
    faulty = ScriptedModel(lambda messages: RunError("down") if "Question 0?" in text_of(messages) else "no")
    find(count=2, model=faulty, runs=22, journal=file)
    model = ScriptedModel(obeys)
    again = find(count=2, model=model, runs=22, journal=file)
    assert (again.failed, again.resumed, again.best.label) == (0, 11, "stimulus=EP10")
    assert len(model.calls) == 11
    find(count=2, model=(idle := ScriptedModel(obeys)), runs=22, journal=file)
    assert not idle.calls


def test_a_half_written_line_is_cut_off(tmp_path: Path) -> None:
    file = tmp_path / "search.jsonl"
    find(count=4, runs=44, journal=file)
    whole = file.read_bytes()
    file.write_bytes(whole[:-25])
    model = ScriptedModel(obeys)
    assert find(count=4, model=model, runs=44, journal=file).runs == 44
    assert len(model.calls) == 1
    assert [json.loads(line) for line in file.read_text().splitlines()]


@settings(max_examples=25)
@given(cut=st.integers(0, 2500))
def test_a_journal_cut_anywhere_goes_on(cut: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("cut") / "search.jsonl"
    find(count=2, choices={"stimulus": EPS[:3]}, runs=6, journal=file)
    file.write_bytes(file.read_bytes()[:cut])
    again = find(count=2, choices={"stimulus": EPS[:3]}, runs=6, journal=file)
    assert again.runs == 6
    assert len(file.read_text().splitlines()) == 7


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"seed": 5}, "the seed differs"),
        ({"count": 21}, "the items differ"),
        ({"metric": make_metric("contains")}, "the metric differs"),
        ({"strategy": EmotionPrompt("EP07")}, "the strategy differs"),
        ({"context": Context(model=ScriptedModel(obeys), max_tokens=3)}, "the settings differ"),
        ({"context": Context(model=ScriptedModel(obeys, name="other"))}, "the model differs"),
    ],
)
def test_the_journal_of_another_search_is_refused(tmp_path: Path, options: dict[str, Any], told: str) -> None:
    file = tmp_path / "search.jsonl"
    find(runs=12, journal=file)
    before = file.read_bytes()
    with pytest.raises(ParameterError, match=f"journal of another search: {told}"):
        find(**{"runs": 12, "journal": file, **options})
    assert file.read_bytes() == before


@pytest.mark.parametrize("content", ["hello\n", '{"question": "?"}\n', "[1]\n", '{"search": 3}\n'])
def test_a_file_that_is_no_journal_is_refused_and_kept(tmp_path: Path, content: str) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text(content)
    with pytest.raises(DataError, match="no journal of a search"):
        find(journal=file)
    assert file.read_text() == content


def test_a_file_of_one_unfinished_line_of_something_else_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("my notes, without a newline")
    with pytest.raises(DataError, match="no journal of a search"):
        find(journal=file)
    assert file.read_text() == "my notes, without a newline"


def test_a_damaged_line_is_told_with_its_number(tmp_path: Path) -> None:
    file = tmp_path / "search.jsonl"
    find(count=2, runs=22, journal=file)
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:3], "{broken", *lines[4:]]) + "\n")
    with pytest.raises(DataError, match="line 4: not a run"):
        find(count=2, runs=22, journal=file)


def test_two_searches_do_not_share_a_journal(tmp_path: Path) -> None:
    file = tmp_path / "search.jsonl"

    def hold(event: dict[str, Any]) -> None:
        if event["event"] == "begin":  # the journal is open now
            with pytest.raises(DataError, match="another search is at work with this journal"):
                SearchJournal(file, {}).__enter__()
            refused.append(event)

    refused: list[Any] = []
    find(count=2, runs=22, journal=file, on_event=hold)
    assert refused


_KILLED = """
import asyncio, sys
from emoagents import Context, EmotionPrompt, ScriptedModel
from emoagents.evaluation.task import Item
from emoagents.tuning.metrics import make_metric
from emoagents.tuning.search import search
ask = lambda i: ({"role": "user", "content": f"Question {i}?"},)
items = [Item(id=str(i), messages=ask(i), targets=("yes",)) for i in range(20)]
model = ScriptedModel(lambda messages: "yes" if "Take pride" in messages[-1]["content"] else "no", latency=0.02)
told = lambda event: print(event["event"], flush=True)
context = Context(model=model, concurrency=2)
choices = {"stimulus": [f"EP{n:02}" for n in range(1, 12)]}
metric, file = make_metric("exact"), sys.argv[1]
asyncio.run(search(EmotionPrompt(), items, metric, context, choices=choices, runs=176, journal=file, on_event=told))
"""


def test_a_killed_search_goes_on_and_asks_nothing_twice(tmp_path: Path) -> None:
    file = tmp_path / "search.jsonl"
    command = [sys.executable, "-c", _KILLED, str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = (line for line in process.stdout if line.strip() == "run")
        for _ in range(30):
            next(told)
        process.send_signal(signal.SIGKILL)
    kept = file.read_bytes().count(b"\n") - 1
    assert kept >= 30
    model = ScriptedModel(obeys)
    result = find(model=model, runs=176, journal=file)
    assert (result.best.label, result.resumed) == ("stimulus=EP10", kept)
    assert len(model.calls) == 160 - kept


# -- on the screen ---------------------------------------------------------------------------------------------------


def shown(result: SearchResult, width: int = 80) -> str:
    out = io.StringIO()
    console = quiet_console(out)
    console.width = width
    show_search(console, result)
    return out.getvalue()


def test_it_is_shown_on_80_columns() -> None:
    text = shown(find(runs=176, held_out=items(4, "held "), also=[Plain()]))
    assert text.startswith("Best: stimulus=EP10: 1.000 on 20 items\n")
    assert "stimulus=EP02 (default)" in text
    assert "12 configurations of emotion_prompt" in text
    assert max(map(len, text.splitlines())) <= 80


def test_where_the_default_wins_it_says_so() -> None:
    text = shown(find(count=4, model=ScriptedModel({"": "yes"}), runs=44))
    assert text.startswith("Best: the default, stimulus=EP02: 1.000")


def test_a_label_obeys_no_terminal() -> None:
    result = find(choices={"stimulus": ["do \x1b[31m this", "EP03"]}, count=2, runs=6)
    assert "\x1b" not in shown(result)
