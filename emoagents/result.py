"""What a run gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from emoagents.model.ledger import Usage
from emoagents.state import Event, StopReason

__all__ = ["Result"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """An answer with its account.

    Attributes:
        answer: the text.
        strategy: how it was made, as "emotion_prompt | self_aggregation".
        model: which model gave it: the context's, or that of the role that the strategy has answer.
        stopped_by: "complete" (ran to its end), "verified" (a verifier accepted it), "rounds" (no more rounds),
            "budget" (the best answer there was when the budget ended), "failed" (the best there was when a later
            request failed), "unparsed" (the answer, or the choice among answers, could not be read as what was asked
            for) or "crisis".
        verified: True or False where a verifier judged the answer, None where none did or it could not.
        usage: what it cost in total. usage_by_node: the same for each node.
        trace: everything that was sent, answered and decided, in order; plain JSON data.
        tool_calls: the tools that the model asks for, in OpenAI's format.
    """

    answer: str
    strategy: str
    model: str
    stopped_by: StopReason
    verified: bool | None = None
    usage: Usage = field(default_factory=Usage)
    usage_by_node: Mapping[str, Usage] = field(default_factory=dict)
    trace: list[Event] = field(default_factory=list)
    tool_calls: list[dict[str, Any]] = field(default_factory=list)

    def __str__(self) -> str:
        return self.answer
