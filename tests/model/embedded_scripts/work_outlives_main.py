"""An ordinary thread goes on after the main thread's end; its call must be answered, not broken off."""

import asyncio
import threading
import time

from emoagents.model.embedded import embedded_backend
from emoagents.model.request import Request


def ask() -> None:
    time.sleep(0.3)
    request = Request(messages=[{"role": "user", "content": "hi"}], max_tokens=10)
    reply = asyncio.run(embedded_backend().call(request, 1))
    print("ok" if reply.completion_tokens else "no answer")


threading.Thread(target=ask).start()
