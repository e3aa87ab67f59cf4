"""One stage: skipped, asked once, or asked for each text of a list; and what it leaves for the stages after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NoReturn

from emoagents.errors import BudgetExceeded, NoAnswerError, RunError, UnparsedError
from emoagents.model.request import Completion
from emoagents.nodes.staged.answer import Question, ask_fields
from emoagents.nodes.staged.condition import holds
from emoagents.nodes.staged.scene import Scene
from emoagents.step import Run
from emoagents.together import together

__all__ = ["Outcome", "run_stage"]


@dataclass(slots=True)
class Outcome:
    """What came of a stage, as plain data but for the reply.

    Attributes:
        fields: by name; empty texts and lists where it was skipped or failed.
        skipped: its condition did not hold, or its list was empty.
        unparsed: why its answer did not fit. error: why there was none.
        failed: numbers of the texts of its list, from 1, for which there is no answer.
    """

    fields: dict[str, Any]
    skipped: bool = False
    unparsed: str | None = None
    error: str | None = None
    failed: list[int] = field(default_factory=list)


async def run_stage(
    run: Run, question: Question, scene: Scene, *, last: bool = False, message_id: str | None = None
) -> tuple[Outcome, Completion | None]:
    """Run a stage and tell of it (`stage`); return what came of it, and its answer where there is a single one.

    Args:
        last: its answer is the run's: it may call tools, and then has no fields.
        message_id: id of the message that the answer will be, if its words may be shown as they come.

    Raises:
        UnparsedError: the answer does not fit. NoAnswerError: every text of its list failed.
        RunError: the model did not answer. UsageError: the caller's mistake.
    """
    outcome, reply = Outcome(_empty(question)), None
    stage = question.stage
    try:
        if stage.when is not None and not holds(stage.when, scene.known[stage.when.field]):
            outcome.skipped = True
        elif stage.for_each is not None:
            await _each(run, question, scene, scene.items(stage.for_each), outcome)
        else:
            found, reply = await ask_fields(run, question, scene.request(stage), message_id=message_id)
            outcome.fields |= found if found or last else _called_a_tool(question)
    except RunError as error:
        outcome.unparsed = str(error) if isinstance(error, UnparsedError) else None
        outcome.error = None if outcome.unparsed else str(error)
        if not stage.optional:
            run.emit("stage", id=stage.id, **asdict(outcome))
            raise
    run.emit("stage", id=stage.id, **asdict(outcome))
    return outcome, reply


async def _each(run: Run, question: Question, scene: Scene, items: Sequence[str], outcome: Outcome) -> None:
    outcome.skipped = not items
    asked = await together(_one(run, question, scene, item, number) for number, item in enumerate(items, 1))
    errors = [one for one in asked if isinstance(one, RunError)]
    if items and len(errors) == len(items):
        raise _all_failed(question, errors)
    outcome.failed = [number for number, one in enumerate(asked, 1) if isinstance(one, RunError)]
    found = [one for one in asked if not isinstance(one, RunError)]
    outcome.fields = {f.name: [one[f.name] for one in found] for f in question.fields}


async def _one(run: Run, question: Question, scene: Scene, item: str, number: int) -> dict[str, Any] | RunError:
    try:
        found, _ = await ask_fields(run, question, scene.request(question.stage, item, number))
        return found or _called_a_tool(question)
    except RunError as error:
        run.emit("failure", error=f"{question.stage.id} {number}: {error}")
        return error


def _called_a_tool(question: Question) -> NoReturn:
    raise UnparsedError(f"stage {question.stage.id!r}: the model called a tool and gave no answer")


def _all_failed(question: Question, errors: Sequence[RunError]) -> RunError:
    ended = next((error for error in errors if isinstance(error, BudgetExceeded)), None)
    if ended is not None:
        return ended
    whole = f"stage {question.stage.id!r}: all {len(errors)} questions failed; the last: {errors[-1]}"
    return NoAnswerError(whole, errors)


def _empty(question: Question) -> dict[str, Any]:
    several = question.stage.for_each is not None
    return {f.name: [] if several or f.type == "list" else "" for f in question.fields}
