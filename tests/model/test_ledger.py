"""The ledger: who asked, what it cost, and what nobody knows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from emoagents import Context, Retry, ScriptedModel, Usage
from emoagents.model.ledger import Ledger
from emoagents.model.request import Request


async def ask(context: Context, node: str, indices: Any = (0,)) -> None:
    await context.door.sample(Request(messages=[{"role": "user", "content": "one two three"}]), indices, node=node)


async def test_calls_are_booked_to_the_node_that_asked() -> None:
    model = ScriptedModel({"": "a b"}, faults=[None, None, 503, "drop"])
    context = Context(model=model, cache="memory", retry=Retry(wait=0))
    await ask(context, "first")
    await ask(context, "first")
    await ask(context, "many", range(1, 4))
    await ask(context, "unlucky", [9])
    nodes = context.door.ledger.nodes
    assert list(nodes) == ["first", "many", "unlucky"]
    assert (nodes["first"].calls, nodes["first"].cached_calls, nodes["first"].prompt_tokens) == (1, 1, 3)
    assert (nodes["many"].calls, nodes["many"].prompt_tokens, nodes["many"].completion_tokens) == (1, 3, 6)
    unlucky = nodes["unlucky"]
    assert (unlucky.calls, unlucky.failed_calls, unlucky.unmetered_calls) == (2, 2, 1), "a 503 costs nothing"
    total = context.door.ledger.total
    assert (total.calls, total.cached_calls, total.cost_usd) == (4, 1, 0.0)


def test_a_sum_with_an_unknown_price_is_unknown() -> None:
    known, unknown = Usage(calls=1, cost_usd=0.5), Usage(calls=1, cost_usd=None)
    assert (known + known).cost_usd == 1.0
    assert (known + unknown).cost_usd is None
    assert (unknown + known).calls == 2


def test_nothing_is_lost_between_threads() -> None:
    ledger = Ledger()

    def book(_: int) -> None:
        ledger.cached("node", 1)
        assert ledger.total.cached_calls > 0

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(book, range(2000)))
    assert ledger.total.cached_calls == 2000
