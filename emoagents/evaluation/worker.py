"""A worker process: reads a setup and then units from standard input, writes records to standard output.

It ends when its input ends, so that a killed parent leaves nobody working, and paying, behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from typing import IO, Any

from emoagents.evaluation.remote import Hand, Setup

__all__ = ["main"]


def main() -> None:
    """Work until the input ends."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not stand between the replies
    lines = sys.stdin.buffer
    setup = lines.readline()
    if not setup.endswith(b"\n"):
        return
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_work(Hand(Setup.model_validate_json(setup)), lines, out))
    os._exit(0)  # threads of libraries would hold the process, and nothing is left to be saved


async def _work(hand: Hand, lines: IO[bytes], out: IO[bytes]) -> None:
    loop, tasks = asyncio.get_running_loop(), set[asyncio.Task[None]]()

    async def answer(message: dict[str, Any]) -> None:
        kind, data = await hand.answer(message["unit"])
        out.write(b"%d %s %s\n" % (message["number"], kind.encode(), data))
        out.flush()

    while line := await loop.run_in_executor(None, lines.readline):
        task = asyncio.create_task(answer(json.loads(line)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


if __name__ == "__main__":
    main()
