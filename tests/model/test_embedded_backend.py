"""The embedded model itself: real weights, real engine, one for all these tests."""

import asyncio
import itertools
import math
import threading
import time
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from emoagents.errors import MissingExtraError, ModelCallError, ParameterError, RunError, UnknownNameError
from emoagents.model.embedded import embedded_backend, engine
from emoagents.model.embedded.body import SYSTEM_PROMPT, body_of
from emoagents.model.embedded.tokens import estimate_tokens
from emoagents.model.request import Backend, Message, Reply, Request

MODEL: Backend = embedded_backend("embedded/smollm2")
SEA = "Tell me about the sea."
few = settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def asking(text: str = SEA, **fields: Any) -> Request:
    return Request(messages=[{"role": "user", "content": text}], **{"max_tokens": 12, "temperature": 0.9, **fields})


def ask(request: Request, n: int = 1) -> Reply:
    return asyncio.run(MODEL.call(request, n))


def texts(reply: Reply) -> list[str]:
    return [choice.text for choice in reply.choices]


async def free_again(seconds: float) -> bool:
    """Return whether all five slots answer within so many seconds."""
    begun = time.monotonic()
    await MODEL.call(asking("hi", max_tokens=1), 5)
    return time.monotonic() - begun < seconds


# -- names and facts -----------------------------------------------------------------------------------------


def test_facts() -> None:
    assert (MODEL.name, MODEL.endpoint, MODEL.max_n) == ("embedded/smollm2", "embedded", 5)
    assert (MODEL.context_window, MODEL.native_schema, MODEL.cost(10, 10)) == (4096, True, 0.0)


def test_another_name_is_told_with_what_there_is() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown embedded model 'embedded/smolm'.*embedded/smollm2"):
        embedded_backend("embedded/smolm")


def test_a_missing_engine_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"emoagents\[embedded\]"):
        engine.Engine().start()


async def test_weights_that_cannot_be_had_are_a_failed_call(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: Any) -> None:
        raise RunError("cannot fetch the embedded model")

    monkeypatch.setattr(engine, "ensure_weights", fail)
    monkeypatch.setattr("emoagents.model.embedded.backend.ENGINE", engine.Engine())
    with pytest.raises(ModelCallError, match="cannot fetch") as caught:
        await MODEL.call(asking(), 1)
    assert not caught.value.retryable


# -- samples, seeds and counts -------------------------------------------------------------------------------


def test_several_choices_differ_and_choice_i_is_what_seed_plus_i_brings_alone() -> None:
    request = asking(seed=7)
    together = ask(request, 5)
    alone = [ask(asking(seed=7 + i)) for i in range(5)]
    assert len(set(texts(together))) == 5
    assert texts(together) == [text for reply in alone for text in texts(reply)]
    assert texts(ask(request, 5)) == texts(together)
    assert together.completion_tokens == sum(reply.completion_tokens or 0 for reply in alone)
    assert together.prompt_tokens == alone[0].prompt_tokens
    assert together.cost_usd == 0.0


@few
@given(seed=st.integers() | st.sampled_from([2**32 - 1, 2**32 - 2, -1, 2**63, 2**64 + 5]))
def test_any_seed_is_reproducible(seed: int) -> None:
    request = asking(seed=seed, max_tokens=6)
    assert texts(ask(request, 2)) == texts(ask(request, 2))


def test_choices_of_unequal_length_are_all_counted() -> None:
    reply = ask(asking("Say a colour.", seed=3, temperature=1.0, max_tokens=30, logprobs=True), 5)
    lengths = [len(choice.logprobs or ()) for choice in reply.choices]
    ended = sum(choice.finish_reason == "stop" for choice in reply.choices)
    assert len(set(lengths)) > 1
    assert reply.completion_tokens == sum(lengths) + ended  # the end mark is a token without text
    assert {choice.finish_reason for choice in reply.choices} == {"stop", "length"}


@few
@given(
    st.lists(st.text(max_size=40), min_size=1, max_size=3),
    st.sampled_from(["user", "system", "developer"]),
)
def test_the_token_count_is_the_engines(contents: list[str], first: str) -> None:
    roles = itertools.chain([first], itertools.cycle(["user", "assistant"]))
    messages: list[Message] = [{"role": role, "content": text} for role, text in zip(roles, contents, strict=False)]
    messages.append({"role": "user", "content": "1234, it's\n\n\tAll  <|im_end|>\U0001f600"})
    reply = ask(Request(messages=messages, max_tokens=1))
    assert MODEL.count_tokens(messages) == reply.prompt_tokens


def test_the_token_count_knows_parts_and_answers_that_were_begun() -> None:
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    messages: list[Message] = [{"role": "user", "content": parts}, {"role": "assistant", "content": "I say "}]
    assert MODEL.count_tokens(messages) == ask(Request(messages=messages, max_tokens=1)).prompt_tokens


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
def test_the_estimate_is_not_below_for_text_of_any_script(text: str) -> None:
    words = f"The quick brown foxes are jumping over lazy dogs. {text if not text.isascii() else ''}"
    messages: list[Message] = [{"role": "system", "content": SYSTEM_PROMPT}, {"role": "user", "content": words}]
    assert MODEL.count_tokens(messages) <= estimate_tokens(messages)


def test_a_system_prompt_is_sent_where_none_is_given() -> None:
    bare = asking(temperature=0.0)
    given_one = Request(messages=[{"role": "system", "content": SYSTEM_PROMPT}, *bare.messages], **_sampling(bare))
    assert texts(ask(bare)) == texts(ask(given_one))
    assert body_of(given_one, 1)["messages"] == list(given_one.messages)


def _sampling(request: Request) -> dict[str, Any]:
    return {"temperature": request.temperature, "max_tokens": request.max_tokens}


def test_512_tokens_where_no_length_is_given() -> None:
    assert body_of(asking(max_tokens=None), 1)["max_tokens"] == 512


# -- what shapes the answer ----------------------------------------------------------------------------------


class Mood(BaseModel):
    label: Literal["joy", "anger", "fear"]
    strength: int


def test_a_schema_is_kept() -> None:
    reply = ask(asking("How do I feel?", response_format=Mood, max_tokens=80, temperature=0.0), 2)
    for text in texts(reply):
        assert Mood.model_validate_json(text).label in {"joy", "anger", "fear"}


def test_logprobs_have_openais_shape() -> None:
    (choice,) = ask(asking(logprobs=True, top_logprobs=3, max_tokens=4, temperature=0.0)).choices
    assert choice.logprobs is not None
    assert "".join(entry["token"] for entry in choice.logprobs) == choice.text
    for entry in choice.logprobs:
        assert set(entry) == {"token", "bytes", "logprob", "top_logprobs"}
        assert bytes(entry["bytes"]).decode() == entry["token"]
        assert len(entry["top_logprobs"]) == 3
        assert entry["top_logprobs"][0]["logprob"] == entry["logprob"] < 0
    assert ask(asking()).choices[0].logprobs is None


def test_extra_goes_into_the_body_and_probabilities_after_a_grammar_become_logprobs() -> None:
    extra = {"grammar": 'root ::= "yes" | "no"', "n_probs": 20, "post_sampling_probs": True}
    (choice,) = ask(asking("Is water wet?", logprobs=True, temperature=1.0, extra=extra)).choices
    assert choice.text in {"yes", "no"}
    assert choice.logprobs is not None
    tops = choice.logprobs[0]["top_logprobs"]
    assert len(tops) > 1
    assert sum(math.exp(top["logprob"]) for top in tops) == pytest.approx(1, abs=0.05)


def test_stop() -> None:
    whole = ask(asking(temperature=0.0)).choices[0].text
    word = whole.split()[3]
    (choice,) = ask(asking(temperature=0.0, stop=(word,))).choices
    assert choice.text == whole[: whole.index(word)]
    assert choice.finish_reason == "stop"


def test_top_p_of_nothing_is_greedy() -> None:
    assert texts(ask(asking(top_p=1e-9))) == texts(ask(asking(temperature=0.0)))


def test_tools_are_accepted() -> None:
    tool = {"type": "function", "function": {"name": "sea", "parameters": {"type": "object", "properties": {}}}}
    assert ask(asking(tools=(tool,), tool_choice="auto")).completion_tokens


# -- streaming -----------------------------------------------------------------------------------------------


async def test_pieces_come_one_by_one_on_the_callers_loop() -> None:
    pieces: list[str] = []
    threads: set[int] = set()

    def on_token(piece: str) -> None:
        pieces.append(piece)
        threads.add(threading.get_ident())

    reply = await MODEL.call(asking(seed=1), 1, on_token)
    assert "".join(pieces) == reply.choices[0].text
    assert len(pieces) > 5
    assert threads == {threading.get_ident()}


async def test_an_error_of_the_listener_ends_the_call_and_frees_the_slot() -> None:
    def on_token(piece: str) -> None:
        raise LookupError(piece)

    for _ in range(6):
        with pytest.raises(LookupError):
            await MODEL.call(asking(max_tokens=400), 1, on_token)
    assert await free_again(6)


async def test_callers_share_the_engine() -> None:
    replies = await asyncio.gather(*(MODEL.call(asking(seed=i, max_tokens=4), n) for i, n in enumerate([1, 5, 2, 1])))
    assert [len(reply.choices) for reply in replies] == [1, 5, 2, 1]


# -- cancelling ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "n"),
    [(asking(max_tokens=2000), 5), (asking("and so on " * 1000), 1)],
    ids=["writing", "reading a long prompt"],
)
async def test_cancelling_frees_the_slots(request_: Request, n: int) -> None:
    tasks = [asyncio.create_task(MODEL.call(request_, n)) for _ in range(2)]  # with n=5 the second waits in line
    await asyncio.sleep(0.4)
    begun = time.monotonic()
    for task in tasks:
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert time.monotonic() - begun < 1
    assert all(isinstance(error, asyncio.CancelledError) for error in ended)
    assert await free_again(12)  # reading on would take half a minute and more


# -- errors --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (asking("a " * 6000), r"the prompt has 60\d\d tokens, but embedded/smollm2 holds 4096"),
        (asking(extra={"grammar": "root ::= ("}), "grammar"),
        (asking(extra={"response_format": {"type": "zzz"}}), "response_format type"),
        (asking(extra={"temperature": "hot"}), "temperature"),
        (asking(extra={"top_k": 2**70}), "64-bit"),
        (Request(messages=[{"role": "user"}]), "content"),
        (Request(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]), "image"),
    ],
)
async def test_refused_requests_are_400(request_: Request, text: str) -> None:
    with pytest.raises(ModelCallError, match=text) as caught:
        await MODEL.call(request_, 1)
    error = caught.value
    assert (error.status, error.model, error.retryable, error.billed) == (400, "embedded/smollm2", False, False)
    assert "\n" not in str(error)


@pytest.mark.parametrize("n", [0, 6])
async def test_choices_beyond_the_slots_are_the_callers_mistake(n: int) -> None:
    with pytest.raises(ParameterError, match="1 to 5 choices"):
        await MODEL.call(asking(), n)


async def test_no_tokens_or_two_streams_are_the_callers_mistake() -> None:
    with pytest.raises(ParameterError, match="max_tokens"):
        await MODEL.call(asking(max_tokens=0), 1)
    with pytest.raises(ParameterError, match="on_token"):
        await MODEL.call(asking(), 2, print)


async def test_an_answer_that_breaks_off_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    class Deaf(engine.Engine):
        def serve(self, *_: Any) -> None:
            return None

    monkeypatch.setattr("emoagents.model.embedded.backend.ENGINE", Deaf())
    with pytest.raises(ModelCallError, match="broke off") as caught:
        await MODEL.call(asking(), 1)
    assert caught.value.retryable


@pytest.fixture(autouse=True)
def _no_thread_stays() -> Iterator[None]:
    yield
    for _ in range(150):
        if not any(thread.name == "emoagents-embedded" for thread in threading.enumerate()):
            return
        time.sleep(0.1)
    pytest.fail("a call's thread is still at work")
