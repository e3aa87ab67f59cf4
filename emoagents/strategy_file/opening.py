"""From a file to a strategy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoagents.strategy_file.table import read_strategy

if TYPE_CHECKING:
    from emoagents.strategies.base import Strategy

__all__ = ["open_strategy"]


def open_strategy(path: str | Path, /, **parameters: Any) -> Strategy:
    """Return the strategy in a file that `save_strategy` or a person wrote.

    Args:
        path: the file. A card with `graph = "staged"` is one, too.
        parameters: go before the file's; as in `registry.strategy`, with "PART." before the name where a pipe has it
            twice. `**{"solver.verifier": check}` reaches a nested strategy.

    Raises:
        CardError: the file can't be read, or a key or a value in it is wrong.
        ParameterError: the file needs what is not given, or what is given is wrong, or the path is none.
    """
    from emoagents.assembly import make_strategy  # which reads files by this package

    return make_strategy(read_strategy(path), parameters)
