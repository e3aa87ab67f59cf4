"""Stores for vectors on disk: time to build, time of a search, memory while searching, share of the true ten nearest.

Each store is built in one process and searched in another. Needs what is compared: numpy, apsw and sqlite-vec, lancedb
with pyarrow, faiss-cpu, usearch.

uv run --with lancedb --with faiss-cpu tests/benchmarks/bench_stores.py --vectors 100000
"""

from __future__ import annotations

import argparse
import importlib
import os
import resource
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

DIMENSION, BLOCK, QUERIES, KEEP = 384, 5_000, 10, 10


def near_centres(count: int, seed: int) -> Any:
    """Unit vectors around a thousand centres, as texts on a thousand topics would be."""
    centres = np.random.default_rng(0).standard_normal((1000, DIMENSION), dtype=np.float32)
    r = np.random.default_rng(seed)
    found = centres[r.integers(0, 1000, count)] + 0.7 * r.standard_normal((count, DIMENSION), dtype=np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def blocks(count: int) -> Iterator[tuple[int, Any]]:
    return ((first, near_centres(BLOCK, 1 + first)) for first in range(0, count, BLOCK))


class SqliteVec:
    """A vec0 table, through apsw: what `Corpus` does."""

    def _open(self, path: Path) -> Any:
        file = importlib.import_module("apsw").Connection(str(path))
        file.enable_load_extension(True)
        file.load_extension(importlib.import_module("sqlite_vec").loadable_path())
        return file

    def build(self, path: Path, count: int) -> None:
        file = self._open(path)
        file.execute("PRAGMA page_size = 65536; PRAGMA journal_mode = WAL")
        file.execute(f"CREATE VIRTUAL TABLE v USING vec0 (data float[{DIMENSION}] distance_metric=cosine)")
        for first, rows in blocks(count):
            with file:
                file.executemany(
                    "INSERT INTO v (rowid, data) VALUES (?, ?)", ((first + i, r.tobytes()) for i, r in enumerate(rows))
                )
        file.close()

    def searcher(self, path: Path) -> Callable[[Any], Any]:
        file = self._open(path)
        select = f"SELECT rowid FROM v WHERE data MATCH ? AND k = {KEEP} ORDER BY distance"
        return lambda query: [row[0] for row in file.execute(select, (query.tobytes(),))]


class NumpyScan:
    """Blobs of vectors in SQLite, read block by block: what `Corpus` did before."""

    def build(self, path: Path, count: int) -> None:
        file = sqlite3.connect(path)
        file.executescript(
            "PRAGMA page_size = 65536; PRAGMA journal_mode = WAL; CREATE TABLE v (first INTEGER PRIMARY KEY, data)"
        )
        for first, rows in blocks(count):
            with file:
                file.execute("INSERT INTO v VALUES (?, ?)", (first, rows.tobytes()))
        file.close()

    def searcher(self, path: Path) -> Callable[[Any], Any]:
        file = sqlite3.connect(path)

        def search(query: Any) -> Any:
            found: list[tuple[float, int]] = []
            for first, data in file.execute("SELECT first, data FROM v"):
                scores = np.frombuffer(data, dtype=np.float32).reshape(-1, DIMENSION) @ query
                top = np.argpartition(-scores, KEEP)[:KEEP]
                found = sorted([*found, *((-float(scores[i]), first + int(i)) for i in top)])[:KEEP]
            return [chunk for _, chunk in found]

        return search


class LanceDb:
    def build(self, path: Path, count: int) -> None:
        lancedb, pa = importlib.import_module("lancedb"), importlib.import_module("pyarrow")
        schema = pa.schema([("id", pa.int64()), ("vector", pa.list_(pa.float32(), DIMENSION))])
        table = lancedb.connect(path).create_table("v", schema=schema)
        for first, rows in blocks(count):
            vectors = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), DIMENSION)
            table.add(pa.table({"id": pa.array(range(first, first + len(rows))), "vector": vectors}, schema=schema))

    def searcher(self, path: Path) -> Callable[[Any], Any]:
        table = importlib.import_module("lancedb").connect(path).open_table("v")
        return lambda query: table.search(query).distance_type("cosine").limit(KEEP).to_arrow()["id"].to_pylist()


class Usearch:
    def build(self, path: Path, count: int) -> None:
        index = importlib.import_module("usearch.index").Index(ndim=DIMENSION, metric="cos", dtype="f32")
        for first, rows in blocks(count):
            index.add(np.arange(first, first + len(rows)), rows)
        index.save(path)

    def searcher(self, path: Path) -> Callable[[Any], Any]:
        index = importlib.import_module("usearch.index").Index.restore(path, view=True)
        return lambda query: index.search(query, KEEP).keys.tolist()


class Faiss:
    def __init__(self, kind: str) -> None:
        self._kind = kind

    def build(self, path: Path, count: int) -> None:
        faiss = importlib.import_module("faiss")
        index = faiss.index_factory(DIMENSION, self._kind, faiss.METRIC_INNER_PRODUCT)
        for _, rows in blocks(count):
            index.add(rows)
        faiss.write_index(index, str(path))

    def searcher(self, path: Path) -> Callable[[Any], Any]:
        faiss = importlib.import_module("faiss")
        index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP if self._kind == "Flat" else 0)
        return lambda query: index.search(query[None], KEEP)[1][0].tolist()


STORES: dict[str, Any] = {
    "sqlite-vec": SqliteVec(), "numpy": NumpyScan(), "lancedb": LanceDb(), "usearch": Usearch(),
    "faiss-flat": Faiss("Flat"), "faiss-hnsw": Faiss("HNSW32"),
}  # fmt: skip


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def build(store: str, path: Path, count: int) -> None:
    began = time.perf_counter()
    STORES[store].build(path, count)
    files = path.rglob("*") if path.is_dir() else [path]
    size = sum(file.stat().st_size for file in files if file.is_file()) / 1e6
    print(f"{store:<11} build {time.perf_counter() - began:6.1f} s, {size:4.0f} MB, peak {peak():4.0f} MB", end="")


def search(store: str, path: Path, count: int) -> None:
    queries, times, right = near_centres(QUERIES, 9), [], 0
    find = STORES[store].searcher(path)
    answers = []
    for query in queries:
        began = time.perf_counter()
        answers.append(find(query))
        times.append(time.perf_counter() - began)
    memory = peak()
    scores = np.concatenate([queries @ rows.T for _, rows in blocks(count)], axis=1)
    for row, answer in zip(scores, answers, strict=True):
        right += len(set(np.argsort(-row)[:KEEP].tolist()) & set(answer))
    print(f" | search {statistics.median(times) * 1000:6.1f} ms, peak {memory:4.0f} MB, {right}% right", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vectors", type=int, default=100_000)
    parser.add_argument("--stores", default="sqlite-vec,numpy,lancedb,faiss-flat")
    parser.add_argument("--stage", nargs=3)
    given = parser.parse_args()
    if given.stage:
        stage, store, path = given.stage
        {"build": build, "search": search}[stage](store, Path(path), given.vectors)
        return
    print(f"{given.vectors} vectors of {DIMENSION} float32")
    for store in given.stores.split(","):
        folder = tempfile.mkdtemp()
        for stage in ("build", "search"):
            command = [sys.executable, __file__, "--vectors", str(given.vectors), "--stage", stage, store]
            places = ":".join(place for place in sys.path if place.endswith("site-packages"))
            subprocess.run([*command, f"{folder}/store"], check=True, env={**os.environ, "PYTHONPATH": places})
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
