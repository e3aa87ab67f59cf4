"""`emoagents data ...` and `emoagents support ...`: emotional-support dialogues and what chooses among strategies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emoagents.cli.command import Debug, Json, Work, commands

__all__ = ["data_commands", "support_commands"]

data_commands = commands()
support_commands = commands()


@data_commands.callback()
def data() -> None:
    """Look into data sets."""


@support_commands.callback()
def support() -> None:
    """Measure support strategies, train a planner, test the crisis guard."""


@data_commands.command()
def esconv(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="ESConv.json, rows of the hub, or the authors' TSV.")],
    json: Json = False,
    debug: Debug = False,
) -> Work:
    """Count strategies, stages, problems and emotions of a file of support dialogues."""

    def work() -> int:
        from emoagents.cli.data import describe_esconv

        return describe_esconv(path, as_json=json)

    return work


@support_commands.command()
def guard(
    messages: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Messages of your own.  [default: the shipped table]")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", "-m", metavar="MODEL", help="Ask this model as well.")] = None,
    misses: Annotated[bool, typer.Option("--misses", help="Print each message that was judged wrongly.")] = False,
    json: Json = False,
    debug: Debug = False,
) -> Work:
    """Measure the crisis guard: its recall and its false alarms on a table of messages."""

    def work() -> int:
        from emoagents.cli.guard import measure_guard

        return measure_guard(messages, model=model, misses=misses, as_json=json)

    return work


@support_commands.command()
def train(
    data: Annotated[Path, typer.Option(metavar="PATH", help="Dialogues with labels, in any of the public shapes.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where the planner goes.")] = Path("planner.skops"),
    seed: Annotated[int, typer.Option(metavar="N", help="Of all that is drawn.")] = 0,
    json: Json = False,
    debug: Debug = False,
) -> Work:
    """Train a strategy planner on a file of yours, and say how good it is on dialogues it has not seen."""

    def work() -> int:
        from emoagents.cli.planner import train_planner

        return train_planner(data, out, seed=seed, as_json=json)

    return work
