"""From its first use on, the backend never blocks the event loop."""

import asyncio
import contextlib

from blockbuster import blockbuster_ctx

from emoagents.model.embedded import embedded_backend
from emoagents.model.request import Request

HELLO = Request(messages=[{"role": "user", "content": "hi"}], max_tokens=8)


async def main() -> None:
    backend = embedded_backend()
    estimate = backend.count_tokens(HELLO.messages)
    await backend.call(HELLO, 2)
    await backend.call(HELLO, 1, lambda piece: None)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(backend.call(HELLO, 5), 0.05)
    print("ok" if backend.count_tokens(HELLO.messages) <= estimate else "estimate too low")


with blockbuster_ctx():
    asyncio.run(main())
