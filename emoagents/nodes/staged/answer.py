"""Asking for a stage's fields once: what does not fit is asked for again with the reason, then it is an error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from emoagents.card.stages import Stage
from emoagents.errors import UnparsedError
from emoagents.fields import Field, answer_model
from emoagents.model.request import Completion, Message
from emoagents.nodes.staged.tags import read_tags
from emoagents.step import Run

__all__ = ["Question", "ask_fields"]


@dataclass(frozen=True, slots=True)
class Question:
    """A stage with the fields that it asks for, and the pydantic model that they make."""

    stage: Stage
    fields: tuple[Field, ...]
    schema: type[BaseModel]

    @classmethod
    def of(cls, stage: Stage, fields: tuple[Field, ...]) -> Question:
        """Return the question of a stage."""
        return cls(stage, fields, answer_model(fields, ordered=stage.ordered))

    @property
    def free(self) -> bool:
        """Whether any text at all is an answer, so that its words can be shown as they come."""
        return self.stage.written == "text" and self.fields[0] == Field(name=self.fields[0].name)


async def ask_fields(
    run: Run, question: Question, prompt: Sequence[Message], *, message_id: str | None = None
) -> tuple[dict[str, Any], Completion]:
    """Return the fields of one answer, and the answer itself. Where that calls tools, the fields are empty.

    Raises:
        UnparsedError: it does not fit, and did not when it was asked for again.
        RunError: the model did not answer. UsageError: the caller's mistake.
    """
    if question.stage.written == "json":
        reply = await _ask(run, question, prompt, None, response_format=question.schema)
        if reply.parsed is None and not reply.tool_calls:
            raise _unparsed(question, reply.parse_error or "it holds no JSON object")
        return ({} if reply.parsed is None else reply.parsed.model_dump()), reply
    reply = await _ask(run, question, prompt, message_id)
    try:
        return _read(question, reply), reply
    except ValueError as error:
        again = await _ask(run, question, [*prompt, *_again(reply, str(error))], message_id)
    try:
        return _read(question, again), again
    except ValueError as error:
        raise _unparsed(question, str(error)) from None


async def _ask(
    run: Run, question: Question, prompt: Sequence[Message], message_id: str | None, **options: Any
) -> Completion:
    stage = question.stage
    return await run.ask_one(
        prompt,
        temperature=stage.temperature,
        max_tokens=stage.max_tokens,
        role=stage.role,
        message_id=message_id,
        **options,
    )


def _again(reply: Completion, reason: str) -> list[Message]:
    """Return what asks once more and names the reason (wording: ours)."""
    ask = f"That does not fit what was asked for: {reason}\nAnswer again, in full and in the form that was asked for."
    return [{"role": "assistant", "content": reply.text or "(nothing)"}, {"role": "user", "content": ask}]


def _read(question: Question, reply: Completion) -> dict[str, Any]:
    if reply.tool_calls:
        return {}
    fields = question.fields
    data = read_tags(reply.text, fields) if question.stage.written == "tags" else {fields[0].name: reply.text}
    try:
        return question.schema.model_validate(data).model_dump()
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        raise ValueError("; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in found[:3])) from None


def _unparsed(question: Question, reason: str) -> UnparsedError:
    return UnparsedError(f"stage {question.stage.id!r}: the answer does not fit what was asked for: {reason}")
