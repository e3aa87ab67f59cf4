"""Measuring before and after: the metric's own time."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from emoagents import Context, Plain, ScriptedModel
from emoagents.evaluation.task import Item
from emoagents.tuning.measure import measure, rows
from emoagents.tuning.metrics import make_metric

pytest.importorskip("statsmodels", reason="the extra 'evaluation' is not installed")


def test_a_metric_that_takes_its_time_holds_nothing_up(tmp_path: Path) -> None:
    both = threading.Barrier(2, timeout=20)

    def slow(item: Item, answer: str) -> bool:
        both.wait()  # until the other answer is being scored, too
        return answer == "yes"

    items = [Item(id=str(n), messages=({"role": "user", "content": f"{n}?"},), targets=("yes",)) for n in range(2)]
    context = Context(model=ScriptedModel({"": "yes"}), concurrency=2)
    found = asyncio.run(measure([Plain()], {"dev": items}, make_metric(slow), context, tmp_path))
    before = rows(found)[0].before
    assert before is not None
    assert before.score == 1
