"""What a comparison found, for people and for other programs: a page, pictures, tables, the terminal."""

from __future__ import annotations

from emoagents.evaluation.report.export import write_tables
from emoagents.evaluation.report.figures import write_figures
from emoagents.evaluation.report.merge import merge
from emoagents.evaluation.report.page import write_report
from emoagents.evaluation.report.table import print_findings

__all__ = ["merge", "print_findings", "write_figures", "write_report", "write_tables"]
