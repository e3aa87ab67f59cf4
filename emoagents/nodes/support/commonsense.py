"""Commonsense about the seeker's last utterance: a provider of ATOMIC's relations, the context's model by default."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from pydantic import ValidationError

from emoagents.asked import Asked
from emoagents.errors import ParameterError
from emoagents.nodes.support.prompter import Prompter
from emoagents.nodes.support.schemas import Commonsense
from emoagents.step import Run

__all__ = ["CommonsenseProvider", "knowledge"]

CommonsenseProvider: TypeAlias = Callable[[str], Mapping[str, str] | Awaitable[Mapping[str, str]]]
"""From an utterance to a text for each of xReact, xIntent, xNeed, xEffect and xWant."""


async def knowledge(prompter: Prompter, run: Run, provider: CommonsenseProvider | None) -> str:
    """Return the knowledge as text for a prompt; "" where the model's output does not parse, which the trace says.

    Raises:
        RunError: the model did not answer. ParameterError: the provider gave something else.
    """
    found = await _asked(prompter, run) if provider is None else await _provided(prompter, provider)
    if found is None:
        return ""
    said = {name: _phrase(text) for name, text in found.model_dump().items()}
    run.emit("commonsense", **said)
    return prompter.card.render("knowledge", **said)


async def _asked(prompter: Prompter, run: Run) -> Commonsense | None:
    asked = Asked.of(prompter.card, "commonsense", {"utterance": prompter.last_utterance})
    reply = await run.ask_one([asked], response_format=Commonsense)
    if isinstance(reply.parsed, Commonsense):
        return reply.parsed
    run.emit("unparsed", what="commonsense", reason=reply.parse_error)
    return None


async def _provided(prompter: Prompter, provider: CommonsenseProvider) -> Commonsense:
    if inspect.iscoroutinefunction(provider):
        found: Any = await provider(prompter.last_utterance)
    else:
        found = await asyncio.to_thread(provider, prompter.last_utterance)  # it may be slow
        found = await found if inspect.isawaitable(found) else found
    try:
        return Commonsense.model_validate(found)
    except ValidationError:
        names = ", ".join(Commonsense.model_fields)
        raise ParameterError(f"the commonsense provider must give a text for each of {names}") from None


def _phrase(text: str) -> str:
    """Return a text as part of a sentence."""
    return " ".join(text.split()).rstrip(".") or "nothing that is known"
