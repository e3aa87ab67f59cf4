"""Ways to choose a strategy (Kang et al., ACL 2024, section 5 and Table 12), and the calibrated one, which is ours.

Where a reply is wanted, the paper's methods write strategy and utterance in one answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Literal, TypeAlias

from emoagents.errors import ParameterError
from emoagents.nodes.support.calibrate import calibrated
from emoagents.nodes.support.commonsense import knowledge
from emoagents.nodes.support.prompter import Prompter
from emoagents.nodes.support.schemas import Choice, Response
from emoagents.nodes.support.selection import Selection
from emoagents.nodes.support.settings import Settings
from emoagents.step import Run
from emoagents.support.debias import distribution_of
from emoagents.support.planner import CrossFitted, choice

__all__ = ["METHODS", "MethodName", "select"]

MethodName: TypeAlias = Literal[
    "vanilla",
    "direct_refine",
    "self_refine",
    "emotional_cot",
    "commonsense",
    "example_expansion",
    "planner",
    "calibrated",
]

Method: TypeAlias = Callable[[Prompter, Run, Settings], Awaitable[Selection]]


async def select(prompter: Prompter, run: Run, method: MethodName, settings: Settings) -> Selection:
    """Choose a strategy and tell of it (`selection`).

    Raises:
        RunError: the model did not answer. UsageError: the caller's mistake.
    """
    if settings.shots and method != "example_expansion":
        prompter = replace(prompter, examples=settings.draw_examples(prompter.conversation, settings.shots))
    found = replace(await METHODS[method](prompter, run, settings), method=method)
    facts = found.facts or {}
    run.emit(
        "selection",
        strategy=found.strategy,
        method=method,
        reason=found.reason,
        distribution=found.distribution,
        unparsed=found.unparsed,
        **facts,
    )
    return found


async def _vanilla(prompter: Prompter, run: Run, settings: Settings) -> Selection:
    return await _joint(prompter, run, "vanilla")


async def _direct_refine(prompter: Prompter, run: Run, settings: Settings) -> Selection:
    first = await _vanilla(prompter, run, settings)
    if first.strategy is None:
        return first
    return await _refined(prompter, run, first, _earlier(prompter, first))


async def _self_refine(prompter: Prompter, run: Run, settings: Settings) -> Selection:
    first = await _vanilla(prompter, run, settings)
    if first.strategy is None:
        return first
    earlier = _earlier(prompter, first)
    feedback = await _sentences(prompter, run, prompter.wanted("feedback"), earlier)
    said = [prompter.card.render("earlier_feedback", feedback=feedback)] if feedback else []
    return replace(await _refined(prompter, run, first, earlier, *said), reason=feedback)


async def _emotional_cot(prompter: Prompter, run: Run, settings: Settings) -> Selection:
    state = await _sentences(prompter, run, "state")
    known = [prompter.card.render("user_state", state=state)] if state else []
    return replace(await _joint(prompter, run, "vanilla", *known), reason=state)


async def _commonsense(prompter: Prompter, run: Run, settings: Settings) -> Selection:
    known = await knowledge(prompter, run, settings.commonsense)
    return await _joint(prompter, run, "vanilla", *filter(None, [known]))


async def _example_expansion(prompter: Prompter, run: Run, settings: Settings) -> Selection:
    expanded = replace(prompter, examples=settings.draw_examples(prompter.conversation, settings.shots or _EXPANDED))
    return await _vanilla(expanded, run, settings)


async def _planner(prompter: Prompter, run: Run, settings: Settings) -> Selection:
    if settings.planner is None:
        raise ParameterError("the method planner needs a planner: train one with `emoagents support train`")
    said = prompter.conversation
    planner = settings.planner
    if isinstance(planner, CrossFitted):
        planner = planner.planner_for(said.dialogue)
    found = distribution_of(await asyncio.to_thread(planner.distribution, said.turns, said.background))
    chosen = choice(found)
    return Selection(
        strategy=chosen,
        method="planner",
        reason=f"the planner gives it {found[chosen]:.0%}",
        distribution=found,
    )


METHODS: Mapping[MethodName, Method] = {
    "vanilla": _vanilla,
    "direct_refine": _direct_refine,
    "self_refine": _self_refine,
    "emotional_cot": _emotional_cot,
    "commonsense": _commonsense,
    "example_expansion": _example_expansion,
    "planner": _planner,
    "calibrated": calibrated,
}

_SENTENCES = 200
"""Tokens that two or three sentences have at most."""

_CHOICE = 64
"""Tokens of a choice alone: a limit that is meant for replies must not cut it."""

_EXPANDED = 4
"""Examples of example expansion in the paper."""


async def _refined(prompter: Prompter, run: Run, first: Selection, *known: str) -> Selection:
    """Ask for a refined response; the first one stands where that does not parse, which the trace says."""
    second = await _joint(prompter, run, "refine", *known)
    if second.strategy is not None:
        return second
    run.emit("unparsed", what="refinement", reason=second.unparsed)
    return first


async def _sentences(prompter: Prompter, run: Run, ask: str, *known: str) -> str:
    """Ask for a few sentences."""
    most = min(run.context.max_tokens or _SENTENCES, _SENTENCES)
    return (await run.ask_one(prompter.prompt(ask, *known), max_tokens=most)).text.strip()


async def _joint(prompter: Prompter, run: Run, ask: str, *known: str) -> Selection:
    """Ask for strategy and utterance at once, or for the strategy only."""
    schema, most = (Response, None) if prompter.reply else (Choice, _CHOICE)
    prompt = prompter.prompt(prompter.wanted(ask), *known)
    reply = await run.ask_one(prompt, response_format=schema, max_tokens=most)
    found = reply.parsed
    if not isinstance(found, Choice):
        return Selection(strategy=None, method="", unparsed=reply.parse_error)
    return Selection(
        strategy=found.strategy,
        method="",
        distribution=distribution_of({found.strategy: 1.0}),
        reply=found.response.strip() or None if isinstance(found, Response) else None,
    )


def _earlier(prompter: Prompter, first: Selection) -> str:
    if prompter.reply:
        return prompter.card.render("earlier", strategy=first.strategy or "", response=first.reply or "")
    return prompter.card.render("earlier_choice", strategy=first.strategy or "")
