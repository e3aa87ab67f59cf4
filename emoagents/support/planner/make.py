"""From what a parameter holds to a planner."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emoagents.errors import ParameterError
from emoagents.support.labels import STRATEGIES, canonical
from emoagents.support.planner.baselines import FunctionPlanner, MajorityPlanner, UniformPlanner
from emoagents.support.planner.folds import CrossFitted
from emoagents.support.planner.protocol import Planner
from emoagents.support.planner.trained import TrainedPlanner

__all__ = ["make_planner"]


def make_planner(given: Any) -> Planner:
    """Return a planner.

    Args:
        given: a planner; a function of turns and background that returns a distribution or a strategy; the path of a
            trained planner's file, or of a folder that `CrossFitted.save` wrote; "uniform" or "uniform:SEED";
            "majority:STRATEGY".

    Raises:
        ParameterError: it is None or something else. DataError: the file is not a planner's.
        MissingExtraError: a file needs scikit-learn and skops, and they are not installed.
    """
    if given is None or given == "":
        raise ParameterError(
            "there is no planner: train one with `emoagents support train --data FILE --out planner.skops` and give "
            "its path, or give 'uniform', 'majority:STRATEGY', or an object with `distribution`"
        )
    if isinstance(given, str | Path):
        return _named(str(given)) or _saved(Path(given))
    if isinstance(given, Planner) and not isinstance(given, type):
        return given
    if callable(given) and not isinstance(given, type):
        return FunctionPlanner(given)
    raise ParameterError(f"a planner is a path, a name, an object with `distribution` or a function, not {given!r:.80}")


def _named(given: str) -> Planner | None:
    name, _, rest = given.partition(":")
    if name == "uniform":
        return UniformPlanner(_seed(rest))
    if name == "majority":
        strategy = canonical(rest)
        if strategy is None:
            raise ParameterError(f"'majority:STRATEGY' needs one of {', '.join(STRATEGIES)}, not {rest!r:.40}")
        return MajorityPlanner(strategy)
    return None


def _seed(given: str) -> int:
    try:
        return int(given or 0)
    except ValueError:
        raise ParameterError(f"'uniform:SEED' needs a whole number, not {given!r:.40}") from None


def _saved(path: Path) -> Planner:
    return CrossFitted.load(path) if path.is_dir() else TrainedPlanner.load(path)
