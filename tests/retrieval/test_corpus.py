"""A corpus in a file: streamed in, kept through interruptions, searched exactly."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from emoagents import Context
from emoagents.errors import DataError, MissingExtraError, ParameterError, RunError
from emoagents.model.role import Role
from emoagents.retrieval import By, Corpus, chunk_texts
from emoagents.step import Run
from tests.loopback import LoopbackServer
from tests.retrieval.embedder import Embedder, letters

TEXTS = [
    "My dog died last week. I feel alone. Nobody calls me any more.",
    "The tax law of 1987 changed much. Accountants were glad. Nobody else was.",
    "我很难过。我的狗死了。",
]
NAMES = ["diary", "law", "日记"]


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return tmp_path / "corpus.db"


def run_with(embedder: Embedder) -> Run:
    return Run.alone(Context(models={"rank": embedder}))


def made(path: Path) -> Corpus:
    return Corpus.create(path, size=8, overlap=0, tokenizer="words")


WAYS: tuple[By, ...] = get_args(By)


async def test_hits_stand_where_they_say(path: Path) -> None:
    corpus, run = made(path), run_with(Embedder(letters))
    added = await corpus.add(iter(TEXTS), run, sources=NAMES, batch=2)
    assert added == corpus.count() == len(chunk_texts(TEXTS, size=8, overlap=0, tokenizer="words"))
    for by in WAYS:
        hits = await corpus.search("nobody calls", 3, run, by=by)
        assert hits
        assert hits[0].text.startswith(("I feel alone. Nobody", "Nobody calls"))
        for hit in hits:
            assert TEXTS[NAMES.index(hit.source)][hit.start : hit.end] == hit.text
        assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)


async def test_dense_search_is_exact_over_many_blocks(path: Path) -> None:
    embedder = Embedder(letters)
    corpus, run = made(path), run_with(embedder)
    texts = [f"{'abcdefghij'[i % 10] * (i % 7 + 1)} {'klmnopqrst'[i % 9] * (i % 5 + 1)} {i}" for i in range(200)]
    await corpus.add(texts, run, batch=16)
    vectors = np.array([letters(text) for text in ["aa bbb", *texts]])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    hits = await corpus.search("aa bbb", 7, run, by="dense")
    assert [h.score for h in hits] == pytest.approx(sorted(vectors[1:] @ vectors[0])[:-8:-1], abs=1e-5)


async def test_an_interrupted_add_goes_on_where_it_stopped(path: Path) -> None:
    embedder = Embedder(letters)
    corpus, run = made(path), run_with(embedder)
    embedder.fails_after = 3
    with pytest.raises(RunError, match="the line is down"):
        await corpus.add(TEXTS, run, sources=NAMES, batch=2)
    kept, bought = corpus.count(), len(embedder.texts)
    assert kept == 2
    embedder.fails_after = float("inf")
    again = Corpus.open(path)
    added = await again.add(TEXTS, run, sources=NAMES, batch=2)
    whole = [c.text for c in chunk_texts(TEXTS, size=8, overlap=0, tokenizer="words")]
    assert kept + added == again.count() == len(whole)
    assert embedder.texts[:bought] + embedder.texts[bought:] == whole
    assert await again.add(TEXTS, run, sources=NAMES) == 0
    assert len(embedder.texts) == len(whole)


def many_texts() -> Iterator[str]:
    for i in range(20):
        yield ". ".join(f"Text {i} says the sentence {j}" for j in range(10))


def loopback_run(url: str) -> Run:
    return Run.alone(Context(models={"rank": Role(model="openai/loopback", api_base=url, api_key="any")}))


ADDING = """
import asyncio, json, sys
from emoagents import Context
from emoagents.model.role import Role
from emoagents.retrieval import Corpus
from emoagents.step import Run


def told(texts):
    for i, text in enumerate(texts):
        print(i, flush=True)
        yield text


path, url, texts = sys.argv[1:]
role = Role(model="openai/loopback", api_base=url, api_key="any")
run = Run.alone(Context(models={"rank": role}))
asyncio.run(Corpus.open(path).add(told(json.loads(texts)), run, batch=7))
"""


def adding(path: Path, url: str) -> subprocess.Popen[str]:
    """Start a process that adds `many_texts` and prints a line for each that it takes."""
    command = [sys.executable, "-c", ADDING, str(path), url, json.dumps(list(many_texts()))]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


async def test_a_killed_process_loses_one_batch_at_most(path: Path) -> None:
    corpus = made(path)
    with LoopbackServer(latency_ms=20) as server:
        run = loopback_run(server.url)
        with adding(path, server.url) as child:
            assert child.stdout is not None
            for line in child.stdout:
                if line == "6\n":  # another process reads what this one adds
                    assert await corpus.search("sentence 3", 2, run, by="bm25")
                if line == "12\n":
                    break
            child.kill()
        assert child.returncode not in (0, 1)
        kept, before = corpus.count(), bought(server)
        assert 0 < kept <= len(before) <= kept + 7
        added = await corpus.add(many_texts(), run, batch=7)
        after = bought(server)[len(before) :]
        assert len(after) == added  # what was written is not bought again
        assert len({*before, *after}) == kept + added == corpus.count()
        whole = chunk_texts(list(many_texts()), size=8, overlap=0, tokenizer="words")
        assert {*before, *after} == {chunk.text for chunk in whole}
        assert await corpus.add(many_texts(), run) == 0
        hits = await corpus.search("Text 17 says the sentence 3", 1, run)
        assert "Text 17 says the sentence 3" in hits[0].text


def bought(server: LoopbackServer) -> list[str]:
    return [text for seen in server.requests for text in seen.body["input"]]


async def test_more_can_be_kept_than_one_search_of_the_store_finds(path: Path) -> None:
    corpus, run = made(path), run_with(Embedder(letters))
    await corpus.add([f"{i:x}" for i in range(4100)], run, batch=4100)
    many = await corpus.search("fee", 4099, run, by="dense")
    few = await corpus.search("fee", 50, run, by="dense")
    assert len({hit.text for hit in many}) == 4099
    assert [hit.score for hit in many[:50]] == pytest.approx([hit.score for hit in few], abs=1e-6)
    assert many[-1].score <= many[0].score == pytest.approx(1, abs=1e-5)


async def test_threads_search_while_texts_are_added(path: Path) -> None:
    corpus, run = made(path), run_with(Embedder(letters))
    await corpus.add(["the dog"], run)
    texts = [f"cat number {i}" for i in range(80)]

    def searched() -> list[str]:
        async def search() -> list[str]:
            return [(await Corpus.open(path).search("the dog", 1, run, by="bm25"))[0].text for _ in range(20)]

        return asyncio.run(search())

    added, *found = await asyncio.gather(
        corpus.add(texts, run, batch=4), *(asyncio.to_thread(searched) for _ in range(3))
    )
    assert added == 80
    assert found == [["the dog"] * 20] * 3


async def test_what_has_no_direction_is_found_by_its_words_only(path: Path) -> None:
    corpus = made(path)
    run = run_with(Embedder(lambda text: [0.0, 0.0] if "null" in text else [1.0, len(text)]))
    assert await corpus.add(["null", "one", "three"], run) == 3
    assert {hit.text for hit in await corpus.search("three", 9, run, by="dense")} == {"one", "three"}
    assert await corpus.search("null", 9, run, by="dense") == []
    assert [hit.text for hit in await corpus.search("null", 9, run)] == ["null"]


async def test_vectors_the_store_cannot_hold_are_told(path: Path) -> None:
    run = run_with(Embedder(lambda text: [1.0] * 8193))
    with pytest.raises(ParameterError, match="at most 8192 numbers; tests/one gives 8193"):
        await made(path).add(["text"], run)


@pytest.mark.parametrize("missing", ["apsw", "sqlite_vec"])
def test_without_the_store_nothing_begins(path: Path, missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made(path)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingExtraError, match=r"a corpus needs the extra 'store'"):
        Corpus.open(path)
    with pytest.raises(MissingExtraError, match="store"):
        made(path.with_name("other.db"))
    assert not path.with_name("other.db").exists()


async def test_texts_are_taken_only_as_they_are_needed(path: Path) -> None:
    taken: list[int] = []

    def stream() -> Iterator[str]:
        for i in range(6):
            taken.append(i)
            yield f"text {i}"

    embedder = Embedder(letters)
    embedder.fails_after = 2
    with pytest.raises(RunError):
        await made(path).add(stream(), run_with(embedder), batch=1)
    assert taken == [0, 1, 2]


async def test_equal_texts_without_names_are_one_source(path: Path) -> None:
    corpus = made(path)
    assert await corpus.add(["same", "same", "", "half a pair \ud83d"], run_with(Embedder(letters))) == 2


async def test_another_model_is_refused(path: Path) -> None:
    await made(path).add(TEXTS, run_with(Embedder(letters)))
    corpus, other = Corpus.open(path), run_with(Embedder(letters, name="tests/other"))
    with pytest.raises(ParameterError, match="has vectors of tests/one, and this run embeds with tests/other"):
        await corpus.search("dog", 3, other)
    with pytest.raises(ParameterError, match="tests/other"):
        await corpus.add(["new"], other)
    assert await corpus.search("dog", 1, other, by="bm25")
    shorter = run_with(Embedder(lambda text: [1.0, 2.0]))
    with pytest.raises(ParameterError, match="vectors of 26 numbers"):
        await corpus.search("dog", 3, shorter)


async def test_a_name_stands_for_one_text(path: Path) -> None:
    corpus, run = made(path), run_with(Embedder(letters))
    await corpus.add(["one"], run, sources=["a"])
    with pytest.raises(ParameterError, match="another text as 'a'"):
        await corpus.add(["two"], run, sources=["a"])
    with pytest.raises(ParameterError, match="two texts are named 'b'"):
        await corpus.add(["two", "three"], run, sources=["b", "b"])
    with pytest.raises(ParameterError, match="more texts than sources"):
        await corpus.add(["three", "four"], run, sources=["b"])


async def test_two_adds_at_once_are_refused_and_searches_are_not(path: Path) -> None:
    corpus, run = made(path), run_with(Embedder(letters))
    done = await asyncio.gather(
        *(corpus.add(TEXTS, run) for _ in range(2)), corpus.search("dog", 2, run), return_exceptions=True
    )
    assert sum(isinstance(one, RunError) for one in done) <= 1
    assert isinstance(done[2], list)
    assert corpus.count() == len(chunk_texts(TEXTS, size=8, overlap=0, tokenizer="words"))


@pytest.mark.parametrize("query", ["", '?! " OR', "NEAR(a b)", "x " * 5000])
async def test_any_query_is_text(path: Path, query: str) -> None:
    corpus, run = made(path), run_with(Embedder(letters))
    await corpus.add(TEXTS, run)
    assert await corpus.search(query, 2, run, by="bm25") == []


async def test_an_empty_corpus_finds_nothing(path: Path) -> None:
    assert await made(path).search("dog", 3, run_with(Embedder(letters))) == []


def other_database(path: Path) -> None:
    with sqlite3.connect(path) as file:
        file.execute("CREATE TABLE mine (x)")
    file.close()


def test_what_is_no_corpus_is_refused(path: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"make it with Corpus\.create"):
        Corpus.open(path)
    path.write_text("just text, and long enough to be read as a header of a database, perhaps", encoding="utf-8")
    with pytest.raises(DataError, match="no corpus of emoagents"):
        Corpus.open(path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match="no corpus of emoagents"):
        Corpus.open(path)
    other_database(tmp_path / "mine.db")
    with pytest.raises(DataError, match="no corpus of emoagents"):
        Corpus.open(tmp_path / "mine.db")
    with pytest.raises(ParameterError, match="exists already"):
        Corpus.create(path)
    with pytest.raises(ParameterError, match="overlap"):
        Corpus.create(tmp_path / "new.db", size=5, overlap=5)
    assert not (tmp_path / "new.db").exists()


def damage(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:200] + b"\x55" * (len(data) - 200))


async def test_a_damaged_corpus_is_told(path: Path) -> None:
    run = run_with(Embedder(letters))
    await made(path).add(TEXTS, run)
    corpus = Corpus.open(path)
    damage(path)
    with pytest.raises(DataError, match="damaged"):
        await corpus.search("dog", 2, run)
