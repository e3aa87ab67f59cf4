"""Five samples on the embedded model: one native call against five sequential and five concurrent calls.

    uv run tests/benchmarks/bench_native_n.py [rounds=5] [tokens=48]

Each round measures all three on a fresh prompt of about 170 tokens, so that no prefix is cached from before.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from dataclasses import replace

from emoagents.model.embedded import embedded_backend
from emoagents.model.request import Request

FILLER = "The river ran past the old mill, and the miller counted sacks of grain by lamplight. " * 8


async def main(rounds: int = 5, tokens: int = 48) -> None:
    backend = embedded_backend("embedded/smollm2")
    await backend.call(Request(messages=[{"role": "user", "content": "hi"}], max_tokens=1), 1)

    def request(tag: str, seed: int = 1) -> Request:
        prompt = f"Story {tag}. {FILLER} What happened next in story {tag}?"
        messages = [{"role": "user", "content": prompt}]
        return Request(messages=messages, max_tokens=tokens, temperature=0.8, seed=seed, extra={"ignore_eos": True})

    async def native(tag: str) -> None:
        await backend.call(request(tag), 5)

    async def sequential(tag: str) -> None:
        for seed in range(5):
            await backend.call(replace(request(tag), seed=seed), 1)

    async def concurrent(tag: str) -> None:
        await asyncio.gather(*(backend.call(replace(request(tag), seed=s), 1) for s in range(5)))

    times: dict[str, list[float]] = {"native": [], "sequential": [], "concurrent": []}
    for i in range(rounds):
        for work in (native, sequential, concurrent):
            began = time.perf_counter()
            await work(f"{work.__name__}-{i}")
            times[work.__name__].append(time.perf_counter() - began)
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, median in medians.items():
        print(f"{name:<12} {median:.2f} s  ({median / medians['sequential']:.2f} of sequential)")


if __name__ == "__main__":
    asyncio.run(main(*(int(a) for a in sys.argv[1:])))
