"""The registry: from a written name to a strategy."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoagents import EmotionPrompt, Heart, Plain, SelfAggregation, Staged, load_card
from emoagents.errors import CardError, CompositionError, ParameterError, UnknownNameError, UsageError
from emoagents.registry import Part, parse_spec, strategy, strategy_class, strategy_names, strategy_parameters
from emoagents.strategies.pipe import Pipe


def parts(made: object) -> tuple[Any, ...]:
    assert isinstance(made, Pipe)
    return made.parts


def test_every_card_has_a_class_of_its_name() -> None:
    assert set(strategy_names()) >= {"emotion_prompt", "heart", "plain", "self_aggregation"}
    for name in strategy_names():
        cls = strategy_class(name)
        assert cls.name == (load_card(name).graph or name)
        assert cls.primary is None or cls.primary in strategy_parameters(cls)


def test_names_and_aliases() -> None:
    assert strategy_class("gsa") is SelfAggregation
    assert isinstance(strategy("Heart"), Heart)
    assert isinstance(strategy(" emotion-prompt "), EmotionPrompt)


def test_the_value_sets_the_primary_parameter() -> None:
    assert strategy("heart:5").rounds == 5
    assert strategy("gsa: 7").samples == 7
    assert strategy("ep:EP05").stimulus == "EP05"
    assert strategy("ep:EP01,EP03").stimulus == ("EP01", "EP03")


def test_a_sentence_of_ones_own_stays_whole() -> None:
    text = "Please, take care: write to me@work today"
    assert strategy(f"ep:{text}").stimulus == text


def test_the_tone() -> None:
    assert strategy("heart:2@neutral") == Heart(rounds=2, tone="neutral")
    assert strategy("ep @ neutral").tone == "neutral"
    with pytest.raises(ParameterError, match="no parameter 'tone'"):
        strategy("gsa@neutral")
    with pytest.raises(ParameterError, match="tone: Input should be 'emotional' or 'neutral'"):
        strategy("heart@angry")


@pytest.mark.parametrize("spec", [5, None, Path("mine.toml"), b"heart"])
def test_a_spec_is_a_text(spec: Any) -> None:
    with pytest.raises(ParameterError, match=r"^a strategy's spec is a text, as 'heart:3' or 'mine.toml', not "):
        strategy(spec)


def test_pipes() -> None:
    first, second = parts(strategy("emotion_prompt:EP02@neutral | gsa:3"))
    assert (first.stimulus, first.tone, second.samples) == ("EP02", "neutral", 3)
    with pytest.raises(CompositionError, match="do not pipe, they nest"):
        strategy("gsa | heart")


def test_parameters_are_converted() -> None:
    made = strategy("gsa", samples="4", temperature="0.2", loops="2", k="3")
    assert (made.samples, made.temperature, made.loops, made.k) == (4, 0.2, 2, 3)
    assert strategy("heart", memory="x.json").memory == Path("x.json")


def test_objects_pass_unchanged() -> None:
    def check(answer: str) -> bool:
        return bool(answer)

    assert strategy("heart", verifier=check, card=load_card("heart")).verifier.function is check


def test_a_solver_may_be_a_spec() -> None:
    made = strategy("heart", solver="ep:EP03 | gsa:2", verifier="numeric:391")
    assert parts(made.solver)[1].samples == 2
    assert strategy("gsa", solver=Plain()).solver == Plain()


def test_in_a_pipe_a_parameter_goes_to_the_part_that_has_it() -> None:
    first, second = parts(strategy("ep | gsa", rule="random", samples="4"))
    assert (first.rule, second.samples) == ("random", 4)


def test_the_part_that_is_meant_can_be_named() -> None:
    first, second = parts(strategy("ep | heart", **{"heart.tone": "neutral", "ep.stimulus": "EP04"}))
    assert (first.tone, second.tone, first.stimulus) == ("emotional", "neutral", "EP04")
    assert strategy("gsa", **{"gsa.samples": 2}).samples == 2


@pytest.mark.parametrize(
    ("spec", "parameters", "message"),
    [
        ("hart", {}, "unknown strategy 'hart'; did you mean heart?"),
        ("gsa", {"sample": 3}, "self_aggregation has no parameter 'sample'; did you mean samples?"),
        ("ep | gsa", {"sample": 3}, "no parameter 'sample'; did you mean samples?"),
        ("ep | heart", {"tone": "neutral"}, "write emotion_prompt.tone or heart.tone"),
        ("ep | ep", {"stimulus": "EP01"}, "emotion_prompt stands twice in the pipe"),
        ("ep | gsa", {"heart.rounds": 1}, "heart is no part of emotion_prompt | self_aggregation"),
        ("ep | gsa", {"gas.samples": 1}, "unknown strategy 'gas'"),
        ("gsa:2", {"samples": 3}, "samples is given twice"),
        ("gsa:two", {}, "samples: Input should be a valid integer"),
        ("plain:3", {}, "plain takes no value behind a colon"),
        ("ep:EP99", {}, "unknown stimulus 'EP99'"),
        ("heart:", {}, "nothing stands behind 'heart:'"),
        ("", {}, "a name is missing"),
        ("ep | ", {}, "a name is missing"),
        ("heart", {"solver": "hart"}, "did you mean heart?"),
        ("heart", {"verifier": "numbr:3"}, "unknown verifier 'numbr:3'"),
    ],
)
def test_mistakes(spec: str, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        strategy(spec, **parameters)
    assert message in str(caught.value)


def test_a_card_goes_to_the_strategy_it_names(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('name = "self_aggregation"\ntitle = "Mine"\n')
    first, second = parts(strategy("ep | gsa", card=mine))
    assert (first.card.title, second.card.title) == ("EmotionPrompt", "Mine")
    assert parts(strategy("ep | gsa", card=load_card("emotion_prompt")))[0].card.name == "emotion_prompt"


def test_a_card_without_a_name_needs_a_single_strategy(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('title = "Mine"\n')
    assert strategy("heart", card=str(mine)).card.title == "Mine"
    with pytest.raises(ParameterError, match=r"write emotion_prompt.card or self_aggregation.card"):
        strategy("ep | gsa", card=mine)


# -- staged cards ----------------------------------------------------------------------------------------------------

OWN = """
graph = "staged"
reply = "answer_text"
[defaults]
guard = "off"
[[stages]]
id = "answer_text"
prompt = "ask"
[prompts.ask]
text = "Q: {{question}}"
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(OWN)
    return path


def test_a_staged_card_is_a_strategy_by_its_name_alias_or_file(own: Path) -> None:
    assert strategy_class("chain_of_empathy") is Staged
    assert strategy("empathy-chain") == Staged("chain_of_empathy") == strategy("chain_of_empathy")
    assert strategy(f" {own} ") == Staged(own) == Staged(str(own))
    assert strategy(str(own)).title == "mine"
    assert parse_spec(f"ep:EP02 | {own}") == [Part("emotion_prompt", "EP02"), Part(str(own))]


def test_a_file_is_a_part_and_a_solver_as_any_strategy(own: Path) -> None:
    assert strategy(f"ep | {own}").title == "emotion_prompt | mine"
    assert strategy("gsa", solver=str(own)).solver == Staged(own)
    assert strategy("gsa", **{"gsa.solver": str(own)}).solver == Staged(own)


def test_a_staged_strategys_parameters_go_to_it(own: Path) -> None:
    assert strategy("chain_of_empathy", turns="3", guard="off").turns == 3
    assert parts(strategy(f"ep | {own}", **{"mine.turns": 2}))[1].turns == 2
    assert parts(strategy(f"ep | {own}", **{f"{own}.turns": 2}))[1].turns == 2
    with pytest.raises(ParameterError, match="takes no value behind a colon"):
        strategy("chain_of_empathy:3")
    with pytest.raises(ParameterError, match="no parameter 'tone'"):
        strategy("chain_of_empathy@neutral")


def test_part_of_a_staged_card_can_be_overridden(own: Path, tmp_path: Path) -> None:
    change = tmp_path / "change.toml"
    change.write_text('[prompts.ask]\ntext = "Please: {{question}}"\n')
    assert strategy(str(own), card=change).card.prompt("ask").text == "Please: {{question}}"
    assert parts(strategy(f"ep | {own}", **{"mine.card": change}))[1].card.prompt("ask").text.startswith("Please")


def test_a_card_that_only_overrides_is_no_strategy_and_is_told_so(tmp_path: Path) -> None:
    change = tmp_path / "my_heart.toml"
    change.write_text("[defaults]\nrounds = 5\n")
    with pytest.raises(CardError, match=r"my_heart\.toml: graph: missing; .* --strategy heart --card FILE"):
        strategy(str(change))
    with pytest.raises(CardError, match="graph: missing"):
        Staged("heart")
    with pytest.raises(CardError, match="cannot be read: No such file"):
        strategy("none.toml")


@pytest.mark.parametrize("spec", ["gsa", "ep | gsa"])
def test_a_card_that_does_not_load(spec: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("name = ")
    with pytest.raises(CardError, match="not valid TOML"):
        strategy(spec, card=broken)
    with pytest.raises(CardError, match="cannot be read"):
        strategy(spec, card=tmp_path / "none.toml")


VALUES = st.text(st.characters(exclude_characters="|@", exclude_categories=["Cs"])).map(str.strip).filter(bool)
SPACES = st.sampled_from(["", " ", "  "])


@given(
    st.lists(
        st.tuples(st.sampled_from(strategy_names()), st.none() | VALUES, st.sampled_from([None, "neutral", "x"])),
        min_size=1,
    ),
    SPACES,
)
def test_what_is_written_is_read(given_parts: list[tuple[str, str | None, str | None]], space: str) -> None:
    written = [
        f"{space}{name}{'' if value is None else f':{value}'}{'' if tone is None else f'{space}@{space}{tone}'}{space}"
        for name, value, tone in given_parts
    ]
    assert parse_spec("|".join(written)) == [Part(*part) for part in given_parts]


@given(st.text() | st.lists(st.sampled_from(["gsa", "ep", ":", "@", "|", " ", "3", "neutral", "."])).map("".join))
def test_any_text_is_a_spec_or_a_usage_error(text: str) -> None:
    with contextlib.suppress(ParameterError, UnknownNameError):
        assert all(part.name in strategy_names() or part.name.endswith(".toml") for part in parse_spec(text))


def test_importing_it_loads_no_langgraph() -> None:
    code = "import sys, emoagents.registry as r; r.strategy_names(); r.parse_spec('ep | gsa'); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"langgraph", "litellm", "openai"} & set(loaded)
