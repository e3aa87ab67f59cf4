"""What an optimiser made of a strategy, as a card that runs without DSPy."""

from __future__ import annotations

from pathlib import Path

from emoagents.errors import ParameterError
from emoagents.integrations.dspy.program import StrategyProgram
from emoagents.strategy_file import save_strategy
from emoagents.tuning.prompts import signed

__all__ = ["to_card"]


def to_card(program: StrategyProgram, path: str | Path, *, note: str = "") -> None:
    """Write the strategy with the texts and demonstrations that its predictors have now.

    `emoagents.registry.strategy(path)`, and `--strategy` on the command line, run it with no DSPy installed. With the
    raw adapter it sends the same messages as the program, byte for byte. With DSPy's adapter the texts are the same,
    and what the adapter puts around them is not there: the system message that lists the fields, the headers
    `[[ ## field ## ]]`, and the closing sentence that asks for them; places stand in the text instead, filled.

    A prompt that was changed gets the source "optimised", which says what it began as.

    Args:
        note: who or what tuned it, as "GEPA on train.jsonl"; stands among the card's notes, and with the source.

    Raises:
        ParameterError: it is no program of `to_dspy`, or one that a card can't hold. UsageError: the file can't be
            written.
    """
    if not isinstance(program, StrategyProgram):
        raise ParameterError(f"to_card takes a program of to_dspy, not a {type(program).__name__}")
    if "forward" in vars(program):  # KNNFewShot: other demonstrations for each question, which no card holds
        raise ParameterError("this program chooses its demonstrations anew for each question, which a card can't")
    save_strategy(signed(program.strategy, program.tuned(), note), path, notes=[note] if note else [])
