"""The ways to choose a strategy (Kang et al., ACL 2024, section 5 and Table 12), and the calibrated one, which is ours.

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
from emoagents.nodes.support.desk import Desk, Selection
from emoagents.nodes.support.schemas import Choice, Response
from emoagents.nodes.support.ways import Ways
from emoagents.step import Run
from emoagents.support.debias import best, distribution_of
from emoagents.support.planner import CrossFitted

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

Method: TypeAlias = Callable[[Desk, Run, Ways], Awaitable[Selection]]


async def select(desk: Desk, run: Run, method: MethodName, ways: Ways) -> Selection:
    """Choose a strategy and tell of it (`selection`).

    Raises:
        RunError: the model did not answer. UsageError: the caller's mistake.
    """
    if ways.shots and method != "example_expansion":
        desk = replace(desk, examples=ways.draw_examples(desk.conversation, ways.shots))
    found = replace(await METHODS[method](desk, run, ways), method=method)
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


async def _vanilla(desk: Desk, run: Run, ways: Ways) -> Selection:
    return await _joint(desk, run, desk.ask("vanilla"))


async def _direct_refine(desk: Desk, run: Run, ways: Ways) -> Selection:
    first = await _vanilla(desk, run, ways)
    if first.strategy is None:
        return first
    return await _refined(desk, run, first, _earlier(desk, first))


async def _self_refine(desk: Desk, run: Run, ways: Ways) -> Selection:
    first = await _vanilla(desk, run, ways)
    if first.strategy is None:
        return first
    earlier = _earlier(desk, first)
    feedback = await _sentences(desk, run, earlier, desk.ask("feedback"))
    said = [desk.card.render("earlier_feedback", feedback=feedback)] if feedback else []
    return replace(await _refined(desk, run, first, earlier, *said), reason=feedback)


async def _emotional_cot(desk: Desk, run: Run, ways: Ways) -> Selection:
    state = await _sentences(desk, run, desk.card.render("state"))
    known = [desk.card.render("user_state", state=state)] if state else []
    return replace(await _joint(desk, run, *known, desk.ask("vanilla")), reason=state)


async def _commonsense(desk: Desk, run: Run, ways: Ways) -> Selection:
    known = await knowledge(desk, run, ways.commonsense)
    return await _joint(desk, run, *filter(None, [known]), desk.ask("vanilla"))


async def _example_expansion(desk: Desk, run: Run, ways: Ways) -> Selection:
    expanded = replace(desk, examples=ways.draw_examples(desk.conversation, ways.shots or _EXPANDED))
    return await _vanilla(expanded, run, ways)


async def _planner(desk: Desk, run: Run, ways: Ways) -> Selection:
    if ways.planner is None:
        raise ParameterError("the method planner needs a planner: train one with `emoagents support train`")
    said = desk.conversation
    planner = ways.planner
    if isinstance(planner, CrossFitted):
        planner = planner.planner_for(said.dialogue)
    found = distribution_of(await asyncio.to_thread(planner.distribution, said.turns, said.background))
    chosen = best(found)
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


async def _refined(desk: Desk, run: Run, first: Selection, *asks: str) -> Selection:
    """Ask for a refined response; the first one stands where that does not parse, which the trace says."""
    second = await _joint(desk, run, *asks, desk.ask("refine"))
    if second.strategy is not None:
        return second
    run.emit("unparsed", what="refinement", reason=second.unparsed)
    return first


async def _sentences(desk: Desk, run: Run, *asks: str) -> str:
    """Ask for a few sentences."""
    most = min(run.context.max_tokens or _SENTENCES, _SENTENCES)
    return (await run.ask_one(desk.prompt(*asks), max_tokens=most)).text.strip()


async def _joint(desk: Desk, run: Run, *asks: str) -> Selection:
    """Ask for strategy and utterance at once, or for the strategy only."""
    schema, most = (Response, None) if desk.reply else (Choice, _CHOICE)
    reply = await run.ask_one(desk.prompt(*asks), response_format=schema, max_tokens=most)
    found = reply.parsed
    if not isinstance(found, Choice):
        return Selection(strategy=None, method="", unparsed=reply.parse_error)
    return Selection(
        strategy=found.strategy,
        method="",
        distribution=distribution_of({found.strategy: 1.0}),
        reply=found.response.strip() or None if isinstance(found, Response) else None,
    )


def _earlier(desk: Desk, first: Selection) -> str:
    if desk.reply:
        return desk.card.render("earlier", strategy=first.strategy or "", response=first.reply or "")
    return desk.card.render("earlier_choice", strategy=first.strategy or "")
