"""The cache: keys that say all and betray nothing, files that survive anything, and no call made twice."""

from __future__ import annotations

import asyncio
import dataclasses
import importlib.util
import logging
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from langgraph.cache.base import BaseCache
from langgraph.cache.memory import InMemoryCache
from pydantic import BaseModel

from emoagents import Context, Plain, ScriptedModel
from emoagents.errors import MissingExtraError, ParameterError
from emoagents.model.cache import answer_keys
from emoagents.model.request import Choice, Completion, Request
from tests.loopback import LoopbackServer

ROOT = Path(__file__).parent.parent.parent
REQUEST = Request(messages=[{"role": "user", "content": "hello"}])


class Grade(BaseModel):
    score: int


class Rank(BaseModel):
    rank: int


async def ask(context: Context, prompt: str = "hello", indices: Sequence[int] = (0,)) -> list[Completion]:
    request = Request(messages=[{"role": "user", "content": prompt}])
    return (await context.door.sample(request, indices)).require()


async def cached(cache: Any, prompt: str = "hello", *, answer: str = "asked") -> bool:
    """Ask once and say whether the cache answered."""
    (completion,) = await ask(Context(model=one_model(answer), cache=cache), prompt)
    return completion.cached


def one_model(answer: str = "asked") -> ScriptedModel:
    return ScriptedModel({"": answer}, endpoint="the same for all", name="scripted/one")


def python(script: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-c", script, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen(command, cwd=ROOT, env=environment, text=True, **pipes)


# -- keys ----------------------------------------------------------------------------------------------------

VALUES = st.none() | st.booleans() | st.integers(0, 5) | st.floats(0, 2) | st.text(max_size=3)
REQUESTS = st.builds(
    Request,
    messages=st.lists(
        st.fixed_dictionaries({"role": st.just("user"), "content": st.text(max_size=3)}), min_size=1, max_size=2
    ),
    temperature=st.none() | st.sampled_from([0, 0.0, 1, 1.0, 0.5]),
    top_p=st.none() | st.sampled_from([1, 1.0, 0.5]),
    max_tokens=st.none() | st.integers(1, 3),
    stop=st.sampled_from([(), ("a",), ("b", "a")]),
    seed=st.none() | st.integers(0, 2),
    response_format=st.sampled_from([None, Grade, Rank]),
    tools=st.sampled_from([(), ({"type": "function", "function": {"name": "f"}},)]),
    tool_choice=st.sampled_from([None, "auto"]),
    logprobs=st.booleans(),
    top_logprobs=st.none() | st.integers(0, 2),
    extra=st.dictionaries(st.sampled_from(["top_k", "user", "extra_body"]), VALUES, max_size=2),
)
PLACES = st.tuples(st.sampled_from(["here", "there"]), st.sampled_from(["one", "two"]), REQUESTS, st.integers(0, 2))


def key(endpoint: str, model: str, request: Request, index: int) -> str:
    return answer_keys(endpoint, model, request, [index])[index]


def fields(request: Request) -> list[Any]:
    return [repr_of(getattr(request, f.name)) for f in dataclasses.fields(request)]


def repr_of(value: Any) -> Any:
    """Tell True from 1, which are equal in Python and not in a request; but not 1 from 1.0."""
    if isinstance(value, dict):
        return {k: repr_of(v) for k, v in value.items()}
    return (isinstance(value, bool), value)


@given(PLACES, PLACES | st.none())
def test_keys_differ_where_and_only_where_the_work_differs(one: Any, other: Any) -> None:
    other = other or (*one[:2], dataclasses.replace(one[2]), one[3])
    for name in ("top_k", "user", "extra_body"):  # in what is passed on, 1 and 1.0 may be two things
        kinds = {type(work[2].extra.get(name)) for work in (one, other)}
        assume(kinds != {int, float})
    same = (one[0], one[1], fields(one[2]), one[3]) == (other[0], other[1], fields(other[2]), other[3])
    assert (key(*one) == key(*other)) == same


@given(
    st.sampled_from(
        ["api_key", "apikey", "x-api-key", "azure_ad_token", "extra_headers", "headers", "aws_secret_access_key"]
    ),
    st.text(),
    st.text(),
)
def test_no_secret_decides_a_key(name: str, one: str, other: str) -> None:
    def with_secret(secret: str) -> str:
        extra = {name: secret, "nested": {"deeper": [{name: {"Authorization": secret}}]}, "top_k": 1}
        return key("here", "one", dataclasses.replace(REQUEST, extra=extra), 0)

    assert with_secret(one) == with_secret(other)


async def test_the_accounts_key_and_headers_do_not_decide_a_key() -> None:
    cache: InMemoryCache[Any] = InMemoryCache()
    with LoopbackServer() as server:
        for secret in ("sk-first-secret", "sk-second-secret"):
            headers = {"extra_headers": {"X-Who": secret}}
            context = Context(model="openai/loopback", api_base=server.url, api_key=secret, cache=cache, extra=headers)
            await Plain().arun("hello", context=context)
        (seen,) = server.requests
    assert (seen.headers["x-who"], seen.headers["authorization"]) == ("sk-first-secret", "Bearer sk-first-secret")
    assert "secret" not in str(cache._cache)


async def test_another_server_is_another_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    cache: InMemoryCache[Any] = InMemoryCache()
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    for answer in ("one", "two"):
        with LoopbackServer(rules=[("", answer)]) as server:
            monkeypatch.setenv("OPENAI_BASE_URL", server.url)
            assert [c.text for c in await ask(Context(model="openai/loopback", cache=cache))] == [answer]


def test_a_request_that_is_no_json_is_refused() -> None:
    with pytest.raises(ParameterError, match="can't be written as JSON"):
        key("here", "one", Request(messages=[{"role": "user", "content": {1: 2, "a": 3}}]), 0)


# -- hits and misses -----------------------------------------------------------------------------------------


async def test_the_kth_sample_is_always_the_kth() -> None:
    model = ScriptedModel(["first", "second", "third", "fourth"])
    context = Context(model=model, cache="memory")
    assert [c.text for c in await ask(context, indices=[0, 1])] == ["first", "second"]
    more = await ask(context, indices=[3, 1, 2, 0])
    assert [(c.index, c.text, c.cached) for c in more] == [
        (3, "third", False),
        (1, "second", True),
        (2, "fourth", False),
        (0, "first", True),
    ]
    assert (context.door.ledger.total.calls, context.door.ledger.total.cached_calls) == (2, 2)


async def test_failures_are_not_kept(tmp_path: Path) -> None:
    model = ScriptedModel({"": "fine"}, faults=[400])
    context = Context(model=model, cache=tmp_path / "answers.db")
    assert (await context.door.sample(REQUEST)).errors
    assert [c.text for c in await ask(context)] == ["fine"]


async def test_all_of_a_sample_is_kept(tmp_path: Path) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    choice = Choice(
        text="ä \ud800", finish_reason="tool_calls", tool_calls=[call], logprobs=[{"token": "a", "logprob": -1.0}]
    )
    context = Context(model=ScriptedModel([choice]), cache=tmp_path / "answers.db")
    (bought,), (kept,) = await ask(context), await ask(context)
    assert dataclasses.replace(bought, cached=True) == kept


class Broken(BaseCache[Any]):
    """A cache whose server is gone."""

    def get(self, keys: Any) -> Any:
        raise ConnectionError("gone")

    set = aget = aset = clear = aclear = get  # type: ignore[assignment]


async def test_a_backend_that_fails_is_a_miss_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    context = Context(model=one_model(), cache=Broken())
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert not (await ask(context))[0].cached
    assert [r.getMessage() for r in caplog.records] == [
        "the answer cache can't be used to read (gone): going on without it"
    ]


# -- files ---------------------------------------------------------------------------------------------------


def damage(path: Path, sql: str, *values: Any) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(sql, values)
    connection.close()


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\xff\xfe",
        b"{",
        b"null",
        b"[1, 2]",
        b"{}",
        b'{"text": 1}',
        b'{"text": "a", "tool_calls": "b"}',
        b'{"text": "a", "logprobs": {"x": 1}}',
        b"[" * 100_000,
        17,
        1.5,
        "text",
    ],
)
async def test_a_damaged_entry_is_a_miss_and_is_written_anew(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "answers.db"
    assert not await cached(path)
    damage(path, "UPDATE cache SET val = ?", value)
    assert not await cached(path)
    assert await cached(path)


@pytest.mark.parametrize(
    "sql", ["UPDATE cache SET encoding = 'pickle'", "UPDATE cache SET expiry = 'soon'", "DROP TABLE cache"]
)
async def test_a_damaged_row_or_table_is_a_miss(tmp_path: Path, sql: str) -> None:
    path = tmp_path / "answers.db"
    await cached(path)
    damage(path, sql)
    assert not await cached(path)


def garbage(path: Path) -> None:
    path.write_bytes(b"this is no database " * 1000)


def truncated(path: Path) -> None:
    os.truncate(path, 4096)  # the schema is there, its pages are not


def half_overwritten(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    path.write_bytes(data)


def removed(path: Path) -> None:
    path.unlink()


def fill(path: Path) -> None:
    """Write a cache of many pages, whole in its file, and let go of it."""

    async def work() -> None:
        context = Context(model=one_model("x" * 3000), cache=path)
        await asyncio.gather(*(ask(context, str(i)) for i in range(20)))

    asyncio.run(work())
    damage(path, "PRAGMA wal_checkpoint(TRUNCATE)")


@pytest.mark.parametrize("spoil", [garbage, truncated, half_overwritten, removed])
def test_a_damaged_file_is_begun_anew(tmp_path: Path, spoil: Callable[[Path], None], caplog: Any) -> None:
    path = tmp_path / "deep" / "answers.db"
    fill(path)
    for side in ("-wal", "-shm"):  # as another process would find it
        Path(f"{path}{side}").unlink(missing_ok=True)
    spoil(path)
    with caplog.at_level(logging.WARNING):
        for i in range(20):
            asyncio.run(cached(path, str(i)))
        assert asyncio.run(cached(path, "7")), "it is in use again"
    told = [r.getMessage() for r in caplog.records]
    assert all("was damaged: it is now" in message for message in told)
    assert len(told) == len(list(path.parent.glob("*.damaged-*[0-9]"))) == (spoil is not removed)


@pytest.mark.parametrize("place", [".", "file/inside", "\0", "~nobody-of-that-name/x"])
async def test_a_place_that_can_hold_no_file_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("a file is no folder")
    cache = place if place.startswith("~") else str(tmp_path / place)
    with pytest.raises(ParameterError, match="cache: can't use the file"):
        await cached(cache)


async def test_a_cache_of_no_known_kind_is_refused() -> None:
    with pytest.raises(ParameterError, match="not 3"):
        await cached(3)


async def test_a_file_that_can_not_be_written_still_answers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "answers.db"
    assert not await cached(path)
    damage(path, "CREATE TRIGGER no BEFORE INSERT ON cache BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    with caplog.at_level(logging.WARNING):
        assert not await cached(path, "new")
        assert await cached(path)
    assert "can't be used to write (disk full)" in caplog.text


# -- processes -----------------------------------------------------------------------------------------------

SHARE = """
import asyncio, sys
from emoagents import Context, ScriptedModel
from emoagents.model.request import Request

path, first, last = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
context = Context(model=ScriptedModel({"": "asked"}, endpoint="the same for all", name="scripted/one"), cache=path)

async def work():
    print("ready", flush=True)
    sys.stdin.readline()
    for begin in range(first, last, 8):
        asked = (Request(messages=[{"role": "user", "content": str(i)}]) for i in range(begin, min(begin + 8, last)))
        await asyncio.gather(*(context.door.sample(request) for request in asked))

asyncio.run(work())
"""


@pytest.mark.parametrize("spoiled", [False, True])
def test_processes_share_a_new_file_or_a_damaged_one(tmp_path: Path, spoiled: bool) -> None:
    path = tmp_path / "answers.db"
    if spoiled:
        garbage(path)
    workers = [python(SHARE, str(path), str(i * 40), str(i * 40 + 60)) for i in range(3)]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:  # all at once: the file is made while all want it
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    for worker in workers:
        errors = worker.communicate()[1]
        assert worker.returncode == 0, errors
        assert "going on without it" not in errors
    hits = [asyncio.run(cached(path, str(i))) for i in range(140)]
    assert hits.count(False) <= (8 if spoiled else 0), "a batch may be lost with a damaged file, no more"
    assert len(list(tmp_path.glob("*.damaged-*[0-9]"))) == spoiled


KILL = """
import asyncio, sys
from emoagents import Context
from emoagents.model.litellm_backend import load_litellm
from emoagents.model.request import Request

url, path = sys.argv[1:]
context = Context(model="openai/loopback", api_base=url, cache=path, concurrency=4)

async def one(i):
    samples = await context.door.sample(Request(messages=[{"role": "user", "content": f"question {i}"}]))
    print(i, samples.require()[0].text, flush=True)

async def all():
    await asyncio.gather(*(one(i) for i in range(40)))

load_litellm()
sys.stdin.readline()
asyncio.run(all())
"""


def test_a_run_that_was_killed_repeats_no_finished_call(tmp_path: Path) -> None:
    path = str(tmp_path / "answers.db")
    with LoopbackServer(latency_ms=10) as server:
        killed, resumed = (python(KILL, server.url, path) for _ in range(2))  # both import litellm meanwhile
        assert killed.stdin is not None
        assert killed.stdout is not None
        killed.stdin.write("go\n")
        killed.stdin.flush()
        finished = [killed.stdout.readline() for _ in range(12)]
        killed.kill()
        finished += [line for line in killed.communicate()[0].splitlines(keepends=True) if line.endswith("\n")]
        server.reset()
        out, errors = resumed.communicate("go\n")
        asked = {int(seen.body["messages"][0]["content"].split()[1]) for seen in server.requests}
        assert len(asked) == server.stats.requests
    assert errors == ""
    assert sorted(int(line.split()[0]) for line in out.splitlines()) == list(range(40))
    assert set(finished) <= set(out.splitlines(keepends=True)), "what was answered before stays the answer"
    assert not asked & {int(line.split()[0]) for line in finished}
    assert 0 < len(asked) < 40


# -- Redis ---------------------------------------------------------------------------------------------------


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed on this machine")
    pytest.importorskip("redis", reason="the package redis is not installed: pip install 'emoagents[redis]'")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    quiet = ["--save", "", "--appendonly", "no", "--requirepass", "verysecret", "--dir", str(tmp_path)]
    server = subprocess.Popen([program, "--port", str(port), *quiet], stdout=subprocess.DEVNULL)
    give_up = time.monotonic() + 20
    while time.monotonic() < give_up:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
    yield f"redis://:verysecret@127.0.0.1:{port}/0"
    server.terminate()
    server.wait()


async def test_answers_are_kept_in_redis(redis_url: str) -> None:
    assert [await cached(redis_url) for _ in range(3)] == [False, True, True]
    assert not await cached(redis_url, "another question")


@pytest.mark.skipif(importlib.util.find_spec("redis") is None, reason="the package redis is not installed")
async def test_redis_out_of_reach_is_told_and_gone_without(caplog: pytest.LogCaptureFixture) -> None:
    assert not await cached("redis://:verysecret@127.0.0.1:1/0")
    assert "the answer cache in Redis can't be reached" in caplog.text
    with pytest.raises(ParameterError, match="write a Redis address") as caught:
        await cached("redis://:verysecret@host:port/0")
    assert "verysecret" not in caplog.text + str(caught.value)


async def test_redis_without_its_package_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)  # as where it is not installed
    with pytest.raises(MissingExtraError, match=r"pip install 'emoagents\[redis\]'"):
        await cached("redis://localhost")
