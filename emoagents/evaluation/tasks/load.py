"""From a spec, as "gsm8k" or "csv:questions.csv", to its tasks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from emoagents.errors import ParameterError, UnknownNameError
from emoagents.evaluation.task import Task
from emoagents.evaluation.tasks import bbh, emobench, esconv, goemotions, gsm8k, instruction_induction, longemotion
from emoagents.evaluation.tasks.own import KINDS, own_task
from emoagents.evaluation.tasks.suite import Suite, Wanted

__all__ = ["load_tasks", "task_names"]

_SUITES: dict[str, Suite] = {
    module.SUITE.name: module.SUITE
    for module in (bbh, emobench, esconv, goemotions, gsm8k, instruction_induction, longemotion)
}


def task_names() -> list[str]:
    """Return all that a spec may be: suites, their parts as "bbh:snarks", and the forms of own files."""
    parts = [f"{suite.name}:{part}" for suite in _SUITES.values() for part in suite.parts]
    return sorted([*_SUITES, *parts]) + [f"{kind}:FILE" for kind in KINDS]


def _to_stderr(sentence: str) -> None:
    print(sentence, file=sys.stderr)  # noqa: T201


def load_tasks(
    spec: str,
    *,
    data: Path | None = None,
    shots: int = 0,
    columns: Mapping[str, str] | None = None,
    seed: int = 0,
    options: Mapping[str, str] | None = None,
    announce: Callable[[str], None] = _to_stderr,
) -> list[Task]:
    """Return the tasks that a spec names.

    Args:
        spec: "NAME" for a whole suite, "NAME:PART,PART" for some of it, "csv:FILE" or "jsonl:FILE" for an own file.
        data: the suite's file or folder. None fetches the suite from its publisher (extra "hub").
        shots: demonstrations before each item. seed: decides which are drawn.
        columns: for own files, from input, target, id, choices and group to names of columns.
        options: the suite's or the file's own, as {"format": "text"}.
        announce: told in one sentence before anything is downloaded; by default it goes to stderr.

    Raises:
        UnknownNameError: there is no such suite, part, option, column role or metric.
        ParameterError: a value that can't be, or a suite that can't be fetched.
        DataError: a file does not load; names file and line.
        MissingExtraError: fetching needs the extra "hub".
        RunError: the hub can't be reached.
    """
    name, colon, rest = spec.strip().partition(":")
    if shots < 0:
        raise ParameterError(f"shots is 0 or more, not {shots}")
    if name in KINDS:
        return [_own(name, rest, data, shots, columns or {}, options or {})]
    if name not in _SUITES:
        raise UnknownNameError("task", name, [*_SUITES, *(f"{kind}:FILE" for kind in KINDS)])
    if columns:
        raise ParameterError(f"columns are for csv:FILE and jsonl:FILE; {name} knows its own")
    wanted = Wanted(
        parts=_parts(spec, rest) if colon else (),
        data=data,
        shots=shots,
        seed=seed,
        options=options or {},
        announce=announce,
    )
    _SUITES[name].check(wanted)
    return _SUITES[name].load(wanted)


def _parts(spec: str, rest: str) -> tuple[str, ...]:
    parts = tuple(part.strip() for part in rest.split(","))
    if not all(parts):
        raise ParameterError(f"{spec!r} names no part after a colon or comma")
    if len(set(parts)) < len(parts):
        raise ParameterError(f"{spec!r} names a part twice")
    return parts


def _own(
    kind: str, file: str, data: Path | None, shots: int, columns: Mapping[str, str], options: Mapping[str, str]
) -> Task:
    if not file.strip():
        raise ParameterError(f"{kind}: needs a file, as {kind}:questions.{kind}")
    if data is not None:
        raise ParameterError(f"{kind}:FILE names its file itself: leave data (--data) out")
    if shots:
        raise ParameterError(f"{kind}:FILE has no demonstrations: use shots=0")
    return own_task(kind, Path(file.strip()), columns, options)
