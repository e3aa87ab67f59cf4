"""The model loop: one for all callers, from any loop or thread, and nothing of it is left behind."""

from __future__ import annotations

import asyncio
import contextvars
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from emoagents import Context, Plain, ScriptedModel
from emoagents.errors import CompositionError
from emoagents.model.loop import on_model_loop, run_sync
from emoagents.model.request import Request
from tests.loopback import LoopbackServer

ROOT = Path(__file__).parent.parent.parent
REQUEST = Request(messages=[{"role": "user", "content": "hello"}])


def python(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script where every warning is an error, the one of what is left open too."""
    command = [sys.executable, "-W", "error", "-c", script, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=100)


async def test_every_caller_meets_the_same_loop() -> None:
    async def here() -> tuple[int, str]:
        return id(asyncio.get_running_loop()), threading.current_thread().name

    seen = {
        await on_model_loop(here),
        await asyncio.to_thread(run_sync, here),
        await asyncio.to_thread(asyncio.run, here_from(here)),
    }
    assert len(seen) == 1
    assert next(iter(seen))[1] == "emoagents"


async def here_from(here: Any) -> Any:
    return await on_model_loop(here)


def test_one_context_serves_many_loops_and_threads() -> None:
    model = ScriptedModel({"": "a"}, latency=0.001)
    context = Context(model=model, concurrency=4)

    def work(i: int) -> str:
        if i % 2:
            return run_sync(lambda: context.door.sample(REQUEST, [i])).completions[0].text
        return asyncio.run(context.door.sample(REQUEST, [i])).completions[0].text

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(40))) == ["a"] * 40
    assert model.max_in_flight <= 4
    assert context.door.ledger.total.calls == 40


async def test_synchronous_calls_work_where_a_loop_runs_already() -> None:
    assert Plain().run("hello", model=ScriptedModel(["as in a notebook"])).answer == "as in a notebook"


async def test_a_synchronous_call_inside_an_async_step_is_refused() -> None:
    async def inside() -> None:
        Plain().run("hello", model=ScriptedModel(["never"]))

    with pytest.raises(CompositionError, match="await its arun"):
        await on_model_loop(inside)


async def test_what_the_caller_set_in_its_context_is_seen() -> None:
    name: contextvars.ContextVar[str] = contextvars.ContextVar("name", default="nobody")

    async def ask() -> str:
        return name.get()

    name.set("somebody")
    assert await on_model_loop(ask) == "somebody"
    assert await asyncio.to_thread(run_sync, ask) == "somebody"


@pytest.mark.parametrize("ending", [SystemExit, KeyboardInterrupt, ValueError, asyncio.CancelledError])
def test_whatever_one_caller_raises_the_loop_serves_the_others(ending: type[BaseException]) -> None:
    async def fail() -> None:
        raise ending

    async def succeed() -> str:
        await asyncio.sleep(0)
        return "fine"

    with pytest.raises(BaseException) as caught:  # noqa: PT011  # which one is the parameter
        run_sync(fail)
    assert caught.type.__name__ == ending.__name__
    assert run_sync(succeed) == "fine"


async def test_a_cancelled_call_is_over_when_its_caller_goes_on() -> None:
    model = ScriptedModel({"": "a"}, latency=60)
    context = Context(model=model)
    task = asyncio.create_task(context.door.sample(REQUEST))
    while not model.in_flight:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (model.in_flight, model.cancelled) == (0, 1)
    assert context.door.ledger.total.failed_calls == 1


async def test_work_that_is_cancelled_before_it_begins_never_begins() -> None:
    model = ScriptedModel({"": "a"})
    context = Context(model=model)
    await context.door.backend()
    tasks = [asyncio.create_task(context.door.sample(REQUEST, [i])) for i in range(50)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    async with asyncio.timeout(10):
        await asyncio.gather(*tasks, return_exceptions=True)


# -- processes -----------------------------------------------------------------------------------------------

LEAVE = """
import asyncio, sys, threading
from emoagents import Context
from emoagents.model.loop import run_sync
from emoagents.model.request import Request

quick, slow, bad, way_out = sys.argv[1:]
told = threading.Event()

def ask(url, **more):
    context = Context(model="openai/loopback", api_base=url)
    return context.door.sample(Request(messages=[{"role": "user", "content": "hello"}]), **more)

async def cancelled():
    task = asyncio.create_task(ask(slow, on_token=lambda _: told.set()))
    await asyncio.to_thread(told.wait)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

print(len(run_sync(lambda: ask(quick, indices=range(12))).completions))
asyncio.run(ask(quick, on_token=str))
print(asyncio.run(ask(bad)).errors[0].status)
asyncio.run(cancelled())
if way_out == "with a call in flight":
    told.clear()
    threading.Thread(target=run_sync, args=[lambda: ask(slow, on_token=lambda _: told.set())], daemon=True).start()
    told.wait()
print("left")
"""


def test_a_process_leaves_nothing_behind_and_litellm_says_nothing() -> None:
    def leave(way_out: str) -> tuple[str, str, int]:
        with LoopbackServer() as quick, LoopbackServer(token_ms=300) as slow, LoopbackServer(first={"400": 1}) as bad:
            done = python(LEAVE, quick.url, slow.url, bad.url, way_out)
        return done.stdout, done.stderr, done.returncode

    with ThreadPoolExecutor(2) as pool:  # both at once: each takes seconds to import litellm
        ends = list(pool.map(leave, ["at peace", "with a call in flight"]))
    assert ends == [("12\n400\nleft\n", "", 0)] * 2


FORK = """
import os, sys
from emoagents import Context, Plain, ScriptedModel
from emoagents.model.scripted import ScriptedModel
model = ScriptedModel({"": "yes"})
context = Context(model=model, cache=sys.argv[1])
assert Plain().run("before", context=context).answer == "yes"
child = os.fork()
assert Plain().run(f"after {child > 0}", context=context).answer == "yes"
assert Plain().run("before", context=context).usage.calls == 0, "the cache is there on both sides"
if not child:
    sys.exit(0)
_, status = os.waitpid(child, 0)
assert status == 0, status
assert Plain().run("after False", context=context).usage.calls == 0, "what the child learned is kept"
print("both")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_has_a_loop_and_a_cache_of_its_own(tmp_path: Path) -> None:
    done = python(FORK, str(tmp_path / "answers.db"))
    assert (done.stdout, done.stderr) == ("both\n", "")
