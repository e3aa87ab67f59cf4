"""The part on support strategies of a comparison's report: printed, written, and in the page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoagents.evaluation.record import Plan, Record
from emoagents.evaluation.report.embed import plain
from emoagents.evaluation.report.extra import Column, Picture, Section, Table
from emoagents.evaluation.report.words import cost, count, level, probability, share
from emoagents.evaluation.support import analyse_support
from emoagents.evaluation.support.export import write_files
from emoagents.evaluation.support.figures import draw
from emoagents.evaluation.support.findings import (
    METRICS,
    Estimate,
    ReferenceRow,
    SupportArm,
    SupportDifference,
    SupportFindings,
)
from emoagents.evaluation.support.numbers import number, shifted, spread, spread_shift, units
from emoagents.evaluation.support.table import print_support
from emoagents.support.labels import STAGES

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["SupportExtra", "make_extra"]

_TEXT = (
    "Q is proficiency: the macro-F1 over all eight strategies, times 100. B is preference bias: how far the arm's "
    "preferences among the strategies (Bradley-Terry, mean 1) spread, 0 for none and 2.65 at most; less is better. "
    "F1 of a stage is weighted by how often each strategy is the human one there, times 100 (Kang et al., ACL 2024).",
    "Intervals draw whole dialogues, tests swap two arms within whole dialogues, and Holm's correction is over the "
    "arms, for each number. What the human supporter chose is not the only good choice: compare the rows with each "
    "other, not with 100.",
)

_NAMES: Mapping[str, str] = {"q": "Q", "b": "B", "accuracy": "accuracy", **{stage: f"F1 {stage}" for stage in STAGES}}


def make_extra(plan: Plan, records: Callable[[], Iterable[Record]]) -> SupportExtra:
    """Return the part of a plan with support tasks."""
    return SupportExtra(plan, analyse_support(plan, records()))


@dataclass(frozen=True)
class SupportExtra:
    """What was found about support strategies, ready to be shown."""

    plan: Plan
    findings: SupportFindings
    name: str = "support"

    def as_data(self) -> dict[str, Any]:
        """Return the findings as plain data."""
        found: dict[str, Any] = plain(self.findings.model_dump())
        return found

    def print(self, console: Console) -> None:
        """Print the tables."""
        print_support(console, self.plan, self.findings)

    def write(self, folder: Path, records: Callable[[], Iterable[Record]]) -> Section:
        """Write files of data and pictures, and return the page's part."""
        write_files(folder, self.plan, self.findings, records)
        pictures = [Picture(one.path, one.title, one.alt) for one in draw(folder, self.findings)]
        confused = [one for one in pictures if one.path.stem.startswith("confusion")]
        return Section(
            id="support",
            title="Support strategies",
            text=[*_TEXT, *_blind(self.findings)],
            notes=self.findings.notes,
            tables=list(_tables(self.plan, self.findings)),
            pictures=[one for one in pictures if one not in confused],
            more=[*_more(self.findings), *confused],
        )


def _blind(found: SupportFindings) -> Iterator[str]:
    if found.references:
        told = "; ".join(f"{row.name}: {row.how}" for row in found.references)
        yield f"The last rows look at no conversation. {told[0].upper()}{told[1:]}."


def _tables(plan: Plan, found: SupportFindings) -> Iterator[Table]:
    if not found.instances:
        return
    yield _chosen(plan, found)
    if found.differences:
        yield _compared("Q and B (less is better)", found, METRICS[:2])
    yield _strategies("Preference of each strategy: 1 is none, more is preferred", found, "preferences", 1)
    yield _spent(found)
    if any(arm.text for arm in found.arms):
        yield _texts(found)


def _more(found: SupportFindings) -> Iterator[Table]:
    if found.differences:
        yield _compared("Accuracy and F1 of the stages", found, METRICS[2:])
    if found.instances:
        yield _strategies("F1 of each strategy, times 100", found, "label_f1", 100)


def _chosen(plan: Plan, found: SupportFindings) -> Table:
    called = level(found.alpha)
    named = [column for metric in METRICS for column in (Column(_NAMES[metric]), Column(called))]
    rows = [_chosen_row(plan, arm) for arm in found.arms]
    blind = [[row.name, *_estimates([Estimate(value=v) for v in _of(row)]), "-"] for row in found.references]
    caption = f"Choices of {found.instances:,} instances from {found.dialogues:,} dialogues"
    return Table(caption, [Column("Arm", "head"), *named, Column("Instances")], [*rows, *blind])


def _chosen_row(plan: Plan, arm: SupportArm) -> list[str]:
    name = f"{arm.arm} (baseline)" if arm.arm == plan.baseline_of(arm.arm) else arm.arm
    return [name, *_estimates([arm.estimate(metric) for metric in METRICS]), f"{arm.n:,}"]


def _of(row: ReferenceRow) -> list[float | None]:
    return [row.q, row.b, row.accuracy, *(row.stages.get(stage) for stage in STAGES)]


def _estimates(found: Sequence[Estimate]) -> list[str]:
    both = zip(METRICS, found, strict=True)
    return [text for metric, one in both for text in (number(one.value, metric), spread(one.low, one.high, metric))]


def _compared(what: str, found: SupportFindings, metrics: Sequence[str]) -> Table:
    rows = [d for d in found.differences if d.metric in metrics]
    bases = list(dict.fromkeys(d.reference for d in rows))
    heads = ("Of", "Difference", level(found.alpha), "p", "Holm p", "Significant", "Instances", "Dialogues")
    columns = [Column("Arm", "head"), *map(Column, heads), *([Column("Baseline", "text")] if len(bases) > 1 else [])]
    base = bases[0] if len(bases) == 1 else "each arm's baseline"
    caption = f"{what} against {base}, on instances that both answered"
    return Table(caption, columns, [_compared_row(d)[: len(columns)] for d in rows])


def _compared_row(d: SupportDifference) -> list[str]:
    ends = [probability(d.p), probability(d.p_holm), "yes" if d.significant else "no"]
    return [d.arm, _NAMES[d.metric], shifted(d), spread_shift(d), *ends, f"{d.n:,}", f"{d.dialogues:,}", d.reference]


def _strategies(caption: str, found: SupportFindings, name: str, times: float) -> Table:
    """Return a table of each arm's number for each strategy, with how often humans chose it."""
    columns = [Column("Strategy", "head"), Column("Human choices"), *(Column(arm.arm) for arm in found.arms)]
    rows = [[label, f"{found.truth[label]:,}", *_cells(label, found, name, times)] for label in found.labels]
    return Table(caption, columns, rows)


def _cells(label: str, found: SupportFindings, name: str, times: float) -> Iterator[str]:
    for arm in found.arms:
        value = getattr(arm, name).get(label)
        yield "-" if value is None else f"{times * value:.1f}" if times != 1 else f"{value:.2f}"


def _spent(found: SupportFindings) -> Table:
    heads = ("Unparsed", "Failed", "Calls", "Tokens", "Cost", "Time")
    rows = [
        [
            arm.arm,
            share(arm.unparsed_share),
            share(arm.failed_share),
            count(arm.answers),
            count(arm.tokens),
            cost(arm.usd),
            f"{arm.seconds:.1f} s",
        ]
        for arm in found.arms
    ]
    return Table("What it costs; means for one instance", [Column("Arm", "head"), *map(Column, heads)], rows)


def _texts(found: SupportFindings) -> Table:
    heads = ("Replies", "BLEU-2", "BLEU-4", "ROUGE-L", "METEOR", "Distinct-1", "Distinct-2")
    rows = [
        [
            arm.arm,
            f"{t.replies:,}",
            *(units(v) for v in (t.bleu_2, t.bleu_4, t.rouge_l, t.meteor, t.distinct_1, t.distinct_2)),
        ]
        for arm in found.arms
        if (t := arm.text) is not None
    ]
    return Table("Replies against the human ones, 0 to 100", [Column("Arm", "head"), *map(Column, heads)], rows)
