"""What `emoagents optimize` takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emoagents.cli.command import (
    ApiBase,
    Concurrency,
    Debug,
    Json,
    MaxTokens,
    Model,
    Params,
    Roles,
    Seed,
    Temperature,
    Work,
)
from emoagents.cli.optimize_options import OptimizeOptions

__all__ = ["optimize"]


def optimize(
    strategy: Annotated[
        str | None,
        typer.Option("--strategy", "-s", metavar="SPEC", help="What is optimised, as in `emoagents run`."),
    ] = None,
    optimizer: Annotated[
        str,
        typer.Option(
            "--optimizer", metavar="NAME", help="gepa, mipro, bootstrap (its prompts) or search (its choices)."
        ),
    ] = "gepa",
    train: Annotated[
        str | None, typer.Option(metavar="FILE", help="Examples to learn from: .jsonl or .csv, or a task as gsm8k.")
    ] = None,
    dev: Annotated[
        str | None, typer.Option(metavar="FILE", help="Examples to select and measure by.  [default: a third of train]")
    ] = None,
    test: Annotated[
        str | None, typer.Option(metavar="FILE", help="Examples that nothing but the last measurement sees.")
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="exact, numeric, f1, contains, or MODULE:FUNCTION of yours.  [default: exact]"
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="The card to write, as my.toml.")] = None,
    model: Model = None,
    reflection_model: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Proposes new texts (gepa, mipro).  [default: the same]")
    ] = None,
    role: Roles = None,
    param: Params = None,
    card: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A card of yours that overrides part of the strategy's.")
    ] = None,
    effort: Annotated[str, typer.Option(metavar="light | medium | heavy", help="How much is tried.")] = "light",
    demos: Annotated[int, typer.Option(metavar="N", help="Demonstrations of a prompt at most (bootstrap, mipro).")] = 8,
    choice: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=A,B", help="What search tries; without it, what the card declares. Repeatable."),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="K=NAME", help="Columns of your files: input=, target=, id=. Repeatable."),
    ] = None,
    budget: Annotated[
        str | None, typer.Option(metavar="LIMITS", help="For everything together, as calls=2000,usd=1.")
    ] = None,
    temperature: Temperature = None,
    max_tokens: MaxTokens = None,
    seed: Seed = 0,
    concurrency: Concurrency = 32,
    api_base: ApiBase = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the card at --out.")] = False,
    json: Json = False,
    debug: Debug = False,
) -> Work:
    """Improve a strategy's prompts on examples, and write the result as a card.

    Ends with before and after. Run the same command again and it goes on where it stopped. A metric of yours is a
    function that is imported and run.

    \b
    emoagents optimize -s heart --optimizer gepa --train train.jsonl --dev dev.jsonl --metric exact --out my.toml
    emoagents optimize -s emotion_prompt --optimizer search --train train.csv --budget calls=500 --out mine.toml
    """
    options = OptimizeOptions(
        strategy=strategy,
        optimizer=optimizer,
        train=train,
        dev=dev,
        test=test,
        metric=metric,
        out=out,
        model=model,
        reflection_model=reflection_model,
        roles=role or [],
        params=param or [],
        card=card,
        effort=effort,
        demos=demos,
        choices=choice or [],
        columns=column or [],
        budget=budget,
        temperature=temperature,
        max_tokens=max_tokens,
        seed=seed,
        concurrency=concurrency,
        api_base=api_base,
        force=force,
        json=json,
    )

    def work() -> int:
        from emoagents.cli.optimize import run_optimization

        return run_optimization(options)

    return work
