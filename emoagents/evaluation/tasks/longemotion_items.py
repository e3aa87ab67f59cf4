"""How LongEmotion's items speak: a user message of material and question, with a word on itself that no model sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from emoagents.model.request import Message

__all__ = ["HALVES", "SOURCE", "STAND_IN", "field", "user_message"]

SOURCE = "LongEmotion/LongEmotion; licence unclear (card MIT, paper: academic research only)"
HALVES = {"emobench": "Emobench only", "finentity": "Finentity only"}
"""What a source says where one of the two sets of classification is missing."""
STAND_IN = "Sahandfer/EmoBench, MIT"
"""Where EmoBench's own rows are from, which stand in for the long texts of classification."""

_METADATA = "coem"


def user_message(
    material: Sequence[str],
    question: str,
    *,
    preset: str,
    query: str | None = None,
    answer: Sequence[Mapping[str, Any]] = (),
) -> Message:
    """Return a user message of text parts: the material, each part a source of its own, and the question as the last.

    Args:
        preset: which of CoEM's presets fits. query: what to retrieve by, if it is not the question.
        answer: fields of the JSON answer, for strategies that ask for one; see `emoagents.fields.Field`.
    """
    word = {"preset": preset, "query": query, "answer": [dict(one) for one in answer]}
    parts = [{"type": "text", "text": text} for text in (*material, question)]
    content = parts if material else question
    return {
        "role": "user",
        "content": content,
        "response_metadata": {_METADATA: {key: value for key, value in word.items() if value}},
    }


def field(name: str, description: str, **constraints: Any) -> dict[str, Any]:
    """Return a field of an answer as plain data."""
    return {"name": name, "description": description, **constraints}
