"""`emoagents support guard`: how much the crisis guard finds on a table of messages, and how often it errs."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console

    from emoagents.model.request import Completion, Message
    from emoagents.support.crisis.guard import CrisisGuard
    from emoagents.support.crisis.measure import Check, Measured, Report, Verdict
    from emoagents.support.crisis.sign import ModelSign

__all__ = ["measure_guard"]


def measure_guard(messages: Path | None, *, model: str | None, misses: bool, as_json: bool) -> int:
    """Print a guard's recall and false alarms; return the exit status.

    Args:
        messages: a table in JSON lines; None for the shipped one.
        model: asked as well, where no pattern matches.
        misses: print each message that was judged wrongly.

    Raises:
        DataError: the table does not load. UsageError: there is no such model.
    """
    from emoagents.support.crisis.guard import CrisisGuard
    from emoagents.support.crisis.measure import judge, read_messages, report_on

    table = read_messages(messages)
    guard = CrisisGuard()
    check = None if model is None else _check(guard, model)
    report = report_on(asyncio.run(judge(guard, table, check)), misses=misses)
    if as_json:
        print(report.model_dump_json(exclude_none=not misses))
    else:
        _print(report)
    return 0


def _check(guard: CrisisGuard, model: str) -> Check:
    from emoagents.context import Context
    from emoagents.model.request import Request

    context = Context(model=model, temperature=0.0)

    async def ask(prompt: list[Message], schema: type[BaseModel]) -> Completion:
        request = Request(messages=prompt, temperature=context.temperature, response_format=schema)
        return (await context.door.sample(request)).require()[0]

    async def check(texts: Sequence[str]) -> ModelSign:
        return await guard.model_sign(texts, ask)

    return check


def _print(report: Report) -> None:
    from emoagents.cli.layout import WIDEST, quiet_console

    console = quiet_console(sys.stdout, widest=WIDEST)
    _print_table(console, "crisis messages found", _recall(report))
    _print_table(console, "false alarms", _alarms(report))
    if report.not_judged:
        console.print(f"\nThe model gave no word on {report.not_judged}; they count as not found.", style="bold")
    for verdict in report.misses or ():
        _print_miss(console, verdict)


def _recall(report: Report) -> Iterator[tuple[str, Measured]]:
    yield "all", report.recall
    yield from _parts("split", report.recall_by_split)
    yield from _parts("category", report.recall_by_category)
    yield from _parts("language", report.recall_by_language)


def _alarms(report: Report) -> Iterator[tuple[str, Measured]]:
    yield "all", report.false_alarms
    yield from _parts("split", report.false_alarms_by_split)
    yield from _parts("kind", report.false_alarms_by_kind)


def _parts(title: str, parts: Mapping[str, Measured]) -> Iterator[tuple[str, Measured]]:
    yield from ((f"{title} {name}", measured) for name, measured in parts.items())


def _print_table(console: Console, title: str, rows: Iterator[tuple[str, Measured]]) -> None:
    from rich.table import Table

    from emoagents.cli.text import one_line

    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("of")
    for head in ("found", "n", "share", "95 %"):
        table.add_column(head, justify="right")
    for name, measured in rows:
        table.add_row(one_line(name), *_cells(measured))
    console.print(table)
    console.print()


def _cells(measured: Measured) -> tuple[str, str, str, str]:
    share = "-" if measured.rate is None else f"{100 * measured.rate:.1f} %"
    return str(measured.found), str(measured.n), share, f"{100 * measured.low:.0f} to {100 * measured.high:.0f}"


def _print_miss(console: Console, verdict: Verdict) -> None:
    from emoagents.cli.text import one_line

    message = verdict.message
    what = (
        f"not found ({message.category})"
        if message.crisis
        else f"false alarm by {verdict.pattern} on {verdict.matched!r}"
    )
    text = " | ".join(message.texts)
    console.print(
        one_line(f"{message.id} [{message.language}, {message.split}, {message.kind}] {what}: {text}"), soft_wrap=True
    )
