"""What a file of support dialogues holds, counted in one pass: no dialogue is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict

from emoagents.support.dialogue import Dialogue, Survey, Turn
from emoagents.support.instances import stages_in
from emoagents.support.labels import STAGES, STRATEGIES

__all__ = ["Description", "Mean", "describe"]

UNLABELLED = "unlabelled"
NO_STAGE = "none"

_SCORES = (*Survey.model_fields, "feedback")


class Mean(BaseModel):
    """The mean of the ratings that were given; None where none was. `n`: their number."""

    model_config = ConfigDict(frozen=True)

    n: int
    mean: float | None


class Description(BaseModel):
    """Counts of a set of dialogues.

    Attributes:
        words: words a turn, parted by space; None without turns.
        strategies: supporter turns by strategy, all eight in the order of `STRATEGIES`, then "unlabelled".
        stages: labelled supporter turns by the stage that is voted for (see `stage_of`), then "none".
        problems, emotions: dialogues by what the source tells of the seeker, the most frequent first.
        scores: the survey's five ratings and the feedback.
    """

    model_config = ConfigDict(frozen=True)

    dialogues: int
    turns: int
    seeker_turns: int
    supporter_turns: int
    words: float | None
    strategies: dict[str, int]
    stages: dict[str, int]
    problems: dict[str, int]
    emotions: dict[str, int]
    scores: dict[str, Mean]


def describe(dialogues: Iterable[Dialogue]) -> Description:
    """Return what these dialogues hold. One after the other is read; memory does not grow with their number.

    Raises:
        DataError: the dialogues come from a file that holds something wrong.
    """
    tally = _Tally()
    for dialogue in dialogues:
        tally.add(dialogue)
    return tally.description()


@dataclass
class _Tally:
    dialogues: int = 0
    words: int = 0
    roles: Counter[str] = field(default_factory=Counter)
    strategies: Counter[str] = field(default_factory=Counter)
    stages: Counter[str] = field(default_factory=Counter)
    problems: Counter[str] = field(default_factory=Counter)
    emotions: Counter[str] = field(default_factory=Counter)
    points: Counter[str] = field(default_factory=Counter)
    given: Counter[str] = field(default_factory=Counter)

    def add(self, dialogue: Dialogue) -> None:
        self.dialogues += 1
        self.problems.update(filter(None, [dialogue.background.problem_type]))
        self.emotions.update(filter(None, [dialogue.background.emotion_type]))
        self.stages.update(stage or NO_STAGE for stage in stages_in(dialogue).values())
        for turn in dialogue.turns:
            self._add_turn(turn)
        for name, rating in _ratings(dialogue):
            self.points[name] += rating
            self.given[name] += 1

    def _add_turn(self, turn: Turn) -> None:
        self.roles[turn.role] += 1
        self.words += len(turn.text.split())
        if turn.role == "supporter":
            self.strategies[turn.strategy or UNLABELLED] += 1

    def description(self) -> Description:
        turns = self.roles.total()
        return Description(
            dialogues=self.dialogues,
            turns=turns,
            seeker_turns=self.roles["seeker"],
            supporter_turns=self.roles["supporter"],
            words=self.words / turns if turns else None,
            strategies={name: self.strategies[name] for name in (*STRATEGIES, UNLABELLED)},
            stages={name: self.stages[name] for name in (*STAGES, NO_STAGE)},
            problems=_by_number(self.problems),
            emotions=_by_number(self.emotions),
            scores={name: self._mean(name) for name in _SCORES},
        )

    def _mean(self, name: str) -> Mean:
        n = self.given[name]
        return Mean(n=n, mean=self.points[name] / n if n else None)


def _ratings(dialogue: Dialogue) -> Iterator[tuple[str, int]]:
    given = [(name, getattr(dialogue.background.survey, name)) for name in Survey.model_fields]
    given += [("feedback", turn.feedback) for turn in dialogue.turns]
    return ((name, rating) for name, rating in given if rating is not None)


def _by_number(counter: Counter[str]) -> dict[str, int]:
    """Return the counts, the greatest first, and equal ones by name: their order must not hang on the file's."""
    return dict(sorted(counter.items(), key=lambda pair: (-pair[1], pair[0])))
