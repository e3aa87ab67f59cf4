"""What a search over choices found, on the terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from emoagents.cli.text import one_line
from emoagents.evaluation.report.table import Column, print_columns, print_title, sayer
from emoagents.evaluation.report.words import cost, count, interval, plural, probability, score, signed

if TYPE_CHECKING:
    from rich.console import Console

    from emoagents.evaluation.analysis.compare import Compared
    from emoagents.tuning.search_result import Ranked, SearchResult

__all__ = ["show_search"]


def show_search(console: Console, result: SearchResult) -> None:
    """Print the ranking, the best against the default, and what there is to know; it can be read on 80 columns."""
    say = sayer(console)
    say(_headline(result), "bold")
    say(_work(result))
    print_title(console, say, f"Ranking by {result.metric}")
    print_columns(console, say, _columns(result.ranking), strong=0)
    if len(result.rounds) > 1:
        say("Those that stayed in for more rounds stand first; scores of different items do not compare.")
    _print_differences(say, result)
    if notes := [*result.notes, *_failures(result)]:
        print_title(console, say, "Notes")
        for note in notes:
            say(f"- {note}")


def _headline(result: SearchResult) -> str:
    best = result.best
    so_far = " so far" if result.stopped_by == "budget" else ""
    name = f"the default, {best.label}" if best.configuration.is_default else best.label
    return f"Best{so_far}: {name}: {score(best.mean)} on {plural(best.n, 'item')}"


def _work(result: SearchResult) -> str:
    parts = [
        f"{plural(len(result.ranking), 'configuration')} of {result.strategy_title}",
        plural(result.items, "item"),
        plural(len(result.rounds), "round"),
        plural(result.runs, "run") + (f", {result.resumed:,} of them from the journal" if result.resumed else ""),
        plural(result.usage.calls, "call"),
        cost(result.usage.cost_usd),
    ]
    return ", ".join(parts)


def _columns(ranking: Sequence[Ranked]) -> list[Column]:
    return [
        Column("configuration", [_name(row) for row in ranking], left=True),
        Column("score", [score(row.mean) for row in ranking]),
        Column("items", [f"{row.n:,}" for row in ranking]),
        Column("rounds", [str(row.rounds) for row in ranking], goes=4),
        Column("answers", [count(row.answers) for row in ranking], goes=3),
        Column("cost", [cost(row.cost_usd) if row.n else "-" for row in ranking], goes=2),
        Column("failed", [str(row.failed or "-") for row in ranking], goes=1),
        Column("unparsed", [str(row.unparsed or "-") for row in ranking], goes=1),
    ]


def _name(row: Ranked) -> str:
    return one_line(f"{row.label}{' (default)' if row.configuration.is_default else ''}")


def _print_differences(say: Callable[..., None], result: SearchResult) -> None:
    if result.difference is not None:
        say("")
        say(f"Best less default on the items of the search: {_told(result.difference)}.")
        say("It is flattered, for the best was chosen on these items.")
    held = result.held_out
    if held is not None and held.difference is not None:
        means = f"best {score(held.best.mean)}, default {score(held.default.mean)}"
        say("")
        say(f"On held-out items: {means}, difference {_told(held.difference)}.")


def _told(one: Compared) -> str:
    return (
        f"{signed(one.difference)} {interval(one.low, one.high, sign=True)}, n = {one.n}, "
        f"p {probability(one.p)} ({one.test})"
    )


def _failures(result: SearchResult) -> list[str]:
    if not result.failed:
        return []
    return [
        f"{plural(result.failed, 'run')} failed and scored 0, the last because: {one_line(result.last_error or '')}"
    ]
