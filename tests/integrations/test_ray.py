"""A comparison on a local Ray cluster of two workers, one of which is killed in the middle."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emoagents.evaluation.comparison import compare, make_plan
from emoagents.evaluation.record import Record
from tests.evaluation.test_comparison import ARMS, context, knows_even, numbers, setup_for, sums_file
from tests.loopback import LoopbackServer

ray = pytest.importorskip("ray", reason="the extra 'ray' is not installed")

__all__ = ["sums_file"]

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # Ray's own, of its imports
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.timeout(240),
]


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    from emoagents.integrations.ray import begin

    begin(2)
    yield
    ray.shutdown()


async def test_two_actors_find_the_same_as_one_process_though_one_is_killed(sums_file: Path, tmp_path: Path) -> None:
    from emoagents.integrations.ray import RayWorkers

    with LoopbackServer(reply=knows_even, latency_ms=5) as server:
        setup, made, tasks = setup_for(server, sums_file, tmp_path / "ray", ARMS)
        one = await compare(tasks, made, context(server, seed=0), tmp_path / "one")
        bought = server.stats.choices
        fleet = RayWorkers(setup, 2)
        seen: list[Record] = []

        def on_record(record: Record) -> None:
            seen.append(record)
            if len(seen) == 10:
                actor = next(w for w in fleet._workers if w is not None)
                os.kill(ray.get(actor.pid.remote()), signal.SIGKILL)

        account = context(server, seed=0)
        plan = make_plan(tasks, made, account)
        many = await compare(
            tasks, made, account, tmp_path / "ray", plan=plan, workers=lambda: fleet, on_record=on_record
        )
        assert fleet.replaced == 1
        assert numbers(many) == numbers(one)
        assert Counter(r.key for r in many.records()) == Counter(r.key for r in one.records())
        assert server.stats.choices <= 2 * bought + 16, "only what was in flight in the killed one is asked again"
        before = server.stats.requests
        again: list[Any] = []
        await compare(
            tasks,
            made,
            account,
            tmp_path / "ray",
            plan=plan,
            workers=lambda: RayWorkers(setup, 2),
            on_record=again.append,
        )
        assert (again, server.stats.requests) == ([], before)
