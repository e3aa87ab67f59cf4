"""EmotionPrompt through its public face."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoagents import Context, EmotionPrompt, ScriptedModel, load_card
from emoagents.errors import ParameterError, UnknownNameError

ECHO = {"": "ok"}
EP02 = "This is very important to my career."


def sent(strategy: EmotionPrompt, question: object, **context: object) -> str:
    model = ScriptedModel(ECHO)
    strategy.run(question, context=Context(model=model, **context))  # type: ignore[arg-type]
    return str(model.calls[-1].request.messages[-1]["content"])


def test_the_stimulus_follows_the_whole_prompt_as_in_promptbench() -> None:
    assert sent(EmotionPrompt("EP02"), "Name a prime.") == f"Name a prime.\n{EP02}"


def test_ids_are_found_in_any_case() -> None:
    assert sent(EmotionPrompt("ep02"), "Q").endswith(EP02)


def test_several_stimuli_stand_in_the_given_order() -> None:
    assert sent(EmotionPrompt(("EP04", "EP02")), "Q") == f"Q\nAre you sure? {EP02}"


def test_a_sentence_of_your_own() -> None:
    assert sent(EmotionPrompt("My {garden} depends on it."), "Q") == "Q\nMy {garden} depends on it."


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Write the plural.\n\nInput: cat", f"Write the plural. {EP02}\n\nInput: cat"),
        ("Write the plural.\nInput: cat", f"Write the plural. {EP02}\nInput: cat"),
        ("Is it sad?\nSentence 1: I cried.", f"Is it sad? {EP02}\nSentence 1: I cried."),
        ("Write the plural of cat.", f"Write the plural of cat. {EP02}"),
    ],
)
def test_after_the_instruction_means_before_the_input(message: str, expected: str) -> None:
    assert sent(EmotionPrompt("EP02", placement="after_instruction"), message) == expected


def test_only_the_last_user_message_is_touched_and_pictures_stay() -> None:
    model = ScriptedModel(ECHO)
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    history = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "1"},
        {"role": "user", "content": [{"type": "text", "text": "two"}, picture]},
    ]
    EmotionPrompt("EP02").run(history, model=model)
    messages = model.calls[0].request.messages
    assert [m["content"] for m in messages[:3]] == ["Be brief.", "one", "1"]
    assert messages[3]["content"] == [{"type": "text", "text": f"two\n{EP02}"}, picture]


def test_the_neutral_twin_is_the_cards() -> None:
    twin = load_card("emotion_prompt").stimulus("EP02").neutral
    assert twin is not None
    assert sent(EmotionPrompt("EP02", tone="neutral"), "Q") == f"Q\n{twin}"


def test_a_sentence_of_your_own_has_no_neutral_twin() -> None:
    with pytest.raises(ParameterError, match="neutral twin"):
        EmotionPrompt("Please, it is for my mother.", tone="neutral")


def test_round_robin_takes_one_after_another() -> None:
    strategy = EmotionPrompt(("EP02", "EP03", "EP04"), rule="round_robin")
    said = [sent(strategy, "Q").removeprefix("Q\n") for _ in range(4)]
    card = load_card("emotion_prompt")
    assert said == [card.stimulus(i).text for i in ("EP02", "EP03", "EP04", "EP02")]


def test_random_is_fixed_by_seed_and_question() -> None:
    strategy = EmotionPrompt(tuple(f"EP{i:02}" for i in range(1, 12)), rule="random")
    first = [sent(strategy, f"Q{i}", seed=3) for i in range(12)]
    assert first == [sent(strategy, f"Q{i}", seed=3) for i in range(12)]
    assert len({text.partition("\n")[2] for text in first}) > 2
    assert first != [sent(strategy, f"Q{i}", seed=4) for i in range(12)]


def test_a_card_of_ones_own_overrides_part_of_the_shipped_one(tmp_path: object) -> None:
    path = f"{tmp_path}/my.toml"
    with open(path, "w", encoding="utf-8") as file:
        file.write('[defaults]\nstimulus = "MINE"\n[[stimuli]]\nid = "MINE"\ntext = "It matters to us."\n')
    assert sent(EmotionPrompt(card=path), "Q") == "Q\nIt matters to us."
    assert sent(EmotionPrompt("EP02", card=path), "Q") == f"Q\n{EP02}"


@pytest.mark.parametrize("stimulus", ["", "   ", (), ("",)])
def test_an_empty_stimulus_is_the_callers_mistake(stimulus: object) -> None:
    with pytest.raises(ParameterError, match="stimulus"):
        EmotionPrompt(stimulus)  # type: ignore[arg-type]


def test_wrong_names_say_what_was_meant() -> None:
    with pytest.raises(UnknownNameError, match="did you mean EP02"):
        EmotionPrompt("EP2")
    with pytest.raises(ParameterError, match="did you mean placement"):
        EmotionPrompt(placment="end")  # type: ignore[call-arg]
    with pytest.raises(ParameterError, match="'end', 'after_instruction' or 'system'"):
        EmotionPrompt(placement="middle")  # type: ignore[arg-type]


@given(st.text(min_size=1).filter(lambda s: s.strip()))
def test_what_the_user_wrote_reaches_the_model_byte_for_byte(text: str) -> None:
    assert sent(EmotionPrompt("EP02"), text) == f"{text}\n{EP02}"
