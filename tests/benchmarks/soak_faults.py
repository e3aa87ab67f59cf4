"""GSA under faults: every task finishes, none is lost, none doubled, and the budget holds.

    uv run tests/benchmarks/soak_faults.py [tasks=2000] [concurrency=64]

Faults: 10 % 429, 5 % 500 and 503, 2 % dropped connections, 2 % malformed bodies, 2 % empty choices. The second half
of the work runs under one budget that is too small for it.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", ".."))

from emoagents import Budget, Context, Result, Retry, SelfAggregation
from emoagents.errors import BudgetExceeded
from tests.loopback import LoopbackProcess

RATES = {"429": 0.10, "500": 0.03, "503": 0.02, "drop": 0.02, "badjson": 0.02, "empty": 0.02}
RETRY = Retry(attempts=12, wait=0.05, max_wait=1.0)
STRATEGY = SelfAggregation(samples=3)


async def all_finish(url: str, tasks: int, concurrency: int) -> list[Result]:
    gate = asyncio.Semaphore(concurrency)

    async def task(i: int) -> Result:
        context = Context(model="openai/loopback", api_base=url, concurrency=concurrency, retry=RETRY)
        async with gate:
            return await STRATEGY.arun(f"Task {i}", context=context)

    return await asyncio.gather(*(task(i) for i in range(tasks)))


async def under_one_budget(url: str, tasks: int, concurrency: int, calls: int) -> tuple[int, int, int]:
    """Run tasks as nodes of one account; return how many answered whole, cut short, and not at all."""
    context = Context(
        model="openai/loopback", api_base=url, concurrency=concurrency, retry=RETRY, budget=Budget(calls=calls)
    )

    async def task(i: int) -> str:
        try:
            out = await STRATEGY.graph.ainvoke({"messages": [("user", f"Budget task {i}")]}, context=context)
        except BudgetExceeded:
            return "none"
        return str(out["messages"][-1].response_metadata["stopped_by"])

    ends = await asyncio.gather(*(task(i) for i in range(tasks)))
    assert context.door.ledger.total.calls <= calls, context.door.ledger.total
    return ends.count("complete"), ends.count("budget"), ends.count("none")


async def main(tasks: int = 2000, concurrency: int = 64) -> None:
    with LoopbackProcess(rates=RATES, retry_after=0.02, rules=[["(Task \\d+)", "\\1 done"]]) as server:
        began = time.perf_counter()
        results = await all_finish(server.url, tasks, concurrency)
        seconds = time.perf_counter() - began
        stats = await asyncio.to_thread(lambda: server.stats)
        answered = sum(r.stopped_by == "complete" for r in results)
        calls = sum(r.usage.calls for r in results)
        failed = sum(r.usage.failed_calls for r in results)
        candidates = sum(e["event"] == "candidate" for r in results for e in r.trace)
        print(f"{answered} of {tasks} tasks answered in {seconds:.0f} s, {candidates} samples (wanted {3 * tasks})")
        print(f"{stats.requests} requests, {failed} attempts failed and were made again, faults {stats.faults}")
        print(f"answered by the server {stats.answered}, counted by the ledger {calls}")
        assert answered == tasks
        assert candidates == 3 * tasks
        assert calls >= stats.answered - stats.faults.get("drop", 0)

        await asyncio.to_thread(server.reset)
        calls_allowed = tasks
        whole, short, none = await under_one_budget(server.url, tasks, concurrency, calls_allowed)
        stats = await asyncio.to_thread(lambda: server.stats)
        print(
            f"budget of {calls_allowed} calls: {stats.answered} answered by the server; "
            f"{whole} tasks whole, {short} cut short with their best answer, {none} never begun"
        )
        assert stats.answered <= calls_allowed


if __name__ == "__main__":
    asyncio.run(main(*(int(a) for a in sys.argv[1:])))
