"""`emoagents longemotion eval`: CoEM's arms, and any others, on LongEmotion's tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from emoagents.cli.compare import run_comparison
from emoagents.cli.longemotion_commands import LongEmotionOptions
from emoagents.errors import ParameterError
from emoagents.evaluation.arms import split_arms

__all__ = ["ARMS", "evaluate_longemotion"]

ARMS: Mapping[str, str] = {
    "base": "coem:base",
    "rag": "coem:rag",
    "coem": "coem:coem",
    "coem-no-enrich": "coem:coem[enrich=false]",
    "coem-no-rerank": "coem:coem[rerank=false]",
}
"""Short names of arms."""

_DEFAULT = "base, rag, coem"
_FIXED = {"guard": "off"}
"""No person reads these replies; --param overrides it."""


def evaluate_longemotion(options: LongEmotionOptions) -> int:
    """Compare the arms; return the exit status of the comparison.

    Raises:
        UsageError: the caller's mistake. RunError: the model never answers.
    """
    arms = [ARMS.get(arm, arm) for arm in split_arms(",".join(options.arms) or _DEFAULT)]
    given = [pair.partition("=")[0].strip() for pair in options.params]
    fixed = [f"{name}={value}" for name, value in _FIXED.items() if name not in given and _any_has(name, arms)]
    return run_comparison(
        options.comparison(
            tasks=[_task(options.tasks)],
            task_options=[*options.task_options, *_rubric(options.rubric)],
            arms=arms,
            params=[*fixed, *options.params],
            roles=options.roles,
            judge=options.judge,
        )
    )


def _task(given: Sequence[str]) -> str:
    """Return the spec of the tasks: the whole suite for "all"."""
    parts = [part.strip() for text in given for part in text.split(",")]
    if parts == ["all"]:
        return "longemotion"
    if "all" in parts:
        raise ParameterError("--task all is all there are: leave the other tasks out")
    return f"longemotion:{','.join(parts)}"


def _rubric(path: Path | None) -> list[str]:
    return [] if path is None else [f"rubric={path.absolute()}"]


def _any_has(parameter: str, arms: Sequence[str]) -> bool:
    from emoagents.registry import parse_spec, strategy_class, strategy_parameters

    parts = (part for arm in arms for part in parse_spec(arm.partition("[")[0].partition("#")[0]))
    return any(parameter in strategy_parameters(strategy_class(part.name)) for part in parts)
