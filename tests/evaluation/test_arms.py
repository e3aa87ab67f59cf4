"""Arms as they are written: labels, twins, families, parameters, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoagents import EmotionPrompt, Heart, SelfConsistency
from emoagents.errors import ParameterError, UnknownNameError, UsageError
from emoagents.evaluation.arms import make_arms, split_arms
from emoagents.evaluation.matching import matched_samples
from emoagents.evaluation.oracle import Oracle, read_as_task
from emoagents.evaluation.record import Plan, Record, Spent
from emoagents.strategy_file import save_strategy


def labels(*specs: str, **options: object) -> list[str]:
    return [made.arm.label for made in make_arms(specs, **options)]  # type: ignore[arg-type]


def test_commas_in_brackets_and_quotes_do_not_split() -> None:
    text = 'plain, gsa:3 ,heart:2[verifier=oracle,samples=2], emotion_prompt[stimulus="EP01,EP02"],'
    assert split_arms(text) == [
        "plain",
        "gsa:3",
        "heart:2[verifier=oracle,samples=2]",
        'emotion_prompt[stimulus="EP01,EP02"]',
    ]


def test_each_emotional_arm_gets_its_neutral_twin_and_each_knows_the_other() -> None:
    arms = {made.arm.label: made.arm for made in make_arms(["plain", "emotion_prompt:EP02 | gsa:3", "heart:2"])}
    assert list(arms) == [
        "plain",
        "emotion_prompt:EP02 | gsa:3",
        "emotion_prompt:EP02 | gsa:3@neutral",
        "heart:2",
        "heart:2@neutral",
    ]
    assert arms["heart:2"].twin == "heart:2@neutral"
    assert arms["heart:2@neutral"].twin == "heart:2"
    assert (arms["plain"].tone, arms["plain"].twin) == (None, None)


def test_twins_that_are_there_or_unwanted_are_not_added() -> None:
    assert labels("emotion_prompt:EP02", "emotion_prompt:EP02@neutral") == [
        "emotion_prompt:EP02",
        "emotion_prompt:EP02@neutral",
    ]
    assert labels("emotion_prompt:EP02", twins=False) == ["emotion_prompt:EP02"]
    assert labels("emotion_prompt:EP02@neutral") == ["emotion_prompt:EP02@neutral"]


def test_a_sentence_of_ones_own_has_no_twin() -> None:
    assert labels("emotion_prompt:My thesis depends on it.") == ["emotion_prompt:My thesis depends on it."]


def test_a_twin_differs_in_nothing_but_the_tone() -> None:
    made = {m.arm.label: m.strategy for m in make_arms(["emotion_prompt:EP03[placement=system]"])}
    one, twin = made.values()
    assert isinstance(one, EmotionPrompt)
    assert isinstance(twin, EmotionPrompt)
    assert (one.tone, twin.tone) == ("emotional", "neutral")
    assert (one.stimulus, one.placement) == (twin.stimulus, twin.placement) == ("EP03", "system")


def test_a_pattern_stands_for_the_stimuli_that_match() -> None:
    found = make_arms(["plain", "emotion_prompt:EP??"])
    assert len(found) == 1 + 2 * 11
    families = {made.arm.family for made in found}
    assert families == {None, "emotion_prompt", "emotion_prompt@neutral"}


@pytest.mark.parametrize(
    ("specs", "families"),
    [
        (["coem:base", "coem:rag", "coem:coem"], {None}),
        (["support:vanilla", "support:self_refine"], {None}),
        (["emotion_prompt:EP02 | gsa:2", "emotion_prompt:EP03 | gsa:2"], {"emotion_prompt | self_aggregation"}),
        (["emotion_prompt:EP02", "emotion_prompt:It is mine."], {"emotion_prompt"}),
        (["gsa:2", "gsa:3"], {"self_aggregation"}),
    ],
)
def test_ways_of_working_are_no_family(specs: list[str], families: set[str | None]) -> None:
    assert {made.arm.family for made in make_arms(specs, twins=False)} == families


def test_parameters_for_all_arms_go_to_those_that_have_them() -> None:
    made = {
        m.arm.label: m for m in make_arms(["plain", "heart:1", "heart:2[verifier=none]"], common={"verifier": "oracle"})
    }
    oracle, none = made["heart:1"].strategy, made["heart:2[verifier=none]"].strategy
    assert isinstance(oracle, Heart)
    assert isinstance(none, Heart)
    assert oracle.verifier == Oracle()
    assert none.verifier is None
    assert made["heart:1@neutral"].arm.spec == "heart:1@neutral[verifier=oracle]"


def test_a_vote_reads_as_the_task_does_unless_told_otherwise() -> None:
    made = [m.strategy for m in make_arms(["self_consistency:3", "self_consistency:3[extract=number]"])]
    assert isinstance(made[0], SelfConsistency)
    assert isinstance(made[1], SelfConsistency)
    assert (made[0].extract, made[1].extract) == (read_as_task, "number")


def test_a_spec_makes_the_same_arm_again() -> None:
    """Workers in other processes are given the specs."""
    specs = ["plain#2", "emotion_prompt:EP02[placement=system]", "heart:2", 'emotion_prompt[stimulus="EP01,EP02"]']
    first = make_arms(specs, common={"verifier": "oracle"})
    again = make_arms([made.arm.spec for made in first], twins=False)
    assert [(m.arm.spec, m.strategy) for m in again] == [(m.arm.spec, m.strategy) for m in first]


@pytest.mark.parametrize("name", ["a:b.toml", "a|b.toml", "a@b|c.toml", "a#1[2].toml"])
def test_a_file_of_any_name_is_an_arm(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_strategy(EmotionPrompt("EP02"), name)
    assert labels(name, f"{name}:EP03 | plain#2") == [
        name,
        f"{name}@neutral",
        f"{name}:EP03 | plain#2",
        f"{name}:EP03 | plain@neutral#2",
    ]
    assert labels(f"{name}:EP0?[placement=system]")[::2] == [
        f"{name}:EP0{number}[placement=system]" for number in range(1, 10)
    ]
    twin = make_arms([name])[1].strategy
    assert twin == EmotionPrompt("EP02", tone="neutral")


def test_an_arm_is_of_the_tone_that_its_file_or_its_parameters_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_strategy(EmotionPrompt("EP02", tone="neutral") | Heart(tone="neutral"), "calm.toml")
    save_strategy(EmotionPrompt("EP02", tone="neutral") | Heart(), "half.toml")
    specs = ["calm.toml", "heart[tone=neutral]", "half.toml", "gsa"]
    assert {made.arm.label: (made.arm.tone, made.arm.twin) for made in make_arms(specs)} == {
        "calm.toml": ("neutral", None),
        "heart[tone=neutral]": ("neutral", None),
        "half.toml": ("emotional", "half.toml@neutral"),
        "half.toml@neutral": ("neutral", "half.toml"),
        "gsa": (None, None),
    }
    moved, calm = make_arms(["calm.toml@emotional"])
    assert (moved.arm.label, calm.arm.label) == ("calm.toml@emotional", "calm.toml")
    assert moved.strategy == EmotionPrompt("EP02") | Heart()
    assert calm.strategy == EmotionPrompt("EP02", tone="neutral") | Heart(tone="neutral")
    again = make_arms([moved.arm.spec, calm.arm.spec])
    assert [(made.arm, made.strategy) for made in again] == [(made.arm, made.strategy) for made in (moved, calm)]


@pytest.mark.parametrize(
    ("specs", "error", "says"),
    [
        ([], ParameterError, "there is no arm"),
        (["plain", "plain"], ParameterError, "'plain' is given twice"),
        (["nothing"], UnknownNameError, "unknown strategy"),
        (["heart:3[rounds=2]"], ParameterError, "rounds is given twice"),
        (["heart[x=1]"], ParameterError, "no parameter 'x'"),
        (["heart[rounds=1]more"], ParameterError, "in one bracket at its end"),
        (["emotion_prompt:EP02@neutral | emotion_prompt:EP03@emotional"], ParameterError, "the same tone"),
        (["emotion_prompt:ZZ*"], UnknownNameError, "unknown stimulus"),
    ],
)
def test_mistakes(specs: list[str], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        make_arms(specs)


@given(st.lists(st.text(max_size=30), max_size=4))
def test_no_text_brings_anything_but_arms_or_one_clear_error(specs: list[str]) -> None:
    try:
        made = make_arms([one for spec in specs for one in split_arms(spec)])
    except UsageError:
        return
    assert made


# -- equal tokens --------------------------------------------------------------------------------------------------


def record(arm: str, answers: int, prompt: int, completion: int) -> Record:
    spent = Spent(answers=answers, prompt_tokens=prompt, completion_tokens=completion)
    return Record(task="t", item="1", arm=arm, status="scored", scores={"m": 1.0}, spent=spent)


@pytest.mark.parametrize(("native", "samples"), [(True, 1 + (380 - 110) // 10), (False, 1 + (380 - 110) // 110)])
def test_samples_at_equal_tokens(native: bool, samples: int) -> None:
    made = make_arms(["plain", "gsa:3", "self_consistency:4", "resample:3"])
    plan = Plan(tasks=(), arms=tuple(m.arm for m in made), baseline="plain", model="m")
    records = [
        record("plain", 1, 100, 10),
        record("gsa:3", 4, 340, 40),
        record("self_consistency:4", 4, 100, 40),
        record("resample:3", 3, 300, 30),
    ]
    assert matched_samples(plan, records, native_n=native) == {"gsa:3": samples}
