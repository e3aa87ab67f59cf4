"""Ctrl-C while a long answer is written: it must act at once, and the engine be free again."""

import asyncio
import os
import signal
import threading
import time

from emoagents.model.embedded import embedded_backend
from emoagents.model.embedded.engine import ENGINE
from emoagents.model.request import Request

STORY = Request(messages=[{"role": "user", "content": "Tell me a long story."}], max_tokens=2000)
SHORT = Request(messages=[{"role": "user", "content": "hi"}], max_tokens=2)
sent = 0.0


def press() -> None:
    global sent
    sent = time.monotonic()
    os.kill(os.getpid(), signal.SIGINT)


ENGINE.start()
threading.Timer(0.5, press).start()
try:
    asyncio.run(embedded_backend().call(STORY, 5))
except KeyboardInterrupt:
    took = time.monotonic() - sent
    asyncio.run(embedded_backend().call(SHORT, 5))
    print("ok" if took < 3 else f"Ctrl-C took {took:.1f} s")
