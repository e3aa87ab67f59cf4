"""Debiasing: arithmetic on distributions over the eight strategies."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoagents.errors import DataError, ParameterError
from emoagents.support.debias import (
    LETTERS,
    debiased,
    distribution_of,
    from_counts,
    from_letters,
    mean,
    read_preferences,
    staged,
)
from emoagents.support.labels import STAGES, STAGES_OF, STRATEGIES
from emoagents.support.planner import choice

WEIGHTS = st.lists(st.floats(1e-3, 1e3), min_size=8, max_size=8).map(lambda w: dict(zip(STRATEGIES, w, strict=True)))


def tops(probabilities: dict[str, float]) -> list[dict[str, object]]:
    return [{"token": token, "logprob": math.log(p)} for token, p in probabilities.items()]


@given(WEIGHTS, WEIGHTS, st.floats(0, 3), st.sampled_from([*STAGES, None]), st.floats(0, 5))
def test_whatever_is_divided_out_leaves_a_distribution_over_the_eight(a, b, strength, stage, stage_strength) -> None:
    found = staged(debiased(distribution_of(a), distribution_of(b), strength), stage, stage_strength)
    assert tuple(found) == STRATEGIES
    assert sum(found.values()) == pytest.approx(1)
    assert min(found.values()) > 0


@given(WEIGHTS, WEIGHTS)
def test_strength_0_changes_nothing_and_its_own_preference_leaves_none(a, b) -> None:
    chosen = distribution_of(a)
    assert debiased(chosen, distribution_of(b), 0) == pytest.approx(chosen, abs=1e-4)
    assert debiased(chosen, chosen) == pytest.approx(dict.fromkeys(STRATEGIES, 1 / 8), abs=1e-4)


@given(WEIGHTS, st.floats(0.01, 100))
def test_only_the_shape_of_a_preference_counts(a, scale) -> None:
    chosen, scaled = distribution_of(a), {name: value * scale for name, value in a.items()}
    assert debiased(chosen, distribution_of(scaled), 0.7) == pytest.approx(
        debiased(chosen, distribution_of(a), 0.7), abs=1e-4
    )


def test_a_liked_strategy_loses_to_the_one_that_stands_out_here() -> None:
    usual = distribution_of({"Question": 6, "Information": 2, "Others": 1})
    here = distribution_of({"Question": 5, "Information": 3, "Others": 1})
    assert choice(here) == "Question"
    assert choice(debiased(here, usual)) == "Information"


def test_letters_are_read_in_all_spellings_and_a_missing_one_is_bounded_by_the_least_likely() -> None:
    found, mass = from_letters(tops({"A": 0.4, " B": 0.2, "b": 0.1, "The": 0.2, "H": 0.01}))
    assert mass == pytest.approx(0.71)
    weights = {"Question": 0.4, "Restatement or Paraphrasing": 0.3}
    rest = dict.fromkeys(STRATEGIES, 0.01)
    assert found == pytest.approx(distribution_of({**rest, **weights}))
    found, _ = from_letters(tops({"A": 0.99}))
    assert found["Question"] > 0.98  # what little is left is all that the others can have
    assert len(LETTERS) == len(STRATEGIES)


def test_samples_are_counted_and_smoothed() -> None:
    found = from_counts({"Question": 3, "Others": 1})
    assert found["Question"] == pytest.approx(3.5 / 8)
    assert found["Information"] == pytest.approx(0.5 / 8)


def test_the_mean_of_distributions() -> None:
    one, other = distribution_of({"Question": 1}), distribution_of({"Others": 1})
    assert mean([one, other])["Question"] == pytest.approx(0.5, abs=1e-4)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_makes_its_own_strategies_likelier_and_none_impossible(stage) -> None:
    even = distribution_of(dict.fromkeys(STRATEGIES, 1.0))
    found = staged(even, stage, 1.0)
    for name in STRATEGIES:
        for other in STRATEGIES:
            if stage in STAGES_OF[name] and stage not in STAGES_OF[other]:
                assert found[name] / found[other] == pytest.approx(math.e)


@pytest.mark.parametrize(
    "weights",
    [{}, {"Question": 0}, {"Question": -1}, {"Question": math.nan}, {"Question": "x"}, {"Joke": 1}, None, [1]],
)
def test_weights_that_are_none_are_refused(weights) -> None:
    with pytest.raises(ParameterError, match="weights of strategies"):
        distribution_of(weights)


def test_preferences_are_read_by_any_known_name(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text(json.dumps({"preferences": {**dict.fromkeys(STRATEGIES[1:], 1.0), "Questions": 9.0}, "model": "m"}))
    assert read_preferences(path)["Question"] == pytest.approx(9 / 16)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "not JSON"),
        ("[]", 'no object "preferences"'),
        ('{"preferences": {"Question": 1}}', "Restatement or Paraphrasing is missing"),
        (json.dumps({"preferences": dict.fromkeys(STRATEGIES, -1)}), "numbers of at least 0"),
        (json.dumps({"preferences": dict.fromkeys(STRATEGIES, 0)}), "one above 0"),
    ],
)
def test_what_holds_no_preferences_says_so(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "p.json"
    path.write_text(content)
    with pytest.raises(DataError, match=says):
        read_preferences(path)


def test_a_missing_file_of_preferences_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_preferences(tmp_path / "none.json")
