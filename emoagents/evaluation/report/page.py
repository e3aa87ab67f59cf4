"""report.html: all that was found, in one file that asks nothing of any network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from emoagents.evaluation.findings import Findings
from emoagents.evaluation.record import Plan, Record
from emoagents.evaluation.report.choose import choose
from emoagents.evaluation.report.embed import embedded_json
from emoagents.evaluation.report.examples import Examples
from emoagents.evaluation.report.extra import Section, section_data
from emoagents.evaluation.report.headline import headline, notes
from emoagents.evaluation.report.latest import Latest
from emoagents.evaluation.report.view import View, short_names

__all__ = ["REPORT", "write_report"]

REPORT = "report.html"

_SCRIPTS = ("dom.js", "charts.js", "sections.js", "extra.js", "examples.js", "page.js")


def write_report(
    folder: Path,
    plan: Plan,
    findings: Findings,
    records: Callable[[], Iterable[Record]],
    *,
    examples: int = 200,
    sections: Sequence[Section] = (),
) -> Path:
    """Write a comparison's page and return its path.

    Args:
        records: reads the comparison's records; called several times, so that they need not fit into memory.
        examples: how many items the page shows with all answers, at most; fewer where they are long.
        sections: what suites add.
    """
    each = Latest(records)
    shown = Examples(plan, choose(plan, each, examples))
    shown.take(each)
    path = folder / REPORT
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / (REPORT + ".new")
    new.write_text(_page(_data(plan, findings, shown, sections)), encoding="utf-8")
    new.replace(path)
    return path


def _data(plan: Plan, findings: Findings, examples: Examples, sections: Sequence[Section]) -> dict[str, Any]:
    view = View(plan, findings)
    return {
        "plan": plan.model_dump(),
        "findings": findings.model_dump(),
        "overall": view.overall,
        "short": short_names(view.tasks),
        "headline": headline(plan, findings),
        "notes": notes(plan, findings),
        "extra": [section_data(section) for section in sections],
        "examples": examples.as_data(),
    }


def _page(data: dict[str, Any]) -> str:
    """Fill the page in one pass, so that no text from the data is ever taken for a place to fill."""
    style, script = _file("page.css"), "\n".join(map(_file, _SCRIPTS))
    parts = {"policy": _policy(style, script), "style": style, "script": script, "data": embedded_json(data)}
    pieces = _file("page.html").split("%%")
    return "".join(parts[piece] if place % 2 else piece for place, piece in enumerate(pieces))


def _policy(style: str, script: str) -> str:
    """Return the page's rules: nothing is loaded from anywhere, and only these very two texts take effect."""
    rules = [
        "default-src 'none'",
        f"style-src '{_sum(style)}'",
        f"script-src '{_sum(script)}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    return "; ".join(rules)


def _sum(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _file(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
