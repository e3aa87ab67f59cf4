"""What a comparison found, in a few sentences that only repeat its numbers."""

from __future__ import annotations

from collections.abc import Iterator

from emoagents.evaluation.findings import Findings
from emoagents.evaluation.record import Plan
from emoagents.evaluation.report.view import View
from emoagents.evaluation.report.words import interval, plural, score

__all__ = ["headline", "notes"]


def headline(plan: Plan, findings: Findings) -> list[str]:
    """Return the sentences that stand at the top of a report."""
    view = View(plan, findings)
    against = {"baseline": "to the baseline", "twin": "of emotional arms to their neutral twins"}
    counted = (sentence for kind, which in against.items() for sentence in _counted(view, kind, which))
    return [_compared(plan), *_best(view), *counted]


def notes(plan: Plan, findings: Findings) -> list[str]:
    """Return what a reader must know: what joined runs do not have in common, and what the analysis says."""
    joined = plan.settings.get("notes", [])
    return [*(map(str, joined) if isinstance(joined, list | tuple) else ()), *findings.notes]


def _compared(plan: Plan) -> str:
    items = sum(task.items for task in plan.tasks)
    times = f", {plan.replicas} times each" if plan.replicas > 1 else ""
    where = f"{plural(len(plan.tasks), 'task')} ({plural(items, 'item')}{times})"
    return f"{plural(len(plan.arms), 'arm')} on {where}, with {plan.model}."


def _best(view: View) -> Iterator[str]:
    """Say which arm scored highest; with many arms the highest of them owes something to chance."""
    rows = [row for _, _, row in view.measured()]
    base = view.row(view.plan.baseline)
    if not rows:
        return
    best = max(rows, key=lambda row: row.score or 0.0)
    said = f"Highest score: {best.arm}, {score(best.score)} {interval(best.low, best.high)}"
    if base is not None and base.arm != best.arm:
        said += f"; the baseline {base.arm} has {score(base.score)} {interval(base.low, base.high)}"
    yield f"{said}. The highest of {len(rows)} owes something to chance." if len(rows) > 2 else f"{said}."


def _counted(view: View, kind: str, which: str) -> Iterator[str]:
    """Say how many differences are significant, gains and losses alike."""
    found = view.differences(kind)
    if found:
        gains = plural(sum(d.significant and d.difference > 0 for d in found), "significant gain")
        losses = plural(
            sum(d.significant and d.difference < 0 for d in found), "significant loss", "significant losses"
        )
        yield f"Differences {which}: {len(found)}, {gains}, {losses} (Holm, alpha {view.findings.alpha:g})."
