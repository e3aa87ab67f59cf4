"""LongEmotion: six tasks of emotional understanding in long contexts (Liu et al., arXiv 2509.07403).

Its licence is unclear, so nothing of it is in the package and nothing is fetched: a person brings the files. Without
parts, all tasks whose files are in the folder are loaded, and the others are named.
"""

from __future__ import annotations

from pathlib import Path

from emoagents.errors import CardError, DataError, ParameterError
from emoagents.evaluation.rubric import Rubric, load_rubric, override_rubric
from emoagents.evaluation.task import Task
from emoagents.evaluation.tasks import longemotion_exact as exact
from emoagents.evaluation.tasks import longemotion_judged as judged
from emoagents.evaluation.tasks.suite import Suite, Wanted

__all__ = ["PARTS", "SUITE"]

PARTS = ("classification", "detection", "qa", "summary", "conversation", "expression")


def _load(wanted: Wanted) -> list[Task]:
    from emoagents.longemotion import FILES, find_files

    if wanted.data is None:
        raise ParameterError("longemotion needs its data: --data PATH, a file or the folder with the publisher's files")
    if wanted.data.is_file() and len(wanted.parts) != 1:
        raise ParameterError(f"{wanted.data} is one file: ask for the one task it is of, as longemotion:detection")
    _check_rubrics(wanted)
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
    rubric = _rubric(part, wanted)
    if part == "summary":
        return [judged.summary(files[0], rubric)]
    if part == "expression":
        return [judged.expression(files, rubric, _length(wanted))]
    last = wanted.options.get("checkpoints") == "all"
    numbers = (1, 2, 3, 4) if wanted.options.get("stages") == "all" else (4,)
    return [judged.conversation(files[0], rubric.of_group(str(n)), n, last=last) for n in numbers]


def _rubric(part: str, wanted: Wanted) -> Rubric:
    """Return the part's rubric: the user's file or one of the user's folder, if it is for this part; else ours."""
    name, given = f"longemotion_{part}", wanted.options.get("rubric")
    rubrics = [override_rubric(path) for path in _given(Path(given))] if given else []
    return next((rubric for rubric in rubrics if rubric.name == name), load_rubric(name))


def _given(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(path.glob("*.toml"))
    if not files:
        raise CardError(str(path), "", "there is no rubric in this folder, as a file of the kind .toml")
    return files


def _check_rubrics(wanted: Wanted) -> None:
    """See that every rubric of the user's is for a part that is wanted: none is left out in silence."""
    for path in _given(Path(given)) if (given := wanted.options.get("rubric")) else ():
        part = override_rubric(path).name.removeprefix("longemotion_")
        if wanted.parts and part not in wanted.parts:
            raise ParameterError(f"{path} is a rubric for longemotion:{part}, which is not asked for")


def _length(wanted: Wanted) -> int:
    text = wanted.options.get("length", str(judged.LENGTH))
    if not (text.isascii() and text.isdecimal()) or not 0 < int(text) <= 1_000_000:
        raise ParameterError(f"length of longemotion is a number of tokens, as 3000, not {text!r}")
    return int(text)


SUITE = Suite(
    name="longemotion",
    load=_load,
    parts=PARTS,
    options={"rubric": (), "stages": ("4", "all"), "checkpoints": ("paper", "all"), "length": ()},
)
