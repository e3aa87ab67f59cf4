"""What of other packages an evaluation needs."""

from __future__ import annotations

import importlib.util

from emoagents.errors import MissingExtraError

__all__ = ["require_evaluation"]

_PACKAGES = ("matplotlib", "numpy", "pyarrow", "scipy", "statsmodels")


def require_evaluation() -> None:
    """See that the packages for analysis and report are there, without loading them.

    Raises:
        MissingExtraError: one is not: better said before a comparison is paid for than behind it.
    """
    if any(importlib.util.find_spec(name) is None for name in _PACKAGES):
        raise MissingExtraError("evaluation", "a comparison of strategies")
