"""`emoagents longemotion ...`: emotional understanding in long contexts."""

from __future__ import annotations

from dataclasses import dataclass
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
    Roles,
    Seed,
    Temperature,
    Work,
    Workers,
    commands,
)
from emoagents.cli.options import EvaluationOptions

__all__ = ["LongEmotionOptions", "longemotion_commands"]

longemotion_commands = commands()


@dataclass(frozen=True, slots=True, kw_only=True)
class LongEmotionOptions(EvaluationOptions):
    """What was written behind `emoagents longemotion eval`."""

    tasks: list[str]
    arms: list[str]
    roles: list[str]
    judge: str | None
    rubric: Path | None
    task_options: list[str]


@longemotion_commands.callback()
def longemotion() -> None:
    """Measure emotional understanding in long contexts."""


@longemotion_commands.command("eval")
def evaluate(
    task: Annotated[
        list[str],
        typer.Option(
            metavar="NAMES",
            help="Of classification, detection, qa, summary, conversation, expression; or all. Repeatable.",
        ),
    ],
    data: Annotated[Path, typer.Option(metavar="PATH", help="LongEmotion's folder, or the one file of a task.")],
    arm: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAMES",
            help="Of base, rag, coem, coem-no-enrich, coem-no-rerank; or strategies, as 'plain'. Repeatable.  "
            "[default: base, rag, coem]",
        ),
    ] = None,
    model: Model = None,
    role: Roles = None,
    judge: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Scores summary, conversation and expression.")
    ] = None,
    rubric: Annotated[
        Path | None, typer.Option(metavar="PATH", help="A rubric of your own for the judge, or a folder of them.")
    ] = None,
    task_option: Annotated[
        list[str] | None,
        typer.Option(metavar="K=V", help="stages=all, checkpoints=all, length=TOKENS. Repeatable."),
    ] = None,
    param: Annotated[
        list[str] | None, typer.Option("--param", "-p", metavar="K=V", help="For every arm that has it. Repeatable.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(metavar="N", help="Items of each task at most, drawn by the seed.")
    ] = None,
    seed: Seed = 0,
    temperature: Temperature = 0.8,
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
    """Measure ways of reading long texts for their emotions, on the same items.

    Accuracy, F1 of words, or a judge's scores by the task; intervals and paired tests against the first arm; the
    overall score where all six tasks are there. The same command goes on where it stopped. Bring the data: its
    licence is unclear, so none of it is here.

    \b
    emoagents longemotion eval --task detection --data LongEmotion --arm base,rag,coem -m openai/gpt-4o-mini
    """
    options = LongEmotionOptions(
        tasks=task,
        data=data,
        arms=arm or [],
        model=model,
        roles=role or [],
        judge=judge,
        rubric=rubric,
        task_options=task_option or [],
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
        from emoagents.cli.longemotion import evaluate_longemotion

        return evaluate_longemotion(options)

    return work
