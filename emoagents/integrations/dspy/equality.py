"""Whether a program and the card that was made of it say the same to a model: both run on a model that only listens."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import dspy

from emoagents.context import Context
from emoagents.errors import RunError
from emoagents.integrations.dspy.engine import to_lm
from emoagents.integrations.dspy.program import StrategyProgram
from emoagents.model.request import Message
from emoagents.model.scripted import ScriptedModel
from emoagents.strategies.base import Strategy

__all__ = ["Said", "differing_messages"]


@dataclass(frozen=True, slots=True)
class Said:
    """What was sent for one question, where the two differ.

    Attributes:
        question: as it was asked. program, strategy: the requests of each that the other did not send, in order.
    """

    question: str
    program: tuple[tuple[Message, ...], ...]
    strategy: tuple[tuple[Message, ...], ...]


def differing_messages(program: StrategyProgram, strategy: Strategy, questions: Sequence[str]) -> list[Said]:
    """Return for which questions a program and a strategy send other messages to the model, compared byte for byte.

    Nothing is paid: both run on a model that answers each request by a text made of it, so that a difference early in
    a run shows in what follows. A strategy that reads its answers goes the way of answers that don't parse.

    Args:
        strategy: that the program was exported to, as `emoagents.registry.strategy("my.toml")`.
    """
    return [said for question in questions if (said := _differing(program, strategy, question)) is not None]


def _differing(program: StrategyProgram, strategy: Strategy, question: str) -> Said | None:
    one, other = _listener(), _listener()
    listening = program.deepcopy()
    listening.set_lm(to_lm(Context(model=one, seed=0)))
    with dspy.context(trace=None), suppress(RunError):
        listening(question=question)
    with suppress(RunError):  # what was sent until then is compared all the same
        strategy.run(question, context=Context(model=other, seed=0))
    sent = Counter(_requests(one)), Counter(_requests(other))
    if sent[0] == sent[1]:
        return None
    return Said(question, _read(sent[0] - sent[1]), _read(sent[1] - sent[0]))


def _listener() -> ScriptedModel:
    return ScriptedModel(_digest, max_n=1)  # not by the sample's number, which goes by who comes first


def _digest(messages: Sequence[Message]) -> str:
    return hashlib.sha256(json.dumps(messages).encode()).hexdigest()[:8]


def _requests(model: ScriptedModel) -> list[str]:
    return [json.dumps(call.request.messages) for call in model.calls]


def _read(requests: Counter[str]) -> tuple[tuple[Message, ...], ...]:
    return tuple(tuple(json.loads(request)) for request in requests.elements())
