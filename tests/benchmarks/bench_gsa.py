"""GSA (3 samples + 1 synthesis) by the library against the same calls written by hand on litellm with asyncio.

    uv run tests/benchmarks/bench_gsa.py [tasks=500] [concurrency=64] [rounds=3] [latency_ms=50]

At most `concurrency` tasks are in flight, and as many requests. Both contenders talk to one loopback server in a
process of its own. Rounds are interleaved, each contender of each round runs in a fresh process, and the ratio is of
medians. The first line makes four requests a task in both; the second asks for the three samples in one request in
both, as the library does where a provider honours `n`.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from typing import Any

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", ".."))

from tests.loopback import LoopbackProcess

MODEL = "openai/loopback"


async def by_hand(url: str, tasks: int, concurrency: int, native: bool) -> None:
    import litellm

    from emoagents import load_card

    litellm.suppress_debug_info = True
    card = load_card("self_aggregation")
    tasks_gate, gate = asyncio.Semaphore(concurrency), asyncio.Semaphore(concurrency)

    async def call(text: str, **options: Any) -> list[str]:
        messages = [{"role": "user", "content": text}]
        async with gate:
            reply = await litellm.acompletion(
                model=MODEL, api_base=url, api_key="none", messages=messages, num_retries=0, max_retries=0, **options
            )
        return [choice.message.content for choice in reply.choices]

    async def task(question: str) -> str:
        async with tasks_gate:
            return await answer(question)

    async def answer(question: str) -> str:
        if native:
            texts = await call(question, temperature=0.7, n=3)
        else:
            texts = [t[0] for t in await asyncio.gather(*(call(question, temperature=0.7) for _ in range(3)))]
        blocks = "\n\n".join(card.render("candidate", number=i, text=t) for i, t in enumerate(texts, 1))
        return (await call(card.render("synthesize", question=question, candidates=blocks, count=3)))[0]

    await asyncio.gather(*(task(f"Question {i}: how much is {i} and {i}?") for i in range(tasks)))


async def by_library(url: str, tasks: int, concurrency: int, native: bool) -> None:
    from emoagents import Context, SelfAggregation
    from emoagents.model.limits import endpoint

    strategy = SelfAggregation(samples=3)
    context = Context(model=MODEL, api_base=url, concurrency=concurrency)
    backend = await context.door.backend()
    if not native:  # "calls": four requests each, as by hand
        endpoint(backend.endpoint).ignores_n.add(MODEL)
    tasks_gate = asyncio.Semaphore(concurrency)

    async def task(question: str) -> str:
        async with tasks_gate:
            return (await strategy.arun(question, context=context)).answer

    await asyncio.gather(*(task(f"Question {i}: how much is {i} and {i}?") for i in range(tasks)))


def worker(kind: str, url: str, tasks: int, concurrency: int, native: bool) -> None:
    work = {"hand": by_hand, "library": by_library}[kind]
    asyncio.run(warm_and_time(work, url, tasks, concurrency, native))


async def warm_and_time(work: Any, url: str, tasks: int, concurrency: int, native: bool) -> None:
    await work(url, 8, concurrency, native)
    wall, cpu = time.perf_counter(), time.process_time()
    await work(url, tasks, concurrency, native)
    print(json.dumps({"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}))


def measure(kind: str, url: str, tasks: int, concurrency: int, native: bool) -> dict[str, float]:
    arguments = [sys.executable, __file__, "worker", kind, url, str(tasks), str(concurrency), str(int(native))]
    out = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout
    return dict(json.loads(out.splitlines()[-1]))


def main(tasks: int = 500, concurrency: int = 64, rounds: int = 3, latency_ms: int = 50) -> float:
    """Print the table and return the ratio of wall times at equal calls."""
    worst = 0.0
    with LoopbackProcess(latency_ms=latency_ms) as server:
        for native, requests in ((False, 4), (True, 2)):
            rows: dict[str, list[dict[str, float]]] = {"hand": [], "library": []}
            for _ in range(rounds):
                for kind in rows:
                    server.reset()
                    rows[kind].append(measure(kind, server.url, tasks, concurrency, native))
                    seen = server.stats.requests
                    assert seen == (tasks + 8) * requests, f"{kind}: {seen} requests"
            wall = {k: statistics.median(r["wall"] for r in v) for k, v in rows.items()}
            cpu = {k: statistics.median(r["cpu"] for r in v) for k, v in rows.items()}
            ratio = wall["library"] / wall["hand"]
            worst = max(worst, ratio) if native else ratio
            print(
                f"{requests} requests a task: by hand {wall['hand']:.2f} s, library {wall['library']:.2f} s, "
                f"ratio {ratio:.3f} (CPU {cpu['hand']:.2f} and {cpu['library']:.2f} s, {rounds} rounds)"
            )
    return worst


if __name__ == "__main__":
    if sys.argv[1:2] == ["worker"]:
        kind, url, *numbers = sys.argv[2:]
        worker(kind, url, int(numbers[0]), int(numbers[1]), numbers[2] == "1")
    else:
        main(*(int(a) for a in sys.argv[1:]))
