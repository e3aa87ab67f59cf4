"""Fork with the engine imported and not started: both processes may use an engine of their own."""

import asyncio
import os

from emoagents.model.embedded import embedded_backend
from emoagents.model.request import Request

HELLO = Request(messages=[{"role": "user", "content": "hi"}], max_tokens=3)

pid = os.fork()
asyncio.run(embedded_backend().call(HELLO, 1))
if pid:
    _, status = os.waitpid(pid, 0)
    print("ok" if status == 0 else f"child ended with {status}")
