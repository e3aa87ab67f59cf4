"""What the command line takes.

A command only collects its options and returns the work. `entry` begins it, and what is slow is imported there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emoagents.cli.command import (
    ApiBase,
    Concurrency,
    Debug,
    DryRun,
    Folder,
    Json,
    MaxTokens,
    Model,
    Params,
    Roles,
    Seed,
    Temperature,
    Work,
    commands,
)
from emoagents.cli.longemotion_commands import longemotion_commands
from emoagents.cli.optimize_command import optimize
from emoagents.cli.options import ChatOptions, CompareOptions, Options
from emoagents.cli.support_commands import data_commands, support_commands

__all__ = ["DEFAULT_STRATEGY", "app"]

DEFAULT_STRATEGY = "emotion_prompt | gsa"

app = commands()
app.add_typer(data_commands, name="data")
app.add_typer(support_commands, name="support")
app.add_typer(longemotion_commands, name="longemotion")
app.command()(optimize)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"emoagents {version('emoagents')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def emoagents(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and stop.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Emotional and generative prompting strategies, for any model.

    \b
    emoagents run "Why is the sky blue?"
    emoagents run "What is 17 * 23?" --strategy heart:3 --param verifier=numeric:391
    git diff | emoagents run --system "Review this change." --model openai/gpt-4o-mini
    emoagents compare --task gsm8k --limit 50 --strategies "plain, gsa:3, self_consistency:4"
    emoagents strategies
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def run(
    prompt: Annotated[
        str | None,
        typer.Argument(metavar="PROMPT | -", hidden=True),
    ] = None,
    strategy: Annotated[
        str,
        typer.Option(
            "--strategy", "-s", metavar="SPEC", help="NAME[:VALUE][@TONE], joined by | where one feeds the next."
        ),
    ] = DEFAULT_STRATEGY,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="MODEL",
            help="As openai/gpt-4o-mini, ollama/llama3.2.  [default: $EMOAGENTS_MODEL, else embedded/smollm2]",
        ),
    ] = None,
    role: Roles = None,
    param: Annotated[
        list[str] | None,
        typer.Option(
            "--param", "-p", metavar="K=V", help="A parameter of the strategy; in a pipe also NAME.K=V. Repeatable."
        ),
    ] = None,
    card: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A card of yours that overrides part of the strategy's.")
    ] = None,
    budget: Annotated[
        str | None, typer.Option(metavar="LIMITS", help="Spend at most, as calls=20,tokens=5000,usd=0.5,seconds=60.")
    ] = None,
    system: Annotated[str | None, typer.Option(metavar="TEXT", help="The system message.")] = None,
    temperature: Temperature = None,
    max_tokens: MaxTokens = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="The same seed brings the same run, if the model can.")
    ] = None,
    cache: Annotated[str | None, typer.Option(metavar="FILE", help="Keep answers here; ask nothing twice.")] = None,
    api_base: ApiBase = None,
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="For one call with all its retries.  [default: 600]")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object: answer, usage, trace.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show every event of the run on stderr.")] = False,
    debug: Debug = False,
) -> Work:
    """Answer a question by a strategy.

    PROMPT is read from stdin if it is missing or "-". Into a pipe only the answer is printed. Keys of providers
    come from the environment, as OPENAI_API_KEY.
    """
    options = Options(
        prompt=prompt,
        strategy=strategy,
        model=model,
        roles=role or [],
        params=param or [],
        card=card,
        budget=budget,
        system=system,
        temperature=temperature,
        max_tokens=max_tokens,
        seed=seed,
        cache=cache,
        api_base=api_base,
        timeout=timeout,
        json=json,
        verbose=verbose,
    )

    def work() -> int:
        from emoagents.cli.run import run_strategy

        return run_strategy(options)

    return work


@app.command()
def chat(
    strategy: Annotated[
        str, typer.Option("--strategy", "-s", metavar="SPEC", help="What answers, as in `emoagents run`.")
    ] = "support",
    model: Model = None,
    role: Roles = None,
    param: Params = None,
    thread: Annotated[
        str | None, typer.Option(metavar="ID", help="Go on with this conversation, or begin one of that name.")
    ] = None,
    store: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where conversations are kept.  [default: your state folder]")
    ] = None,
    background: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What is known of the person before the first word.")
    ] = None,
    budget: Annotated[
        str | None, typer.Option(metavar="LIMITS", help="For each reply, as calls=20,tokens=5000,usd=0.5.")
    ] = None,
    temperature: Temperature = None,
    max_tokens: MaxTokens = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="The same seed brings the same replies.")] = None,
    api_base: ApiBase = None,
    debug: Debug = False,
) -> Work:
    """Talk with a strategy; the conversation is kept, and can be gone on with.

    Not a medical device. In a crisis call your local emergency number.

    \b
    /why   how the last reply was made      /undo  take back your last message
    /save FILE   write the conversation     /help  all of these
    """
    options = ChatOptions(
        strategy=strategy,
        model=model,
        roles=role or [],
        params=param or [],
        thread=thread,
        store=store,
        background=background,
        budget=budget,
        temperature=temperature,
        max_tokens=max_tokens,
        seed=seed,
        api_base=api_base,
    )

    def work() -> int:
        from emoagents.cli.chat import chat

        return chat(options)

    return work


@app.command()
def strategies(
    name: Annotated[str | None, typer.Argument(metavar="NAME", hidden=True)] = None,
    mermaid: Annotated[
        bool, typer.Option("--mermaid", help="Print only the graph, as Mermaid text; NAME may be a whole SPEC.")
    ] = False,
    memory: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where heart's adaptive schedule keeps what it learned.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    debug: Debug = False,
) -> Work:
    """List the strategies, or show one.

    With NAME: its parameters, expected calls, graph, texts and where each of them comes from.
    """

    def work() -> int:
        from emoagents.cli.catalogue import show_strategies

        return show_strategies(name, mermaid=mermaid, memory=memory, as_json=json)

    return work


@app.command()
def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help="A strategy's name or spec, or a file.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The same.")],
    json: Json = False,
    debug: Debug = False,
) -> Work:
    """Show what differs between two strategies, word by word.

    Prompts, demonstrations, parameters, what is nested. Ends with status 0 where nothing differs, else with 1.

    \b
    emoagents diff heart my.toml
    emoagents diff heart:3 "heart:3@neutral"
    """

    def work() -> int:
        from emoagents.cli.diff import diff as show_difference

        return show_difference(old, new, as_json=json)

    return work


@app.command()
def compare(
    task: Annotated[
        list[str] | None,
        typer.Option(
            "--task", "-t", metavar="TASK", help="As gsm8k, instruction_induction:antonyms, csv:FILE. Repeatable."
        ),
    ] = None,
    strategies: Annotated[
        str | None,
        typer.Option("--strategies", "-s", metavar="ARMS", help="Specs with commas between, as 'plain, gsa:3'."),
    ] = None,
    arm: Annotated[
        list[str] | None, typer.Option(metavar="SPEC", help="One arm more; its spec may hold commas. Repeatable.")
    ] = None,
    model: Model = None,
    role: Roles = None,
    data: Annotated[
        Path | None, typer.Option(metavar="PATH", help="The task's data; without it they are fetched by name.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(metavar="N", help="Items of each task at most, drawn by the seed.")
    ] = None,
    shots: Annotated[int, typer.Option(metavar="N", help="Worked examples shown before each question.")] = 0,
    replicas: Annotated[int, typer.Option(metavar="N", help="Repetitions of each attempt with other samples.")] = 1,
    seed: Seed = 0,
    baseline: Annotated[
        str | None, typer.Option(metavar="ARM", help="What all are compared with.  [default: plain, else the first]")
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(
            "--param",
            "-p",
            metavar="K=V",
            help="For every arm that has this parameter, as verifier=judge; verifier=oracle knows the right answer.",
        ),
    ] = None,
    twins: Annotated[
        bool, typer.Option("--twins/--no-twins", help="Add the neutral twin of each emotional arm.")
    ] = True,
    equal_tokens: Annotated[
        bool,
        typer.Option("--equal-tokens", help="Add self-consistency at as many tokens as other arms use."),
    ] = False,
    temperature: Annotated[float, typer.Option(metavar="NUMBER", help="The same for all arms.")] = 0.7,
    max_tokens: MaxTokens = None,
    stop: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="The model stops before this text. Repeatable.")
    ] = None,
    judge: Annotated[str | None, typer.Option(metavar="MODEL", help="For tasks that a model scores.")] = None,
    budget: Annotated[
        str | None, typer.Option(metavar="LIMITS", help="For the whole comparison, as calls=2000,usd=5.")
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="K=NAME", help="Columns of your file: input=, target=, id=, group=. Repeatable."),
    ] = None,
    task_option: Annotated[
        list[str] | None, typer.Option(metavar="K=V", help="What else a task can be told. Repeatable.")
    ] = None,
    concurrency: Concurrency = 32,
    workers: Annotated[
        int | None, typer.Option(metavar="N", help="Processes, or Ray actors.  [default: by the amount of work]")
    ] = None,
    engine: Annotated[str, typer.Option(metavar="local | ray", help="Where the work is done.")] = "local",
    api_base: ApiBase = None,
    out: Folder = None,
    dry_run: DryRun = False,
    json: Json = False,
    debug: Debug = False,
) -> Work:
    """Compare strategies on tasks, at equal cost.

    Does one help, at what cost, and would its neutral twin have helped as much? Run the same command again and it
    goes on where it stopped: nothing that was answered is paid twice.

    \b
    emoagents compare -t gsm8k --limit 100 -s "plain, gsa:3, self_consistency:4" -m openai/gpt-4o-mini
    emoagents compare -t csv:mine.csv --column input=question --column target=answer -s "plain, emotion_prompt:EP02"
    """
    options = CompareOptions(
        tasks=task or [],
        strategies=strategies,
        arms=arm or [],
        model=model,
        roles=role or [],
        data=data,
        limit=limit,
        shots=shots,
        replicas=replicas,
        seed=seed,
        baseline=baseline,
        params=param or [],
        twins=twins,
        equal_tokens=equal_tokens,
        temperature=temperature,
        max_tokens=max_tokens,
        stop=stop or [],
        judge=judge,
        budget=budget,
        columns=column or [],
        task_options=task_option or [],
        concurrency=concurrency,
        workers=workers,
        engine=engine,
        api_base=api_base,
        out=out,
        dry_run=dry_run,
        json=json,
    )

    def work() -> int:
        from emoagents.cli.compare import run_comparison

        return run_comparison(options)

    return work


@app.command()
def report(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders of comparisons.")],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the report goes.  [default: DIR, else report]")
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> Work:
    """Report on comparisons.

    A table here; a page, pictures, CSV and Parquet in a folder. Several comparisons are merged into one.
    """

    def work() -> int:
        from emoagents.cli.report import report_on

        return report_on(folders, out, as_json=json)

    return work
