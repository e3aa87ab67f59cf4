"""What must hold of a card and no type can say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from emoagents.card.check_stages import check_stages
from emoagents.card.models import Card, Prompt, Variation
from emoagents.card.template import NEARLY, places
from emoagents.errors import CardError, did_you_mean

__all__ = ["LISTS", "check", "check_fits", "check_ids", "sourced"]

LISTS = ("stimuli", "variations", "stages")
"""What is merged by id; the only names that `replace` takes."""

_BUILT_IN_SOURCES = ("ours", "user")


def check(card: Card, path: str) -> None:
    """Check what a type cannot say.

    Raises:
        CardError: something is wrong; `path` is the file that it names.
    """
    for key in LISTS:
        check_ids([{"id": entry.id} for entry in getattr(card, key)], key, path)
    _check_sources(card, path)
    for name, prompt in card.prompts.items():
        if "." in name:  # it parts what is nested in names as solver.ask
            raise CardError(path, f"prompts.{name}", "a prompt's name has no dot; choose another")
        known = prompt.variables or (places(prompt.text) if card.graph else [])
        _check_template(prompt.text, known, f"prompts.{name}.text", path)
        _check_demos(prompt, known, f"prompts.{name}.demos", path)
    _check_ask(card, path)
    for variation in card.variations:
        _check_variation(variation, path)
    for name, values in card.choices.items():
        _check_choices(name, values, path)
    check_stages(card, path)


def check_ids(entries: Sequence[Any], key: str, path: str) -> None:
    """Check that each entry of a list has an id of its own."""
    seen: set[str] = set()
    for index, entry in enumerate(entries):
        id = entry.get("id") if isinstance(entry, Mapping) else None
        if not isinstance(id, str):
            raise CardError(path, f"{key}[{index}].id", "missing" if id is None else "must be a string")
        if id.casefold() in seen:
            raise CardError(path, f"{key}.{id}", "this id stands twice")
        seen.add(id.casefold())


def _check_sources(card: Card, path: str) -> None:
    for built_in in _BUILT_IN_SOURCES:
        if built_in in card.sources:
            raise CardError(path, f"sources.{built_in}", "this name is built in; choose another")
    known = [*card.sources, *_BUILT_IN_SOURCES]
    for key, source in sourced(card):
        if source not in known:
            reason = f"{source!r} is not declared in [sources]{did_you_mean(source, known)}"
            raise CardError(path, f"{key}.source", reason)


def sourced(card: Card) -> Iterator[tuple[str, str]]:
    """Yield the place and the source of each text of a card."""
    yield from ((f"prompts.{name}", p.source) for name, p in card.prompts.items())
    yield from ((f"placements.{name}", p.source) for name, p in card.placements.items())
    yield from ((f"stimuli.{s.id}", s.source) for s in card.stimuli)
    yield from ((f"variations.{v.id}", v.source) for v in card.variations)
    yield from ((f"lists.{name}", labels.source) for name, labels in card.lists.items())


def _check_template(text: str, variables: Sequence[str], key: str, path: str) -> None:
    nearly = NEARLY.search(text)
    if nearly:  # or it would reach the model as it is
        raise CardError(path, key, f"{nearly[0]!r} is not a variable; write {{{{name}}}} and nothing else inside")
    for place in places(text):
        if place not in variables:
            reason = f"{{{{{place}}}}} is not a variable of this prompt{did_you_mean(place, variables)}"
            raise CardError(path, key, reason)


def _check_ask(card: Card, path: str) -> None:
    ask = card.prompts.get("ask")
    if ask is not None and "question" in ask.variables and "question" not in places(ask.text):
        raise CardError(path, "prompts.ask.text", "does not ask the question; put {{question}} into it")


def _check_demos(prompt: Prompt, known: Sequence[str], key: str, path: str) -> None:
    """Check that demonstrations fill the prompt's places, and that a model can be sent what stands around them."""
    for number, demo in enumerate(prompt.demos):
        for name in demo.values:
            if name not in known:
                reason = f"{name!r} is not a variable of this prompt{did_you_mean(name, known)}"
                raise CardError(path, f"{key}[{number}].values", reason)
        for place in places(prompt.text):
            if place not in demo.values:
                raise CardError(path, f"{key}[{number}].values", f"no value for {{{{{place}}}}}")
        for message in (*demo.before, *demo.after):
            if not isinstance(message.get("role"), str):
                raise CardError(path, f"{key}[{number}]", "a message around it has no role")


def _check_variation(variation: Variation, path: str) -> None:
    key = f"variations.{variation.id}"
    _check_template(variation.text, ["question"], f"{key}.text", path)
    if not places(variation.text):
        raise CardError(path, f"{key}.text", "does not ask the question; put {{question}} into it")
    if variation.kind == "language" and not variation.language:
        raise CardError(path, f"{key}.language", "missing; a variation of kind 'language' names its language")


def _check_choices(name: str, values: Sequence[Any], path: str) -> None:
    """Check a choice as far as a card can know it; whether the strategy has it is found where one is searched."""
    key = f"choices.{name}"
    if not name.strip():
        raise CardError(path, "choices", "a choice needs the name of a parameter")
    for index, value in enumerate(values):
        if any(type(value) is type(other) and value == other for other in values[:index]):
            raise CardError(path, f"{key}[{index}]", f"the value {value!r:.80} stands twice")


def check_fits(base: Card, card: Card, path: str) -> None:
    """Check that the strategy whose card is `base` can run with `card`."""
    if card.kind != base.kind:
        raise CardError(path, "kind", f"must stay {base.kind!r}, as in the card {base.name!r}")
    if card.graph != base.graph:
        raise CardError(path, "graph", f"must stay {base.graph or 'unset'!r}, as in the card {base.name!r}")
    if card.graph:
        return  # its stages say what they need, and have been checked
    _check_names(base.prompts, card.prompts, "prompts", path)
    _check_names(base.placements, card.placements, "placements", path)
    for name, prompt in card.prompts.items():
        for variable in prompt.variables:
            if variable not in base.prompts[name].variables:
                reason = f"the strategy gives no {variable!r}{did_you_mean(variable, base.prompts[name].variables)}"
                raise CardError(path, f"prompts.{name}.variables", reason)


def _check_names(base: Mapping[str, Any], given: Mapping[str, Any], key: str, path: str) -> None:
    for name in given:
        if name not in base:
            raise CardError(path, f"{key}.{name}", f"the strategy has no such entry{did_you_mean(name, list(base))}")
    for name in base:
        if name not in given:
            raise CardError(path, f"{key}.{name}", "missing")
