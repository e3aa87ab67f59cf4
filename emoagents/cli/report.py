"""`emoagents report`: what one or several comparisons show, as a table, a page, pictures and files of data."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emoagents.evaluation.findings import Findings
    from emoagents.evaluation.record import Plan, Record
    from emoagents.evaluation.report import Extra

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
    """Print the table and what the suites add to it, or one JSON object, and write page, pictures and data."""
    from emoagents.cli.layout import quiet_console
    from emoagents.evaluation.report import find_extras, print_findings, write_all

    extras = find_extras(plan, records)
    if as_json:
        print(_as_json(findings, extras))
    else:
        console = quiet_console(sys.stdout)
        print_findings(console, plan, findings)
        for extra in extras:
            extra.print(console)
    write_all(folder, plan, findings, records, extras)


def _as_json(findings: Findings, extras: Sequence[Extra]) -> str:
    """Return one JSON object: the findings, and under its name what each suite adds."""
    if not extras:
        return findings.model_dump_json()
    return json.dumps({**json.loads(findings.model_dump_json()), **{one.name: one.as_data() for one in extras}})
