"""End while a prompt of thousands of tokens is read, half a minute's work that must not be waited for."""

import asyncio
import atexit
import threading
import time

from emoagents.model.embedded import embedded_backend
from emoagents.model.embedded.engine import ENGINE
from emoagents.model.request import Request

LONG = Request(messages=[{"role": "user", "content": "and so on " * 1200}])


def ask() -> None:
    asyncio.run(embedded_backend().call(LONG, 1))


atexit.register(lambda: print("ok" if time.monotonic() - ended < 8 else "waited for the prompt"))
ENGINE.start()
threading.Thread(target=ask, daemon=True).start()
time.sleep(0.7)
ended = time.monotonic()
