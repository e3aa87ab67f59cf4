"""Does a strategy help, at what cost, and would its neutral twin have helped as much?

    tasks = load_tasks("gsm8k")
    arms = make_arms(["plain", "gsa:3", "self_consistency:4", "emotion_prompt:EP02"])
    comparison = asyncio.run(compare(tasks, arms, Context(model="openai/gpt-4o-mini"), Path("out")))
    comparison.findings.differences
    comparison.write_report()

Importing this loads nothing heavy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emoagents.evaluation.arms import MadeArm, make_arms, split_arms
    from emoagents.evaluation.comparison import Comparison, compare, make_plan, open_comparison
    from emoagents.evaluation.findings import Findings
    from emoagents.evaluation.record import Plan, Record
    from emoagents.evaluation.task import Item, Judge, Score, Solve, Task
    from emoagents.evaluation.tasks import load_tasks, task_names

__all__ = [
    "Comparison",
    "Findings",
    "Item",
    "Judge",
    "MadeArm",
    "Plan",
    "Record",
    "Score",
    "Solve",
    "Task",
    "compare",
    "load_tasks",
    "make_arms",
    "make_plan",
    "open_comparison",
    "split_arms",
    "task_names",
]

_HOMES = {
    "Comparison": "comparison",
    "Findings": "findings",
    "Item": "task",
    "Judge": "task",
    "MadeArm": "arms",
    "Plan": "record",
    "Record": "record",
    "Score": "task",
    "Solve": "task",
    "Task": "task",
    "compare": "comparison",
    "load_tasks": "tasks",
    "make_arms": "arms",
    "make_plan": "comparison",
    "open_comparison": "comparison",
    "split_arms": "arms",
    "task_names": "tasks",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'emoagents.evaluation' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"emoagents.evaluation.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
