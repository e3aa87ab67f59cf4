"""`emoagents support train`: a strategy planner from a file of dialogues, and how good it is."""

from __future__ import annotations

import json
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emoagents.support.planner import PlannerFacts, Validation

__all__ = ["train_planner"]


def train_planner(data: Path, out: Path, *, seed: int, as_json: bool) -> int:
    """Train a planner on every labelled decision in a file, save and describe it; return the exit status.

    Raises:
        DataError: the file can't be read, or the planner not be written. ParameterError: there is too little in it.
        MissingExtraError: scikit-learn or skops is not installed.
    """
    from emoagents.support.instances import make_instances
    from emoagents.support.load import read_dialogues
    from emoagents.support.planner import train

    instances = make_instances(read_dialogues(data), sampling="all")
    begun = time.perf_counter()
    planner = train(instances, seed=seed)
    seconds = time.perf_counter() - begun
    planner.save(out)
    if as_json:
        print(json.dumps(_whole(planner.facts, data, out, seconds)))
    else:
        _print(planner.facts, out, seconds)
    return 0


def _whole(facts: PlannerFacts, data: Path, out: Path, seconds: float) -> dict[str, Any]:
    return {"data": str(data), "planner": str(out), "seconds": round(seconds, 2), **facts.model_dump(mode="json")}


def _print(facts: PlannerFacts, out: Path, seconds: float) -> None:
    from emoagents.cli.layout import WIDEST, quiet_console
    from emoagents.support.labels import STRATEGIES

    console = quiet_console(sys.stdout, widest=WIDEST)
    console.print(_trained(facts, seconds), style="bold", soft_wrap=True)
    missing = [label for label in STRATEGIES if label not in facts.labels]
    if missing:
        console.print(f"never chosen, since the file has none: {', '.join(missing)}", soft_wrap=True)
    for line in _scores(facts.validation):
        console.print(line, soft_wrap=True)
    console.print(f"\nsaved: {out}\nuse it: --param {shlex.quote(f'planner={out}')}", soft_wrap=True)


def _trained(facts: PlannerFacts, seconds: float) -> str:
    return f"trained on {facts.instances:,} decisions of {facts.dialogues:,} dialogues in {seconds:.1f} s"


def _scores(found: Validation | None) -> list[str]:
    if found is None:
        return ["not measured: half of the dialogues are too few to train on"]
    rows = {
        "this planner": found.planner,
        "  earlier strategies unknown": found.unknown,
        "uniform": found.uniform,
        "majority": found.majority,
    }
    lines = [f"{name:28}  {100 * s.macro_f1:6.1f}  {100 * s.accuracy:8.1f}  {s.bias:6.2f}" for name, s in rows.items()]
    head = f"{'on dialogues it has not seen':28}  {'Q':>6}  {'accuracy':>8}  {'B':>6}"
    return ["", head, *lines, "", *_legend(found)]


def _legend(found: Validation) -> list[str]:
    return [
        f"{found.folds} folds of {found.dialogues:,} dialogues, n = {found.instances:,}; the saved planner has all.",
        "Q: macro-F1 in %, more is better. B: preference bias, 0 is none.",
    ]
