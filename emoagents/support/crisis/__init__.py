"""The crisis guard of emotional-support chats: looks before a reply, and has help lines ready. See docs/crisis.md."""

from __future__ import annotations

from emoagents.support.crisis.guard import CrisisGuard
from emoagents.support.crisis.helplines import HelplineCard, load_helplines
from emoagents.support.crisis.model import Ask, Judgement
from emoagents.support.crisis.patterns import CATEGORIES, Category, Pattern, Patterns, load_patterns
from emoagents.support.crisis.sign import ModelSign, Sign

__all__ = [
    "CATEGORIES",
    "Ask",
    "Category",
    "CrisisGuard",
    "HelplineCard",
    "Judgement",
    "ModelSign",
    "Pattern",
    "Patterns",
    "Sign",
    "load_helplines",
    "load_patterns",
    "names",
]


def names() -> list[str]:
    """Return the ids of the shipped patterns, in the card's order."""
    return [pattern.id for pattern in load_patterns().card.patterns]
