"""Instances: single decisions of supporters, cut from whole dialogues as Kang et al. (ACL 2024) cut them, or all.

Everything is drawn from the seed alone: the same dialogues and the same seed give the same instances.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from random import Random
from typing import Literal, TypeAlias, get_args

from emoagents.errors import ParameterError
from emoagents.support.dialogue import Dialogue, Instance, Turn
from emoagents.support.labels import STAGES, STAGES_OF, Stage, SupportStrategy

__all__ = ["SAMPLINGS", "Sampling", "make_instances", "stage_of", "stages_in"]

Sampling: TypeAlias = Literal["paper", "all"]
"""How `make_instances` draws: as Kang et al. do, or every decision."""

SAMPLINGS: Mapping[str, Sampling] = {name: name for name in get_args(Sampling)}
"""Both by name."""

_REACH = 2
"""Labelled turns on each side of a response that vote on its stage: a window of four around it."""

_TIES: tuple[Stage, ...] = ("comforting", "exploration", "action")
"""Of stages with equal votes the first of these wins."""


# ---- the stage of a response


def stage_of(dialogue: Dialogue, index: int) -> Stage | None:
    """Return the stage of a response: the one that the strategies around it vote for.

    Kang et al. take the majority within a window of four and leave the counting open. Ours: the response's own
    strategy votes, and so do those of up to four labelled supporter turns around it, the two before and the two
    after, each once for every stage that it is typical of (`Others` for none). Of stages with equal votes comforting
    wins, which has no strategy of its own; then the first in the order of `STAGES`. Of the rules we tried this one
    comes nearest to the paper's groups: 0.30, 0.26, 0.44 of the authors' development set, where the paper's 549, 524
    and 816 instances are 0.29, 0.28, 0.43.

    Args:
        index: place of the response in `dialogue.turns` (from 0), which is not its number where turns are missing.

    Returns:
        The stage; None where nobody voted.

    Raises:
        ParameterError: there is no labelled supporter turn at this place.
    """
    places = _labelled(dialogue)
    if index not in places:
        raise ParameterError(f"there is no supporter turn with a strategy at place {index} of dialogue {dialogue.id}")
    return _stage(list(places.values()), list(places).index(index))


def stages_in(dialogue: Dialogue) -> dict[int, Stage | None]:
    """Return the stage of each labelled supporter turn by its place in `dialogue.turns`; see `stage_of`."""
    places = _labelled(dialogue)
    labels = list(places.values())
    return {place: _stage(labels, rank) for rank, place in enumerate(places)}


def _labelled(dialogue: Dialogue) -> dict[int, SupportStrategy]:
    turns = enumerate(dialogue.turns)
    return {place: turn.strategy for place, turn in turns if turn.role == "supporter" and turn.strategy is not None}


def _stage(labels: Sequence[SupportStrategy], rank: int) -> Stage | None:
    votes: Counter[Stage] = Counter()
    for label in labels[max(0, rank - _REACH) : rank + _REACH + 1]:
        votes.update(STAGES_OF[label])
    if not votes:
        return None
    winner: Stage = max(_TIES, key=lambda one: votes[one])
    return winner


# ---- instances


def make_instances(
    dialogues: Iterable[Dialogue],
    *,
    sampling: Sampling = "paper",
    seed: int = 0,
    shortest: int = 5,
    longest: int = 15,
    others: float = 0.05,
) -> list[Instance]:
    """Return the decisions of supporters that dialogues hold, in the order of the dialogues.

    "paper" samples as Kang et al. do:

    1. Dialogues are split at random into three groups, as equal as can be, one for each stage.
    2. Each dialogue is cut into slices that follow each other. A slice's length is drawn from `shortest` to `longest`;
       what is left at the end is a slice too, unless it is shorter than that. The last supporter turn with a strategy
       is the response, the turns of the slice before it are the context. A slice gives nothing without either.
    3. The stage of an instance is that of its response, see `stage_of`.
    4. Instances of another stage than their group's are dropped.
    5. If more than the share `others` of what is left has the label `Others`, the surplus is dropped at random.

    "all" makes an instance of each labelled supporter turn with at least `shortest` turns before it. The context is the
    last of them, up to `longest`. Nothing is dropped, and `stage` may be None; `seed` and `others` mean nothing.

    Only turns that are present count. An instance's id is "DIALOGUE/NUMBER", with the number of the response.

    Raises:
        ParameterError: a parameter has no meaning.
    """
    _check(sampling, seed, shortest, longest, others)
    if sampling == "all":
        return [instance for dialogue in dialogues for instance in _every(dialogue, shortest, longest)]
    random = Random(seed)
    fitting = list(_fitting(list(dialogues), random, shortest, longest))
    return _capped(fitting, random, others)


def _check(sampling: str, seed: int, shortest: int, longest: int, others: float) -> None:
    if sampling not in SAMPLINGS:
        raise ParameterError(f"sampling is {sampling!r}, not 'paper' or 'all'")
    for name, value in (("seed", seed), ("shortest", shortest), ("longest", longest)):
        if not isinstance(value, int) or isinstance(value, bool):
            raise ParameterError(f"{name} is {value!r}, not a whole number")
    if not 1 <= shortest <= longest:
        raise ParameterError(f"shortest is {shortest} and longest {longest}; 1 <= shortest <= longest must hold")
    if not isinstance(others, int | float) or not 0 <= others <= 1:
        raise ParameterError(f"others is {others!r}, not a share from 0 to 1")


def _every(dialogue: Dialogue, shortest: int, longest: int) -> Iterator[Instance]:
    for place, stage in stages_in(dialogue).items():
        if place >= shortest:
            yield _instance(dialogue, max(0, place - longest), place, stage)


def _instance(dialogue: Dialogue, begin: int, place: int, stage: Stage | None) -> Instance:
    response = dialogue.turns[place]
    return Instance(
        id=f"{dialogue.id}/{response.number}",
        dialogue=dialogue.id,
        background=dialogue.background,
        context=dialogue.turns[begin:place],
        response=response,
        stage=stage,
        progress=response.number / dialogue.turns[-1].number,
    )


# ---- the paper's sampling


def _fitting(dialogues: Sequence[Dialogue], random: Random, shortest: int, longest: int) -> Iterator[Instance]:
    """Yield the instances whose stage is their group's."""
    groups = [STAGES[number % len(STAGES)] for number in range(len(dialogues))]
    random.shuffle(groups)
    for dialogue, group in zip(dialogues, groups, strict=True):
        stages = stages_in(dialogue)
        for begin, end in _slices(len(dialogue.turns), random, shortest, longest):
            place = _response(dialogue.turns, begin, end)
            if place is not None and stages[place] == group:
                yield _instance(dialogue, begin, place, group)


def _slices(turns: int, random: Random, shortest: int, longest: int) -> Iterator[tuple[int, int]]:
    begin = 0
    while turns - begin >= shortest:
        end = min(turns, begin + random.randint(shortest, longest))
        yield begin, end
        begin = end


def _response(turns: Sequence[Turn], begin: int, end: int) -> int | None:
    """Return the place of the last labelled supporter turn that has turns before it in its slice."""
    places = range(end - 1, begin, -1)
    return next((place for place in places if turns[place].role == "supporter" and turns[place].strategy), None)


def _capped(instances: Sequence[Instance], random: Random, others: float) -> list[Instance]:
    mine = [number for number, instance in enumerate(instances) if instance.label == "Others"]
    share = Fraction(str(others))  # in binary, a share of 0.6 beside 2 leaves room for 2.9999
    rest = len(instances) - len(mine)
    room = len(mine) if share == 1 else min(len(mine), int(rest * share / (1 - share)))
    dropped = set(random.sample(mine, len(mine) - room))
    return [instance for number, instance in enumerate(instances) if number not in dropped]
