"""The texts of a strategy that an optimiser may change, by name, and the same strategy with other texts.

A name is that of a prompt in the card, with the path of what is nested before it: "ask", "solver.synthesize".
"""

from __future__ import annotations

import dataclasses
import functools
import operator
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, cast

from emoagents.asked import AS_IT_IS, ASK, variables_of
from emoagents.card import Card, Prompt, Source
from emoagents.card.template import places
from emoagents.errors import UnknownNameError
from emoagents.strategies.base import Strategy

__all__ = ["as_template", "card_of", "nested_in", "prompts_of", "signed", "with_prompts"]

NESTED = "solver"
"""The parameter that holds a nested strategy."""

OPTIMISED = "optimised"
"""The source of a text that an optimiser wrote."""

_PLACE = re.compile(r"(?<!\{)(\{{2,}+)([^{}]*+)(\}{2,}+)")


def prompts_of(strategy: Strategy) -> dict[str, Prompt]:
    """Return the prompts by which a strategy and what it nests may ask a model, in order."""
    return dict(_prompts_of(strategy))


def _prompts_of(strategy: Strategy) -> Iterator[tuple[str, Prompt]]:
    answering = strategy.answering
    inner = nested_in(strategy)
    for name, prompt in prompts_of(inner).items() if inner is not None else ():
        yield f"{NESTED}.{name}", prompt
    for name in answering.asks:
        card = card_of(answering)
        yield name, AS_IT_IS if name == ASK and name not in card.prompts else card.prompt(name)


def nested_in(strategy: Strategy) -> Strategy | None:
    """Return the strategy that gives another one's candidates."""
    inner = getattr(strategy.answering, NESTED, None)
    return inner if isinstance(inner, Strategy) else None


def card_of(strategy: Strategy) -> Card:
    """Return a strategy's card."""
    return cast(Card, cast(Any, strategy).card)


def with_prompts(strategy: Strategy, prompts: Mapping[str, Prompt]) -> Strategy:
    """Return the same strategy with these prompts in its cards; what is not named stays as it is.

    Args:
        prompts: by name, as `prompts_of` gives them.

    Raises:
        UnknownNameError: a name is none of the strategy's. CardError: a prompt does not fit.
    """
    known = prompts_of(strategy)
    for name in prompts:
        if name not in known:
            raise UnknownNameError("prompt", name, known)
    return _with_prompts(strategy, {name: p for name, p in prompts.items() if p != known[name]})


def _with_prompts(strategy: Strategy, prompts: Mapping[str, Prompt]) -> Strategy:
    if not prompts:
        return strategy
    answering: Any = strategy.answering
    own = {name: prompt for name, prompt in prompts.items() if "." not in name}
    within = {name.removeprefix(f"{NESTED}."): prompt for name, prompt in prompts.items() if "." in name}
    changes: dict[str, Any] = {}
    if own:
        card = card_of(answering)
        changes["card"] = card.model_copy(update={"prompts": {**card.prompts, **own}})
    if within:
        changes[NESTED] = _with_prompts(getattr(answering, NESTED), within)
    tuned = dataclasses.replace(answering, **changes)
    return _answering(strategy, tuned)


def as_template(text: str, prompt: Prompt) -> str:
    """Return a text that somebody proposed for a prompt as a template that the prompt can have.

    What the old text showed must be shown by the new one: places that it leaves out are added at its end, the only one
    as it is, of several each under its name. `{{ name }}` becomes a place; braces around anything else are made single.

    Args:
        text: the proposal. prompt: the prompt as it was.
    """
    shown = places(prompt.text)
    known = variables_of(prompt)
    text = _PLACE.sub(lambda m: _place(m[1], m[2], m[3], known), text)
    missing = [name for name in shown if name not in places(text)]
    added = [f"{{{{{name}}}}}" if len(shown) == 1 else f"{name}:\n{{{{{name}}}}}" for name in missing]
    return "\n\n".join([*([text] if text.strip() else []), *added]) or prompt.text


def _place(opening: str, inside: str, closing: str, known: Collection[str]) -> str:
    """Return what stands in braces as a place, or in braces of which one side is single."""
    if (name := inside.strip()) in known:
        return f"{opening}{name}{closing}"
    both = min(len(opening), len(closing)) - 1
    return f"{opening[both:]}{inside}{closing[both:]}"


def signed(before: Strategy, after: Strategy, note: str = "") -> Strategy:
    """Return a tuned strategy whose changed prompts say so: their source is "optimised", no longer the paper's.

    Args:
        before, after: the strategy as it was, and as it was tuned. note: who or what tuned it.
    """
    old = prompts_of(before)
    changed = {name: prompt for name, prompt in prompts_of(after).items() if prompt.text != old[name].text}
    marked = {name: _signed(prompt, old[name]) for name, prompt in changed.items()}
    return _with_source(with_prompts(after, marked), marked, note)


def _signed(prompt: Prompt, old: Prompt) -> Prompt:
    began = old.note if old.source == OPTIMISED else f"It began as a text whose source is {old.source!r}."
    return prompt.model_copy(update={"source": OPTIMISED, "note": began})


def _with_source(strategy: Strategy, names: Mapping[str, Prompt], note: str) -> Strategy:
    """Declare the source in the cards that have a prompt of it."""
    if not names:
        return strategy
    answering: Any = strategy.answering
    changes: dict[str, Any] = {}
    if any("." not in name for name in names):
        card = card_of(answering)
        source = Source(title="Written by an optimiser", note=note)
        changes["card"] = card.model_copy(update={"sources": {**card.sources, OPTIMISED: source}})
    within = {name.removeprefix(f"{NESTED}."): prompt for name, prompt in names.items() if "." in name}
    if within:
        changes[NESTED] = _with_source(getattr(answering, NESTED), within, note)
    return _answering(strategy, dataclasses.replace(answering, **changes))


def _answering(strategy: Strategy, tuned: Strategy) -> Strategy:
    """Return the strategy with another part that answers."""
    parts: list[Strategy] = [*strategy.preparing, tuned]
    return functools.reduce(operator.or_, parts)
