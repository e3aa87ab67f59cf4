"""The part on LongEmotion of a comparison's report: printed, written, and in the page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoagents.evaluation.longemotion.analyse import analyse_longemotion
from emoagents.evaluation.longemotion.findings import LongEmotionFindings, TaskResult
from emoagents.evaluation.longemotion.overall import TASKS
from emoagents.evaluation.longemotion.published import PUBLISHED
from emoagents.evaluation.longemotion.table import figure, print_longemotion, shown_tasks
from emoagents.evaluation.record import Plan, Record
from emoagents.evaluation.report.embed import plain
from emoagents.evaluation.report.export import replaced
from emoagents.evaluation.report.extra import Column, Section, Table
from emoagents.evaluation.report.words import cost, count

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["SUMMARY", "LongEmotionExtra", "make_extra"]

SUMMARY = "longemotion.json"

_QUOTED = ("GPT-4o", "Qwen3-8B")
"""The published rows that stand beside ours; all are in a table below."""

_TEXT = (
    "The figures are on the paper's scales (Liu et al., arXiv 2509.07403): in percent accuracy (EC, ED), the F1 of "
    "words (QA) and a judge's score (EE); a judge's score of 5 (ES, MC). Their intervals and tests, on a scale of 0 to "
    "1, are in the tables above.",
    "Overall is (EC + ED + EE + QA + 20 MC-4 + 20 ES) / 6, where all six are there.",
    "Rows marked as published are quoted from the paper's Table 2. They were measured with other prompts, other models "
    "and another judge: to know where the field stands, not to subtract from.",
    "An answer is unjudged where the judge, asked twice, gave no verdict that fits the rubric. It is in no figure, and "
    "it is neither unparsed (the answer itself could not be read: 0) nor failed (there was none).",
)


def make_extra(plan: Plan, records: Callable[[], Iterable[Record]]) -> LongEmotionExtra:
    """Return the part of a plan with tasks of LongEmotion."""
    return LongEmotionExtra(analyse_longemotion(plan, records))


@dataclass(frozen=True)
class LongEmotionExtra:
    """What was found about LongEmotion's tasks, ready to be shown."""

    findings: LongEmotionFindings
    name: str = "longemotion"

    def as_data(self) -> dict[str, Any]:
        """Return the findings as plain data, with the published rows, marked as such."""
        published = [{"published": True, **asdict(row), "figures": dict(row.figures)} for row in PUBLISHED]
        found: dict[str, Any] = plain({**self.findings.model_dump(), "published": published})
        return found

    def print(self, console: Console) -> None:
        """Print the tables."""
        print_longemotion(console, self.findings)

    def write(self, folder: Path, records: Callable[[], Iterable[Record]]) -> Section:
        """Write longemotion.json, and return the page's part."""
        folder.mkdir(parents=True, exist_ok=True)
        with replaced(folder / SUMMARY) as new:
            new.write_text(json.dumps(self.as_data(), indent=2) + "\n", encoding="utf-8")
        return Section(
            id="longemotion",
            title="LongEmotion",
            text=_TEXT,
            notes=self.findings.notes,
            tables=list(_tables(self.findings)),
            more=[_published()],
        )


def _tables(found: LongEmotionFindings) -> Iterator[Table]:
    tasks = shown_tasks(found)
    yield _figures(found, tasks)
    yield _counts(found, tasks)
    for task, short in tasks:
        if criteria := _criteria(found, task, short):
            yield criteria


def _figures(found: LongEmotionFindings, tasks: Sequence[tuple[str, str]]) -> Table:
    columns = [Column("Arm", "head"), Column("Where from", "text"), *(Column(short) for _, short in tasks)]
    ours = [
        [arm.arm, "measured here", *(figure(_of(arm.result(task))) for task, _ in tasks), figure(arm.overall)]
        for arm in found.arms
    ]
    quoted = [
        [f"{row.arm}, {row.model}", "published", *(figure(row.figures.get(s)) for _, s in tasks), figure(row.average)]
        for row in PUBLISHED
        if row.model in _QUOTED
    ]
    return Table("Figures by task, and the paper's for two models", [*columns, Column("Overall")], [*ours, *quoted])


def _of(one: TaskResult | None) -> float | None:
    return None if one is None else one.figure


def _counts(found: LongEmotionFindings, tasks: Sequence[tuple[str, str]]) -> Table:
    heads = ("Attempts", "Scored items", "Unparsed", "Unjudged", "Failed", "Judge's calls", "Judge's tokens", "Cost")
    rows = [
        [
            arm.arm,
            one.short,
            f"{one.attempts:,}",
            f"{one.n:,}",
            f"{one.unparsed:,}",
            f"{one.unjudged:,}",
            f"{one.failed:,}",
            count(one.judge_answers),
            count(one.judge_tokens),
            cost(one.judge_usd),
        ]
        for task, _ in tasks
        for arm in found.arms
        if (one := arm.result(task)) is not None
    ]
    return Table(
        "Attempts, and what the judge cost in sum",
        [Column("Arm", "head"), Column("Task", "text"), *map(Column, heads)],
        rows,
    )


def _criteria(found: LongEmotionFindings, task: str, short: str) -> Table | None:
    """Return the judge's criteria by arm, on the paper's scale."""
    results = [(arm.arm, one) for arm in found.arms if (one := arm.result(task)) is not None]
    names = dict.fromkeys(name for _, one in results for name in one.criteria)
    rows = [[name.replace("_", " "), *(figure(one.criteria.get(name)) for _, one in results)] for name in names]
    columns = [Column("Criterion", "head"), *(Column(arm) for arm, _ in results)]
    return Table(f"{short}: the judge's criteria", columns, rows) if rows else None


def _published() -> Table:
    columns = [Column("Arm, model", "head"), *(Column(short) for short in TASKS), Column("Overall")]
    rows = [
        [f"{row.arm}, {row.model}", *(figure(row.figures[short]) for short in TASKS), figure(row.average)]
        for row in PUBLISHED
    ]
    return Table("All published rows (arXiv 2509.07403, Table 2), as published", columns, rows)
