"""What goes over the wire to workers in other processes: a setup once, then units out and records back, as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import BaseModel, TypeAdapter

from emoagents.context import Context
from emoagents.errors import BudgetExceeded, ParameterError, RunError, UsageError
from emoagents.evaluation.arms import make_arms
from emoagents.evaluation.attempt import Attempter, Unit
from emoagents.evaluation.journal import CallJournal
from emoagents.evaluation.record import Record
from emoagents.evaluation.task import Task

__all__ = ["Hand", "Reply", "Setup", "TaskRecipe", "record_of", "unit_as_data"]

Reply: TypeAlias = tuple[str, bytes]
"""What a worker sends back: "record", "budget", "usage" or "failure", and JSON in one line."""

_UNIT = TypeAdapter(Unit)


class TaskRecipe(BaseModel):
    """How to load tasks again elsewhere: the arguments of `load_tasks`."""

    spec: str
    data: str | None = None
    shots: int = 0
    columns: dict[str, str] = {}
    seed: int = 0
    options: dict[str, str] = {}

    def load(self) -> list[Task]:
        """Return the tasks."""
        from emoagents.evaluation.tasks import load_tasks

        return load_tasks(
            self.spec,
            data=None if self.data is None else Path(self.data),
            shots=self.shots,
            columns=self.columns,
            seed=self.seed,
            options=self.options,
        )


class Setup(BaseModel):
    """All that a worker needs. Holds keys, so it goes through a pipe and never into a file.

    Attributes:
        tasks: how to load them. arms: specs by label. context, judge: arguments of Context. folder: where the raw
            replies are kept.
    """

    tasks: list[TaskRecipe]
    arms: dict[str, str]
    context: dict[str, Any]
    judge: dict[str, Any] | None = None
    folder: str

    def attempter(self) -> Attempter:
        """Return what makes attempts as this setup says.

        Raises:
            UsageError: something of it can't be made here.
        """
        tasks = {task.name: task for recipe in self.tasks for task in recipe.load()}
        made = make_arms(self.arms.values(), twins=False)
        strategies = {label: arm.strategy for label, arm in zip(self.arms, made, strict=True)}
        journal = CallJournal(Path(self.folder))
        context = Context(**self.context, cache=journal).pooled()
        judge = None if self.judge is None else Context(**self.judge, cache=journal)
        return Attempter(tasks, strategies, context, judge)


class Hand:
    """A worker's side: from a unit as data to a reply as data, never an exception."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._attempter: Attempter | None = None

    async def answer(self, unit: Mapping[str, Any]) -> Reply:
        """Make the attempt; return its record, or what kept it from being made, as its kind and JSON."""
        try:
            if self._attempter is None:
                self._attempter = self._setup.attempter()
            record = await self._attempter.attempt(_UNIT.validate_python(unit))
        except BudgetExceeded as error:
            return "budget", json.dumps([error.limit, error.value, error.used]).encode()
        except UsageError as error:
            return "usage", json.dumps(str(error)).encode()
        except Exception as error:
            return "failure", json.dumps(f"{type(error).__name__}: {error}").encode()
        return "record", record.as_json()


def unit_as_data(unit: Unit) -> dict[str, Any]:
    """Return a unit as plain JSON data."""
    return dataclasses.asdict(unit)


def record_of(reply: Reply) -> Record:
    """Return the record of a worker's reply.

    Raises:
        BudgetExceeded, ParameterError, RunError: what the worker met instead.
    """
    kind, data = reply
    if kind == "record":
        return Record.from_json(data)
    if kind == "budget":
        raise BudgetExceeded(*json.loads(data))
    if kind == "usage":
        raise ParameterError(json.loads(data))
    raise RunError(f"a worker failed: {json.loads(data)}")
