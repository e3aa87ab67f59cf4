"""Tasks: published suites and a person's own files, as items with exact metrics."""

from __future__ import annotations

from emoagents.evaluation.tasks.load import load_tasks, task_names

__all__ = ["load_tasks", "task_names"]
