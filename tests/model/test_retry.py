"""Asking again: what is asked again, how long is waited, and when it ends."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoagents import Context, Retry, ScriptedModel
from emoagents.errors import ModelCallError, ModelConfigError, ParameterError, RunError
from emoagents.model.door import Samples
from emoagents.model.request import Request
from emoagents.model.retry import retry_after_seconds

QUICK = Retry(wait=0.001, max_wait=0.002)


async def ask(context: Context, **more: Any) -> Samples:
    return await context.door.sample(Request(messages=[{"role": "user", "content": "hello"}]), **more)


async def error_of(context: Context) -> ModelCallError:
    (error,) = (await ask(context)).errors
    assert isinstance(error, ModelCallError)
    return error


# -- Retry-After ---------------------------------------------------------------------------------------------


@given(st.floats(0, 1e6))
def test_retry_after_in_seconds(seconds: float) -> None:
    assert retry_after_seconds(repr(seconds)) == seconds


@given(st.integers(-100_000, 100_000), st.booleans())
def test_retry_after_as_a_date(seconds: int, gmt: bool) -> None:
    when = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)
    got = retry_after_seconds(format_datetime(when, usegmt=gmt))
    assert got is not None
    assert got == pytest.approx(max(0, seconds), abs=2)


@given(st.text() | st.from_regex(r"\A\w{3}, \d{1,9} \w{3} \d{1,20} \d{1,9}:\d\d:\d\d [+-]?\w{1,9}\Z"))
def test_any_other_retry_after_is_none_or_not_negative(text: str) -> None:
    got = retry_after_seconds(text)
    assert got is None or 0 <= got < float("inf")


@pytest.mark.parametrize("text", [None, "", "soon", "nan", "inf", "-inf", "1e999", "Mon, 99 Foo 2026 00:00:00 GMT"])
def test_nonsense_is_no_retry_after(text: str | None) -> None:
    assert retry_after_seconds(text) is None


# -- what is asked again -------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [408, 409, 429, 500, 502, 503, 529, "drop", "timeout", "malformed", "empty"])
async def test_what_may_pass_is_asked_again(fault: Any) -> None:
    model = ScriptedModel({"": "here"}, faults=[fault, fault])
    samples = await ask(Context(model=model, retry=QUICK))
    assert ([c.text for c in samples.completions], samples.errors, len(model.calls)) == (["here"], [], 3)


@pytest.mark.parametrize("status", [400, 402, 405, 410, 413, 422, 451])
async def test_what_stays_wrong_is_not(status: int) -> None:
    model = ScriptedModel({"": "here"}, faults=[status])
    error = await error_of(Context(model=model, retry=QUICK))
    assert (error.status, error.model, len(model.calls)) == (status, "scripted/model", 1)


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_the_callers_mistake_is_raised(status: int) -> None:
    model = ScriptedModel({"": "here"}, faults=[status])
    with pytest.raises(ModelConfigError):
        await ask(Context(model=model, retry=QUICK))
    assert len(model.calls) == 1


async def test_the_last_error_says_how_often_it_was_tried() -> None:
    model = ScriptedModel({"": "here"}, faults=[503] * 9)
    error = await error_of(Context(model=model, retry=Retry(attempts=3, wait=0)))
    assert (len(model.calls), error.status) == (3, 503)
    assert str(error).endswith("; after 3 attempts")


async def test_who_listens_is_told_of_each_wait() -> None:
    told: list[Any] = []
    model = ScriptedModel({"": "here"}, faults=[(429, 0.02), 503])
    await ask(Context(model=model, retry=QUICK), on_event=told.append)
    assert [(e["event"], e["attempt"]) for e in told] == [("retry", 1), ("retry", 2)]
    assert told[0]["seconds"] == 0.02
    assert "429" in told[0]["error"]


@pytest.mark.parametrize(
    "values", [{"attempts": 0}, {"deadline": 0}, {"deadline": float("nan")}, {"wait": -1}, {"max_wait": -0.1}]
)
def test_a_retry_out_of_range_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        Retry(**values)


# -- waits and deadlines -------------------------------------------------------------------------------------


async def test_a_retry_after_is_kept() -> None:
    model = ScriptedModel({"": "here"}, faults=[(429, 0.3)])
    began = time.monotonic()
    await ask(Context(model=model, retry=Retry(wait=60, max_wait=60)))
    assert 0.3 <= time.monotonic() - began < 5


async def test_a_retry_after_of_nothing_does_not_mean_at_once() -> None:
    told: list[Any] = []
    model = ScriptedModel({"": "here"}, faults=[(429, 0.0)] * 6)
    await ask(Context(model=model, retry=Retry(wait=0.01, max_wait=0.02)), on_event=told.append)
    assert sum(e["seconds"] for e in told) > 0


async def test_a_retry_after_beyond_the_deadline_ends_the_call_at_once() -> None:
    model = ScriptedModel({"": "here"}, faults=[(429, 3600.0)])
    began = time.monotonic()
    error = await error_of(Context(model=model, retry=Retry(deadline=30)))
    assert time.monotonic() - began < 5
    assert (error.status, error.retry_after, len(model.calls)) == (429, 3600.0, 1)
    assert "it asks to wait 3600 s, beyond the deadline of 30 s" in str(error)


async def test_the_deadline_cuts_an_attempt_that_hangs() -> None:
    model = ScriptedModel({"": "here"}, latency=60)
    context = Context(model=model, retry=Retry(deadline=0.1))
    error = await error_of(context)
    assert (error.status, str(error)) == (408, "scripted/model did not answer within 0.1 s")
    assert (model.cancelled, context.door.ledger.total.calls) == (1, 1), "it may be billed"


async def test_later_attempts_have_what_is_left() -> None:
    model = ScriptedModel({"": "here"}, faults=[503] * 1000, latency=0.05)
    began = time.monotonic()
    error = await error_of(Context(model=model, retry=Retry(attempts=1000, wait=0.001, deadline=0.3)))
    assert 0.2 < time.monotonic() - began < 2
    assert error.status in (408, 503)
    assert 2 <= len(model.calls) <= 6


async def test_to_queue_costs_nothing_of_the_deadline() -> None:
    model = ScriptedModel({"": "here"}, latency=0.06)
    context = Context(model=model, retry=Retry(deadline=0.2), concurrency=1)
    done = await asyncio.gather(*(ask(context) for _ in range(6)))
    assert [s.errors for s in done] == [[]] * 6


async def test_a_waiting_call_is_cancelled_at_once() -> None:
    model = ScriptedModel({"": "here"}, faults=[(429, 60.0)])
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(ask(Context(model=model), on_event=lambda _: loop.call_soon_threadsafe(told.set)))
    await told.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)


def test_samples_without_any_completion_raise_the_first_error() -> None:
    first, second = RunError("first"), RunError("second")
    with pytest.raises(RunError, match="first"):
        Samples(completions=[], errors=[first, second]).require()
    with pytest.raises(RunError, match="no sample"):
        Samples(completions=[]).require()
