"""Strategies as DSPy programs: compile them with DSPy's optimisers, save the result as a card, run it without DSPy.

    import dspy
    from emoagents import Context, Heart
    from emoagents.integrations.dspy import to_card, to_dspy, to_lm

    program = to_dspy(Heart(rounds=2, verifier="judge"))
    with dspy.context(lm=to_lm(Context(model="openai/gpt-4o-mini", cache="calls.db"))):
        tuned = dspy.BootstrapFewShot(metric=metric).compile(program, trainset=examples)
    to_card(tuned, "my_heart.toml")

Needs the extra `dspy`; import this module by name, nothing else loads it.
"""

from __future__ import annotations

from emoagents.errors import MissingExtraError

try:
    import dspy  # noqa: F401
except ImportError:
    raise MissingExtraError("dspy", "optimising with DSPy") from None

from emoagents.integrations.dspy.adapter import RawAdapter
from emoagents.integrations.dspy.engine import to_lm, usage_of
from emoagents.integrations.dspy.equality import Said, differing_messages
from emoagents.integrations.dspy.export import to_card
from emoagents.integrations.dspy.program import Answer, StrategyProgram, to_dspy

__all__ = [
    "Answer",
    "RawAdapter",
    "Said",
    "StrategyProgram",
    "differing_messages",
    "to_card",
    "to_dspy",
    "to_lm",
    "usage_of",
]
