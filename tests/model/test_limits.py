"""Limits: shared by all that talk to one endpoint, first come first served, and no place is ever lost."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emoagents import Context, ScriptedModel
from emoagents.model import limits
from emoagents.model.limits import endpoint
from emoagents.model.request import Request


def ask(context: Context, prompt: str = "hello") -> Any:
    return context.door.sample(Request(messages=[{"role": "user", "content": prompt}]))


async def test_contexts_of_one_endpoint_share_its_places() -> None:
    model = ScriptedModel({"": "a"}, latency=0.01, endpoint="shared places")
    contexts = [Context(model=model, concurrency=3) for _ in range(4)]
    await asyncio.gather(*(ask(context) for context in contexts for _ in range(5)))
    assert (model.max_in_flight, len(model.calls)) == (3, 20)


async def test_other_endpoints_do_not_wait() -> None:
    slow, quick = ScriptedModel({"": "a"}, latency=60), ScriptedModel({"": "a"})
    waiting = asyncio.create_task(ask(Context(model=slow, concurrency=1)))
    await asyncio.wait_for(ask(Context(model=quick, concurrency=1)), 10)
    waiting.cancel()


async def test_callers_are_served_in_order_of_arrival() -> None:
    model = ScriptedModel({"": "a"}, latency=0.002)
    wide, narrow = Context(model=model, concurrency=2), Context(model=model, concurrency=1)
    await wide.door.backend()
    await narrow.door.backend()
    await asyncio.gather(*(ask(narrow if i % 3 == 0 else wide, f"{i:02}") for i in range(12)))
    assert [c.prompt for c in model.calls] == [f"{i:02}" for i in range(12)]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), concurrency=st.integers(1, 4))
async def test_cancelled_callers_leave_no_place_taken(seed: int, concurrency: int) -> None:
    draw = random.Random(seed)
    model = ScriptedModel({"": "a"}, latency=0.001)
    context = Context(model=model, concurrency=concurrency)
    tasks = [asyncio.create_task(ask(context, str(i))) for i in range(12)]
    for task in draw.sample(tasks, 8):
        await asyncio.sleep(draw.choice([0, 0, 0.0005, 0.002]))
        task.cancel()
    async with asyncio.timeout(20):
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert sum(not isinstance(d, asyncio.CancelledError) for d in done) >= 4
        await asyncio.gather(*(ask(context, "after") for _ in range(concurrency)))  # all places are free again
    assert model.max_in_flight <= concurrency
    assert endpoint(model.endpoint).in_flight == 0


async def test_requests_of_a_minute_are_counted_over_all_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_MINUTE", 0.3)
    starts: list[float] = []

    def answer(messages: Any) -> str:
        starts.append(time.monotonic())
        return "a"

    model = ScriptedModel(answer)
    free, paced = Context(model=model), Context(model=model, rpm=2)
    await ask(free)  # has no limit, but counts
    await asyncio.gather(*(ask(paced, str(i)) for i in range(5)))
    assert len(starts) == 6
    assert all(third - first > 0.25 for first, third in zip(starts, starts[2:], strict=False))
