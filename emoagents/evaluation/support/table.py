"""What was found about support strategies, on the terminal: three tables, so that 80 columns hold each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from emoagents.cli.text import one_line
from emoagents.evaluation.record import Plan
from emoagents.evaluation.report.table import Column, print_columns, print_title, sayer
from emoagents.evaluation.report.words import cost, count, level, probability, share
from emoagents.evaluation.support.findings import ReferenceRow, SupportArm, SupportFindings
from emoagents.evaluation.support.numbers import number, shifted, spread, spread_shift, units
from emoagents.support.labels import STAGES

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["print_support"]

_SHORT = {"exploration": "explore", "comforting": "comfort", "action": "act"}


def print_support(console: Console, plan: Plan, found: SupportFindings) -> None:
    """Print the findings so that they can be read on 80 columns and without colours."""
    say = sayer(console)
    if found.instances:
        print_title(console, say, f"Support strategies: {found.instances:,} instances of {found.dialogues:,} dialogues")
        print_columns(console, say, list(_chosen(found)))
        say("Q: macro-F1, and F1 of each stage, times 100. B: preference bias, less is better, 2.65 at most.", "dim")
        if found.differences:
            print_title(console, say, f"To the baseline {plan.baseline}" if not plan.baselines else "To the baseline")
            print_columns(console, say, list(_compared(found)))
            say(f"* Holm p < {found.alpha:g}, over the arms. Whole dialogues are drawn and swapped.", "dim")
        print_title(console, say, "What the choices cost, for one instance")
        print_columns(console, say, list(_spent(found)))
    if found.notes:
        print_title(console, say, "Notes on support strategies")
        for note in found.notes:
            say(f"- {note}")


def _names(arms: Sequence[SupportArm]) -> list[str]:
    return [one_line(arm.arm.removeprefix("support:")) for arm in arms]


def _chosen(found: SupportFindings) -> Iterator[Column]:
    arms, blind, called = found.arms, found.references, level(found.alpha)
    empty = [""] * len(blind)
    yield Column("arm", [*_names(arms), *(f"({row.name})" for row in blind)], left=True)
    yield Column("Q", [number(one, "q") for one in (*(a.q.value for a in arms), *(row.q for row in blind))])
    yield Column(called, [*(spread(a.q.low, a.q.high, "q") for a in arms), *empty], goes=2)
    yield Column("B", [number(one, "b") for one in (*(a.b.value for a in arms), *(row.b for row in blind))])
    yield Column(called, [*(spread(a.b.low, a.b.high, "b") for a in arms), *empty], goes=3)
    for stage in STAGES:
        yield Column(_SHORT[stage], [number(value, stage) for value in _stage(stage, arms, blind)], goes=1)


def _stage(stage: str, arms: Sequence[SupportArm], blind: Sequence[ReferenceRow]) -> Iterator[float | None]:
    yield from (arm.estimate(stage).value for arm in arms)
    yield from (row.stages.get(stage) for row in blind)


def _compared(found: SupportFindings) -> Iterator[Column]:
    arms = [arm for arm in found.arms if any(d.arm == arm.arm for d in found.differences)]
    yield Column("arm", _names(arms), left=True)
    for metric, goes in (("q", 2), ("b", 1)):
        own = [found.difference(arm.arm, metric) for arm in arms]
        yield Column(f"{metric.upper()} ", [shifted(d) for d in own])
        yield Column(level(found.alpha), [spread_shift(d) for d in own], goes=goes)
        yield Column("Holm p", [probability(d.p_holm) if d else "" for d in own], goes=goes + 2)


def _spent(found: SupportFindings) -> Iterator[Column]:
    arms = found.arms
    yield Column("arm", _names(arms), left=True)
    yield Column("unparsed", [share(arm.unparsed_share) for arm in arms])
    yield Column("failed", [share(arm.failed_share) for arm in arms], goes=3)
    yield Column("calls", [count(arm.answers) for arm in arms])
    yield Column("tokens", [count(arm.tokens) for arm in arms])
    yield Column("usd", [cost(arm.usd) for arm in arms], goes=4)
    yield Column("seconds", [f"{arm.seconds:.1f}" for arm in arms], goes=5)
    for name, head, goes in (("bleu_2", "BLEU-2", 2), ("rouge_l", "ROUGE-L", 1)):
        yield Column(head, [units(getattr(arm.text, name)) if arm.text else "-" for arm in arms], goes=goes)
