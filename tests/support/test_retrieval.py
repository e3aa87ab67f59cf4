"""Examples for a prompt: different strategies, the same for the same key, never the dialogue that is asked about."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import pytest

from emoagents.errors import DataError, MissingExtraError, ParameterError
from emoagents.support.dialogue import Instance, Turn
from emoagents.support.labels import STRATEGIES
from emoagents.support.retrieval import Examples, read_examples, shipped_examples

TOPICS = ("landlord", "exam", "wedding", "insomnia", "divorce", "piano", "allergy", "commute", "garden", "lawsuit")


def turn(role: str, text: str, number: int = 0, strategy: str | None = None) -> Turn:
    return Turn(role=role, text=text, number=number, strategy=strategy)  # type: ignore[arg-type]


def instance(dialogue: int, place: int) -> Instance:
    """One of eight instances of an invented dialogue about a topic; each has another strategy."""
    topic = TOPICS[dialogue]
    context = (
        turn("seeker", f"I can't stop thinking about the {topic}."),
        turn("supporter", f"The {topic} again?", 1),
        turn("seeker", f"Yes, the {topic}, in part {place} of this.", 2),
    )
    response = turn("supporter", f"Part {place} of the {topic}, I see.", 3, STRATEGIES[place])
    name = f"{dialogue:04d}"
    return Instance(id=f"{name}/{place}", dialogue=name, context=context, response=response, progress=0.5)


@pytest.fixture(scope="module")
def examples() -> Examples:
    return Examples(instance(dialogue, place) for dialogue in range(len(TOPICS)) for place in range(8))


def about(topic: str) -> tuple[Turn, ...]:
    return (turn("seeker", f"Everything turns around my {topic}."),)


# -- at random ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", range(9))
def test_random_examples_have_different_strategies(n: int, examples: Examples) -> None:
    found = examples.random(n, "key")
    assert len(found) == len({one.label for one in found}) == len({one.dialogue for one in found}) == n


def test_more_than_eight_examples_come_round_by_round(examples: Examples) -> None:
    found = examples.random(20, "key")
    assert len({one.id for one in found}) == 20
    assert set(Counter(one.label for one in found[:16]).values()) == {2}
    assert max(Counter(one.label for one in found).values()) == 3


def test_random_examples_depend_on_key_and_seed_alone(examples: Examples) -> None:
    assert examples.random(4, "a", 1) == examples.random(4, "a", 1)
    assert examples.random(4, "a", 1) != examples.random(4, "b", 1)
    assert examples.random(4, "a", 1) != examples.random(4, "a", 2)


def test_every_example_is_drawn_sooner_or_later(examples: Examples) -> None:
    drawn = {one.id for key in range(400) for one in examples.random(4, str(key))}
    assert len(drawn) == len(examples.instances)


def test_where_there_are_too_few_all_come(examples: Examples) -> None:
    assert len(Examples(examples.instances[:3]).random(4, "key")) == 3
    one_dialogue = Examples(examples.instances[:8])
    assert len({one.label for one in one_dialogue.random(8, "key")}) == 8


def test_strategies_differ_even_where_dialogues_then_cannot() -> None:
    few = Examples(instance(dialogue, place) for dialogue in range(2) for place in range(8))
    for key in "abcdef":
        assert len({one.label for one in few.random(6, key)}) == 6


def test_the_dialogue_that_is_asked_about_is_never_drawn(examples: Examples) -> None:
    for key in range(50):
        assert all(one.dialogue != "0003" for one in examples.random(8, str(key), exclude_dialogue="0003"))
    assert Examples(examples.instances[:8]).random(4, "key", exclude_dialogue="0000") == []


# -- alike -------------------------------------------------------------------------------------------------------


def test_similar_examples_come_from_the_most_similar_dialogue_first(examples: Examples) -> None:
    for topic in ("insomnia", "lawsuit"):
        found = examples.similar(about(topic), 4)
        assert topic in found[0].context[0].text
        assert len({one.label for one in found}) == len({one.dialogue for one in found}) == 4


def test_similar_examples_are_the_same_each_time(examples: Examples) -> None:
    again = Examples(examples.instances)
    assert examples.similar(about("piano"), 8) == again.similar(about("piano"), 8)


def test_similar_examples_leave_out_the_dialogue_by_name(examples: Examples) -> None:
    found = examples.similar(about("piano"), 8, exclude_dialogue="0005")
    assert "0005" not in {one.dialogue for one in found}


def test_similar_examples_leave_out_what_is_almost_the_same_text(examples: Examples) -> None:
    asked = examples.instances[40]
    assert asked.dialogue == "0005"
    assert asked.id not in {one.id for one in examples.similar(asked.context, 8)}


def test_similar_examples_leave_out_dialogues_that_share_a_long_utterance() -> None:
    shared = "My neighbour plays the trumpet every single night until three"
    first, second = (
        instance(dialogue, 0).model_copy(
            update={"context": (turn("seeker", text), turn("supporter", f"Number {dialogue} and much else besides."))}
        )
        for dialogue, text in ((0, f"{shared}!"), (1, "My neighbour plays the trumpet."))
    )
    asked = (turn("seeker", shared.upper()), turn("supporter", "What have you tried, and whom did you tell?"))
    assert [one.dialogue for one in Examples([first, second]).similar(asked, 2)] == ["0001"]


@pytest.mark.parametrize("text", ["", "?", "{0} {{", "我很难过 😢", "\x00", "word " * 100_000])
def test_any_text_finds_something(text: str, examples: Examples) -> None:
    assert len(examples.similar((turn("seeker", text),), 4)) == 4
    assert len(examples.similar((), 4)) == 4


def test_examples_without_any_text_are_examples() -> None:
    silent = Examples([instance(0, 0).model_copy(update={"context": (turn("seeker", " "),)})])
    assert len(silent.similar(about("piano"), 2)) == 1


def test_similar_examples_need_the_extra(examples: Examples, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "sklearn"] + ["sklearn"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match="choosing similar examples needs the extra 'support'"):
        Examples(examples.instances).similar(about("piano"), 2)
    assert Examples(examples.instances).random(2, "key")


# -- mistakes, and files -----------------------------------------------------------------------------------------


def test_no_examples_and_fewer_than_none_are_mistakes(examples: Examples) -> None:
    with pytest.raises(ParameterError, match="there are no examples to draw from"):
        Examples([])
    with pytest.raises(ParameterError, match="-1 examples can't be drawn"):
        examples.random(-1, "key")


def test_the_shipped_examples_have_every_strategy() -> None:
    found = shipped_examples()
    assert {one.label for one in found.instances} == set(STRATEGIES)
    assert len({one.label for one in found.random(8, "key")}) == 8
    assert shipped_examples() is found


def test_a_file_without_examples_is_said(tmp_path: Path) -> None:
    path = tmp_path / "short.json"
    spoken = [{"speaker": "supporter", "annotation": {"strategy": "Question"}, "content": "How are you?"}]
    path.write_text(json.dumps([{"dialog": spoken}]))
    with pytest.raises(DataError, match="has a strategy and at least five turns before it"):
        read_examples(path)
    with pytest.raises(DataError, match="no such file"):
        read_examples(tmp_path / "nowhere.json")
