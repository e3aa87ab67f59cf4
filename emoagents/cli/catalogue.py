"""`emoagents strategies`: the list, one strategy, or its graph."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from emoagents.card import load_card
from emoagents.cli.text import is_terminal
from emoagents.errors import ParameterError
from emoagents.registry import parse_spec, strategy_class, strategy_names

if TYPE_CHECKING:
    from emoagents.card import Card
    from emoagents.cli.layout import Row

__all__ = ["show_strategies"]


def show_strategies(name: str | None, *, mermaid: bool, memory: Path | None, as_json: bool) -> int:
    """List all strategies, or show one; return the exit status."""
    if name is None and (mermaid or memory is not None):
        raise ParameterError(f"--{'mermaid' if mermaid else 'memory'} needs the name of a strategy")
    if name is None:
        _list(as_json)
    elif mermaid:
        _draw(name)
    else:
        _show_one(name, memory, as_json)
    return 0


def _draw(spec: str) -> None:
    with _busy():
        from emoagents.cli.facts import to_look_at

        drawing = to_look_at(spec).graph.get_graph().draw_mermaid()
    print(drawing.rstrip())


def _show_one(name: str, memory: Path | None, as_json: bool) -> None:
    parts = parse_spec(name)
    if len(parts) > 1 or parts[0].value or parts[0].tone:
        raise ParameterError(
            f"strategies shows one strategy by its bare name, not {name!r}; --mermaid takes a whole SPEC"
        )
    if strategy_class(parts[0].name).name == "pipe":
        raise ParameterError(
            f"{parts[0].name} holds several strategies; --mermaid draws them, `emoagents diff` reads them"
        )
    with _busy():
        from emoagents.cli.facts import facts_of
        from emoagents.cli.page import print_page

        facts = facts_of(parts[0].name, memory)
    if as_json:
        print(json.dumps(facts.as_data(), default=str))
    else:
        print_page(facts)


def _list(as_json: bool) -> None:
    cards = [load_card(name) for name in strategy_names()]
    if as_json:
        keys = ("name", "title", "kind", "summary", "aliases")
        print(json.dumps([{key: getattr(card, key) for key in keys} for card in cards]))
    else:
        _print_list(cards)


def _print_list(cards: list[Card]) -> None:
    from emoagents.cli.layout import WIDEST, print_rows, quiet_console

    console = quiet_console(widest=WIDEST)
    print_rows(console, map(_entry, cards), indent=0, apart=True)
    console.print()
    console.print("Look closer:  emoagents strategies heart", style="dim")
    console.print('Use it:       emoagents run "Why?" -s heart', style="dim")
    console.print('Pipe two:     emoagents run "Why?" -s "emotion_prompt | gsa"', style="dim")


def _entry(card: Card) -> Row:
    from rich.text import Text

    does = "prepares the prompt" if card.kind == "prepare" else "answers"
    aliases = f", also called {', '.join(card.aliases)}" if card.aliases else ""
    return card.name, Text.assemble((card.title, "bold"), f"\n{card.summary}\n", (f"{does}{aliases}", "dim"))


@contextmanager
def _busy() -> Iterator[None]:
    """Show that something goes on: importing LangGraph takes a second or two."""
    if not is_terminal(sys.stderr):
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status("[dim]looking ...[/dim]", spinner_style="cyan"):
        yield
