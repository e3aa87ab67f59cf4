"""Comparing at scale against the model door alone: wall time and memory for many items.

    uv run tests/benchmarks/bench_compare.py [items=20000] [concurrency=64] [latency_ms=20] [rounds=1]

The ideal asks the door for one sample of each item, `concurrency` at a time, and keeps nothing. The comparison
attempts the same items with the plain strategy: a LangGraph run, a score, a journal of raw replies and a record
each, in one process and in as many as there are cores. All talk to one loopback server in a process of its own;
each contender runs in a fresh process, one after another, and the ratio is of their wall times. Memory is the
comparing process's largest resident set, after a tenth of the items and at the end.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", ".."))

from tests.loopback import LoopbackProcess

MODEL = "openai/loopback"


async def door_alone(url: str, file: Path, concurrency: int) -> dict[str, float]:
    from emoagents import Context
    from emoagents.model.request import Request

    context = Context(model=MODEL, api_base=url, concurrency=concurrency, temperature=0.7)
    await context.door.backend()
    questions = (json.loads(line)["input"] for line in file.open())

    async def slot() -> None:
        for question in questions:
            request = Request(messages=[{"role": "user", "content": question}], temperature=0.7)
            (await context.door.sample(request)).require()

    await context.door.sample(Request(messages=[{"role": "user", "content": "warm up"}]))
    began = time.perf_counter()
    await asyncio.gather(*(slot() for _ in range(concurrency)))
    return {"wall": time.perf_counter() - began}


async def comparison(url: str, file: Path, concurrency: int, size: int, folder: Path) -> dict[str, float]:
    from emoagents import Context
    from emoagents.evaluation.arms import make_arms
    from emoagents.evaluation.comparison import compare, make_plan
    from emoagents.evaluation.processes import Processes
    from emoagents.evaluation.record import Record
    from emoagents.evaluation.remote import Setup, TaskRecipe

    recipe = TaskRecipe(spec=f"jsonl:{file}", columns={"input": "input", "target": "target"})
    arms, tasks = make_arms(["plain"]), recipe.load()
    settings: dict[str, Any] = {"model": MODEL, "api_base": url, "temperature": 0.7}
    context = Context(**settings, concurrency=concurrency)
    await context.door.backend()
    setup = Setup(
        tasks=[recipe],
        arms={"plain": "plain"},
        context={**settings, "concurrency": concurrency // size},
        folder=str(folder),
    )
    plan = make_plan(tasks, arms, context)
    total, seen, early = plan.tasks[0].items, 0, 0.0

    def count(record: Record) -> None:
        nonlocal seen, early
        seen += 1
        if seen == total // 10:
            early = _resident()

    workers = None if size == 1 else lambda: Processes(setup, size)
    began = time.perf_counter()
    await compare(tasks, arms, context, folder, plan=plan, workers=workers, on_record=count)
    return {"wall": time.perf_counter() - began, "early": early, "late": _resident(), "seen": seen}


def _resident() -> float:
    """Return the largest resident set so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def worker(kind: str, url: str, file: str, concurrency: int, size: int) -> None:
    folder = Path(tempfile.mkdtemp(prefix="bench_compare_"))
    try:
        if kind == "door":
            print(json.dumps(asyncio.run(door_alone(url, Path(file), concurrency))))
        else:
            print(json.dumps(asyncio.run(comparison(url, Path(file), concurrency, size, folder))))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure(kind: str, url: str, file: Path, concurrency: int, size: int) -> dict[str, float]:
    arguments = [sys.executable, __file__, "worker", kind, url, str(file), str(concurrency), str(size)]
    out = subprocess.run(arguments, stdout=subprocess.PIPE, text=True, check=True).stdout
    return dict(json.loads(out.splitlines()[-1]))


def main(items: int = 20_000, concurrency: int = 64, latency_ms: int = 20, rounds: int = 1) -> float:
    """Print the table and return the ratio with several processes."""
    cores = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder, LoopbackProcess(latency_ms=latency_ms, keep=1) as server:
        file = Path(folder) / "items.jsonl"
        file.write_text(
            "".join(
                f'{{"input": "Question {i}: how much is {i} and {i}?", "target": "{2 * i}"}}\n' for i in range(items)
            )
        )
        kinds = {"door alone": ("door", 1), "1 process": ("compare", 1), f"{cores} processes": ("compare", cores)}
        walls: dict[str, list[float]] = {name: [] for name in kinds}
        for _ in range(rounds):
            for name, (kind, size) in kinds.items():
                found = measure(kind, server.url, file, concurrency, size)
                walls[name].append(found["wall"])
                memory = f", {found['early']:.0f} MB, then {found['late']:.0f} MB" if kind == "compare" else ""
                print(f"{name}: {found['wall']:.1f} s, {items / found['wall']:.0f} items/s{memory}", flush=True)
    ideal = statistics.median(walls["door alone"])
    for name, found_walls in walls.items():
        print(f"{name}: {statistics.median(found_walls) / ideal:.2f} x the door alone")
    return statistics.median(walls[f"{cores} processes"]) / ideal


if __name__ == "__main__":
    if sys.argv[1:2] == ["worker"]:
        kind_, url_, file_, *numbers = sys.argv[2:]
        worker(kind_, url_, file_, int(numbers[0]), int(numbers[1]))
    else:
        main(*(int(a) for a in sys.argv[1:]))
