"""What may be chosen: names, values, combinations, and what is said of wrong ones before anything is asked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoagents import Context, EmotionPrompt, Heart, Plain, SelfAggregation, SelfConsistency
from emoagents.errors import CardError, ParameterError, UnknownNameError, UsageError
from emoagents.registry import strategy, strategy_names
from emoagents.strategies.base import Strategy
from emoagents.tuning.choices import Choices, configurations, declared_choices

EPS = [f"EP{number:02}" for number in range(1, 12)]


def labels(made: Strategy, choices: Choices | None = None, context: Context | None = None, **options: Any) -> list[str]:
    return [one.label for one in configurations(made, context or Context(), choices, **options).configurations]


@pytest.mark.parametrize("name", strategy_names())
def test_what_shipped_cards_declare_can_all_be_tried(name: str) -> None:
    declared = declared_choices(strategy(name))
    assert "tone" not in declared  # it is the control
    if declared:
        space = configurations(strategy(name), Context())
        assert len(space.configurations) >= space.total - 1
        assert (space.refused, space.left_out) == (0, 0)


def test_emotion_prompt_declares_all_stimuli_of_the_paper() -> None:
    assert declared_choices(EmotionPrompt())["stimulus"] == EPS


def test_the_default_is_first_and_stands_once() -> None:
    space = configurations(EmotionPrompt("EP02"), Context(), {"stimulus": ["EP01", "EP02", "EP03"]})
    assert [one.values["stimulus"] for one in space.configurations] == ["EP02", "EP01", "EP03"]
    assert [one.is_default for one in space.configurations] == [True, False, False]
    assert [one.strategy.stimulus for one in space.configurations] == ["EP02", "EP01", "EP03"]  # type: ignore[attr-defined]


def test_choices_given_are_all_that_is_tried() -> None:
    assert labels(EmotionPrompt(), {"placement": ["system"]}) == ["placement=end", "placement=system"]


def test_names_alone_take_the_cards_values() -> None:
    assert labels(EmotionPrompt(), ["stimulus"]) == ["stimulus=EP02", *(f"stimulus={ep}" for ep in EPS if ep != "EP02")]
    assert len(labels(EmotionPrompt() | SelfAggregation(), ["samples"])) == 3


def test_dotted_names_reach_parts_and_nested_strategies() -> None:
    made = strategy("ep:EP04 | heart", solver=strategy("ep:EP01 | gsa:3"), verifier="exact:1")
    choices = {"ep.stimulus": ["EP05"], "heart.rounds": [1], "solver.gsa.samples": [2], "solver.stimulus": ["EP06"]}
    last = configurations(made, Context(), choices).configurations[-1].strategy
    heart: Any = last.answering
    assert last.preparing[0].stimulus == "EP05"  # type: ignore[attr-defined]
    assert heart.rounds == 1
    assert heart.solver.parts[0].stimulus == "EP06"
    assert heart.solver.parts[1].samples == 2
    assert heart.verifier is made.answering.verifier  # type: ignore[attr-defined]


def test_declared_names_of_parts_and_of_what_is_nested_are_dotted() -> None:
    made = EmotionPrompt() | Heart(solver=SelfConsistency())
    assert list(declared_choices(made)) == [
        "emotion_prompt.stimulus",
        "emotion_prompt.placement",
        "heart.schedule",
        "heart.history",
        "heart.rounds",
        "heart.solver.samples",
        "heart.solver.temperature",
    ]
    assert len(configurations(made, Context(), most=5).configurations) == 5


def test_a_strategy_that_stands_twice_is_numbered() -> None:
    made = EmotionPrompt("EP01") | EmotionPrompt("EP02")
    assert labels(made, {"emotion_prompt_2.stimulus": ["EP03"]})[1:] == ["emotion_prompt_2.stimulus=EP03"]
    with pytest.raises(ParameterError, match=r"write emotion_prompt\.stimulus or emotion_prompt_2\.stimulus"):
        labels(made, {"stimulus": ["EP03"]})


def test_a_solver_itself_can_be_chosen() -> None:
    found = configurations(Heart(), Context(), {"solver": [None, "gsa:2"]}).configurations
    assert [one.label for one in found] == ["solver=none", "solver=self_aggregation"]
    assert found[1].strategy.solver.samples == 2  # type: ignore[attr-defined]


def test_the_contexts_temperature_is_a_choice() -> None:
    found = configurations(Plain(), Context(max_tokens=5), {"context.temperature": [0, 0.7]}).configurations
    assert [one.context.temperature for one in found] == [None, 0, 0.7]
    assert {one.context.max_tokens for one in found} == {5}


def test_texts_become_what_the_parameter_holds() -> None:
    choices = {"samples": ["1", "3"], "context.temperature": ["0.5"]}
    found = configurations(SelfAggregation(3), Context(temperature=0.5), choices).configurations
    assert [one.label for one in found] == ["samples=3, context.temperature=0.5", "samples=1, context.temperature=0.5"]


@pytest.mark.parametrize(
    ("choices", "told"),
    [
        ({"stimulos": ["EP01"]}, "no parameter 'stimulos'; did you mean stimulus"),
        ({"gsa.stimulus": ["EP01"]}, "has no parameter 'stimulus'"),
        ({"heart.rounds": [1]}, "unknown part .* 'heart'"),
        ({"solver.samples": [1]}, "has no nested strategy"),
        ({"context.seed": [1]}, "unknown setting of the context to choose 'seed'"),
        ({"context.temperature": [-1]}, "temperature"),
        ({"context.temperature": ["warm"]}, "must be a number or None, not 'warm'"),
        ({"stimulus": ["EP99"]}, "stimulus: unknown stimulus 'EP99'"),
        ({"placement": ["middle"]}, "placement: .*'middle'"),
        ({"samples": [0]}, "samples: .*greater than or equal to 1"),
        ({"samples": ["many"]}, "samples: .*integer"),
        ({"samples": []}, "samples: there are no values"),
        ({"samples": "3"}, "samples: give a list of values"),
        ({"samples": 3}, "samples: give a list of values"),
        ("samples", "give a mapping or a list of names"),
        (["loops"], "no card declares values of 'loops'"),
        (["nonsense"], "no parameter 'nonsense'"),
        ({"temperature": [0.1], "context.temperature": [0.2]}, "choose one of the two"),
        ({"samples": [3]}, "nothing to choose from"),
        ({"samples": [1], "gsa.samples": [2]}, r"samples and gsa\.samples are the same parameter"),
        ({"extract": [lambda answer: "a", lambda answer: "b"]}, "two values are both called <lambda>"),
    ],
)
def test_a_wrong_name_or_value_is_told(choices: Any, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        configurations(strategy("ep | gsa:3"), Context(), choices)


def test_a_strategy_without_choices_says_how_to_give_some() -> None:
    with pytest.raises(ParameterError, match=r"nothing to choose from. Declare \[choices\] in a card"):
        configurations(Plain(), Context())


def test_combinations_that_the_strategy_refuses_are_left_out_and_counted() -> None:
    choices = {"schedule": ["alternate", "fixed"], "emotion": [None, "fear", "happiness"]}
    space = configurations(Heart(), Context(), choices)
    assert [one.label for one in space.configurations] == [
        "schedule=alternate, emotion=none",
        "schedule=fixed, emotion=fear",
        "schedule=fixed, emotion=happiness",
    ]
    assert (space.total, space.refused) == (6, 3)
    assert "go together" in space.reason


def test_a_name_that_only_a_combination_looks_up_is_told() -> None:
    with pytest.raises(ParameterError, match="schedule=fixed, emotion=pryde: unknown emotion 'pryde'"):
        configurations(Heart(), Context(), {"schedule": ["fixed"], "emotion": ["pryde"]})


def test_a_value_that_no_combination_takes_is_told() -> None:
    with pytest.raises(ParameterError, match=r"schedule=fixed can't be tried: .*go together"):
        configurations(Heart(), Context(), {"schedule": ["cycle", "fixed"]})


def test_too_many_combinations_are_drawn_with_the_seed() -> None:
    choices = {"stimulus": EPS, "placement": ["end", "system"]}
    first = configurations(EmotionPrompt(), Context(), choices, most=6, seed=1)
    assert len(first.configurations) == 6
    assert first.configurations[0].is_default
    assert first.left_out == 22 - 6
    assert labels(EmotionPrompt(), choices, most=6, seed=1) == [one.label for one in first.configurations]
    assert labels(EmotionPrompt(), choices, most=6, seed=2) != [one.label for one in first.configurations]


def test_more_combinations_than_can_be_counted_through_are_drawn_from() -> None:
    many = {"samples": list(range(1, 60)), "k": list(range(1, 60)), "loops": list(range(2, 32))}
    space = configurations(SelfAggregation(), Context(), many, most=4)
    assert len(space.configurations) == 4
    assert space.total == 59 * 59 * 30


@given(
    stimuli=st.lists(st.sampled_from(EPS), min_size=1, max_size=6),
    samples=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    most=st.integers(2, 40),
    seed=st.integers(0, 5),
)
def test_every_configuration_is_another_one(stimuli: list[str], samples: list[int], most: int, seed: int) -> None:
    choices = {"stimulus": stimuli, "samples": samples}
    try:
        space = configurations(strategy("ep:EP02 | gsa:3"), Context(), choices, most=most, seed=seed)
    except ParameterError:
        assert {*stimuli} == {"EP02"}
        assert {*samples} == {3}
        return
    keys = [one.key for one in space.configurations]
    assert len({*keys}) == len(keys) <= most
    assert [one.index for one in space.configurations] == list(range(len(keys)))
    for one in space.configurations:
        assert {name: str(value) for name, value in one.values.items()} == {
            "stimulus": one.strategy.preparing[0].stimulus,  # type: ignore[attr-defined]
            "samples": str(one.strategy.answering.samples),  # type: ignore[attr-defined]
        }


def test_a_temperature_that_would_have_no_effect_is_not_tried() -> None:
    space = configurations(SelfConsistency(), Context(temperature=0.5))
    assert {name for one in space.configurations for name in one.values} == {"samples"}
    assert space.notes == ("temperature not tried: the context's temperature takes its place",)
    named = configurations(SelfConsistency(), Context(temperature=0.5), ["samples", "temperature"])
    assert (named.configurations[1:], named.notes) == (space.configurations[1:], space.notes)
    with pytest.raises(ParameterError, match="temperature has no effect where the context has a temperature"):
        configurations(SelfConsistency(), Context(temperature=0.5), {"temperature": [0.1, 0.9]})


def test_strategies_beside_the_choices_are_tried_as_they_are() -> None:
    space = configurations(EmotionPrompt(), Context(), {"stimulus": ["EP03"]}, also=[Plain()])
    assert [one.label for one in space.configurations] == ["stimulus=EP02", "stimulus=EP03", "plain"]
    assert not space.configurations[-1].is_default


# -- cards of one's own ----------------------------------------------------------------------------------------------


def own_card(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_card_of_ones_own_says_what_is_tried(tmp_path: Path) -> None:
    text = '[choices]\nstimulus = ["EP02", "mine"]\nplacement = []\n\n[[stimuli]]\nid = "mine"\ntext = "Take heart."\n'
    found = configurations(EmotionPrompt(card=own_card(tmp_path, text)), Context()).configurations
    assert [one.label for one in found] == ["stimulus=EP02", "stimulus=mine"]


def test_a_card_of_ones_own_may_choose_the_temperature(tmp_path: Path) -> None:
    text = '[choices]\nsamples = []\n"context.temperature" = [0.0, 1.0]\n'
    made = SelfConsistency(card=own_card(tmp_path, text))
    assert labels(made)[1:] == ["context.temperature=0.0", "context.temperature=1.0"]


@pytest.mark.parametrize(
    ("text", "key", "told"),
    [
        ('[choices]\nstimulos = ["EP01"]', "choices.stimulos", "did you mean stimulus"),
        ('[choices]\nstimulus = ["EP77"]', "choices.stimulus", "unknown stimulus 'EP77'"),
        ('[choices]\nplacement = ["top"]', "choices.placement", "'top'"),
        ('[choices]\n"context.model" = ["a"]', "choices.context.model", "unknown setting"),
    ],
)
def test_a_wrong_choice_in_a_card_is_told_with_its_place(tmp_path: Path, text: str, key: str, told: str) -> None:
    made = EmotionPrompt(card=own_card(tmp_path, text))
    with pytest.raises(CardError, match=told) as raised:
        configurations(made, Context())
    assert raised.value.key == key


@pytest.mark.parametrize("text", ['[choices]\nstimulus = ["EP01", "EP01"]', '[choices]\nstimulus = "EP01"'])
def test_a_card_with_a_broken_table_does_not_load(tmp_path: Path, text: str) -> None:
    with pytest.raises(CardError, match=r"choices\.stimulus"):
        EmotionPrompt(card=own_card(tmp_path, text))


def check(answer: str) -> str:
    return ""


def test_a_configuration_has_the_same_key_in_every_process() -> None:
    code = (
        "from emoagents import Context, Heart\nfrom emoagents.tuning.choices import configurations\n"
        "def check(answer): return ''\n"
        "for one in configurations(Heart(verifier=check), Context(), {'verifier': [check], 'rounds': [1, 2]}"
        ", also=[Heart(verifier=check)]).configurations: print(one.key)\n"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    choices = {"verifier": [check], "rounds": [1, 2]}
    here = configurations(Heart(verifier=check), Context(), choices, also=[Heart(verifier=check)]).configurations
    assert other.stdout.splitlines() == [one.key for one in here]
    assert "0x" not in other.stdout


def test_an_unknown_alias_says_what_there_is() -> None:
    with pytest.raises(UnknownNameError, match="self_aggregation"):
        configurations(strategy("ep | gsa"), Context(), {"self_agregation.samples": [1]})
