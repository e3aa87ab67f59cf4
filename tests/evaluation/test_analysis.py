"""From records to findings: every number of small record sets by hand, and what noise alone must not show."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emoagents.errors import MissingExtraError, ParameterError
from emoagents.evaluation.analysis import analyse
from emoagents.evaluation.analysis.statistics import mcnemar_interval, mcnemar_p, wilson
from emoagents.evaluation.findings import ALL_TASKS, ArmRow, Difference, Findings
from emoagents.evaluation.record import Arm, Plan, Record, Spent, TaskInfo


def arm(label: str, **fields: Any) -> Arm:
    return Arm(label=label, spec=fields.pop("spec", label), title=label, **fields)


def plan(arms: list[Arm], tasks: dict[str, int], **fields: Any) -> Plan:
    infos = tuple(TaskInfo(name=name, metrics=("score", "other"), items=items) for name, items in tasks.items())
    return Plan(tasks=infos, arms=tuple(arms), baseline=arms[0].label, model="m", **fields)


def record(arm: str, item: int | str, score: float | None, task: str = "t", **fields: Any) -> Record:
    status = "failed" if score is None else "scored"
    scores = {} if score is None else {"score": score, "other": 0.123}
    return Record(**{"task": task, "item": str(item), "arm": arm, "status": status, "scores": scores, **fields})


def filled(plan: Plan, score: Callable[[str, str, int, int], float], **fields: Any) -> Iterator[Record]:
    """Yield a record for each attempt of a plan; `score` is a function of arm, task, item and replica."""
    for task in plan.tasks:
        for item in range(task.items):
            for one in plan.arms:
                for replica in range(plan.replicas):
                    value = score(one.label, task.name, item, replica)
                    yield record(one.label, item, value, task.name, replica=replica, **fields)


def row(found: Findings, arm: str, task: str = ALL_TASKS) -> ArmRow:
    (one,) = [r for r in found.arms if (r.arm, r.task) == (arm, task)]
    return one


def difference(found: Findings, arm: str, kind: str = "baseline", task: str = ALL_TASKS) -> Difference:
    (one,) = [d for d in found.differences if (d.arm, d.kind, d.task) == (arm, kind, task)]
    return one


# -- by hand ----------------------------------------------------------------------------------------------------------


def small() -> tuple[Plan, list[Record]]:
    """Two arms, ten items. b wins items 0 to 6, loses item 7, ties 8; it failed on item 9."""
    a_spent = Spent(answers=1, bought=1, prompt_tokens=10, completion_tokens=10, usd=0.1, seconds=1)
    b_spent = Spent(answers=3, bought=2, prompt_tokens=50, completion_tokens=30, usd=0.4, seconds=2)
    records = []
    for item, (a, b) in enumerate([(0, 1)] * 7 + [(1, 0), (1, 1), (1, None)]):
        groups = {"language": "en" if item < 4 else "zh"}
        records.append(record("a", item, a, spent=a_spent, groups=groups))
        records.append(record("b", item, b, spent=b_spent, groups=groups))
    return plan([arm("a"), arm("b")], {"t": 10}), records


def test_every_number_of_an_arm() -> None:
    found = analyse(*small())
    for task in ("t", ALL_TASKS):
        a, b = row(found, "a", task), row(found, "b", task)
        assert (a.n, a.score, a.unparsed, a.failed) == (10, pytest.approx(0.3), 0, 0)
        assert (b.n, b.score, b.unparsed, b.failed) == (9, pytest.approx(8 / 9), 0, 0.1)
        assert (a.low, a.high) == pytest.approx(wilson(3, 10))
        assert (b.low, b.high) == pytest.approx(wilson(8, 9))
        assert (a.answers, a.tokens, a.usd, a.seconds) == (1, 20, pytest.approx(0.1), 1)
        assert (b.answers, b.tokens, b.usd, b.seconds) == (3, 80, pytest.approx(0.4), 2)
        assert a.frontier == b.frontier == (task == ALL_TASKS)
    assert (found.attempts, found.missing, found.answers, found.bought, found.alpha) == (20, 0, 40, 30, 0.05)


def test_every_number_of_a_difference() -> None:
    found = analyse(*small())
    assert [(d.arm, d.reference, d.kind, d.task) for d in found.differences] == [
        ("b", "a", "baseline", "t"),
        ("b", "a", "baseline", ALL_TASKS),
    ]
    one, whole = found.differences
    assert one.model_copy(update={"task": ALL_TASKS}) == whole
    assert (one.n, one.wins, one.losses, one.ties) == (9, 7, 1, 1)
    assert one.difference == pytest.approx(6 / 9)
    assert one.p == one.p_holm == pytest.approx(mcnemar_p(7, 1)) == pytest.approx(18 / 256)
    assert not one.significant
    assert (one.low, one.high) == pytest.approx(mcnemar_interval(7, 1, 9))
    assert (one.test, one.answers_ratio, one.tokens_ratio) == ("exact McNemar", 3, 4)
    assert one.smallest == pytest.approx(6 / 9, abs=0.1)


def test_groups_by_hand() -> None:
    found = [(g.arm, g.task, g.column, g.group, g.n, pytest.approx(g.score)) for g in analyse(*small()).groups]
    assert found == [
        ("a", "t", "language", "en", 4, 0.0),
        ("b", "t", "language", "en", 4, 1.0),
        ("a", "t", "language", "zh", 6, 0.5),
        ("b", "t", "language", "zh", 5, 0.8),
    ]


def test_the_order_of_the_records_changes_nothing() -> None:
    which, records = small()
    assert analyse(which, reversed(records)) == analyse(which, iter(records))


def test_tasks_have_the_same_weight_and_repetitions_are_averaged() -> None:
    which = plan([arm("a"), arm("b")], {"few": 2, "many": 4}, replicas=2)
    cost = {"few": 10, "many": 40}
    records = [
        r.model_copy(update={"spent": Spent(answers=1, prompt_tokens=cost[r.task], usd=None)})
        for r in filled(which, lambda a, t, i, k: float(a == "a" or (t == "few" and k == 0)))
    ]
    found = analyse(which, records)
    assert row(found, "b", "few").score == pytest.approx(0.5)
    assert row(found, "b", "many").score == 0
    whole = row(found, "b")
    assert (whole.n, whole.score, whole.tokens, whole.usd) == (6, pytest.approx(0.25), 25, None)
    one = difference(found, "b")
    assert (one.n, one.wins, one.losses, one.ties) == (6, 0, 6, 0)
    assert one.difference == pytest.approx(-0.75)
    # both tasks to one side: all signs the same, or all the other way round, of 2 ** 6 patterns
    assert one.p == pytest.approx(2 / 64)
    assert one.test == "sign-flip permutation"
    assert difference(found, "b", task="few").p == pytest.approx(2 / 4)
    assert any("price" in note for note in found.notes)


def test_the_later_of_two_records_counts() -> None:
    which, records = small()
    found = analyse(which, [*records, record("b", 9, 1.0)])
    assert (row(found, "b").n, row(found, "b").failed, found.attempts) == (10, 0, 20)


def test_unparsed_counts_as_0_and_apart() -> None:
    which = plan([arm("a")], {"t": 4})
    records = [record("a", 0, 1.0), record("a", 1, 0.7, status="unparsed"), record("a", 2, None)]
    found = analyse(which, [*records, record("a", 3, 1.0, scores={"other": 1.0})])
    one = row(found, "a")
    assert (one.n, one.score, one.unparsed, one.failed) == (2, 0.5, 0.25, 0.5)


def test_what_the_plan_does_not_know_is_left_out() -> None:
    which, records = small()
    strange = [record("z", 1, 1.0), record("a", 1, 1.0, "u"), record("a", 1, 1.0, replica=1)]
    found = analyse(which, [*records, *strange])
    assert found.attempts == 20
    assert any(note.startswith("3 records") for note in found.notes)


def test_missing_attempts_are_counted() -> None:
    which = plan([arm("a"), arm("b")], {"t": 3, "u": 2}, replicas=2)
    found = analyse(which, [record("a", 0, 1.0), record("a", 0, 1.0, replica=1), record("b", 0, 1.0, "u")])
    assert found.missing == 20 - 3
    assert any(note.startswith("17 attempts of the plan are") for note in found.notes)


def test_notes_say_what_a_reader_must_know() -> None:
    which, records = small()
    which = which.model_copy(update={"arms": (*which.arms, arm("o", spec="heart:3[verifier=oracle]"))})
    notes = " ".join(analyse(which, records).notes)
    for part in ("1 attempt failed", "10 attempts", "oracle", "upper bound", "30 of 40 answers", "fewer than 20 pairs"):
        assert part in notes


def test_frontier() -> None:
    arms = [arm(name) for name in ("cheap", "worse", "good", "dear")]
    tokens, right = {"cheap": 1, "worse": 5, "good": 9, "dear": 20}, {"cheap": 5, "worse": 4, "good": 8, "dear": 8}
    which = plan([*arms, arm("none")], {"t": 10})
    records = [
        record(a.label, i, float(i < right[a.label]), spent=Spent(prompt_tokens=tokens[a.label]))
        for a in arms
        for i in range(10)
    ]
    assert [r.arm for r in analyse(which, records).arms if r.frontier] == ["cheap", "good"]


def test_which_arms_are_compared() -> None:
    arms = [
        arm("base"),
        arm("e", tone="emotional", twin="n"),
        arm("n", tone="neutral", twin="e"),
        arm("s3"),
        arm("s5"),
    ]
    which = plan(arms, {"t": 4})
    answers = {"base": 1, "e": 1, "n": 1, "s3": 3, "s5": 5}
    records = [record(a.label, i, 1.0, spent=Spent(answers=answers[a.label])) for a in arms for i in range(4)]
    found = [(d.arm, d.reference, d.kind) for d in analyse(which, records).differences if d.task == "t"]
    assert found == [
        *((a, "base", "baseline") for a in ("e", "n", "s3", "s5")),
        ("e", "n", "twin"),
        ("s5", "s3", "pair"),
    ]


def test_holm_is_within_a_kind_and_a_task() -> None:
    which = plan([arm("a"), arm("b"), arm("c"), arm("d", tone="emotional", twin="c")], {"t": 12})
    wins = {"a": 0, "b": 8, "c": 7, "d": 0}
    found = analyse(which, filled(which, lambda a, t, i, k: float(i < wins[a])))
    b, c, d = (difference(found, name, task="t") for name in "bcd")
    assert (b.p, c.p, d.p) == (pytest.approx(2 / 256), pytest.approx(2 / 128), 1.0)
    assert (b.p_holm, c.p_holm, d.p_holm) == (pytest.approx(6 / 256), pytest.approx(4 / 128), 1.0)
    twin = difference(found, "d", "twin", "t")
    assert twin.p == twin.p_holm == pytest.approx(2 / 128)
    assert [x.significant for x in (b, c, d, twin)] == [True, True, False, True]


def test_repairs_by_hand() -> None:
    def verdict(round_: int, emotion: str | None, ok: bool | None) -> dict[str, Any]:
        return {"event": "verdict", "node": "", "round": round_, "emotion": emotion, "text": "", "ok": ok}

    first = [verdict(0, None, False), verdict(1, "anger", False), {"event": "call"}, verdict(2, "hope", True)]
    second = [verdict(0, None, False), verdict(1, "anger", True), verdict(1, "hope", None)]
    records = [
        record("h", 0, 1.0, trace=[verdict(0, None, False), verdict(1, "hope", True)]),
        record("h", 0, 1.0, trace=first),  # counts instead of the one before
        record("h", 1, 1.0, trace=second),
        record("h", 2, None, trace=second),  # failed
        record("a", 0, 1.0, trace=[verdict(0, None, True)]),
    ]
    found = analyse(plan([arm("a"), arm("h")], {"t": 3}), records).repairs
    assert [(r.arm, r.emotion, r.tries, r.repaired) for r in found] == [("h", "anger", 2, 1), ("h", "hope", 1, 1)]
    assert (found[0].low, found[0].high) == pytest.approx(wilson(1, 2))


def test_records_are_read_as_a_stream_and_not_kept() -> None:
    alive: list[weakref.ref[Record]] = []

    def stream() -> Iterator[Record]:
        for item in range(20):
            one = record("a", item, 1.0, trace=[{"event": "call"}])
            alive.append(weakref.ref(one))
            yield one
            del one
            assert sum(ref() is not None for ref in alive) <= 2

    assert analyse(plan([arm("a")], {"t": 20}), stream()).attempts == 20


def test_without_the_extra_it_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "statsmodels" else find(name))
    monkeypatch.delitem(sys.modules, "emoagents.evaluation.analysis")
    with pytest.raises(MissingExtraError, match="emoagents\\[evaluation\\]"):
        importlib.import_module("emoagents.evaluation.analysis")


@pytest.mark.parametrize("options", [{"alpha": 0.0}, {"alpha": 1.5}, {"resamples": 10}])
def test_impossible_options(options: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        analyse(*small(), **options)


# -- A/A: the same arm twice ------------------------------------------------------------------------------------------


def same_twice(tasks: dict[str, int], replicas: int, real: bool, seed: int) -> Difference:
    """Analyse two arms that are one: each item has its own difficulty, each attempt its own luck."""
    rng = np.random.default_rng(seed)
    which = plan([arm("a"), arm("b")], tasks, replicas=replicas, seed=seed)
    difficulty = {(name, item): rng.beta(1, 1) for name, items in tasks.items() for item in range(items)}

    def score(_arm: str, task: str, item: int, _replica: int) -> float:
        chance = difficulty[task, item]
        return float(rng.beta(4 * chance + 0.1, 4 * (1 - chance) + 0.1) if real else rng.random() < chance)

    return difference(analyse(which, filled(which, score), resamples=500), "b")


def test_an_arm_hardly_ever_differs_from_itself() -> None:
    cases = [({"t": 60}, 1, False), ({"t": 40}, 1, True), ({"t": 20, "u": 10, "v": 25}, 2, False)]
    shown, held = [], []
    for tasks, replicas, real in cases:
        found = [same_twice(tasks, replicas, real, seed) for seed in range(200)]
        shown.append(np.mean([one.significant for one in found]))
        held.append(np.mean([one.low <= 0 <= one.high for one in found]))
    assert max(shown) <= 0.05
    assert min(held) >= 0.91
    assert np.mean(held) >= 0.93


def test_items_of_a_cluster_are_drawn_together() -> None:
    """Four replies in each of six conversations, all of one conversation alike: six pieces of evidence, not 24."""
    which, better = plan([arm("a"), arm("b")], {"t": 24}), (0.1, 0.5, 0.2, 0.4, 0.05, 0.3)
    records = list(filled(which, lambda a, t, i, k: 0.2 + (better[i // 4] if a == "b" else 0)))
    held = [r.model_copy(update={"cluster": f"talk {int(r.item) // 4}"}) for r in records]
    found, free = analyse(which, held, resamples=500), analyse(which, records, resamples=500)
    together, alone = difference(found, "b"), difference(free, "b")
    assert (together.n, together.difference) == (24, pytest.approx(alone.difference))
    assert together.p == pytest.approx(2 / 2**6)  # exact: six conversations, all better
    assert alone.p < together.p / 5
    assert together.high - together.low > 1.5 * (alone.high - alone.low)
    (one, other) = ((r.low or 0, r.high or 0) for r in (row(found, "b"), row(free, "b")))
    assert one[1] - one[0] > 1.5 * (other[1] - other[0])
    assert any("The 24 items of t come in 6 clusters" in note for note in found.notes)
    assert not any("cluster" in note for note in free.notes)


def test_right_or_wrong_in_clusters_is_no_case_for_mcnemar() -> None:
    which = plan([arm("a"), arm("b")], {"t": 24})
    records = filled(which, lambda a, t, i, k: float(a == "b" and i >= 4))
    held = [r.model_copy(update={"cluster": f"talk {int(r.item) // 4}"}) for r in records]
    found = difference(analyse(which, held, resamples=500), "b")
    assert (found.test, found.wins, found.losses, found.ties) == ("sign-flip permutation", 20, 0, 4)
    assert found.p == pytest.approx(2 / 2**5)  # five conversations differ


def test_a_selection_keeps_clusters_whole() -> None:
    which = plan([arm("base"), arm("x", family="f"), arm("y", family="f")], {"t": 24})
    records = filled(which, lambda a, t, i, k: float(a == "x"), groups={})
    held = [r.model_copy(update={"cluster": f"talk {int(r.item) // 4}"}) for r in records]
    (found,) = analyse(which, held, resamples=200).selections
    assert (found.chosen, found.n, found.difference) == (("x", "x"), 24, 1.0)
    assert found.p == pytest.approx(2 / 2**6)


# -- alike ------------------------------------------------------------------------------------------------------------


def asking(prompt: str, answers: int = 1) -> list[dict[str, Any]]:
    said = [{"role": "user", "content": prompt}]
    return [{"event": "call", "node": "n", "model": "m", "prompt": said, "answers": [{"text": "."}] * answers}]


def test_arms_that_asked_the_same_are_told_by_task() -> None:
    arms = [arm("a"), arm("same"), arm("same#2", stream=2), arm("more"), arm("reads otherwise"), arm("silent")]
    which, records = plan(arms, {"t": 3, "u": 3}), []
    for one in filled(which, lambda a, t, i, k: float(a == "reads otherwise")):
        other = "!" if (one.arm, one.task, one.item) == ("same", "u", "2") else ""
        trace = [] if one.arm == "silent" else asking(f"{one.item}{other}", 2 if one.arm == "more" else 1)
        records.append(one.model_copy(update={"trace": trace}))
    told = [note for note in analyse(which, records, resamples=100).notes if "asked exactly" in note]
    assert told == ["same asked exactly what a asked on t: a difference of 0 between them is no finding."]
    records = [r for r in records if (r.arm, r.task, r.item) != ("same", "u", "2")]
    told = [note for note in analyse(which, records, resamples=100).notes if "asked exactly" in note]
    assert told == ["same asked exactly what a asked: a difference of 0 between them is no finding."]


def test_calls_made_side_by_side_are_the_same_in_any_order() -> None:
    which = plan([arm("a"), arm("b")], {"t": 1})
    calls = [*asking("x"), *asking("y")]
    records = [record("a", 1, 1.0, trace=calls), record("b", 1, 1.0, trace=calls[::-1])]
    assert any("b asked exactly what a asked" in note for note in analyse(which, records, resamples=100).notes)


# -- selection --------------------------------------------------------------------------------------------------------


def family(chance: Callable[[str], float], tasks: dict[str, int], seed: int) -> Findings:
    rng = np.random.default_rng(seed)
    arms = [arm("base"), *(arm(f"s{k}", family="stimuli") for k in range(8))]
    which = plan(arms, tasks, seed=seed)
    return analyse(which, filled(which, lambda a, t, i, k: float(rng.random() < chance(a))), resamples=200)


def test_the_best_of_equals_is_no_better_but_looks_it() -> None:
    found = [family(lambda _: 0.5, {"t": 40, "u": 20}, seed).selections for seed in range(25)]
    assert all([s.family for s in one] == ["stimuli", "stimuli (per task)"] for one in found)
    for way in (0, 1):
        fair = [one[way].difference for one in found]
        flattered = [one[way].flattered for one in found]
        assert np.mean(fair) == pytest.approx(0, abs=3 * np.std(fair) / 5)
        assert np.mean(flattered) > 0.08
        assert np.mean(flattered) > np.mean(fair) + 0.06
    assert np.mean([one[1].flattered for one in found]) > np.mean([one[0].flattered for one in found])


def test_an_arm_that_is_better_is_found() -> None:
    (one,) = family(lambda a: 0.9 if a == "s5" else 0.4, {"t": 80}, 0).selections
    assert one.chosen == ("s5", "s5")
    assert one.members == tuple(f"s{k}" for k in range(8))
    assert (one.reference, one.n) == ("base", 80)
    assert one.low > 0.2
    assert one.p < 0.001
    assert one.difference == one.flattered  # the same arm both ways
    assert one.score == pytest.approx(0.9, abs=0.1)


def test_a_selection_by_hand() -> None:
    """Arm x is right on u only, y on t only: one arm for all must be right on half, one by task on all."""
    which = plan([arm("base"), arm("x", family="f"), arm("y", family="f")], {"t": 6, "u": 7})
    right = {("x", "u"), ("y", "t")}
    found = analyse(which, filled(which, lambda a, t, i, k: float((a, t) in right))).selections
    whole, by_task = found
    assert (whole.chosen, by_task.chosen) == (("x", "x"), ("x", "y"))
    assert (whole.score, whole.difference, whole.flattered) == pytest.approx((0.5, 0.5, 0.5))
    assert (by_task.score, by_task.difference, by_task.flattered) == pytest.approx((1, 1, 1))
    assert whole.n == by_task.n == 13


# -- odd mixtures -----------------------------------------------------------------------------------------------------


@st.composite
def mixtures(draw: st.DrawFn) -> tuple[Plan, list[Record]]:
    arms = [
        arm(
            f"a{k}",
            tone=draw(st.sampled_from([None, "emotional", "neutral"])),
            twin=draw(st.sampled_from([None, "a0", "a1", "nobody"])),
            family=draw(st.sampled_from([None, "f"])),
        )
        for k in range(draw(st.integers(1, 4)))
    ]
    tasks = {f"t{k}": draw(st.integers(0, 4)) for k in range(draw(st.integers(0, 3)))}
    which = plan(arms, tasks, replicas=draw(st.integers(1, 2)), seed=draw(st.integers(-5, 5)))
    values = draw(st.sampled_from([[0.0], [1.0], [None], [0.0, 1.0], [0.0, 0.3, 1.0, None]]))
    one = st.builds(
        record,
        st.sampled_from([a.label for a in arms]),
        st.integers(0, 3),
        st.sampled_from(values),
        st.sampled_from([*tasks, "t9"]),
        replica=st.integers(0, 1),
        spent=st.builds(Spent, answers=st.integers(0, 4), usd=st.sampled_from([None, 0.1])),
    )
    return which, draw(st.lists(one, max_size=40))


@given(mixtures())
@settings(max_examples=60, deadline=None)
def test_any_mixture_is_analysed(mixture: tuple[Plan, list[Record]]) -> None:
    which, records = mixture
    found = analyse(which, records, resamples=100)
    assert Findings.model_validate_json(found.model_dump_json()) == found
    assert len(found.arms) == (len(which.arms) * (len(which.tasks) + 1) if which.tasks else 0)
    for one in found.arms:
        assert (one.n == 0) == (one.score is None) == (one.low is None)
    for one in found.differences:
        assert one.n == one.wins + one.losses + one.ties > 0
        assert 0 <= one.p <= one.p_holm <= 1
        assert one.low <= one.difference + 1e-9
        assert one.difference <= one.high + 1e-9
        assert 0 < one.smallest <= 1
