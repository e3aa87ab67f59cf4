"""`emoagents report`: what one or several comparisons show, as a table, a page, pictures and files of data."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emoagents.evaluation.findings import Findings
    from emoagents.evaluation.record import Plan, Record

__all__ = ["print_and_write", "report_on"]


def report_on(folders: Sequence[Path], out: Path | None, *, as_json: bool) -> int:
    """Report on comparisons, merged into one where there are several; return the exit status.

    Raises:
        UsageError: a folder is no comparison, or they can't be merged.
    """
    from emoagents.evaluation.analysis import analyse
    from emoagents.evaluation.report.merge import merge

    plan, records = merge(folders)
    folder = out or (folders[0] if len(folders) == 1 else Path("report"))
    print_and_write(folder, plan, records, analyse(plan, records()), as_json=as_json)
    print(f"report: {folder / 'report.html'}", file=sys.stderr)
    return 0


def print_and_write(
    folder: Path, plan: Plan, records: Callable[[], Iterable[Record]], findings: Findings, *, as_json: bool
) -> None:
    """Print the table, or one JSON object, and write page, pictures and data."""
    from emoagents.cli.layout import quiet_console
    from emoagents.evaluation.report import print_findings, write_all

    if as_json:
        print(findings.model_dump_json())
    else:
        print_findings(quiet_console(sys.stdout), plan, findings)
    write_all(folder, plan, findings, records)
