"""Fields of an answer as data: what they say of themselves, and what an answer with them must be."""

from __future__ import annotations

import json
from typing import Any

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoagents import ScriptedModel, UsageError
from emoagents.context import Context
from emoagents.errors import ParameterError
from emoagents.fields import Field, answer_model, read_fields
from emoagents.model.request import Request

EMOTION = Field(name="emotion", choices=["joy", "Great Fear"])
TEXT = Field(name="reply", min_words=2, max_words=4, avoid=["sad", "half-hearted"])


def read(fields: list[Field], answer: Any, *, ordered: bool = False) -> Any:
    text = answer if isinstance(answer, str) else json.dumps(answer)
    return answer_model(fields, ordered=ordered).model_validate_json(text).model_dump()


def test_every_type_is_read() -> None:
    fields = [
        Field(name="text"),
        Field(name="whole", type="integer"),
        Field(name="number", type="number"),
        Field(name="flag", type="boolean"),
        Field(name="several", type="list"),
    ]

    found = read(fields, {"text": " a ", "whole": 3, "number": 0.5, "flag": True, "several": ["b", "c"], "more": 1})

    assert found == {"text": "a", "whole": 3, "number": 0.5, "flag": True, "several": ["b", "c"]}


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        (EMOTION, "anger", "Input should be 'joy' or 'Great Fear'"),
        (EMOTION, 3, "Input should be 'joy'"),
        (TEXT, "", "must not be empty"),
        (TEXT, " \n", "must not be empty"),
        (TEXT, "one", "at least 2 words, and has 1"),
        (TEXT, "one two three four five", "at most 4 words, and has 5"),
        (TEXT, "so SAD", "must not hold the word 'SAD'"),
        (TEXT, "half-hearted talk", "must not hold the word 'half-hearted'"),
        (Field(name="x", type="integer", maximum=5), 6, "less than or equal to 5"),
        (Field(name="x", type="integer", minimum=1), 0, "greater than or equal to 1"),
        (Field(name="x", type="integer"), True, "not true or false"),
        (Field(name="x", type="integer"), 1.5, "valid integer"),
        (Field(name="x", type="number"), "NaN", "finite"),
        (Field(name="x", type="number"), False, "not true or false"),
        (Field(name="x", type="boolean"), "perhaps", "valid boolean"),
        (Field(name="x", type="list", minimum=1), [], "at least 1 item"),
        (Field(name="x", type="list", maximum=1), ["a", "b"], "at most 1 item"),
        (Field(name="x", type="list"), ["a", ""], "must not be empty"),
        (Field(name="x", type="list", choices=["a"]), ["b"], "Input should be 'a'"),
        (Field(name="x", type="list"), "a", "valid array"),
    ],
)
def test_what_does_not_fit_is_told(field: Field, value: Any, reason: str) -> None:
    with pytest.raises(pydantic.ValidationError) as error:
        read([field], {field.name: value})

    assert reason in str(error.value)


def test_a_missing_field_does_not_fit() -> None:
    with pytest.raises(pydantic.ValidationError, match="Field required"):
        read([TEXT], {})


@pytest.mark.parametrize("said", ["JOY", " joy ", "Joy"])
def test_choices_are_read_in_any_case(said: str) -> None:
    assert read([EMOTION], {"emotion": said}) == {"emotion": "joy"}


def test_part_of_a_word_is_not_the_word() -> None:
    assert read([TEXT], {"reply": "sadder, sadness"}) == {"reply": "sadder, sadness"}


def test_a_text_may_be_empty_where_the_field_says_so() -> None:
    assert read([Field(name="note", min_words=0)], {"note": ""}) == {"note": ""}


def test_order_of_keys_counts_only_where_it_is_asked_for() -> None:
    fields, swapped = [Field(name="a"), Field(name="b")], '{"b": "2", "a": "1"}'

    assert read(fields, swapped) == {"a": "1", "b": "2"}
    assert read(fields, '{"a": "1", "more": 0, "b": "2"}', ordered=True) == {"a": "1", "b": "2"}
    with pytest.raises(pydantic.ValidationError, match="in this order: a, b"):
        read(fields, swapped, ordered=True)


def test_a_missing_key_is_told_as_missing_and_not_as_disorder() -> None:
    with pytest.raises(pydantic.ValidationError, match="Field required"):
        read([Field(name="a"), Field(name="b")], {"b": "2"}, ordered=True)


def test_equal_fields_give_an_equal_schema() -> None:
    def schema() -> dict[str, Any]:
        return answer_model([EMOTION, TEXT], ordered=True).model_json_schema()

    assert schema() == schema()
    assert schema()["properties"]["emotion"]["enum"] == ["joy", "Great Fear"]
    assert schema()["properties"]["reply"]["description"] == "(2 to 4 words)"
    assert list(schema()["properties"]) == ["emotion", "reply"]


@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(["", "sad", "a.b", "(", "{{x}}"]))
def test_any_text_is_read_as_it_is_or_holds_the_word(text: str, word: str) -> None:
    field = Field(name="t", min_words=0, avoid=[word] if word else [])

    if word and word.lower() in text.lower():
        return
    assert read([field], {"t": text}) == {"t": text.strip()}


@given(st.sampled_from(["sad", "a.b", "(", "{{x}}"]), st.sampled_from(["", " ", "\n", ", ", "!"]))
def test_an_avoided_word_is_found_wherever_it_stands(word: str, between: str) -> None:
    with pytest.raises(pydantic.ValidationError, match="must not hold the word"):
        read([Field(name="t", avoid=[word])], {"t": f"{between}{word.upper()}{between}"})


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"name": "two words"}, "name: "),
        ({"name": "_hidden"}, "begin with a letter"),
        ({"name": "model_dump"}, "choose another"),
        ({"name": "copy"}, "choose another"),
        ({}, "name: Field required"),
        ({"name": "x", "kind": "text"}, "kind: "),
        ({"name": "x", "type": "date"}, "type: "),
        ({"name": "x", "minimum": 1}, "minimum is for a number or a list"),
        ({"name": "x", "type": "integer", "choices": ["a"]}, "choices is for a text or a list"),
        ({"name": "x", "type": "boolean", "avoid": ["a"]}, "avoid is for a text"),
        ({"name": "x", "choices": ["a"], "max_words": 3}, "without choices"),
        ({"name": "x", "choices": ["a", "A "]}, "'A ' stands twice"),
        ({"name": "x", "choices": [""]}, "empty text"),
        ({"name": "x", "min_words": 5, "max_words": 4}, "must not be greater"),
        ({"name": "x", "type": "number", "minimum": 2, "maximum": 1}, "must not be greater"),
        ({"name": "x", "type": "list", "minimum": 1.5}, "whole numbers"),
        ({"name": "x", "max_words": 0}, "max_words"),
    ],
)
def test_a_field_that_makes_no_sense_is_refused(data: dict[str, Any], reason: str) -> None:
    with pytest.raises(ParameterError) as error:
        read_fields([{"name": "first"}, data])

    assert "field 2: " in str(error.value)
    assert reason in str(error.value)


def test_plain_data_and_fields_read_alike() -> None:
    assert read_fields([{"name": "reply", "min_words": 2, "max_words": 4, "avoid": ["sad", "half-hearted"]}]) == [TEXT]
    assert read_fields([TEXT.model_dump(), TEXT]) == [TEXT, TEXT]


def test_no_fields_and_fields_of_one_name_are_refused() -> None:
    with pytest.raises(UsageError, match="at least one field"):
        answer_model([])
    with pytest.raises(UsageError, match="two fields of an answer have the name 'reply'"):
        answer_model([TEXT, Field(name="reply")])


async def test_a_model_is_asked_again_with_the_reason() -> None:
    model = ScriptedModel(['{"reply": "so sad"}', '{"reply": "so well"}'])
    request = Request(messages=[{"role": "user", "content": "?"}], response_format=answer_model([TEXT]))

    samples = await Context(model=model).door.sample(request)

    found = samples.require()[0].parsed
    assert found is not None
    assert found.model_dump() == {"reply": "so well"}
    assert "must not hold the word 'sad'" in model.calls[1].prompt
