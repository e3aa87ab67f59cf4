"""Fork with the engine started and at work: the child gets an error and ends well, the parent goes on."""

import asyncio
import os
import sys

from emoagents.errors import UsageError
from emoagents.model.embedded import embedded_backend
from emoagents.model.request import Request

HELLO = Request(messages=[{"role": "user", "content": "Tell me about the sea."}], max_tokens=60)


def child() -> None:
    try:
        asyncio.run(embedded_backend().call(HELLO, 1))
    except UsageError as error:
        sys.exit(0 if "spawn" in str(error) else 3)
    sys.exit(4)


async def parent() -> int:
    writing = asyncio.Event()
    call = asyncio.create_task(embedded_backend().call(HELLO, 1, lambda _: writing.set()))
    await writing.wait()
    pid = os.fork()
    if pid == 0:
        return 0
    reply = await call
    assert reply.completion_tokens
    return pid


pid = asyncio.run(parent())
if pid == 0:
    child()
_, status = os.waitpid(pid, 0)
print("ok" if status == 0 else f"child ended with {status}")
