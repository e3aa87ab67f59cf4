"""Assess: the seeker's strongest emotion, its intensity, the problem, and the stage of the conversation."""

from __future__ import annotations

from typing import Any

from emoagents.nodes.support.prompter import Prompter
from emoagents.nodes.support.schemas import Assessment
from emoagents.step import Run

__all__ = ["assess"]

_LENGTH = 256
"""Tokens: a limit that is meant for replies must not cut it."""


async def assess(prompter: Prompter, run: Run) -> dict[str, Any] | None:
    """Return the assessment as plain data; None where the model's output does not parse, which the trace says.

    Raises:
        RunError: the model did not answer. UsageError: the caller's mistake.
    """
    prompt = prompter.prompt("assess")
    reply = await run.ask_one(prompt, temperature=0.0, max_tokens=_LENGTH, response_format=Assessment)
    if not isinstance(reply.parsed, Assessment):
        run.emit("unparsed", what="assessment", reason=reply.parse_error)
        return None
    found = reply.parsed.model_dump()
    run.emit("assessment", **found)
    return found
