"""What an analysis finds in the records of a comparison. Plain data: tables, pictures and pages are made of it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

__all__ = ["ALL_TASKS", "ArmRow", "Difference", "Findings", "GroupRow", "RepairRow", "Selection"]

ALL_TASKS = "all"
"""Name of the row that averages the tasks, each with the same weight."""

_DATA = ConfigDict(frozen=True, extra="ignore")


class ArmRow(BaseModel):
    """How one arm did on one task, or on all of them.

    Attributes:
        n: items scored (repetitions of an item count once: they are averaged first).
        score: mean of the first metric, 0 to 1, with its 95 % interval (low, high); None where n is 0.
        unparsed, failed, unjudged: shares of all attempts.
        answers, tokens, usd, seconds: means for each attempt. usd is None where a price is unknown.
        frontier: no other arm is at least as good for fewer tokens (only in the row of all tasks).
    """

    model_config = _DATA

    arm: str
    task: str
    n: int
    score: float | None
    low: float | None
    high: float | None
    unparsed: float
    failed: float
    unjudged: float = 0.0
    answers: float
    tokens: float
    usd: float | None
    seconds: float
    frontier: bool = False


class Difference(BaseModel):
    """A paired difference between two arms: only items that both scored.

    Attributes:
        kind: "baseline" (against the baseline), "twin" (an emotional arm against its neutral twin), or "pair"
            (two arms that draw several answers).
        n: pairs. difference: arm minus reference, with its 95 % interval (low, high).
        p: two-sided. p_holm: Holm's, over all differences of the same kind and task row. significant: p_holm < alpha.
        wins, losses, ties: items where the arm is better, worse, equal.
        test, interval: names of the methods used, as "exact McNemar".
        smallest: the smallest true difference that n pairs would have shown four times out of five.
        answers_ratio, tokens_ratio: the arm's cost over the reference's.
    """

    model_config = _DATA

    arm: str
    reference: str
    kind: str
    task: str
    n: int
    difference: float
    low: float
    high: float
    p: float
    p_holm: float
    significant: bool
    wins: int
    losses: int
    ties: int
    test: str
    interval: str
    smallest: float
    answers_ratio: float
    tokens_ratio: float | None


class Selection(BaseModel):
    """The best of a family of arms, chosen on one half of the items and scored on the other, both ways.

    Attributes:
        family: its name. members: its arms. chosen: the arm that each half chose.
        score: of the chosen on the half that did not choose, with the paired difference to the reference there and
            its 95 % interval.
        flattered: the difference that choosing and scoring on the same items would have shown.
    """

    model_config = _DATA

    family: str
    members: tuple[str, ...]
    chosen: tuple[str, ...]
    reference: str
    n: int
    score: float
    difference: float
    low: float
    high: float
    p: float
    flattered: float


class RepairRow(BaseModel):
    """Of the retries that followed a wrong answer with one emotion, how many were then right (HEART)."""

    model_config = _DATA

    arm: str
    emotion: str
    tries: int
    repaired: int
    low: float
    high: float


class GroupRow(BaseModel):
    """Mean score of an arm within one group of items, as language = zh."""

    model_config = _DATA

    arm: str
    task: str
    column: str
    group: str
    n: int
    score: float


class Findings(BaseModel):
    """All that was found.

    Attributes:
        missing: attempts that the plan asks for and that have no record yet (an unfinished run).
        notes: what a reader must know, one sentence each, as "12 attempts failed and are in no mean".
    """

    model_config = _DATA

    arms: tuple[ArmRow, ...]
    differences: tuple[Difference, ...]
    selections: tuple[Selection, ...] = ()
    repairs: tuple[RepairRow, ...] = ()
    groups: tuple[GroupRow, ...] = ()
    attempts: int = 0
    missing: int = 0
    answers: int = 0
    bought: int = 0
    alpha: float = 0.05
    notes: tuple[str, ...] = ()
