"""`emoagents support prior`: a model's own preference among the strategies, measured once and kept in a file."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from emoagents.cli import loading
from emoagents.errors import ParameterError, UnparsedError

__all__ = ["measure_prior"]


def measure_prior(
    model: str | None, examples: Path | None, out: Path, *, seed: int, api_base: str | None, as_json: bool
) -> int:
    """Measure, write and print the preference; return the exit status.

    Raises:
        UsageError: the caller's mistake. RunError: the model did not answer, or named no strategy.
    """
    from emoagents.context import Context
    from emoagents.strategies.support import SupportDialogue

    if not out.absolute().parent.is_dir():
        raise ParameterError(f"--out {out}: there is no folder {out.parent}")
    context = Context(model=model, seed=seed, api_base=api_base)
    strategy = SupportDialogue(prior="measure", examples=examples, seed=seed, assess=False, reply=False, guard="off")
    if loading.needs_fetching(context.door.name):
        loading.fetch()
    result = strategy.run("Hello.", context=context)
    chosen = next(e for e in result.trace if e["event"] == "selection")
    if not chosen.get("preference"):
        raise UnparsedError(f"{result.model} named no strategy, so that its preference can't be measured")
    found = chosen["preference"]
    written = json.dumps(
        {"preferences": found, "model": result.model, "preference_of": chosen["preference_of"]}, indent=2
    )
    out.write_text(written + "\n", encoding="utf-8")
    if as_json:
        print(written)
        return 0
    for name, value in found.items():
        print(f"{name:28} {value:6.1%}")
    print(f"{result.usage.calls} calls; use it: --param prior={out}", file=sys.stderr)
    return 0
