"""Instances cut from dialogues: the vote on stages, the paper's sampling, and all decisions."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from fractions import Fraction
from math import nan
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoagents.errors import ParameterError
from emoagents.support.dialogue import Background, Dialogue, Instance, Turn
from emoagents.support.instances import make_instances, stage_of, stages_in
from emoagents.support.labels import STAGES, STAGES_OF, STRATEGIES, SupportStrategy, canonical
from emoagents.support.load import read_dialogues

SAMPLES = Path(__file__).parent / "samples"
REAL = Path("/work/shared/data/esconv")

SHORT = {
    "Q": "Question",
    "P": "Restatement or Paraphrasing",
    "R": "Reflection of feelings",
    "D": "Self-disclosure",
    "A": "Affirmation and Reassurance",
    "S": "Providing Suggestions",
    "I": "Information",
    "O": "Others",
}


def dialogue(turns: str, name: str = "0000", first: int = 0) -> Dialogue:
    """Return a dialogue: a letter a supporter's strategy, "u" one without, "." a seeker."""
    return Dialogue(id=name, turns=tuple(turn(number, letter) for number, letter in enumerate(turns, first)))


def turn(number: int, letter: str) -> Turn:
    if letter == ".":
        return Turn(role="seeker", text=f"said {number}", number=number)
    strategy = canonical(SHORT.get(letter, ""))
    return Turn(role="supporter", text=f"answered {number}", number=number, strategy=strategy)


def random_dialogues(number: int, letters: str = ".QPRDASIOu", seed: int = 1) -> list[Dialogue]:
    random = Random(seed)
    lengths = [random.randint(1, 60) for _ in range(number)]
    return [dialogue("".join(random.choices(letters, k=k)), f"{n:04d}") for n, k in enumerate(lengths)]


# ---- the vote


@pytest.mark.parametrize(
    ("turns", "index", "stage"),
    [
        ("Q", 0, "exploration"),
        ("A", 0, "comforting"),  # a tie of two: comforting wins
        ("D", 0, "comforting"),  # a tie of three
        ("O", 0, None),
        ("OO.O", 1, None),
        (".RA", 2, "comforting"),  # 1 to 2 to 1
        ("QI", 0, "exploration"),  # a tie without comforting: the order decides, whosever the response
        ("QI", 1, "exploration"),
        ("IOQ", 1, "exploration"),
        ("QAI", 1, "action"),  # 1 to 1 to 2
        ("QQAI", 2, "exploration"),
        ("QAS", 1, "action"),
        ("DRQI", 0, "exploration"),  # the third after it has no vote
        ("IDRQ", 3, "exploration"),  # the third before it has none
        ("IOOO", 3, None),
        ("IOOO", 2, "action"),
        ("OOOI", 0, None),
        ("OOOI", 1, "action"),
        ("Q..u.u..O..u...O", 15, "exploration"),  # seekers and turns without a label take no place
        ("IIQ.QQ", 2, "exploration"),  # 1 + 2 to 2
        ("IIQ.OI", 2, "action"),
        ("DA", 0, "comforting"),  # 1 to 2 to 2
        ("AR", 0, "comforting"),
    ],
)
def test_the_vote(turns: str, index: int, stage: str | None) -> None:
    assert stage_of(dialogue(turns), index) == stage
    assert stages_in(dialogue(turns))[index] == stage


def test_the_place_is_that_in_the_turns_present() -> None:
    said = dialogue("..I", first=40)
    assert stage_of(said, 2) == "action"
    assert stages_in(said) == {2: "action"}


@pytest.mark.parametrize("index", [0, 1, 3, -1])
def test_no_vote_where_there_is_no_labelled_supporter(index: int) -> None:
    with pytest.raises(ParameterError, match=f"at place {index} of dialogue 0000"):
        stage_of(dialogue(".uQ"), index)


@given(st.lists(st.sampled_from(STRATEGIES), min_size=1, max_size=7), st.data())
def test_the_winner_has_the_most_votes(labels: list[SupportStrategy], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(labels) - 1))
    said = tuple(Turn(role="supporter", text="", number=n, strategy=label) for n, label in enumerate(labels))
    stage = stage_of(Dialogue(id="0", turns=said), place)
    near = labels[max(0, place - 2) : place + 3]
    votes = {s: sum(s in STAGES_OF[each] for each in near) for s in STAGES}
    if stage is None:
        assert set(near) == {"Others"}
    else:
        assert votes[stage] == max(votes.values())


# ---- all


def test_every_decision_with_enough_before_it() -> None:
    said = dialogue("Q.Q.u.QO.I", name="0007", first=3)
    found = make_instances([said], sampling="all", shortest=2, longest=4)
    assert [instance.id for instance in found] == ["0007/5", "0007/9", "0007/10", "0007/12"]
    assert [len(instance.context) for instance in found] == [2, 4, 4, 4]
    assert [[t.number for t in instance.context] for instance in found][1] == [5, 6, 7, 8]
    assert [instance.label for instance in found] == ["Question", "Question", "Others", "Information"]
    assert found[0].progress == 5 / 12
    assert found[-1].progress == 1


def test_all_keeps_instances_without_a_stage() -> None:
    found = make_instances([dialogue("." * 5 + "O" * 8)], sampling="all", others=0)
    assert len(found) == 8
    assert {instance.stage for instance in found} == {None}


def test_an_instance_keeps_what_is_known_of_the_seeker() -> None:
    first, second = read_dialogues(SAMPLES / "esconv.json")
    found = make_instances([first, second], sampling="all", shortest=4)
    assert [(instance.id, instance.dialogue) for instance in found] == [
        ("0000/5", "0000"),
        ("0000/6", "0000"),
        ("0001/4", "0001"),
        ("0001/5", "0001"),
    ]
    assert found[0].background == first.background != Background()
    assert found[0].context == first.turns[:5]
    assert found[0].response == first.turns[5]


def test_nothing_to_cut() -> None:
    for sampling in ("paper", "all"):
        assert make_instances([], sampling=sampling) == []
        assert make_instances([dialogue("..."), dialogue("Q"), Dialogue(id="0", turns=())], sampling=sampling) == []


# ---- the paper's


def sampled(dialogues: Sequence[Dialogue], **more: Any) -> list[Instance]:
    return make_instances(dialogues, sampling="paper", **more)


def test_a_dialogue_belongs_to_one_stage() -> None:
    stages = defaultdict(set)
    for instance in sampled(random_dialogues(300)):
        stages[instance.dialogue].add(instance.stage)
    assert all(len(each) == 1 for each in stages.values())
    assert set().union(*stages.values()) == set(STAGES)


@pytest.mark.parametrize(("letter", "number", "share"), [("Q", 30, 10), ("I", 30, 10), ("Q", 31, 11), ("I", 32, 10)])
def test_groups_are_equal_and_another_stage_is_dropped(letter: str, number: int, share: int) -> None:
    dialogues = [dialogue(letter * 20, f"{n:04d}") for n in range(number)]
    found = sampled(dialogues)
    assert len({instance.dialogue for instance in found}) == share
    assert {instance.stage for instance in found} == {STAGES_OF[found[0].label][0]}


def test_groups_are_drawn() -> None:
    dialogues = [dialogue("Q" * 20, f"{n:04d}") for n in range(30)]
    names = {tuple(sorted({i.dialogue for i in sampled(dialogues, seed=seed)})) for seed in range(5)}
    assert len(names) == 5


def test_slices_follow_each_other_and_their_lengths_are_drawn() -> None:
    found = sampled([dialogue("Q" * 400, f"{n:04d}") for n in range(90)])
    lengths: Counter[int] = Counter()
    ends: dict[str, int] = {}
    for instance in found:
        assert instance.context[0].number == ends.get(instance.dialogue, 0)
        ends[instance.dialogue] = instance.response.number + 1
        lengths[len(instance.context) + 1] += 1
    assert set(lengths) == set(range(5, 16))
    assert max(lengths.values()) < 1.5 * min(lengths.values())
    assert all(400 - end < 5 for end in ends.values())


def test_the_last_labelled_supporter_of_a_slice_responds() -> None:
    found = sampled([dialogue("..QQ.u" * 5, f"{n:04d}") for n in range(30)], shortest=6, longest=6)
    assert {tuple(turn.number % 6 for turn in instance.context) for instance in found} == {(0, 1, 2)}
    assert {instance.response.number % 6 for instance in found} == {3}
    assert len(found) == 50


def test_a_slice_without_a_turn_before_the_response_gives_nothing() -> None:
    assert sampled([dialogue("Q.....", f"{n:04d}") for n in range(30)]) == []


@pytest.mark.parametrize("others", [0, 0.05, 0.1, 0.3, 1 / 3, 0.5, 1])
def test_others_are_capped(others: float) -> None:
    dialogues = random_dialogues(600, letters="..OOOOQSRAD")
    everything = sampled(dialogues, others=1)
    found = sampled(dialogues, others=others)
    rest = [instance for instance in everything if instance.label != "Others"]
    kept = [instance for instance in found if instance.label == "Others"]
    assert [instance for instance in found if instance.label != "Others"] == rest
    assert len(kept) <= others * len(found) + 1e-9
    assert len(kept) == len(everything) - len(rest) or len(kept) + 1 > others * (len(found) + 1) - 1e-9
    assert found == [instance for instance in everything if instance in found]


@pytest.mark.parametrize("others", ["0.05", "0.15", "0.2", "0.6"])
def test_the_cap_is_exact(others: str) -> None:
    """3 of 5 are 60 %, which binary numbers take for a little less."""
    share, seen = Fraction(others), set()
    for seed in range(12):
        found = sampled([dialogue("OOOOQ" * 20, f"{n:04d}") for n in range(30)], others=float(others), seed=seed)
        kept = sum(instance.label == "Others" for instance in found)
        seen.add(len(found) - kept)
        assert kept <= share * len(found)
        assert kept + 1 > share * (len(found) + 1)
    assert len(seen) > 3


def test_others_without_a_stage_are_dropped() -> None:
    assert sampled([dialogue(".O" * 20, f"{n:04d}") for n in range(30)], others=1) == []


# ---- seeds


def test_the_seed_decides() -> None:
    dialogues = random_dialogues(60)
    draws = [[instance.id for instance in sampled(dialogues, seed=seed)] for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]
    assert sampled(iter(dialogues)) == sampled(dialogues)


def test_the_order_of_hashes_does_not() -> None:
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]); import test_instances as t;"
        "print([i.id for i in t.sampled(t.random_dialogues(60))])"
    )
    here = str(Path(__file__).parent)
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code, here],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1
    assert "0" in outputs.pop()


def test_ids_are_unique_and_say_where() -> None:
    for sampling in ("paper", "all"):
        found = make_instances(random_dialogues(90), sampling=sampling)
        assert len({instance.id for instance in found}) == len(found) > 0
        assert all(instance.id == f"{instance.dialogue}/{instance.response.number}" for instance in found)


# ---- parameters


@pytest.mark.parametrize(
    "wrong",
    [
        {"sampling": "some"},
        {"sampling": None},
        {"seed": "1"},
        {"seed": 1.5},
        {"seed": True},
        {"shortest": 0},
        {"shortest": 16},
        {"longest": 4},
        {"longest": 7.5},
        {"others": -0.1},
        {"others": 1.1},
        {"others": nan},
        {"others": "0.05"},
    ],
)
def test_wrong_parameters_are_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        make_instances([], **wrong)


# ---- the real files


@pytest.mark.parametrize(
    ("name", "least", "every"), [("FailedESConv.json", 60, 1099), ("devWithStrategy_short.tsv", 150, 2573)]
)
def test_real_files(name: str, least: int, every: int) -> None:
    if not (REAL / name).exists():
        pytest.skip(f"{name} is not here")
    dialogues = list(read_dialogues(REAL / name))
    found = sampled(dialogues)
    assert len(found) > least
    assert {instance.stage for instance in found} == set(STAGES)
    assert Counter(instance.label for instance in found)["Others"] <= 0.05 * len(found)
    assert len(make_instances(dialogues, sampling="all")) == every
