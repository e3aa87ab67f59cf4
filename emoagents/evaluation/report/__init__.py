"""What a comparison found, for people and for other programs: a page, pictures, tables, the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from emoagents.evaluation.findings import Findings
from emoagents.evaluation.record import Plan, Record
from emoagents.evaluation.report.export import write_tables
from emoagents.evaluation.report.extra import Extra, find_extras
from emoagents.evaluation.report.figures import write_figures
from emoagents.evaluation.report.merge import merge
from emoagents.evaluation.report.page import write_report
from emoagents.evaluation.report.table import print_findings

__all__ = [
    "Extra",
    "find_extras",
    "merge",
    "print_findings",
    "write_all",
    "write_figures",
    "write_report",
    "write_tables",
]


def write_all(
    folder: Path,
    plan: Plan,
    findings: Findings,
    records: Callable[[], Iterable[Record]],
    extras: Sequence[Extra] | None = None,
) -> Path:
    """Write page, pictures and tables of data into a folder; return the page's file.

    Args:
        extras: what the suites of the plan add; None: what `find_extras` finds.

    Raises:
        MissingExtraError: the extra "evaluation" is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_tables(folder, plan, findings, records)
    write_figures(folder, plan, findings)
    added = find_extras(plan, records) if extras is None else extras
    return write_report(folder, plan, findings, records, sections=[one.write(folder, records) for one in added])
