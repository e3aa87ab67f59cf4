"""The backend over litellm, on a real server with real faults: what is sent, what is read, what its errors mean."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import pytest
from pydantic import BaseModel

from emoagents import Budget, Context, Plain, Retry
from emoagents.errors import EmoagentsError, ModelCallError, ModelConfigError
from emoagents.model.door import Samples
from emoagents.model.litellm_backend import LitellmBackend, load_litellm, redact
from emoagents.model.request import Request
from tests.loopback import LoopbackServer

litellm = load_litellm()
pytestmark = [  # what litellm itself does with pydantic: its own filters end with the import
    pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier"),
    pytest.mark.filterwarnings("ignore::pydantic.PydanticDeprecatedSince211"),
]

QUICK = Retry(wait=0.001, max_wait=0.002)
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}


class Grade(BaseModel):
    score: int


@pytest.fixture
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def at(server: LoopbackServer, model: str = "openai/loopback", **settings: Any) -> Context:
    return Context(model=model, api_base=server.url, **{"retry": QUICK, **settings})


async def ask(context: Context, indices: Sequence[int] = (0,), **more: Any) -> Samples:
    listeners = {k: more.pop(k) for k in ("on_token", "on_event") if k in more}
    request = Request(**{"messages": [{"role": "user", "content": "hello there"}], **more})
    return await context.door.sample(request, indices, **listeners)


# -- what is sent --------------------------------------------------------------------------------------------


async def test_every_setting_reaches_the_server() -> None:
    with LoopbackServer(tool=True) as server:
        context = at(
            server,
            temperature=0.3,
            top_p=0.9,
            max_tokens=50,
            stop="END",
            seed=4,
            tools=(TOOL,),
            tool_choice="auto",
            logprobs=True,
            extra={"top_logprobs": 2, "extra_body": {"top_k": 7}},
        )
        result = await Plain().arun("Look it up.", context=context)
        (seen,) = server.requests
    body = {k: v for k, v in seen.body.items() if k not in ("messages", "model")}
    assert body == {
        "temperature": 0.3,
        "top_p": 0.9,
        "max_tokens": 50,
        "stop": ["END"],
        "seed": 4,
        "tools": [TOOL],
        "tool_choice": "auto",
        "logprobs": True,
        "top_logprobs": 2,
        "top_k": 7,
    }
    assert result.tool_calls[0]["function"]["name"] == "look_up"


async def test_what_is_not_set_is_not_sent() -> None:
    with LoopbackServer() as server:
        await ask(at(server))
        assert server.requests[0].body.keys() == {"messages", "model"}


async def test_samples_of_a_prompt_are_one_request_billed_once() -> None:
    with LoopbackServer() as server:
        context = at(server)
        samples = await ask(context, range(5), seed=3)
        (seen,), stats = server.requests, server.stats
    assert (seen.body["n"], seen.body["seed"], len({c.text for c in samples.completions})) == (5, 3, 5)
    used = context.door.ledger.total
    assert (used.calls, used.prompt_tokens, used.completion_tokens) == (1, 2, stats.completion_tokens)


async def test_a_server_that_ignores_n_is_topped_up_and_then_asked_singly() -> None:
    with LoopbackServer(ignore_n=True) as server:
        for requests in (3, 6):
            assert len((await ask(at(server), range(3))).completions) == 3
            assert server.stats.requests == requests
        assert [r.body.get("n") for r in server.requests] == [3, None, None, None, None, None]


async def test_litellm_never_asks_again_by_itself() -> None:
    for fault in ("429", "500", "drop", "badjson"):
        with LoopbackServer(first={fault: 9}) as server:
            assert (await ask(at(server, retry=Retry(attempts=1)))).errors
            assert server.stats.requests == 1


async def test_a_cache_of_litellms_own_is_passed_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litellm, "cache", litellm.Cache(type="local"))
    with LoopbackServer() as server:
        for _ in range(2):
            await ask(at(server))
        assert server.stats.requests == 2


# -- what is read --------------------------------------------------------------------------------------------


async def test_logprobs_tool_calls_and_finish_reasons_are_passed_on() -> None:
    with LoopbackServer(rules=[("hello", "one two three")]) as server:
        context = at(server)
        (plain,) = (await ask(context, logprobs=True, top_logprobs=1)).completions
        assert [t["token"] for t in plain.logprobs or []] == ["one ", "two ", "three"]
        assert len((plain.logprobs or [])[0]["top_logprobs"]) == 1
        (cut,) = (await ask(context, max_tokens=2)).completions
        assert (cut.text, cut.finish_reason) == ("one two ", "length")
        (stopped,) = (await ask(context, stop=("two",))).completions
        assert (stopped.text, stopped.finish_reason) == ("one ", "stop")
        (called,) = (await ask(context, tools=(TOOL,), tool_choice="required")).completions
        assert (called.text, called.finish_reason) == ("", "tool_calls")
        assert called.tool_calls[0]["function"] == {"name": "look_up", "arguments": "{}"}


@pytest.mark.parametrize("stream", [False, True])
async def test_unknown_usage_is_unknown_and_so_is_an_unknown_price(stream: bool) -> None:
    listener = {"on_token": lambda _: None} if stream else {}
    with LoopbackServer(first={"nousage": 1}) as server:
        context = at(server)
        assert (await ask(context, **listener)).completions
        used = context.door.ledger.total
        assert (used.unmetered_calls, used.prompt_tokens, used.cost_usd) == (1, 0, None)
        context = context.fresh()
        assert (await ask(context, **listener)).completions
        used = context.door.ledger.total
        assert (used.unmetered_calls, used.prompt_tokens, used.cost_usd) == (0, 2, None)


async def test_a_known_price_is_charged_and_a_budget_in_money_holds() -> None:
    price = litellm.model_cost["gpt-4o-mini"]
    with LoopbackServer(reply_tokens=100) as server:
        context = at(server, "openai/gpt-4o-mini", budget=Budget(usd=0.0003))
        done = await asyncio.gather(*(ask(context, [i], max_tokens=200) for i in range(12)))
        stats = server.stats
    spent = (
        stats.prompt_tokens * price["input_cost_per_token"] + stats.completion_tokens * price["output_cost_per_token"]
    )
    assert context.door.ledger.total.cost_usd == pytest.approx(spent)
    assert 0.0001 < spent <= 0.0003
    assert {getattr(e, "limit", None) for s in done for e in s.errors} == {"usd"}


async def test_a_budget_in_money_needs_a_price() -> None:
    with LoopbackServer() as server, pytest.raises(ModelConfigError, match="the price of openai/loopback is not known"):
        await ask(at(server, budget=Budget(usd=1)))


async def test_a_price_may_be_registered_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litellm, "model_cost", dict(litellm.model_cost))
    with LoopbackServer() as server:
        context = at(server, "openai/priced-later", budget=Budget(usd=1))
        with pytest.raises(ModelConfigError, match="or register its price"):
            await ask(context)
        price = {"input_cost_per_token": 1e-3, "output_cost_per_token": 1e-3, "litellm_provider": "openai"}
        litellm.register_model({"openai/priced-later": {**price, "mode": "chat"}})
        assert (await ask(context, max_tokens=5)).completions
    assert context.door.ledger.total.cost_usd == pytest.approx(7e-3)


async def test_a_schema_is_sent_where_it_is_enforced_and_told_in_words_elsewhere() -> None:
    with LoopbackServer(rules=[("JSON schema", '{"score": 4}')]) as server:
        (enforced,) = (await ask(at(server, "openai/gpt-4o-mini"), response_format=Grade)).completions
        (told,) = (await ask(at(server), response_format=Grade)).completions
        first, second = (r.body for r in server.requests)
    assert (enforced.parsed, told.parsed) == (Grade(score=0), Grade(score=4))
    assert first["response_format"]["json_schema"]["name"] == "Grade"
    assert "response_format" not in second


# -- streams -------------------------------------------------------------------------------------------------


async def test_tokens_come_one_by_one_with_usage_and_logprobs() -> None:
    told: list[str] = []
    with LoopbackServer(rules=[("", "one two three")]) as server:
        context = at(server)
        (completion,) = (await ask(context, on_token=told.append, logprobs=True)).completions
    assert told == ["one ", "two ", "three"]
    assert (completion.text, completion.finish_reason) == ("one two three", "stop")
    assert [t["token"] for t in completion.logprobs or []] == told
    assert context.door.ledger.total.completion_tokens == 3


async def test_tool_calls_come_whole_from_a_stream() -> None:
    with LoopbackServer(tool={"name": "look_up", "arguments": {"q": "a b"}}) as server:
        (completion,) = (await ask(at(server), tools=(TOOL,), on_token=lambda _: None)).completions
    assert completion.finish_reason == "tool_calls"
    assert completion.tool_calls[0]["function"] == {"name": "look_up", "arguments": '{"q": "a b"}'}


async def test_a_broken_stream_begins_anew_and_the_screen_is_told() -> None:
    told: list[Any] = []
    with LoopbackServer(first={"cut": 1}, rules=[("", "one two three four")]) as server:
        context = at(server)
        samples = await ask(context, on_token=told.append, on_event=told.append)
    assert [c.text for c in samples.completions] == ["one two three four"]
    begins_anew = told.index({"event": "restart"})
    assert told[:begins_anew][0] == "one "
    assert told[begins_anew - 1]["event"] == "retry"
    assert told[begins_anew + 1 :] == ["one ", "two ", "three ", "four"]
    assert context.door.ledger.total.calls == 2, "the broken one may be billed"


async def test_a_cancelled_stream_lets_go_of_its_connection() -> None:
    loop, first = asyncio.get_running_loop(), asyncio.Event()
    with LoopbackServer(token_ms=100) as server:
        task = asyncio.create_task(ask(at(server), on_token=lambda _: loop.call_soon_threadsafe(first.set)))
        await first.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        give_up = time.monotonic() + 5
        while server.stats.in_flight and time.monotonic() < give_up:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert (server.stats.cancelled, server.stats.in_flight) == (1, 0)


# -- odd providers -------------------------------------------------------------------------------------------


class Odd(litellm.CustomLLM):
    """A provider that answers what it is told to, for what no well-behaved server says."""

    choices: list[dict[str, Any]]
    ending: str | None

    async def acompletion(self, *args: Any, **kwargs: Any) -> Any:
        choices = [{"index": i, **c} for i, c in enumerate(self.choices)]
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        return litellm.ModelResponse(choices=choices, usage=usage, model="odd/one")

    async def astreaming(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        for text, reason in (("half ", None), ("an answer", self.ending)):
            finished, usage = reason is not None, None
            yield {
                "text": text,
                "is_finished": finished,
                "finish_reason": reason or "",
                "index": 0,
                "tool_use": None,
                "usage": usage,
            }


@pytest.fixture
def odd() -> Iterator[Odd]:
    provider = Odd()
    before = list(litellm.custom_provider_map)
    litellm.custom_provider_map.append({"provider": "odd", "custom_handler": provider})
    litellm.utils.custom_llm_setup()
    yield provider
    litellm.custom_provider_map[:] = before


def said(text: str | None, reason: str = "stop") -> dict[str, Any]:
    return {"message": {"role": "assistant", "content": text}, "finish_reason": reason}


async def test_a_withheld_answer_is_an_error_that_asking_again_does_not_help(odd: Odd) -> None:
    odd.choices = [said(None, "content_filter")]
    samples = await ask(Context(model="odd/one", retry=QUICK))
    assert [str(e) for e in samples.errors] == ["odd/one withheld its answer (content filter)"]
    odd.choices = [said("as far as it went", "content_filter")]
    (completion,) = (await ask(Context(model="odd/one"))).completions
    assert (completion.text, completion.finish_reason) == ("as far as it went", "content_filter")


async def test_choices_without_content_are_no_answers(odd: Odd) -> None:
    odd.choices = [said(None), said("fine"), said(None)]
    backend = await LitellmBackend.open("odd/one")
    reply = await backend.call(Request(messages=[{"role": "user", "content": "hello"}]), 3)
    assert ([c.text for c in reply.choices], reply.unusable) == (["fine"], 2)
    odd.choices = [said("")]
    assert [c.text for c in (await ask(Context(model="odd/one"))).completions] == [""], "an empty text is one"


async def test_a_stream_that_ends_without_an_end_is_broken(odd: Odd) -> None:
    odd.ending = None
    samples = await ask(Context(model="odd/one", retry=Retry(attempts=1)), on_token=lambda _: None)
    assert "the stream broke off" in str(samples.errors[0])
    odd.ending = "stop"
    (completion,) = (await ask(Context(model="odd/one"), on_token=lambda _: None)).completions
    assert completion.text == "half an answer"


# -- errors --------------------------------------------------------------------------------------------------

FAULTS = {
    "429": (429, True, False),
    "408": (408, True, False),
    "409": (409, True, False),
    "500": (500, True, False),
    "503": (503, True, False),
    "html": (502, True, False),
    "400": (400, False, False),
    "422": (422, False, False),
    "ctx": (400, False, False),
    "drop": (None, True, True),
    "cut": (None, True, True),
    "badjson": (None, True, True),
    "empty": (None, True, True),
    "null": (None, True, True),
}


async def error_of(context: Context, **more: Any) -> EmoagentsError:
    try:
        (error,) = (await ask(context, **more)).errors
    except ModelConfigError as mistake:
        return mistake
    return error


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_is_what_it_is(fault: str, stream: bool, capfd: pytest.CaptureFixture[str]) -> None:
    listener = {"on_token": lambda _: None} if stream else {}
    with LoopbackServer(first={fault: 1}) as server:
        error = await error_of(at(server, retry=Retry(attempts=1)), **listener)
        assert isinstance(error, ModelCallError)
        assert (error.status, error.retryable, error.billed) == FAULTS[fault]
        assert error.model == "openai/loopback"
        assert "\n" not in str(error)
        assert "litellm" not in str(error).lower()
        samples = await ask(at(server))
        assert len(samples.completions) == 1
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("fault", ["401", "403", "404"])
async def test_a_refusal_is_the_callers_mistake(fault: str) -> None:
    with LoopbackServer(first={fault: 1}) as server:
        error = await error_of(at(server))
        assert isinstance(error, ModelConfigError)
        assert (error.status, server.stats.requests) == (int(fault), 1)
        assert str(error).startswith(f"openai/loopback refused the call ({fault}): ")


@pytest.mark.parametrize("as_date", [False, True])
async def test_the_servers_retry_after_is_kept(as_date: bool) -> None:
    with LoopbackServer(first={"429": 1}, retry_after=1.2 if as_date else 0.3, retry_after_date=as_date) as server:
        began = time.monotonic()
        samples = await ask(at(server, retry=Retry(wait=60, max_wait=60)))
        assert 0.3 <= time.monotonic() - began < 10
        assert samples.completions
    with LoopbackServer(first={"503": 1}, retry_after=3600, retry_after_date=as_date) as server:
        error = await error_of(at(server))
    assert error.retry_after == pytest.approx(3600, abs=5)
    assert "beyond the deadline of 600 s" in str(error)


async def test_a_server_that_is_not_there_bills_nothing() -> None:
    with LoopbackServer() as server:
        pass
    context = at(server, retry=Retry(attempts=2, wait=0))
    error = await error_of(context)
    assert isinstance(error, ModelCallError)
    assert (error.retryable, error.billed) == (True, False)
    assert (context.door.ledger.total.calls, context.door.ledger.total.cost_usd) == (0, 0.0)


@pytest.mark.usefixtures("no_keys")
@pytest.mark.parametrize(
    ("model", "text"),
    [
        ("nobody/has-this", "no provider known for model 'nobody/has-this': write it as PROVIDER/MODEL"),
        ("no-such-model", "no provider known for model 'no-such-model'"),
        ("openai/gpt-4o-mini", "model openai/gpt-4o-mini needs a key: set OPENAI_API_KEY in the environment"),
        ("gemini/gemini-2.0-flash", "set GOOGLE_API_KEY or GEMINI_API_KEY in the environment"),
        ("vertex_ai/gemini-2.0-flash", "vertex_ai/gemini-2.0-flash can't be called from here: No module named"),
    ],
)
async def test_what_is_not_set_up_says_what_to_do(model: str, text: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ModelConfigError) as caught:
        await ask(Context(model=model))
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


async def test_an_empty_key_is_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "")
    error = await error_of(Context(model="openai/gpt-4o-mini"))
    assert isinstance(error, ModelConfigError)
    assert "redentials" in str(error)


async def test_a_local_server_needs_no_key() -> None:
    """Ollama's address is reported by litellm as a missing key; it has a default."""
    backend = await LitellmBackend.open("ollama/llama3.2")
    assert backend.endpoint == "ollama http://localhost:11434"


# -- secrets -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
async def test_no_error_shows_a_secret(monkeypatch: pytest.MonkeyPatch, caplog: Any, stream: bool) -> None:
    monkeypatch.setenv("SOME_API_KEY", "from-the-environment")
    secrets = {"api_key": "given-as-the-key", "extra_headers": {"X-Account": "given-as-a-header"}}
    leaks = " ".join(["from-the-environment", "given-as-the-key", "given-as-a-header", "sk-abcd1234", "Bearer abcdef"])
    listener = {"on_token": lambda _: None} if stream else {}

    with LoopbackServer(first={"400": 9}) as server:
        monkeypatch.setattr("tests.loopback.ERRORS", {400: ("invalid_request_error", None, f"Refused: {leaks}")})
        context = at(server, api_key="given-as-the-key")
        error = await error_of(context, extra={"extra_headers": secrets["extra_headers"]}, **listener)
    assert str(error).endswith("Refused: *** *** *** *** Bearer ***")
    shown = f"{error!r} {error.__dict__} {context!r} {context.door.ledger!r} {caplog.text}"
    assert not [leak for leak in leaks.split() if leak in shown and leak != "Bearer"]


def test_what_looks_like_a_key_is_hidden() -> None:
    text = "https://host/v1?key=AIzaSy123&x=1 sk-proj-Ab_12345 task-force Bearer abc.def"
    assert redact(text) == "https://host/v1?key=***&x=1 *** task-force Bearer ***"


async def test_an_address_is_shown_without_what_is_secret_in_it() -> None:
    backend = await LitellmBackend.open("openai/x", api_base="https://user:verysecret@host:1/v1/?key=verysecret")
    assert backend.endpoint == "openai https://host:1/v1"


# -- counting ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["openai/gpt-4o", "groq/llama-3.1-8b-instant", "ollama/llama-2", "openai/unheard-of"])
async def test_tokens_are_counted_without_any_download(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROQ_API_KEY", "any")
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    backend = await LitellmBackend.open(model)
    image = {"type": "image_url", "image_url": {"url": "https://example.invalid/a.png"}}
    began = time.monotonic()
    words = backend.count_tokens([{"role": "user", "content": "one two three"}])
    picture = backend.count_tokens([{"role": "user", "content": [{"type": "text", "text": "see"}, image]}])
    assert 3 <= words <= 15
    assert picture > 10
    assert time.monotonic() - began < 5
