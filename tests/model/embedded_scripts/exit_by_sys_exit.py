"""Leave a running event loop by SystemExit while calls are at work."""

import asyncio
import sys

from emoagents.model.embedded import embedded_backend
from emoagents.model.request import Request

STORY = Request(messages=[{"role": "user", "content": "Tell me a long story."}], max_tokens=400)


async def main() -> None:
    writing = asyncio.Event()
    calls = [embedded_backend().call(STORY, 1, lambda _: writing.set()) for _ in range(3)]
    tasks = [asyncio.create_task(call) for call in calls]
    await writing.wait()
    assert not any(task.done() for task in tasks)
    print("ok")
    sys.exit(0)


asyncio.run(main())
