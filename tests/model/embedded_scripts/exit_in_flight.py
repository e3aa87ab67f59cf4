"""End while five choices are being written for a background thread."""

import asyncio
import threading

from emoagents.model.embedded.engine import ENGINE

MESSAGES = [{"role": "user", "content": "Tell me a long story."}]
BODY = {"messages": MESSAGES, "n": 5, "max_tokens": 400, "stream": True}
writing = threading.Event()


async def listen() -> None:
    async for chunk in ENGINE.stream(BODY):
        if chunk["choices"] and chunk["choices"][0]["delta"].get("content"):
            writing.set()


threading.Thread(target=lambda: asyncio.run(listen()), daemon=True).start()
assert writing.wait(30)
print("ok")
