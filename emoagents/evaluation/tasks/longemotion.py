"""LongEmotion: six tasks of emotional understanding in long contexts (Liu et al., arXiv 2509.07403).

Its licence is unclear, so nothing of it is in the package and nothing is fetched: a person brings the files. Without
parts, all tasks whose files are in the folder are loaded, and the others are named.
"""

from __future__ import annotations

from pathlib import Path

from emoagents.errors import DataError, ParameterError
from emoagents.evaluation.task import Task
from emoagents.evaluation.tasks import longemotion_exact as exact
from emoagents.evaluation.tasks.suite import Suite, Wanted

__all__ = ["PARTS", "SUITE"]

PARTS = ("classification", "detection", "qa", "summary", "conversation", "expression")


def _load(wanted: Wanted) -> list[Task]:
    from emoagents.longemotion import FILES, find_files

    if wanted.data is None:
        raise ParameterError("longemotion needs its data: --data PATH, a file or the folder with the publisher's files")
    if wanted.data.is_file() and len(wanted.parts) != 1:
        raise ParameterError(f"{wanted.data} is one file: ask for the one task it is of, as longemotion:detection")
    found = {part: find_files(wanted.data, part) for part in wanted.parts or PARTS}
    missing = [part for part, files in found.items() if not files]
    if missing and (wanted.parts or len(missing) == len(PARTS)):
        names = " or ".join(FILES[missing[0]][0])
        raise DataError(str(wanted.data), 0, f"there is no {names} here, which longemotion:{missing[0]} needs")
    if missing:
        wanted.announce(f"{wanted.data} has no file of {', '.join(missing)}: left out")
    return [task for part, files in found.items() if files for task in _tasks(part, files, wanted)]


def _tasks(part: str, files: tuple[Path, ...], wanted: Wanted) -> list[Task]:
    match part:
        case "classification":
            return [exact.classification(files)]
        case "detection":
            return [exact.detection(files[0])]
        case "qa":
            return [exact.qa(files[0])]
    raise ParameterError(f"longemotion:{part} is not there yet")


SUITE = Suite(name="longemotion", load=_load, parts=PARTS)
