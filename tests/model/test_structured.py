"""Structured output: enforced or asked for in words, read wherever it stands, asked for again once, else unparsed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, RootModel

from emoagents import Context, ScriptedModel
from emoagents.model.request import Choice, Completion, Request
from emoagents.model.structured import parsed


class Grade(BaseModel):
    score: int
    note: str = ""


class Anything(RootModel[dict[str, Any]]):
    pass


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
PROSE = st.text(st.characters(exclude_characters="{}[]`", exclude_categories=["Cs"]))


async def grades(
    model: ScriptedModel, indices: Any = (0,), context: Context | None = None, **more: Any
) -> list[Completion]:
    request = Request(messages=[{"role": "user", "content": "Grade it."}], response_format=Grade, **more)
    return (await (context or Context(model=model)).door.sample(request, indices)).completions


def read(text: str, schema: type[BaseModel] = Grade) -> Completion:
    return parsed(Completion(text=text), schema)


# -- reading -------------------------------------------------------------------------------------------------


@given(
    before=PROSE,
    value=st.dictionaries(st.text(), JSON),
    after=PROSE,
    indent=st.none() | st.just(2),
    fence=st.booleans(),
)
def test_an_object_is_found_wherever_it_stands(
    before: str, value: dict[str, Any], after: str, indent: int | None, fence: bool
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    text = f"\n```json\n{text}\n```\n" if fence else text
    found = read(before + text + after, Anything)
    assert found.parse_error is None
    assert found.parsed == Anything(value)


@given(st.text())
def test_no_text_makes_it_fail(text: str) -> None:
    found = read(text)
    assert (found.parsed is None) == (found.parse_error is not None)


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ('{"score": 3}', 3),
        ('First {"other": 1}, then {"score": 4}.', 4),
        ('{not json} {"score": 5} {also not}', 5),
        ('<think>{"score": "none yet"}</think>\n```\n{"score": 6}\n```', 6),
        ('Here:\n```JSON\n{"score": 7}\n```\nor {"score": 8}', 7),
    ],
)
def test_the_first_object_that_fits_is_taken(text: str, score: int) -> None:
    assert read(text).parsed == Grade(score=score)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("no idea", "it holds no JSON object"),
        ('{"score": "many"}', "score: Input should be a valid integer"),
        ('{"note": 1} and more', "score: Field required; note: Input should be a valid string"),
        ("{" * 100_000, "Invalid JSON"),
        ('{"a":' * 5_000, "Invalid JSON"),
        ('{"score": 1, "note": "\ud800"}', "valid string"),
    ],
)
def test_what_does_not_fit_says_why(text: str, reason: str) -> None:
    found = read(text)
    assert found.parsed is None
    assert reason in (found.parse_error or "")


# -- asking --------------------------------------------------------------------------------------------------


async def test_a_provider_without_schemas_is_asked_in_words() -> None:
    model = ScriptedModel([{"score": 3}])
    (grade,) = await grades(model)
    assert grade.parsed == Grade(score=3)
    (call,) = model.calls
    assert [m["role"] for m in call.request.messages] == ["user"], "some models insist that roles alternate"
    assert call.prompt.startswith("Grade it.\n\n")
    assert json.dumps(Grade.model_json_schema()) in call.prompt


async def test_a_provider_with_schemas_is_given_the_schema() -> None:
    model = ScriptedModel([{"score": 3}], native_schema=True)
    await grades(model)
    assert model.calls[0].prompt == "Grade it."
    assert model.calls[0].request.response_format is Grade


@pytest.mark.parametrize("native", [True, False])
async def test_what_does_not_fit_is_asked_again_once_with_the_reason(native: bool) -> None:
    model = ScriptedModel([{"score": "x"}, {"score": 2}], native_schema=native)
    (grade,) = await grades(model)
    assert grade.parsed == Grade(score=2)
    said, asked = model.calls[1].request.messages[-2:]
    assert (said["role"], said["content"]) == ("assistant", '{"score": "x"}')
    assert "score: Input should be a valid integer" in asked["content"]


async def test_what_still_does_not_fit_is_unparsed() -> None:
    model = ScriptedModel(["no", "never", "this is not said"])
    (grade,) = await grades(model)
    assert (grade.text, grade.parsed, grade.parse_error) == ("never", None, "it holds no JSON object")
    assert len(model.calls) == 2


async def test_each_sample_is_read_and_asked_again_by_itself() -> None:
    model = ScriptedModel([{"score": 0}, "no", {"score": 2}, {"score": 1}])
    asked = await grades(model, range(3))
    assert [g.parsed for g in asked] == [Grade(score=0), Grade(score=1), Grade(score=2)]
    assert [g.index for g in asked] == [0, 1, 2]
    assert [c.n for c in model.calls] == [3, 1]


async def test_if_asking_again_fails_the_first_answer_stays_unparsed() -> None:
    model = ScriptedModel(["no", "unused"], faults=[None, 400])
    (grade,) = await grades(model)
    assert (grade.text, grade.parse_error) == ("no", "it holds no JSON object")


async def test_a_call_of_tools_is_not_asked_again() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    model = ScriptedModel([Choice(text="", tool_calls=[call])])
    (grade,) = await grades(model)
    assert grade.tool_calls == [call]
    assert grade.parse_error


async def test_both_questions_come_from_the_cache_the_second_time() -> None:
    model = ScriptedModel(["no", {"score": 2}])
    context = Context(model=model, cache="memory")
    for _ in range(2):
        (grade,) = await grades(model, context=context)
        assert grade.parsed == Grade(score=2)
    assert len(model.calls) == 2


async def test_who_watches_is_told_to_drop_the_first_answer() -> None:
    told: list[Any] = []
    model = ScriptedModel(["not this", {"score": 2}])
    request = Request(messages=[{"role": "user", "content": "Grade it."}], response_format=Grade)
    await Context(model=model).door.sample(request, on_token=told.append, on_event=told.append)
    assert told == ["not ", "this", {"event": "restart"}, '{"score": ', "2}"]
