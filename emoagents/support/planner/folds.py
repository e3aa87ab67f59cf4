"""Planners for an evaluation: none is asked about a dialogue that it was trained on."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from emoagents.errors import DataError, ParameterError
from emoagents.support.dialogue import Instance, Turn
from emoagents.support.labels import STRATEGIES, SupportStrategy
from emoagents.support.planner.train import train
from emoagents.support.planner.trained import TrainedPlanner

__all__ = ["CrossFitted", "cross_fit", "split_dialogues"]


class _Folds(BaseModel):
    """What the file `folds.json` holds: how many planners there are, and the fold of each dialogue."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int
    folds: int
    dialogues: dict[str, int]


@dataclass(frozen=True, eq=False)
class CrossFitted:
    """Planners, each trained on all folds of dialogues but one.

    Attributes:
        planners: the one at place k was trained without the dialogues of fold k.
        fold_of: the fold of each dialogue, by its id. seed: what the folds were drawn with.
    """

    FILE: ClassVar[str] = "folds.json"

    planners: tuple[TrainedPlanner, ...]
    fold_of: Mapping[str, int]
    seed: int

    def planner_for(self, dialogue: str | None) -> TrainedPlanner:
        """Return the planner that was trained without a dialogue.

        Raises:
            ParameterError: the dialogue is None or not among those that were split.
        """
        if dialogue is None or dialogue not in self.fold_of:
            known = "a conversation of no data set" if dialogue is None else f"dialogue {dialogue!r}"
            raise ParameterError(
                f"these planners are for {len(self.fold_of)} dialogues of a data set, and {known} is none of them; "
                "give the file of one planner instead of the folder"
            )
        return self.planners[self.fold_of[dialogue]]

    def distribution(
        self, turns: Sequence[Turn], background: str = "", *, dialogue: str | None = None
    ) -> Mapping[SupportStrategy, float]:
        """Return what the planner says that was trained without this dialogue.

        Raises:
            ParameterError: the dialogue is not named, or unknown.
        """
        return self.planner_for(dialogue).distribution(turns, background)

    def save(self, folder: Path | str) -> None:
        """Write a file for each planner, and `folds.json` last.

        Raises:
            DataError: they can't be written. MissingExtraError: skops is not installed.
        """
        folder = Path(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for fold, planner in enumerate(self.planners):
                planner.save(_file(folder, fold))
            found = _Folds(seed=self.seed, folds=len(self.planners), dialogues=dict(self.fold_of))
            (folder / self.FILE).write_text(found.model_dump_json(indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise DataError(str(folder), 0, f"planners can't be written: {error.strerror or error}") from None

    @classmethod
    def load(cls, folder: Path | str) -> CrossFitted:
        """Return the planners of a folder.

        Raises:
            DataError: a file is not there, or not what was saved. MissingExtraError: skops is not installed.
        """
        folder = Path(folder)
        found = _read(folder / cls.FILE)
        planners = tuple(TrainedPlanner.load(_file(folder, fold)) for fold in range(found.folds))
        return cls(planners, found.dialogues, found.seed)


def _file(folder: Path, fold: int) -> Path:
    return folder / f"fold-{fold}.skops"


def _read(path: Path) -> _Folds:
    try:
        found = _Folds.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise DataError(str(path), 0, f"no folds of planners: {error.strerror or error}") from None
    except (ValueError, ValidationError, RecursionError):
        raise DataError(str(path), 0, "this does not say which dialogue is in which fold; train again") from None
    if not all(0 <= fold < found.folds for fold in found.dialogues.values()):
        raise DataError(str(path), 0, f"a dialogue is in none of the {found.folds} folds; train again")
    return found


def cross_fit(
    instances: Sequence[Instance], *, folds: int = 2, seed: int = 0, like: Sequence[Instance] = ()
) -> CrossFitted:
    """Split the dialogues at random, and train a planner for each fold on the others.

    Args:
        instances: the more the better: `make_instances(dialogues, sampling="all")`, also where only the instances of
            another sampling are going to be asked about.
        folds: 2 to as many as there are dialogues.
        like: instances as they are going to be asked about. Each planner expects the shares of labels that they have
            in the dialogues that it is trained on; those of the held-out ones are not looked at. Their dialogues are
            split as well, whether or not they are among `instances`.

    Raises:
        ParameterError: there are fewer dialogues than folds, fewer than 2 folds, or the data of some folds together
            are too few to train on. MissingExtraError: scikit-learn is not installed.
    """
    fold_of = split_dialogues([*instances, *like], folds, seed)
    planners = []
    for fold in range(folds):
        shares = _shares([one for one in like if fold_of[one.dialogue] != fold])
        rest = [one for one in instances if fold_of[one.dialogue] != fold]
        planners.append(train(rest, seed=seed, shares=shares, validated=False))
    return CrossFitted(tuple(planners), fold_of, seed)


def split_dialogues(instances: Sequence[Instance], folds: int, seed: int) -> dict[str, int]:
    """Return the fold of each dialogue; folds are as equal as can be, and the order of the instances means nothing.

    Raises:
        ParameterError: there are fewer dialogues than folds, or fewer than 2 folds.
    """
    names = sorted({one.dialogue for one in instances})
    if not 2 <= folds <= len(names):
        raise ParameterError(f"{len(names)} dialogues can't be split into {folds} folds; 2 are the least of both")
    Random(seed).shuffle(names)
    return {name: place % folds for place, name in enumerate(names)}


def _shares(like: Sequence[Instance]) -> dict[SupportStrategy, float]:
    """Return the share of each label, with one added to each count so that none is 0; {} where nothing is known."""
    counts = Counter(one.label for one in like)
    return {label: (counts[label] + 1) / (len(like) + len(STRATEGIES)) for label in STRATEGIES} if like else {}
