"""`emoagents support eval`: a comparison of ways to choose the support strategy."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from emoagents.cli.compare import run_comparison
from emoagents.cli.options import SupportOptions
from emoagents.errors import ParameterError
from emoagents.evaluation.arms import split_arms
from emoagents.support.instances import SAMPLINGS, make_instances

if TYPE_CHECKING:
    from emoagents.support.dialogue import Instance

__all__ = ["evaluate_support"]

_DEFAULT = "vanilla, calibrated, planner"

_FIXED = {"guard": "off", "assess": "false"}
"""No person reads these replies, and the paper's methods have no assessment; --param overrides both."""


def evaluate_support(options: SupportOptions) -> int:
    """Compare the methods; return the exit status of the comparison.

    Raises:
        UsageError: the caller's mistake. RunError: the model never answers.
    """
    methods = split_arms(",".join(options.methods) or _DEFAULT)
    if options.sampling not in SAMPLINGS:
        raise ParameterError(f"--sampling is paper or all, not {options.sampling!r}")
    params = {**_FIXED, "reply": str(options.replies).lower()}
    if options.examples is not None:
        params["examples"] = str(options.examples)
    if any(_is_planner(method) for method in methods):
        params["planner"] = str(options.planner or _cross_fitted(options))
    given = [pair.partition("=")[0].strip() for pair in options.params]
    chosen = [f"{name}={value}" for name, value in params.items() if name not in given]
    if "guard=off" in chosen:
        _say("the crisis guard is off, for no person reads these replies")
    return run_comparison(
        options.comparison(
            tasks=["esconv"],
            task_options=[f"sampling={options.sampling}"],
            arms=[f"support:{method}" for method in methods],
            params=[*chosen, *options.params],
        )
    )


def _instances(options: SupportOptions, sampling: str) -> list[Instance]:
    from emoagents.support.load import read_dialogues

    return make_instances(read_dialogues(options.data), sampling=SAMPLINGS[sampling], seed=options.seed)


def _is_planner(method: str) -> bool:
    name, _, given = method.partition("[")
    return name.strip() == "planner" and "planner=" not in given


def _cross_fitted(options: SupportOptions) -> Path:
    """Return the folder of planners, each trained on the other half of the dialogues; train them where it is new."""
    from emoagents.support.planner import CrossFitted, cross_fit

    instances = _instances(options, options.sampling)
    folder = Path("comparisons") / f"planner-{_digest(instances, options.seed)}"
    if not (folder / CrossFitted.FILE).exists():
        _say(f"training a planner on each half of the dialogues, for the other: {folder}")
        every = instances if options.sampling == "all" else _instances(options, "all")
        cross_fit(every, seed=options.seed, like=instances).save(folder)
    return folder


def _digest(instances: Sequence[Instance], seed: int) -> str:
    whole = hashlib.sha256(str(seed).encode())
    for instance in instances:
        whole.update(instance.model_dump_json().encode())
    return whole.hexdigest()[:8]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
