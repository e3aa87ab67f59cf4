"""`emoagents strategies NAME`: one strategy on the screen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console
from rich.text import Text

from emoagents.card import Card, Prompt, Source
from emoagents.card.stages import Condition, Stage
from emoagents.card.template import places
from emoagents.cli.facts import Facts, Parameter
from emoagents.cli.layout import WIDEST, Row, print_rows, quiet_console

__all__ = ["print_page"]


def print_page(facts: Facts) -> None:
    """Print all that is known of a strategy."""
    console = quiet_console(widest=WIDEST)
    _print_head(console, facts)
    for title, rows in _sections(facts):
        shown = list(rows)
        if shown:
            console.print(f"\n{title}", style="bold")
            print_rows(console, shown)


def _print_head(console: Console, facts: Facts) -> None:
    card = facts.card
    names = ", ".join([card.name, *card.aliases])
    console.print(Text.assemble((card.title, "bold"), "  ", (names, "cyan")))
    console.print(card.summary)
    does = "prepares the prompt; another strategy may answer it" if card.kind == "prepare" else "answers the prompt"
    console.print(f"\nIt {does}. Calls to the model: {facts.expected_calls}.")


def _sections(facts: Facts) -> Iterator[tuple[str, Iterable[Row]]]:
    card = facts.card
    yield "Parameters", map(_parameter, facts.parameters)
    yield "Stages", map(_stage, card.stages)
    yield "Graph", ((source, f"to {' or '.join(targets)}") for source, targets in facts.edges.items())
    yield "Learned by the adaptive schedule", _learned(facts)
    yield "Prompts", ((name, _tagged(", ".join(_variables(p)), p.source)) for name, p in card.prompts.items())
    yield "Lists", ((name, _tagged(", ".join(labels.values), labels.source)) for name, labels in card.lists.items())
    yield "Placements", ((name, _tagged(p.note, p.source)) for name, p in card.placements.items())
    yield "Stimuli", ((s.id, _tagged(s.text, s.source)) for s in card.stimuli)
    yield "Variations", ((v.id, _tagged(v.text, v.source)) for v in card.variations)
    yield "Sources", _sources(card)
    yield "Notes", (("-", note) for note in card.notes)


def _parameter(parameter: Parameter) -> Row:
    kind = Text(f"{parameter.type}; default {parameter.default}", style="dim")
    return parameter.name, Text(f"{parameter.help}\n" if parameter.help else "") + kind


def _variables(prompt: Prompt) -> list[str]:
    return prompt.variables or list(dict.fromkeys(places(prompt.text)))


def _stage(stage: Stage) -> Row:
    """Return what a stage asks for, and what is special about it."""
    facts: list[str] = [stage.written]
    facts += [f"reads {' and '.join(stage.reads)}"] if stage.reads else []
    facts += [f"for each of {stage.for_each}"] if stage.for_each else []
    facts += [_condition(stage.when)] if stage.when else []
    facts += [f"role {stage.role}"] if stage.role else []
    facts += ["may fail"] if stage.optional else []
    names = ", ".join(str(field.get("name")) for field in stage.fields) or stage.id
    return stage.id, Text.assemble(names, "  ", ("; ".join(facts), "dim"))


def _condition(when: Condition) -> str:
    wanted = [f"is {' or '.join(map(str, when.is_))}"] if when.is_ else []
    unwanted = [f"is not {' or '.join(map(str, when.not_))}"] if when.not_ else []
    return f"where {when.field} {' and '.join(wanted + unwanted)}"


def _learned(facts: Facts) -> Iterator[Row]:
    for emotion, (tried, repaired) in sorted(facts.learned.items(), key=lambda item: -item[1][1]):
        yield emotion, f"repaired {repaired} of {tried}"
    if facts.memory is not None:
        yield "file", str(facts.memory)


def _sources(card: Card) -> Iterator[Row]:
    used: list[Any] = [*card.prompts.values(), *card.placements.values(), *card.stimuli, *card.variations]
    used += card.lists.values()
    if any(entry.source == "ours" for entry in used):
        yield "ours", "written for emoagents"
    for key, source in card.sources.items():
        yield key, _cited(source)


def _cited(source: Source) -> str:
    facts = [source.authors, str(source.year or ""), source.title]
    return "\n".join(filter(None, [", ".join(filter(None, facts)), source.url]))


def _tagged(text: str, source: str) -> Text:
    return Text.assemble(" ".join(text.split()), " " if text else "", (f"[{source}]", "dim"))
