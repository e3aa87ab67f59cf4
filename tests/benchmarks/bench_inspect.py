"""What inspect_ai as the runner would cost for each item, beside ours; no model is asked in either.

    uv run tests/benchmarks/bench_inspect.py [items=2000] [concurrency=64]

inspect's solver waits 20 ms and returns, its scorer returns 1. Ours runs the plain strategy in full, with record and
journal, on a backend that waits as long. Each runs in a process of its own, one after the other.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", ".."))

WAIT = 0.02


def with_inspect(items: int, concurrency: int) -> float:
    from inspect_ai import Task, eval
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.scorer import Score, accuracy, scorer
    from inspect_ai.solver import solver

    @solver
    def waits() -> Any:
        async def solve(state: Any, generate: Any) -> Any:
            await asyncio.sleep(WAIT)
            state.output.completion = "4"
            return state

        return solve

    @scorer(metrics=[accuracy()])
    def returns() -> Any:
        async def score(state: Any, target: Any) -> Score:
            return Score(value=1, answer="4")

        return score

    dataset = MemoryDataset([Sample(input=f"Question {i}", target="4", id=i) for i in range(items)])
    task = Task(dataset=dataset, solver=waits(), scorer=returns())
    began = time.perf_counter()
    options: dict[str, Any] = {"max_samples": concurrency, "display": "none", "log_dir": tempfile.mkdtemp()}
    eval(task, model="mockllm/model", **options)
    return time.perf_counter() - began


def with_ours(items: int, concurrency: int) -> float:
    from emoagents import Context
    from emoagents.evaluation import Item, Score, Task, compare, make_arms
    from emoagents.model.request import Choice, Message, Reply, Request

    class Backend:
        name, endpoint, max_n, context_window, native_schema = "waiting/model", "waiting", 1, None, False

        async def call(self, request: Request, n: int, on_token: Any = None) -> Reply:
            await asyncio.sleep(WAIT)
            return Reply(choices=[Choice(text="4")], prompt_tokens=3, completion_tokens=1, cost_usd=0.0)

        def count_tokens(self, messages: Sequence[Message]) -> int:
            return 3

        def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
            return 0.0

    class Questions(Task):
        name, metrics = "questions", ("exact",)

        def items(self) -> Iterable[Item]:
            for i in range(items):
                yield Item(id=str(i), messages=({"role": "user", "content": f"Question {i}"},))

        def check(self, item: Item, answer: str) -> Score:
            return Score(value=1.0, parsed=answer)

    context = Context(model=Backend(), concurrency=concurrency)
    began = time.perf_counter()
    asyncio.run(compare([Questions()], make_arms(["plain"]), context, Path(tempfile.mkdtemp())))
    return time.perf_counter() - began


def main(items: int = 2000, concurrency: int = 64) -> None:
    """Print milliseconds an item for both."""
    for name in ("inspect", "ours"):
        command = [sys.executable, __file__, "worker", name, str(items), str(concurrency)]
        out = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        print(f"{name}: {1000 * json.loads(out.splitlines()[-1]) / items:.2f} ms an item")


if __name__ == "__main__":
    if sys.argv[1:2] == ["worker"]:
        work = {"inspect": with_inspect, "ours": with_ours}[sys.argv[2]]
        print(json.dumps(work(int(sys.argv[3]), int(sys.argv[4]))))
    else:
        main(*(int(a) for a in sys.argv[1:]))
