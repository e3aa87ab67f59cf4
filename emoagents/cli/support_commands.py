"""`emoagents data ...` and `emoagents support ...`: emotional-support dialogues and what chooses among strategies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emoagents.cli.command import (
    ApiBase,
    Budget,
    Concurrency,
    Debug,
    DryRun,
    Folder,
    Json,
    MaxTokens,
    Model,
    Seed,
    Work,
    Workers,
    commands,
)
from emoagents.cli.options import SupportOptions

__all__ = ["data_commands", "support_commands"]

data_commands = commands()
support_commands = commands()

_Dialogues = Annotated[Path, typer.Option(metavar="PATH", help="Dialogues with labels, in any of the public shapes.")]


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


@support_commands.command("eval")
def evaluate(
    data: _Dialogues,
    method: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAMES",
            help="As 'vanilla, calibrated[prior=dialogues]'; repeatable.  [default: vanilla, calibrated, planner]",
        ),
    ] = None,
    model: Model = None,
    sampling: Annotated[
        str, typer.Option(metavar="paper | all", help="Instances as the paper draws them, or each labelled turn.")
    ] = "paper",
    limit: Annotated[int | None, typer.Option(metavar="N", help="Instances at most, drawn by the seed.")] = None,
    replies: Annotated[
        bool, typer.Option("--replies/--choices", help="Let the methods write replies too, and measure those.")
    ] = False,
    planner: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A trained planner.  [default: trained on the other half of the dialogues]"),
    ] = None,
    examples: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where examples come from.  [default: self-written ones]")
    ] = None,
    param: Annotated[
        list[str] | None, typer.Option("--param", "-p", metavar="K=V", help="For every method that has it. Repeatable.")
    ] = None,
    seed: Seed = 0,
    temperature: Annotated[float, typer.Option(metavar="NUMBER", help="0.7 is the paper's.")] = 0.7,
    max_tokens: MaxTokens = None,
    budget: Budget = None,
    concurrency: Concurrency = 32,
    workers: Workers = None,
    api_base: ApiBase = None,
    out: Folder = None,
    dry_run: DryRun = False,
    json: Json = False,
    debug: Debug = False,
) -> Work:
    """Measure ways of choosing the support strategy, on the same instances.

    Q (macro-F1), preference bias B, F1 of each stage, with intervals and paired tests against the first method. The
    same command goes on where it stopped. Methods: vanilla, direct_refine, self_refine, emotional_cot, commonsense,
    example_expansion, planner, calibrated.

    \b
    emoagents support eval --data ESConv.json --method vanilla,calibrated,planner -m openai/gpt-4o-mini --limit 500
    """
    options = SupportOptions(
        data=data,
        methods=method or [],
        model=model,
        sampling=sampling,
        replies=replies,
        planner=planner,
        examples=examples,
        params=param or [],
        api_base=api_base,
        temperature=temperature,
        max_tokens=max_tokens,
        limit=limit,
        seed=seed,
        budget=budget,
        concurrency=concurrency,
        workers=workers,
        out=out,
        dry_run=dry_run,
        json=json,
    )

    def work() -> int:
        from emoagents.cli.support import evaluate_support

        return evaluate_support(options)

    return work


@support_commands.command()
def prior(
    model: Model = None,
    examples: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Dialogues to measure it on.  [default: self-written ones]")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where it goes.")] = Path("prior.json"),
    seed: Annotated[int, typer.Option(metavar="N", help="Of the dialogues that are drawn.")] = 0,
    api_base: ApiBase = None,
    json: Json = False,
    debug: Debug = False,
) -> Work:
    """Measure a model's own preference among the strategies, once, for `--param prior=FILE`."""

    def work() -> int:
        from emoagents.cli.prior import measure_prior

        return measure_prior(model, examples, out, seed=seed, api_base=api_base, as_json=json)

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
    data: _Dialogues,
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
