"""A worker process started by spawn has an engine of its own."""

import asyncio
import multiprocessing

from emoagents.model.embedded import embedded_backend
from emoagents.model.request import Request

HELLO = Request(messages=[{"role": "user", "content": "hi"}], max_tokens=3, seed=1)


def ask(_: int = 0) -> str:
    return asyncio.run(embedded_backend().call(HELLO, 1)).choices[0].text


if __name__ == "__main__":
    here = ask()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        there = pool.map(ask, [0])[0]
    print("ok" if here == there else f"{here!r} is not {there!r}")
