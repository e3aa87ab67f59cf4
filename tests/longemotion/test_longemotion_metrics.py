"""What is read of replies: indices, JSON fields, and the F1 of words."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoagents.evaluation.metrics import answer_words, index, qa_f1, read_field, read_index, read_objects


@pytest.mark.parametrize(
    ("reply", "read"),
    [
        ('{"index": 3}', 3),
        ('```json\n{"index": 3}\n```', 3),
        ('Text 1 is sad. {"Index": "3"}', 3),
        ('{"index": 1} No, wait: {"index": 3}', 3),
        ('{"index": [3]}', 3),
        ('{"index": 3.0}', 3),
        ("3", 3),
        ("[3]", 3),
        ("The answer is 3.", 3),
        ("Index: **3**, since 9 others are calm", 3),
        ("Of 5 texts, text [3] is different", 3),
        ("<think>0, 1, 2</think> The answer: 3", 3),
        ('{"index": 12}', None),
        ('{"index": -1}', None),
        ('{"index": true}', None),
        ('{"index": null}', None),
        ("either 1 or 3", None),
        ("3.5", None),
        ("none of them", None),
        ("", None),
        ('{"index": 99999999999999999999}', None),
    ],
)
def test_an_index_is_read_or_not(reply: str, read: int | None) -> None:
    assert read_index(reply, 10) == read
    score = index(reply, 10, 3)
    assert (score.value, score.unparsed) == (float(read == 3), read is None)


@given(st.text(max_size=300), st.integers(1, 40))
def test_no_reply_breaks_the_reading_of_an_index(reply: str, count: int) -> None:
    read = read_index(reply, count)
    assert read is None or 0 <= read < count


@given(st.integers(0, 39), st.text(alphabet=st.characters(exclude_characters="{}"), max_size=80))
def test_an_index_in_json_is_read_whatever_stands_around_it(said: int, around: str) -> None:
    assert read_index(f'{around}{{"index": {said}}}{around}', 40) == said


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=9), max_size=4))
def test_an_object_is_read_back(value: dict[str, object]) -> None:
    assert read_objects(f"so: {json.dumps(value)}.") == [value]


def test_objects_in_noise_are_read_in_bounded_time() -> None:
    assert read_objects("{" * 100_000) == []
    assert read_objects('{"a": {"b": 1}} {"c": 2}') == [{"a": {"b": 1}}, {"c": 2}]
    assert read_field('{"A": 1} {"b": 2} {"a": {"b": 3}}', "a") == {"b": 3}
    assert read_field('{"b": 1}', "a") is None


@pytest.mark.parametrize(
    ("reply", "targets", "value"),
    [
        ("The level of rumination.", ["level of rumination"], 1.0),
        ("the level, of RUMINATION!", ["a level of rumination"], 1.0),
        ("rumination", ["the level of rumination"], 0.5),
        ("no no", ["no"], 2 / 3),
        ("yes", ["no"], 0.0),
        ("it did not change", ["No", "it did not change"], 1.0),
        ("self-esteem", ["self esteem"], 1.0),
        ("<think>the level of what?</think>Rumination", ["rumination"], 1.0),
    ],
)
def test_the_f1_of_words(reply: str, targets: list[str], value: float) -> None:
    score = qa_f1(reply, targets)
    assert score.value == pytest.approx(value)
    assert not score.unparsed


def test_a_reply_without_words_is_unparsed() -> None:
    for reply in ("", "  ", "The...", "?!"):
        assert qa_f1(reply, ["the answer"]) == qa_f1("", ["x"])
        assert qa_f1(reply, ["x"]).unparsed


WORDS = st.lists(st.sampled_from(["calm", "joy", "the", "a", "fear", "Fear.", "joy,"]), max_size=8).map(" ".join)


@given(WORDS, WORDS)
def test_f1_is_what_its_definition_says(said: str, gold: str) -> None:
    left, right = Counter(answer_words(said)), Counter(answer_words(gold))
    same = (left & right).total()
    expected = 2 * same / (left.total() + right.total()) if same else 0.0
    assert qa_f1(said, [gold]).value == pytest.approx(expected)
    assert qa_f1(gold, [said]).value == pytest.approx(expected)  # symmetric


@given(st.text(max_size=60), st.lists(st.text(max_size=60), max_size=3))
def test_f1_is_the_best_over_the_references(reply: str, targets: list[str]) -> None:
    whole = qa_f1(reply, targets).value
    assert 0.0 <= whole <= 1.0
    assert whole == max((qa_f1(reply, [one]).value for one in targets), default=0.0)
    if answer_words(reply) and "</think>" not in reply:
        assert qa_f1(reply, [reply]).value == 1.0
