"""What all commands have in common."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer
from typer.core import TyperGroup

from emoagents.errors import UnknownNameError

__all__ = [
    "ApiBase",
    "Budget",
    "Commands",
    "Concurrency",
    "Debug",
    "DryRun",
    "Folder",
    "Json",
    "MaxTokens",
    "Model",
    "Params",
    "Roles",
    "Seed",
    "Temperature",
    "Work",
    "Workers",
    "commands",
]

Work: TypeAlias = Callable[[], int]
"""What a command does, once its options are read; returns the exit status."""

Debug = Annotated[bool, typer.Option("--debug", help="Show the whole traceback of an error (or EMOAGENTS_DEBUG=1).")]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

Model = Annotated[
    str | None,
    typer.Option("--model", "-m", metavar="MODEL", help="[default: $EMOAGENTS_MODEL, else embedded/smollm2]"),
]

Roles = Annotated[
    list[str] | None,
    typer.Option("--role", metavar="NAME=MODEL", help="The model of one role, as sage=openai/gpt-4o. Repeatable."),
]

Params = Annotated[
    list[str] | None, typer.Option("--param", "-p", metavar="K=V", help="A parameter of the strategy. Repeatable.")
]

ApiBase = Annotated[str | None, typer.Option(metavar="URL", help="Address of an OpenAI-compatible server.")]

Temperature = Annotated[float | None, typer.Option(metavar="NUMBER", help="Randomness of the model's words.")]

MaxTokens = Annotated[int | None, typer.Option(metavar="N", help="Length of each answer of the model, at most.")]

# -- of an evaluation ------------------------------------------------------------------------------------------------

Seed = Annotated[int, typer.Option(metavar="N", help="Of the samples, and of all that is drawn.")]

Concurrency = Annotated[int, typer.Option(metavar="N", help="Requests in flight at most.")]

Budget = Annotated[str | None, typer.Option(metavar="LIMITS", help="For the whole evaluation, as calls=2000,usd=5.")]

Workers = Annotated[int | None, typer.Option(metavar="N", help="Processes.  [default: by the amount of work]")]

Folder = Annotated[Path | None, typer.Option(metavar="DIR", help="Where all is kept.  [default: comparisons/...]")]

DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and stop.")]


class Commands(TyperGroup):
    """Commands that say what was probably meant."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            raise UnknownNameError("command", args[0], self.commands)
        return super().resolve_command(ctx, args)


def commands() -> typer.Typer:
    """Return an empty set of commands."""
    return typer.Typer(
        cls=Commands,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
