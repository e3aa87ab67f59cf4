"""emoagents: emotional and generative prompting strategies as composable LangGraph graphs, for any model.

Importing this package loads neither LangGraph nor litellm nor a model: each name is imported on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emoagents.card import Card, load_card
    from emoagents.context import Context
    from emoagents.errors import BudgetExceeded, CompositionError, EmoagentsError, RunError, UsageError
    from emoagents.model.budget import Budget
    from emoagents.model.ledger import Usage
    from emoagents.model.retry import Retry
    from emoagents.model.role import Role
    from emoagents.model.scripted import ScriptedModel
    from emoagents.nodes.verify import Verdict
    from emoagents.registry import strategy
    from emoagents.result import Result
    from emoagents.strategies.base import Strategy
    from emoagents.strategies.coem import CoEM
    from emoagents.strategies.emotion_prompt import EmotionPrompt
    from emoagents.strategies.heart import Heart
    from emoagents.strategies.plain import Plain
    from emoagents.strategies.resample import Resample
    from emoagents.strategies.self_aggregation import SelfAggregation
    from emoagents.strategies.self_consistency import SelfConsistency
    from emoagents.strategies.staged import Staged
    from emoagents.strategies.support import SupportDialogue

__all__ = [
    "Budget",
    "BudgetExceeded",
    "Card",
    "CoEM",
    "CompositionError",
    "Context",
    "EmoagentsError",
    "EmotionPrompt",
    "Heart",
    "Plain",
    "Resample",
    "Result",
    "Retry",
    "Role",
    "RunError",
    "ScriptedModel",
    "SelfAggregation",
    "SelfConsistency",
    "Staged",
    "Strategy",
    "SupportDialogue",
    "Usage",
    "UsageError",
    "Verdict",
    "load_card",
    "strategy",
]

_HOMES = {
    "Budget": "model.budget",
    "BudgetExceeded": "errors",
    "Card": "card",
    "CoEM": "strategies.coem",
    "CompositionError": "errors",
    "Context": "context",
    "EmoagentsError": "errors",
    "EmotionPrompt": "strategies.emotion_prompt",
    "Heart": "strategies.heart",
    "Plain": "strategies.plain",
    "Resample": "strategies.resample",
    "Result": "result",
    "Retry": "model.retry",
    "Role": "model.role",
    "RunError": "errors",
    "ScriptedModel": "model.scripted",
    "SelfAggregation": "strategies.self_aggregation",
    "SelfConsistency": "strategies.self_consistency",
    "Staged": "strategies.staged",
    "Strategy": "strategies.base",
    "SupportDialogue": "strategies.support",
    "Usage": "model.ledger",
    "UsageError": "errors",
    "Verdict": "nodes.verify",
    "load_card": "card",
    "strategy": "registry",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'emoagents' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"emoagents.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
