"""Every fault and feature of the loopback server, once."""

from __future__ import annotations

import asyncio
import datetime
import email.utils
import json
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import aiohttp
import pytest

from tests.loopback import Knobs, LoopbackProcess, LoopbackServer, minimal

TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "parameters": {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]},
    },
}


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def ask(http: aiohttp.ClientSession, server: Any, prompt: str = "hello there", **more: Any) -> Any:
    body = {"model": "loopback", "messages": [{"role": "user", "content": prompt}], **more}
    return http.post(f"{server.url}/chat/completions", json=body)


async def answer(http: aiohttp.ClientSession, server: Any, prompt: str = "hello there", **more: Any) -> Any:
    async with ask(http, server, prompt, **more) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def texts(http: aiohttp.ClientSession, server: Any, prompt: str = "hello there", **more: Any) -> list[str]:
    body = await answer(http, server, prompt, **more)
    return [choice["message"]["content"] for choice in body["choices"]]


async def events(http: aiohttp.ClientSession, server: Any, **more: Any) -> list[Any]:
    async with ask(http, server, stream=True, **more) as response:
        assert response.content_type == "text/event-stream"
        lines = [line async for line in response.content if line.strip()]
    assert lines[-1].strip() == b"data: [DONE]"
    return [json.loads(line.removeprefix(b"data: ")) for line in lines[:-1]]


async def test_plain_answer_bills_the_prompt_once_and_every_choice(http: aiohttp.ClientSession) -> None:
    with LoopbackServer(reply=lambda prompt, body, attempt: ["one two", "three"]) as server:
        body = await answer(http, server, n=2)
        assert body["object"] == "chat.completion"
        assert [c["message"]["content"] for c in body["choices"]] == ["one two", "three"]
        assert [(c["index"], c["finish_reason"]) for c in body["choices"]] == [(0, "stop"), (1, "stop")]
        assert body["usage"] == {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}
        stats = server.stats
        assert (stats.requests, stats.answered, stats.choices, stats.connections) == (1, 1, 2, 1)
        assert (stats.prompt_tokens, stats.completion_tokens, stats.in_flight) == (2, 3, 0)


async def test_samples_differ_and_are_the_same_on_a_new_server(http: aiohttp.ClientSession) -> None:
    with LoopbackServer() as one, LoopbackServer(first={"500": 1}) as two:
        samples = [*await texts(http, one, n=2), *await texts(http, one)]
        assert len(set(samples)) == 3
        async with ask(http, two) as response:
            assert response.status == 500
        assert [*await texts(http, two), *await texts(http, two, n=2)] == samples
        assert await texts(http, one, seed=7) == await texts(http, two, seed=7) != await texts(http, one, seed=8)


async def test_ignore_n(http: aiohttp.ClientSession) -> None:
    with LoopbackServer(ignore_n=True) as server:
        assert len(await texts(http, server, n=4)) == 1


async def test_rules_and_their_sequences(http: aiohttp.ClientSession) -> None:
    with LoopbackServer(reply=[("(?i)france", "Paris"), ("7", ["first", "second"])]) as server:
        assert await texts(http, server, "Capital of FRANCE?") == ["Paris"]
        assert await texts(http, server, "7?") == ["first"]
        assert await texts(http, server, "7?", n=2) == ["second", "second"]
        assert await texts(http, server, "none") != ["Paris"]


async def test_reply_sees_prompt_body_and_attempt(http: aiohttp.ClientSession) -> None:
    with LoopbackServer(reply=lambda prompt, body, attempt: f"{prompt} {body['top_p']} {attempt}") as server:
        assert await texts(http, server, "hi", top_p=0.5) == ["hi 0.5 1"]
        assert await texts(http, server, "hi", top_p=0.5) == ["hi 0.5 2"]


async def test_stop_and_max_tokens(http: aiohttp.ClientSession) -> None:
    with LoopbackServer(reply=[("", "a b STOP c")]) as server:
        assert await texts(http, server, stop=["STOP"]) == ["a b "]
        body = await answer(http, server, max_tokens=1)
        assert body["choices"][0]["message"]["content"] == "a "
        assert body["choices"][0]["finish_reason"] == "length"


async def test_content_parts_make_the_prompt(http: aiohttp.ClientSession) -> None:
    with LoopbackServer(reply=lambda prompt, body, attempt: prompt) as server:
        parts = [
            {"type": "text", "text": "a"},
            {"type": "image_url", "image_url": {}},
            {"type": "text", "text": "b"},
        ]
        assert await texts(http, server, messages=[{"role": "user", "content": parts}]) == ["a\n\nb"]


async def test_stream(http: aiohttp.ClientSession) -> None:
    with LoopbackServer(reply=[("", "one two three")], token_ms=0.1) as server:
        chunks = await events(http, server, n=2, stream_options={"include_usage": True})
        *parts, last = chunks
        for index in (0, 1):
            own = [c["choices"][0] for c in parts if c["choices"][0]["index"] == index]
            assert "".join(part["delta"].get("content", "") for part in own) == "one two three"
            assert own[0]["delta"]["role"] == "assistant"
            assert own[-1]["finish_reason"] == "stop"
        assert last["choices"] == []
        assert last["usage"]["completion_tokens"] == 6
        assert all(c["usage"] is None for c in parts)
        assert all("usage" not in c for c in await events(http, server))


async def test_logprobs(http: aiohttp.ClientSession) -> None:
    with LoopbackServer(reply=[("", "yes no")]) as server:
        body = await answer(http, server, logprobs=True, top_logprobs=2)
        content = body["choices"][0]["logprobs"]["content"]
        assert [entry["token"] for entry in content] == ["yes ", "no"]
        assert all(len(entry["top_logprobs"]) == 2 and entry["logprob"] <= 0 for entry in content)
        chunks = await events(http, server, logprobs=True)
        entries = [c["choices"][0]["logprobs"]["content"] for c in chunks if c["choices"][0]["logprobs"]]
        assert [entry["token"] for (entry,) in entries] == ["yes ", "no"]


async def test_tool_call_then_text(http: aiohttp.ClientSession) -> None:
    with LoopbackServer(tool=True) as server:
        body = await answer(http, server, tools=[TOOL])
        message = body["choices"][0]["message"]
        assert body["choices"][0]["finish_reason"] == "tool_calls"
        assert message["content"] is None
        assert message["tool_calls"][0]["function"] == {"name": "look_up", "arguments": '{"q": "text"}'}
        assert body["usage"]["completion_tokens"] == 3
        result = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "42"}
        again = [{"role": "user", "content": "hi"}, message, result]
        body = await answer(http, server, tools=[TOOL], messages=again)
        assert body["choices"][0]["message"]["content"]
        assert await texts(http, server, tools=[TOOL], tool_choice="none") != [None]


async def test_given_and_forced_tool_calls(http: aiohttp.ClientSession) -> None:
    with LoopbackServer(tool={"name": "add", "arguments": {"a": 1}}) as server:
        chunks = await events(http, server, tools=[TOOL])
        calls = [c["choices"][0]["delta"].get("tool_calls", [{}])[0] for c in chunks]
        assert "".join(c.get("function", {}).get("name", "") for c in calls) == "add"
        assert "".join(c.get("function", {}).get("arguments", "") for c in calls) == '{"a": 1}'
        choice = {"type": "function", "function": {"name": "look_up"}}
        body = await answer(http, server, tools=[TOOL], tool_choice=choice)
        assert body["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "look_up"


async def test_response_format(http: aiohttp.ClientSession) -> None:
    schema = {
        "type": "object",
        "properties": {"score": {"type": "integer", "minimum": 1}},
        "required": ["score"],
    }
    wish = {"type": "json_schema", "json_schema": {"name": "grade", "schema": schema, "strict": True}}
    with LoopbackServer() as server:
        assert await texts(http, server, response_format=wish) == ['{"score": 1}']
        assert await texts(http, server, response_format={"type": "json_object"}) == ["{}"]


@pytest.mark.parametrize(
    ("schema", "instance"),
    [
        ({"$ref": "#/$defs/A", "$defs": {"A": {"enum": ["x", "y"]}}}, "x"),
        ({"anyOf": [{"type": "null"}, {"type": "string"}]}, None),
        ({"type": "array", "items": {"type": "boolean"}, "minItems": 2}, [False, False]),
        ({"type": "string", "minLength": 6}, "textxx"),
        ({"type": "number", "exclusiveMinimum": 2}, 3),
        ({"type": "integer", "maximum": -3}, -3),
        ({"const": 5}, 5),
        ({"properties": {"a": {"type": ["integer", "null"]}}, "required": ["a", "b"]}, {"a": 0, "b": {}}),
    ],
)
def test_minimal_instance(schema: dict[str, Any], instance: object) -> None:
    assert minimal(schema) == instance


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("400", 400, None),
        ("401", 401, "invalid_api_key"),
        ("404", 404, "model_not_found"),
        ("429", 429, "rate_limit_exceeded"),
        ("500", 500, None),
        ("503", 503, None),
        ("ctx", 400, "context_length_exceeded"),
    ],
)
async def test_refusals(http: aiohttp.ClientSession, kind: str, status: int, code: str | None) -> None:
    with LoopbackServer(rates={kind: 1.0}, retry_after=1.5) as server:
        async with ask(http, server, stream=True) as response:
            assert response.status == status
            error = (await response.json())["error"]
            assert error["code"] == code
            assert error["message"]
            assert response.headers.get("Retry-After") == ("1.5" if kind in ("429", "503") else None)
        assert server.stats.faults == {kind: 1}
        assert (server.stats.answered, server.stats.prompt_tokens) == (0, 0)


async def test_retry_after_as_a_date(http: aiohttp.ClientSession) -> None:
    with LoopbackServer(first={"429": 1}, retry_after=5, retry_after_date=True) as server:
        async with ask(http, server) as response:
            when = email.utils.parsedate_to_datetime(response.headers["Retry-After"])
        assert 3 < (when - datetime.datetime.now(datetime.UTC)).total_seconds() <= 6


async def test_html(http: aiohttp.ClientSession) -> None:
    with LoopbackServer(rates={"html": 1}) as server:
        async with ask(http, server) as response:
            assert (response.status, response.content_type) == (502, "text/html")


@pytest.mark.parametrize("stream", [False, True])
async def test_drop_and_cut_break_the_connection(http: aiohttp.ClientSession, stream: bool) -> None:
    with LoopbackServer(first={"drop": 1, "cut": 1}) as server:
        with pytest.raises((aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)):
            await ask(http, server, stream=stream)
        async with ask(http, server, stream=stream) as response:
            assert response.status == 200
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()
        await answer(http, server)
        stats = server.stats
        assert stats.faults == {"drop": 1, "cut": 1}
        assert (stats.answered, stats.cancelled) == (1, 0)
        assert stats.prompt_tokens == 4, "a cut answer is billed, a dropped one not"


async def test_cut_stream_brings_its_first_half(http: aiohttp.ClientSession) -> None:
    with LoopbackServer(reply=[("", "one two three four")], rates={"cut": 1}) as server:
        got = b""
        with suppress(aiohttp.ClientPayloadError):
            async with ask(http, server, stream=True) as response:
                async for data in response.content.iter_any():
                    got += data
        assert b"one" in got
        assert b"four" not in got


async def test_malformed_answers(http: aiohttp.ClientSession) -> None:
    kinds = ["badjson", "empty", "null", "length", "nousage"]
    with LoopbackServer(first=dict.fromkeys(kinds, 1), reply=[("", "one two three four")]) as server:
        async with ask(http, server) as response:
            with pytest.raises(json.JSONDecodeError):
                await response.json()
        assert (await answer(http, server))["choices"] == []
        assert await texts(http, server) == [None]
        cut = (await answer(http, server))["choices"][0]
        assert (cut["message"]["content"], cut["finish_reason"]) == ("one two ", "length")
        assert "usage" not in await answer(http, server)
        assert server.stats.faults == dict.fromkeys(kinds, 1)
        assert (server.stats.answered, server.stats.completion_tokens) == (5, 4 + 0 + 0 + 2 + 4)


async def test_malformed_streams(http: aiohttp.ClientSession) -> None:
    with LoopbackServer(first={"badjson": 1, "empty": 1, "null": 1, "nousage": 1}) as server:
        with pytest.raises(json.JSONDecodeError):
            await events(http, server)
        assert await events(http, server) == []
        assert all(not c["choices"][0]["delta"].get("content") for c in await events(http, server))
        chunks = await events(http, server, stream_options={"include_usage": True})
        assert all(c["usage"] is None for c in chunks)


async def test_hang_ends_when_the_client_gives_up(http: aiohttp.ClientSession) -> None:
    with LoopbackServer(first={"hang": 1}) as server:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(answer(http, server), 0.1)
        await answer(http, server)  # by its answer the server has seen the first connection close
        assert (server.stats.cancelled, server.stats.in_flight) == (1, 0)


async def test_stops_fast_with_open_streams_and_hanging_requests(http: aiohttp.ClientSession) -> None:
    with LoopbackServer(token_ms=600_000, first={"hang": 1}) as server:
        tasks = [asyncio.create_task(answer(http, server, str(i))) for i in range(20)]
        tasks.append(asyncio.create_task(answer(http, server)))
        # else the stream might be its prompt's first attempt, and hang; the server's thread has no event to await
        while server.stats.in_flight < len(tasks):  # noqa: ASYNC110
            await asyncio.sleep(0)
        stream = await ask(http, server, stream=True)
        assert await stream.content.readany()
        began = time.perf_counter()
    assert time.perf_counter() - began < 0.5
    with pytest.raises(aiohttp.ClientPayloadError):
        await stream.read()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(result, aiohttp.ClientError)


async def statuses(http: aiohttp.ClientSession, server: Any, prompts: list[str]) -> dict[str, list[int]]:
    async def three(prompt: str) -> list[int]:
        got = []
        for _ in range(3):
            async with ask(http, server, prompt) as response:
                got.append(response.status)
        return got

    return dict(zip(prompts, await asyncio.gather(*map(three, prompts)), strict=True))


async def test_faults_do_not_depend_on_arrival_order(http: aiohttp.ClientSession) -> None:
    prompts = [f"question {i}" for i in range(40)]
    knobs: dict[str, Any] = {"rates": {"429": 0.2, "500": 0.2}, "latency_ms": 2, "jitter_ms": 2}
    with (
        LoopbackServer(**knobs) as one,
        LoopbackServer(**knobs) as two,
        LoopbackServer(seed=1, **knobs) as other,
    ):
        first = await statuses(http, one, prompts)
        assert await statuses(http, two, prompts[::-1]) == first
        assert await statuses(http, other, prompts) != first
        assert 24 < sum(one.stats.faults.values()) < 72, "40% of 120, within five standard deviations"


async def test_first_faults_follow_one_another_at_each_prompt(http: aiohttp.ClientSession) -> None:
    with LoopbackServer(first={"429": 1, "503": 1}) as server:
        assert await statuses(http, server, ["a", "b"]) == {"a": [429, 503, 200], "b": [429, 503, 200]}


async def test_latency_and_max_in_flight(http: aiohttp.ClientSession) -> None:
    with LoopbackServer(latency_ms=50) as server:
        began = time.perf_counter()
        await asyncio.gather(*(answer(http, server, str(i)) for i in range(8)))
        assert time.perf_counter() - began > 0.045
        assert server.stats.max_in_flight == 8


async def test_requests_set_and_reset(http: aiohttp.ClientSession) -> None:
    with LoopbackServer(first={"500": 1}) as server:
        async with http.post(
            f"{server.url}/chat/completions",
            json={"model": "m", "messages": [{"role": "user", "content": "hi"}]},
            headers={"Authorization": "Bearer x"},
        ) as response:
            assert response.status == 500
        (seen,) = server.requests
        assert (seen.body["model"], seen.headers["authorization"]) == ("m", "Bearer x")
        server.reset()
        assert server.requests == []
        assert server.stats.requests == 0
        assert (await statuses(http, server, ["hi"]))["hi"] == [500, 200, 200]
        server.set(rates={"503": 1})
        assert server.knobs.first == {"500": 1}
        assert (await statuses(http, server, ["hi"]))["hi"] == [503] * 3


async def test_models_and_wrong_requests(http: aiohttp.ClientSession) -> None:
    with LoopbackServer(models=["a", "b"]) as server:
        async with http.get(f"{server.url}/models") as response:
            assert [model["id"] for model in (await response.json())["data"]] == ["a", "b"]
        async with http.get(f"{server.url}/nothing") as response:
            assert response.status == 404
        wrongs: list[dict[str, Any]] = [{"messages": []}, {"n": 0}, {"model": None}]
        for wrong in wrongs:
            async with ask(http, server, **wrong) as response:
                assert response.status == 400
        async with http.post(f"{server.url}/chat/completions", data=b"no json") as response:
            assert response.status == 400


@pytest.mark.parametrize("wrong", [{"rates": {"dorp": 1}}, {"first": {"200": 1}}, {"rates": {"429": 0.6, "500": 0.6}}])
def test_wrong_knobs_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"unknown fault|rates"):
        Knobs(**wrong)


async def test_process(http: aiohttp.ClientSession) -> None:
    with LoopbackProcess(rules=[("France", "Paris")], first={"drop": 1}) as server:
        with pytest.raises((aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)):
            await ask(http, server, "France?")
        assert await texts(http, server, "France?") == ["Paris"]
        stats = await asyncio.to_thread(lambda: server.stats)
        assert (stats.requests, stats.answered, stats.faults) == (2, 1, {"drop": 1})
        seen = await asyncio.to_thread(lambda: server.requests)
        assert seen[0].body["messages"][0]["content"] == "France?"
        await asyncio.to_thread(server.set, first={}, rules=[("France", "Lyon")])
        await asyncio.to_thread(server.reset)
        assert await texts(http, server, "France?") == ["Lyon"]
        assert (await asyncio.to_thread(lambda: server.stats)).requests == 1


def test_process_takes_no_callable() -> None:
    with pytest.raises(TypeError, match="rules"):
        LoopbackProcess(reply=lambda prompt, body, attempt: "x")
