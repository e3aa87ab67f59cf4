"""The model door as a whole: samples in order, failures beside successes, nobody asked twice."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from blockbuster import BlockBuster

from emoagents import Budget, Context, Retry, ScriptedModel
from emoagents.errors import BudgetExceeded, ModelCallError, ModelConfigError
from emoagents.model.door import Samples
from emoagents.model.request import Choice, Message, OnToken, Reply, Request
from tests.loopback import LoopbackServer

QUICK = Retry(wait=0.001, max_wait=0.002)


async def ask(context: Context, prompt: str = "hello there", indices: Sequence[int] = (0,), **more: Any) -> Samples:
    options = {k: more.pop(k) for k in ("node", "on_token", "on_event") if k in more}
    request = Request(messages=[{"role": "user", "content": prompt}], **more)
    return await context.door.sample(request, indices, **options)


def texts(samples: Samples) -> list[str]:
    return [c.text for c in samples.completions]


class Stingy:
    """A model that brings as many choices as its script says, whatever it is asked for."""

    name, max_n, context_window, native_schema = "stingy", 8, None, False

    def __init__(self, *brings: int, unusable: int = 0) -> None:
        self.asked: list[tuple[int, int | None]] = []
        self.endpoint = f"stingy {id(self)}"
        self._brings, self._unusable = list(brings), unusable

    async def call(self, request: Request, n: int, on_token: OnToken | None = None) -> Reply:
        self.asked.append((n, request.seed))
        count = self._brings.pop(0) if self._brings else n
        return Reply(choices=[Choice(text=f"{len(self.asked)}.{i}") for i in range(count)], unusable=self._unusable)

    def count_tokens(self, messages: Sequence[Message]) -> int:
        return 1

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float | None:
        return None


# -- samples -------------------------------------------------------------------------------------------------


async def test_samples_come_in_one_request_and_in_order() -> None:
    model = ScriptedModel(["a", "b", "c"])
    samples = await ask(Context(model=model), indices=[4, 5, 6])
    assert [(c.index, c.text) for c in samples.completions] == [(4, "a"), (5, "b"), (6, "c")]
    assert [c.n for c in model.calls] == [3]


async def test_more_samples_than_a_request_brings_are_several_requests() -> None:
    model = ScriptedModel({"": "a"}, max_n=3)
    samples = await ask(Context(model=model), indices=range(8))
    assert [c.index for c in samples.completions] == list(range(8))
    assert sorted(c.n for c in model.calls) == [2, 3, 3]


async def test_a_request_of_one_sample_has_a_seed_of_its_own() -> None:
    single, native = ScriptedModel({"": "a"}, max_n=1), ScriptedModel({"": "a"})
    await ask(Context(model=single), indices=range(3), seed=7)
    assert sorted(c.request.seed or 0 for c in single.calls) == [7, 8, 9]
    await ask(Context(model=native), indices=[1, 2, 3], seed=7)
    assert [(c.n, c.request.seed) for c in native.calls] == [(3, 8)]


async def test_choices_that_did_not_come_are_asked_for_again() -> None:
    model = Stingy(2)
    samples = await ask(Context(model=model), indices=range(5), seed=0)
    assert texts(samples) == ["1.0", "1.1", "2.0", "2.1", "2.2"]
    assert model.asked == [(5, 0), (3, 2)], "the top-up draws other samples"


async def test_a_model_that_ignores_n_is_asked_one_by_one_from_then_on() -> None:
    model = Stingy(1)
    context = Context(model=model)
    assert len((await ask(context, indices=range(3))).completions) == 3
    assert [n for n, _ in model.asked] == [3, 1, 1]
    assert len((await ask(context.fresh(), indices=range(3))).completions) == 3
    assert [n for n, _ in model.asked[3:]] == [1, 1, 1], "learned for all contexts"
    assert await context.door.groups([0, 1]) == [[0], [1]]


async def test_one_good_choice_among_bad_ones_is_no_sign_of_that() -> None:
    model = Stingy(1, unusable=2)
    await ask(Context(model=model), indices=range(3))
    assert [n for n, _ in model.asked] == [3, 2]


async def test_a_model_that_always_brings_too_few_is_not_asked_for_ever() -> None:
    model = Stingy(*[2] * 99)
    samples = await ask(Context(model=model), indices=range(8))
    assert len(samples.completions) == 6
    assert "fewer choices than asked" in str(samples.errors[0])


async def test_a_failed_sample_does_not_fail_the_others() -> None:
    model = ScriptedModel({"": "a"}, max_n=1, faults=[None, 400])
    samples = await ask(Context(model=model), indices=range(3))
    assert len(samples.completions) == 2
    assert [e.status for e in samples.errors] == [400]


async def test_the_callers_mistake_ends_all_samples_at_once() -> None:
    def slow_or_refused(messages: Any, index: int) -> Any:
        return ModelConfigError("refused") if index == 1 else asyncio.sleep(60, "late")

    model = ScriptedModel(slow_or_refused, max_n=1)
    with pytest.raises(ModelConfigError, match="refused"):
        await asyncio.wait_for(ask(Context(model=model), indices=range(3)), 10)
    assert (model.in_flight, model.cancelled) == (0, 2)


async def test_an_error_that_is_nobodys_is_raised_as_it_is() -> None:
    model = ScriptedModel([ZeroDivisionError("a bug in a backend")] * 2, max_n=1)
    with pytest.raises(ZeroDivisionError):
        await ask(Context(model=model), indices=range(2))


async def test_no_sample_is_no_call() -> None:
    model = ScriptedModel([])
    assert await ask(Context(model=model), indices=[]) == Samples(completions=[])


async def test_a_failed_opening_is_tried_again() -> None:
    context = Context(model="scripted/nowhere.json")
    for _ in range(2):
        with pytest.raises(Exception, match="nowhere"):
            await ask(context)


# -- listeners -----------------------------------------------------------------------------------------------


async def test_tokens_are_told_as_they_come_and_whole_from_the_cache() -> None:
    context = Context(model=ScriptedModel(["one two"]), cache="memory")
    for expected in (["one ", "two"], ["one two"]):
        told: list[str] = []
        await ask(context, on_token=told.append)
        assert told == expected


async def test_several_samples_are_not_told_token_by_token() -> None:
    told: list[str] = []
    await ask(Context(model=ScriptedModel({"": "a"})), indices=range(2), on_token=told.append)
    assert told == []


async def test_a_listener_that_fails_does_not_fail_the_call(caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []

    def broken(what: Any) -> None:
        told.append(what)
        raise RuntimeError("the screen is gone")

    model = ScriptedModel(["one two three"], faults=[503])
    with caplog.at_level(logging.ERROR):
        samples = await ask(Context(model=model, retry=QUICK), on_token=broken, on_event=broken)
    assert texts(samples) == ["one two three"]
    assert len(told) == 2, "one event and one token"
    assert len(model.calls) == 2, "and nothing is asked, or billed, again"
    assert "the screen is gone" in caplog.text


# -- the caller's loop ---------------------------------------------------------------------------------------


@contextmanager
def unblocked() -> Iterator[None]:
    """Let a blocking call fail in every event loop but the model's own: that one is there to take it."""
    watch = BlockBuster("emoagents")
    for function in watch.functions.values():
        function.can_block_in("emoagents/model/loop.py", {"_run"})
    watch.activate()
    try:
        yield
    finally:
        watch.deactivate()


async def test_the_callers_loop_is_never_blocked(tmp_path: Any) -> None:
    script = tmp_path / "script.json"
    script.write_text('{"rules": {"": "a"}}')
    with LoopbackServer() as server, unblocked():
        script_context = Context(model=f"scripted/{script}", cache=tmp_path / "a.db", budget=Budget(tokens=9_999))
        served = Context(model="openai/loopback", api_base=server.url, cache=tmp_path / "b.db")
        for context in (script_context, served):
            assert len((await ask(context, indices=range(3))).completions) == 3
            assert (await ask(context, on_token=str)).completions[0].cached


# -- all of it -----------------------------------------------------------------------------------------------


async def test_under_faults_nothing_is_lost_doubled_or_overspent() -> None:
    rates = {"429": 0.1, "500": 0.05, "drop": 0.02, "badjson": 0.02, "empty": 0.02}
    tasks, calls = 150, 190
    with LoopbackServer(rates=rates, reply=lambda prompt, body, attempt: f"answer to {prompt}") as server:
        context = Context(
            model="openai/loopback", api_base=server.url, retry=QUICK, budget=Budget(calls=calls), concurrency=32
        )
        done = await asyncio.gather(*(ask(context, f"question {i}") for i in range(tasks)))
        stats, used = server.stats, context.door.ledger.total
    assert [texts(s) for s in done] == [[f"answer to question {i}"] for i in range(tasks)]
    assert stats.answered == tasks + stats.faults["badjson"] + stats.faults["empty"], "none was answered twice"
    assert sum(stats.faults.values()) == used.failed_calls
    assert used.calls == stats.requests - stats.faults["429"] - stats.faults["500"] <= calls


async def test_under_faults_a_budget_is_never_exceeded() -> None:
    with LoopbackServer(rates={"drop": 0.1, "500": 0.1, "cut": 0.1}) as server:
        context = Context(model="openai/loopback", api_base=server.url, retry=QUICK, budget=Budget(calls=20))
        done = await asyncio.gather(*(ask(context, f"question {i}") for i in range(40)))
        stats = server.stats
    answered = sum(len(s.completions) for s in done)
    assert stats.requests - stats.faults["500"] == 20 == context.door.ledger.total.calls
    assert answered == stats.answered < 20
    assert all(isinstance(e, BudgetExceeded | ModelCallError) for s in done for e in s.errors)
