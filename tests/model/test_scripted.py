"""The scripted model: what a script says, how it fails, and what it remembers."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from emoagents.errors import EmoagentsError, ModelCallError, ModelConfigError, ParameterError
from emoagents.model.request import Backend, Choice, Message, OnToken, Request
from emoagents.model.scripted import ScriptedModel


class Grade(BaseModel):
    score: int


def request(prompt: str = "hello there", **more: Any) -> Request:
    return Request(messages=[{"role": "user", "content": prompt}], **more)


async def say(
    model: ScriptedModel, prompt: str = "hello there", n: int = 1, on_token: OnToken | None = None
) -> list[str]:
    return [choice.text for choice in (await model.call(request(prompt), n, on_token)).choices]


async def failure(model: ScriptedModel, prompt: str = "hello there", n: int = 1) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011  # which one is what the tests are about
        await model.call(request(prompt), n)
    return caught.value


def test_it_is_a_backend() -> None:
    model: Backend = ScriptedModel([], name="scripted/x", max_n=3, context_window=100, native_schema=True)
    assert (model.name, model.max_n, model.context_window, model.native_schema) == (
        "scripted/x",
        3,
        100,
        True,
    )
    assert model.cost(1000, 1000) == 0.0
    assert model.endpoint != ScriptedModel([]).endpoint, "limits and cached answers belong to one object"
    assert ScriptedModel([], endpoint="shared").endpoint == "shared"


# -- answers in order ----------------------------------------------------------------------------------------


@given(answers=st.lists(st.text(), min_size=1), sizes=st.lists(st.integers(1, 4)))
def test_answers_are_served_in_order_and_none_is_lost(answers: list[str], sizes: list[int]) -> None:
    async def drain() -> list[str]:
        model, got = ScriptedModel(answers), list[str]()
        for size in sizes:
            got += await say(model, n=min(size, max(1, len(answers) - len(got)))) if len(got) < len(answers) else []
        return got

    got = asyncio.run(drain())
    assert got == answers[: len(got)]
    assert len(got) == min(sum(sizes), len(answers))


async def test_an_exhausted_script_says_how_much_there_was_and_when() -> None:
    model = ScriptedModel(["a", "b"])
    await say(model)
    error = await failure(model, n=2)
    assert str(error) == "scripted/model, call 2: it asks for 2 of the 2 answers given, and 1 of them is left"
    assert isinstance(error, ModelCallError)
    assert not error.retryable
    assert await say(model) == ["b"], "a refused call uses up no answer"


async def test_no_more_than_max_n_choices() -> None:
    assert await say(ScriptedModel(["a", "b", "c"], max_n=2), n=3) == ["a", "b"]


async def test_every_kind_of_answer() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    choice = Choice(text="", finish_reason="tool_calls", tool_calls=[call], logprobs=[{"token": "a", "logprob": -1.0}])
    model = ScriptedModel([choice, Grade(score=3), {"ä": 1}])
    reply = await model.call(request(), 1)
    assert reply.choices == [choice]
    assert reply.completion_tokens == 2, "the words of the arguments"
    assert await say(model, n=2) == ['{"score":3}', '{"ä": 1}']


async def test_an_exception_ends_the_request_before_it() -> None:
    boom = ModelCallError("boom", retryable=True)
    model = ScriptedModel(["a", boom, "b"])
    assert await say(model, n=3) == ["a"]
    assert await failure(model, n=2) is boom
    assert await say(model) == ["b"]


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ("yes", "one text"),
        ([3], "not int"),
        ([None], "not NoneType"),
        ([{"a": object()}], "JSON"),
        ({"(": "x"}, "no regular expression"),
        ({"a": ["x", 1.0]}, "not float"),
    ],
)
def test_unusable_answers_are_refused_at_once(answers: Any, reason: str) -> None:
    with pytest.raises(ParameterError, match=reason):
        ScriptedModel(answers)


@pytest.mark.parametrize("wrong", [{"max_n": 0}, {"latency": -1.0}])
def test_unusable_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match="max_n"):
        ScriptedModel([], **wrong)


# -- callables and rules -------------------------------------------------------------------------------------


@given(prompt=st.text())
def test_a_callable_sees_the_messages(prompt: str) -> None:
    model = ScriptedModel(lambda messages: messages[-1]["content"])
    assert asyncio.run(say(model, prompt, n=2)) == [prompt, prompt]


async def test_a_second_parameter_is_the_sample_of_that_prompt() -> None:
    async def answer(messages: Sequence[Message], index: int) -> str:
        await asyncio.sleep(0)
        return f"{messages[0]['content']}{index}"

    model = ScriptedModel(answer, faults=[None, 500])
    assert await say(model, "a", n=2) == ["a0", "a1"]
    assert isinstance(await failure(model, "a"), ModelCallError)
    assert await say(model, "a") == ["a2"]
    assert await say(model, "b") == ["b0"]


async def test_a_parameter_with_a_default_is_left_alone() -> None:
    assert await say(ScriptedModel(lambda messages, word="mine": word)) == ["mine"]


async def test_a_callable_may_return_or_raise_an_exception() -> None:
    def broken(messages: Sequence[Message]) -> str:
        raise KeyError("a bug in the test")

    assert isinstance(await failure(ScriptedModel(lambda messages: ValueError("x"))), ValueError)
    assert isinstance(await failure(ScriptedModel(broken)), KeyError)
    assert isinstance(await failure(ScriptedModel(lambda messages: None)), ParameterError)  # type: ignore[arg-type, return-value]


async def test_the_first_rule_that_matches_answers() -> None:
    model = ScriptedModel({"(?i)france": ["Paris", "Lyon"], r"\d": lambda messages: {"n": 7}, "": "else"})
    assert await say(model, "FRANCE 7") == ["Paris"]
    assert await say(model, "7") == ['{"n": 7}']
    assert await say(model, "x", n=2) == ["else", "else"]
    assert await say(model, "France") == ["Lyon"]
    assert "rule '(?i)france': it asks for 1 of the 2 answers given, and 0 of them are left" in str(
        await failure(model, "France")
    )


async def test_rules_see_all_messages_and_text_parts() -> None:
    model = ScriptedModel({r"be kind\nlook\n(.|\n)*really": "yes"})
    parts = [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {}},
        {"type": "text", "text": "really"},
    ]
    messages: list[Message] = [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": parts},
    ]
    assert (await model.call(Request(messages=messages), 1)).choices[0].text == "yes"


@given(prompt=st.text(alphabet=st.characters(exclude_characters="!")))
def test_no_rule_shows_the_start_of_the_prompt(prompt: str) -> None:
    error = asyncio.run(failure(ScriptedModel({"!": "x"}), prompt))
    assert isinstance(error, ModelCallError)
    assert not error.retryable
    assert repr(prompt[:200]) in str(error)


# -- faults --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "status", "retryable", "billed"),
    [
        (400, 400, False, False),
        (408, 408, True, False),
        (409, 409, True, False),
        (422, 422, False, False),
        (429, 429, True, False),
        (500, 500, True, False),
        (503, 503, True, False),
        ("drop", None, True, True),
        ("malformed", None, True, True),
        ("empty", None, True, True),
        ("timeout", 408, True, True),
    ],
)
async def test_faults_are_classified_as_real_ones(
    fault: Any, status: int | None, retryable: bool, billed: bool
) -> None:
    error = await failure(ScriptedModel(["a"], faults=[fault]))
    assert isinstance(error, ModelCallError)
    assert (error.status, error.retryable, error.billed) == (status, retryable, billed)
    assert error.model == "scripted/model"
    assert error.retry_after is None


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_refused_keys_and_unknown_models(status: int) -> None:
    error = await failure(ScriptedModel(["a"], faults=[status]))
    assert isinstance(error, ModelConfigError)
    assert error.status == status


async def test_one_fault_for_each_call_and_no_answer_lost() -> None:
    model = ScriptedModel(["a", "b"], faults=[None, (429, 2.5), "drop"])
    assert await say(model) == ["a"]
    error = await failure(model)
    assert isinstance(error, EmoagentsError)
    assert error.retry_after == 2.5
    await failure(model)
    assert await say(model) == ["b"]


@pytest.mark.parametrize("fault", ["dorp", 200, 600, (200, 1), (429, -1), (429,), 4.5])
def test_unknown_faults_are_refused(fault: Any) -> None:
    with pytest.raises(ParameterError, match="fault"):
        ScriptedModel([], faults=[fault])


# -- what it counts and remembers ----------------------------------------------------------------------------


@given(prompts=st.lists(st.text(), min_size=1), answers=st.lists(st.text(), min_size=1, max_size=8))
def test_a_token_is_a_word(prompts: list[str], answers: list[str]) -> None:
    messages = [{"role": "user", "content": prompt} for prompt in prompts]
    model = ScriptedModel(answers)
    reply = asyncio.run(model.call(Request(messages=messages), len(answers)))
    assert reply.prompt_tokens == model.count_tokens(messages) == sum(len(p.split()) for p in prompts)
    assert reply.completion_tokens == sum(len(a.split()) for a in answers)
    assert reply.cost_usd == 0.0


async def test_messages_without_text_count_nothing() -> None:
    assert ScriptedModel([]).count_tokens([{"role": "assistant", "content": None}, {"role": "tool"}]) == 0


async def test_calls_remember_request_answers_and_error() -> None:
    model = ScriptedModel(["a", "b"], faults=[429])
    asked = request("first", temperature=0.5)
    with pytest.raises(ModelCallError):
        await model.call(asked, 2)
    await model.call(asked, 2)
    assert isinstance(asked.messages, list)
    asked.messages.append({"role": "user", "content": "later"})
    failed, answered = model.calls
    assert (failed.n, failed.answers, type(failed.error)) == (2, [], ModelCallError)
    assert [choice.text for choice in answered.answers] == ["a", "b"]
    assert answered.error is None
    assert answered.request.temperature == 0.5
    assert answered.prompt == "first", "what was asked then, not what the list holds now"


@given(text=st.text())
def test_a_stream_is_the_answer_word_by_word(text: str) -> None:
    pieces: list[str] = []
    assert asyncio.run(say(ScriptedModel([text]), on_token=pieces.append)) == [text]
    assert "".join(pieces) == text
    assert all(len(piece.split()) <= 1 for piece in pieces)
    assert len(text.split()) <= len(pieces) <= len(text.split()) + 1


async def test_in_flight_and_the_order_of_arrival() -> None:
    model = ScriptedModel(list("abc"), latency=0.01)
    tasks = [asyncio.create_task(say(model)) for _ in "abc"]
    await asyncio.sleep(0)
    assert model.in_flight == 3
    assert await asyncio.gather(*tasks) == [["a"], ["b"], ["c"]]
    assert (model.in_flight, model.max_in_flight, model.cancelled) == (0, 3, 0)


async def test_latency_is_awaited_before_answers_and_errors() -> None:
    model, loop = ScriptedModel(["a"], faults=[500], latency=0.02), asyncio.get_running_loop()
    began = loop.time()
    await failure(model)
    assert loop.time() - began >= 0.019
    await say(model)
    assert loop.time() - began >= 0.038


async def test_a_call_can_be_cancelled() -> None:
    model = ScriptedModel(["a"], latency=math.inf)
    task = asyncio.create_task(say(model))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (model.in_flight, model.cancelled) == (0, 1)
    assert isinstance(model.calls[0].error, asyncio.CancelledError)


async def test_a_stream_can_be_cancelled_between_two_words() -> None:
    heard: list[str] = []

    def hear(word: str) -> None:
        heard.append(word)
        if word == "two ":
            task.cancel()

    task = asyncio.create_task(say(ScriptedModel(["one two three"]), on_token=hear))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert heard == ["one ", "two "]


def test_many_threads_share_one_script() -> None:
    answers = [str(i) for i in range(400)]
    model = ScriptedModel(answers)

    def fifty(_: int) -> list[str]:
        async def ask() -> list[str]:
            return [text for texts in await asyncio.gather(*(say(model) for _ in range(50))) for text in texts]

        return asyncio.run(ask())

    with ThreadPoolExecutor(8) as pool:
        got = [text for texts in pool.map(fifty, range(8)) for text in texts]
    assert sorted(got, key=int) == answers
    assert (len(model.calls), model.in_flight) == (400, 0)


# -- files ---------------------------------------------------------------------------------------------------


def script(folder: Path, data: object) -> Path:
    path = folder / "answers.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    return path


async def test_a_file_with_answers(tmp_path: Path) -> None:
    path = script(tmp_path, {"answers": ["ä", {"score": 1}], "faults": [None, [429, 1.5]]})
    model = await asyncio.to_thread(ScriptedModel.from_file, path)
    assert model.name == f"scripted/{path}"
    assert await say(model) == ["ä"]
    error = await failure(model)
    assert isinstance(error, ModelCallError)
    assert (error.status, error.retry_after) == (429, 1.5)
    assert await say(model) == ['{"score": 1}']


async def test_a_file_with_rules(tmp_path: Path) -> None:
    path = script(tmp_path, {"rules": {"France": ["Paris", "Lyon"], "": "no idea"}})
    model = await asyncio.to_thread(ScriptedModel.from_file, str(path))
    assert [await say(model, p) for p in ("France", "x", "France")] == [["Paris"], ["no idea"], ["Lyon"]]


def test_the_cache_knows_a_file_by_its_content(tmp_path: Path) -> None:
    first = ScriptedModel.from_file(script(tmp_path, {"answers": ["a"]})).endpoint
    assert ScriptedModel.from_file(script(tmp_path, {"answers": ["a"]})).endpoint == first
    assert ScriptedModel.from_file(script(tmp_path, {"answers": ["b"]})).endpoint != first


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("{", "Expecting property name"),
        ([], "either"),
        ({}, "either"),
        ({"answers": [], "rules": {}}, "either"),
        ({"answers": "a"}, "must be a list"),
        ({"rules": ["a"]}, "must be a list"),
        ({"answers": [1]}, "not int"),
        ({"rules": {"(": "a"}}, "no regular expression"),
        ({"answers": [], "faults": "drop"}, "must be a list"),
        ({"answers": [], "faults": ["dorp"]}, "dorp"),
        ({"answers": [], "fault": []}, "did you mean faults"),
    ],
)
def test_a_bad_file_is_named_with_the_reason(tmp_path: Path, data: object, reason: str) -> None:
    path = script(tmp_path, data)
    with pytest.raises(ParameterError, match=reason) as caught:
        ScriptedModel.from_file(path)
    assert str(path) in str(caught.value)


def test_a_missing_or_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"nothing\.json: No such file"):
        ScriptedModel.from_file(tmp_path / "nothing.json")
    (tmp_path / "latin.json").write_bytes(b'{"answers": ["\xe4"]}')
    with pytest.raises(ParameterError, match=r"latin\.json: 'utf-8'"):
        ScriptedModel.from_file(tmp_path / "latin.json")
