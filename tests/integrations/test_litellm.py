"""litellm users reach a model of this library by its name: the embedded one, and any other backend."""

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, cast

import pytest
from pydantic import BaseModel

from emoagents.errors import ModelCallError
from emoagents.integrations.litellm import register
from emoagents.model.litellm_backend import load_litellm
from emoagents.model.request import Choice, Message, OnToken, Reply, Request

litellm = load_litellm()

pytestmark = [  # what litellm itself does with pydantic
    pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier:UserWarning"),
    pytest.mark.filterwarnings("ignore::pydantic.PydanticDeprecatedSince211"),
]

MODEL = "embedded/smollm2"
ASK: list[Message] = [{"role": "user", "content": "Name three colours."}]


class Parrot:
    """Says the seed and the last message's words, one by one; two choices at most in one request."""

    name, endpoint, max_n, context_window, native_schema = "parrot/grey", "parrot", 2, None, False
    pause = 0.0

    def __init__(self) -> None:
        self.requests: list[tuple[Request, int]] = []
        self.loops: set[Any] = set()
        self.ended = threading.Event()

    async def call(self, request: Request, n: int, on_token: OnToken | None = None) -> Reply:
        self.requests.append((request, n))
        self.loops.add(asyncio.get_running_loop())
        words = str(request.messages[-1]["content"]).split()
        if words == ["fail"]:
            raise ModelCallError("too busy", status=429, retryable=True)
        try:
            for word in words:
                await asyncio.sleep(self.pause)
                if on_token:
                    on_token(word)
        finally:
            self.ended.set()
        choices = [Choice(text="".join(words) + str((request.seed or 0) + i)) for i in range(n)]
        return Reply(choices=choices, prompt_tokens=3, completion_tokens=2 * n, cost_usd=0.0)

    def count_tokens(self, messages: Sequence[Message]) -> int:
        return 3

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float | None:
        return 0.0


@pytest.fixture
def parrot() -> Iterator[Parrot]:
    bird = Parrot()
    register(bird, "parrot")
    yield bird
    litellm.custom_provider_map[:] = [e for e in litellm.custom_provider_map if e["provider"] != "parrot"]


@pytest.fixture(autouse=True)
def _embedded() -> None:
    register()


def said(response: Any) -> list[str]:
    return [choice.message.content for choice in response.choices]


def words(chunks: Any) -> list[str]:
    return [c.choices[0].delta.content for c in chunks if c.choices and c.choices[0].delta.content]


# -- any backend ---------------------------------------------------------------------------------------------


def test_registering_again_replaces(parrot: Parrot) -> None:
    other = Parrot()
    register(other, "parrot")
    register()
    assert [e["provider"] for e in litellm.custom_provider_map].count("parrot") == 1
    assert [e["provider"] for e in litellm.custom_provider_map].count("embedded") == 1
    litellm.completion(model="parrot/grey", messages=ASK)
    assert (len(other.requests), len(parrot.requests)) == (1, 0)


def test_other_providers_stay(parrot: Parrot) -> None:
    register()
    assert "parrot" in [e["provider"] for e in litellm.custom_provider_map]


def test_the_call_arrives_as_a_request(parrot: Parrot) -> None:
    class Form(BaseModel):
        name: str

    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
    litellm.completion(
        model="parrot/grey",
        messages=ASK,
        temperature=0.3,
        top_p=0.9,
        max_tokens=7,
        stop="x",
        seed=4,
        logprobs=True,
        top_logprobs=2,
        tools=[tool],
        tool_choice="auto",
        _skip_mcp_handler=True,  # else litellm 1.106 needs the package mcp for any call with tools
        response_format=Form,
        extra_body={"grammar": "g"},
    )
    ((request, n),) = parrot.requests
    assert n == 1
    assert (request.temperature, request.top_p, request.max_tokens, request.seed) == (0.3, 0.9, 7, 4)
    assert (request.stop, request.logprobs, request.top_logprobs) == (("x",), True, 2)
    assert (list(request.tools), request.tool_choice) == ([tool], "auto")
    assert request.extra["grammar"] == "g"
    assert request.extra["response_format"]["json_schema"]["schema"]["required"] == ["name"]
    assert set(request.extra) == {"grammar", "response_format"}
    assert list(request.messages) == ASK


def test_more_choices_than_one_request_brings(parrot: Parrot) -> None:
    response = litellm.completion(model="parrot/grey", messages=[{"role": "user", "content": "a"}], n=5, seed=10)
    assert said(response) == ["a10", "a11", "a12", "a13", "a14"]
    assert [n for _, n in parrot.requests] == [2, 2, 1]
    assert (response.usage.prompt_tokens, response.usage.completion_tokens) == (9, 10)
    assert response.usage.total_tokens == 19


async def test_every_call_runs_on_the_one_model_loop(parrot: Parrot) -> None:
    await litellm.acompletion(model="parrot/grey", messages=ASK)
    litellm.completion(model="parrot/grey", messages=ASK)  # a loop runs in this thread
    await asyncio.to_thread(litellm.completion, model="parrot/grey", messages=ASK)
    assert len(parrot.loops) == 1
    assert asyncio.get_running_loop() not in parrot.loops


def test_streaming(parrot: Parrot) -> None:
    options = {"stream": True, "stream_options": {"include_usage": True}}
    chunks = list(litellm.completion(model="parrot/grey", messages=ASK, **options))
    assert words(chunks) == ["Name", "three", "colours."]
    assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == ["stop"]
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (3, 2)


async def test_streaming_async(parrot: Parrot) -> None:
    stream = await litellm.acompletion(model="parrot/grey", messages=ASK, stream=True)
    assert words([chunk async for chunk in stream]) == ["Name", "three", "colours."]


def test_streaming_several_choices_brings_each_whole(parrot: Parrot) -> None:
    chunks = list(litellm.completion(model="parrot/grey", messages=ASK, stream=True, n=3))
    assert words(chunks) == [f"Namethreecolours.{i}" for i in (0, 1, 0)]
    assert [c.choices[0].index for c in chunks if c.choices[0].delta.content] == [0, 1, 2]


def test_a_stream_that_is_closed_stops_the_model(parrot: Parrot) -> None:
    parrot.pause = 0.05
    stream = litellm.completion(model="parrot/grey", messages=[{"role": "user", "content": "a " * 200}], stream=True)
    next(stream)
    stream.completion_stream.close()
    assert parrot.ended.wait(4)


async def test_a_cancelled_stream_stops_the_model(parrot: Parrot) -> None:
    parrot.pause = 0.05

    async def listen() -> None:
        messages = [{"role": "user", "content": "a " * 200}]
        async for _ in await litellm.acompletion(model="parrot/grey", messages=messages, stream=True):
            begun.set()

    begun = asyncio.Event()
    task = asyncio.create_task(listen())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(parrot.ended.wait, 4)


FAIL: list[Message] = [{"role": "user", "content": "fail"}]


def test_errors_have_their_status(parrot: Parrot) -> None:
    with pytest.raises(litellm.RateLimitError, match="too busy"):
        litellm.completion(model="parrot/grey", messages=FAIL, num_retries=0)
    with pytest.raises(litellm.exceptions.MidStreamFallbackError, match="too busy"):  # litellm's, for its router
        list(litellm.completion(model="parrot/grey", messages=FAIL, num_retries=0, stream=True))


async def test_a_timeout_is_kept(parrot: Parrot) -> None:
    parrot.pause = 5
    with pytest.raises(litellm.Timeout):
        await litellm.acompletion(model="parrot/grey", messages=ASK, timeout=0.1)


# -- the embedded model --------------------------------------------------------------------------------------


def test_embedded_choices_logprobs_usage_and_price() -> None:
    arguments: dict[str, Any] = {"n": 3, "seed": 3, "max_tokens": 8, "logprobs": True, "top_logprobs": 2}
    response = litellm.completion(model=MODEL, messages=ASK, **arguments)
    assert len(set(said(response))) == 3
    assert said(litellm.completion(model=MODEL, messages=ASK, **arguments)) == said(response)
    assert response.model == MODEL
    assert response.usage.completion_tokens == 24
    assert len(response.choices[0].logprobs.content[0].top_logprobs) == 2
    assert litellm.completion_cost(response) == 0.0
    assert litellm.supports_response_schema(MODEL)
    assert litellm.get_model_info(MODEL)["max_input_tokens"] == 4096


async def test_embedded_streams_the_same_text() -> None:
    whole = await litellm.acompletion(model=MODEL, messages=ASK, seed=1, max_tokens=8)
    stream = await litellm.acompletion(model=MODEL, messages=ASK, seed=1, max_tokens=8, stream=True)
    pieces = words([chunk async for chunk in stream])
    assert ["".join(pieces)] == said(whole)
    assert len(pieces) > 3


class Colour(BaseModel):
    name: str
    bright: bool


@pytest.mark.parametrize("form", [Colour, {"type": "json_object"}])
async def test_embedded_keeps_a_schema(form: Any) -> None:
    response = await litellm.acompletion(
        model=MODEL, messages=ASK, response_format=form, max_tokens=60, temperature=0, stop=["}"]
    )
    (text,) = said(response)
    assert text.lstrip().startswith("{")
    if form is Colour:
        Colour.model_validate_json(text + "}")


async def test_embedded_cancel_frees_the_engine() -> None:
    task = asyncio.create_task(litellm.acompletion(model=MODEL, messages=ASK, n=5, max_tokens=2000))
    await asyncio.sleep(0.5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    begun = time.monotonic()
    await litellm.acompletion(model=MODEL, messages=ASK, n=5, max_tokens=1)
    assert time.monotonic() - begun < 8


def test_embedded_errors() -> None:
    with pytest.raises(litellm.BadRequestError, match="holds 4096"):
        litellm.completion(model=MODEL, messages=[{"role": "user", "content": "a " * 6000}])
    with pytest.raises(litellm.NotFoundError, match="unknown embedded model 'embedded/gpt'"):
        litellm.completion(model="embedded/gpt", messages=ASK)


def test_litellm_does_not_ask_the_network_for_prices() -> None:
    assert cast("dict[str, Any]", litellm.model_cost)
    import os

    assert os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] == "True"
