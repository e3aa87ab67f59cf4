"""Fork with the engine started and at work: the child gets an error and ends well, the parent goes on."""

import asyncio
import os
import sys
import threading

from emoagents.errors import UsageError
from emoagents.model.embedded import embedded_backend
from emoagents.model.request import Request

STORY = Request(messages=[{"role": "user", "content": "Tell me about the sea."}], max_tokens=60)
writing = threading.Event()
answers: list[str] = []


def ask() -> None:
    reply = asyncio.run(embedded_backend().call(STORY, 1, lambda _: writing.set()))
    answers.append(reply.choices[0].text)


def child() -> None:
    try:
        ask()
    except UsageError as error:
        sys.exit(0 if "spawn" in str(error) else 3)
    sys.exit(4)


thread = threading.Thread(target=ask)
thread.start()
writing.wait()
pid = os.fork()
if pid == 0:
    child()
_, status = os.waitpid(pid, 0)
thread.join()
print("ok" if status == 0 and answers else f"child ended with {status}, parent has {len(answers)} answers")
