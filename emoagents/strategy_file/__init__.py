"""Strategies as files: which strategy, its parameters, its whole card, what is nested in it and what it is piped with.

    save_strategy(EmotionPrompt("EP02") | SelfAggregation(5), "mine.toml")
    open_strategy("mine.toml", samples=3).run("...")

A file is complete: a later version of a shipped card does not change what it does. What can't be data, as a function
that verifies, is named in its `needs` and given when it is opened. See docs/cards.md.
"""

from __future__ import annotations

from emoagents.strategy_file.changes import Change, strategy_changes
from emoagents.strategy_file.opening import open_strategy
from emoagents.strategy_file.save import save_strategy

__all__ = ["Change", "open_strategy", "save_strategy", "strategy_changes"]
