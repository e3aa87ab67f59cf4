"""Eight threads, each with a loop of its own, use the engine first at one moment: one server serves all."""

import asyncio
import threading
from typing import Any

from emoagents.model.embedded import embedded_backend, engine
from emoagents.model.request import Request

opened: list[Any] = []
texts: set[str] = set()
open_server = engine.open_server
gate = threading.Barrier(8)


def counted(*args: Any) -> Any:
    opened.append(args)
    return open_server(*args)


def ask() -> None:
    gate.wait()
    request = Request(messages=[{"role": "user", "content": "hi"}], max_tokens=3, seed=5)
    texts.add(asyncio.run(embedded_backend().call(request, 1)).choices[0].text)


engine.open_server = counted
threads = [threading.Thread(target=ask) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("ok" if (len(opened), len(texts)) == (1, 1) else f"{len(opened)} servers, {len(texts)} texts")
