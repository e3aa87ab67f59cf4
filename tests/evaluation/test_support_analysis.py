"""The analysis of support dialogues: hand-made cases, the same numbers each time, and how often it errs."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import pytest

from emoagents.errors import ParameterError
from emoagents.evaluation.metrics.classification import Array, confusion, macro_f1, weighted_f1
from emoagents.evaluation.metrics.preference import bradley_terry, preference_bias
from emoagents.evaluation.record import Arm, Plan, Record, Spent, TaskInfo
from emoagents.evaluation.support import METRICS, SupportFindings, analyse_support
from emoagents.evaluation.support.choices import Choices, dialogue_of, read_choices
from emoagents.evaluation.support.measures import SHAPE, measure, tabulate
from emoagents.evaluation.support.resampling import bootstrap, draws, percentiles, swap_ps
from emoagents.support.labels import STAGES, STAGES_OF, STRATEGIES

BINS = ("0-20 %", "20-40 %", "40-60 %", "60-80 %", "80-100 %")

Choose = Callable[[str, random.Random], str | None]


def plan_of(*arms: str, items: int = 10, seed: int = 3, replicas: int = 1) -> Plan:
    return Plan(
        tasks=(TaskInfo(name="esconv", metrics=("accuracy",), items=items),),
        arms=tuple(Arm(label=label, spec=label, title=label) for label in arms),
        baseline=arms[0],
        model="test/model",
        seed=seed,
        replicas=replicas,
    )


def record(item: str, arm: str, truth: str, said: str | None, **changed: object) -> Record:
    status = "unparsed" if said is None else "scored"
    given = {
        "task": "esconv",
        "item": item,
        "arm": arm,
        "status": status,
        "parsed": said,
        "answer": said,
        "targets": (truth, "I hear you."),
        "groups": {"strategy": truth, "stage": (*STAGES_OF.get(truth, ()), "none")[0], "progress": "0-20 %"},
        "spent": Spent(answers=1, prompt_tokens=90, completion_tokens=10, usd=0.001, seconds=0.5),
        **changed,
    }
    return Record.model_validate(given)


def dialogues(number: int, each: int, arms: dict[str, Choose], seed: int = 0) -> Iterator[Record]:
    """Yield records of some arms on the same dialogues."""
    draw = random.Random(seed)
    for dialogue in range(number):
        for turn in range(each):
            truth = draw.choice(STRATEGIES)
            for arm, choose in arms.items():
                own = random.Random(f"{seed} {dialogue} {turn} {arm}")
                groups = {"stage": (*STAGES_OF[truth], "none")[0], "progress": BINS[turn * 5 // each]}
                yield record(f"d{dialogue}/{turn}", arm, truth, choose(truth, own), groups=groups)


def chance(truth: str, draw: random.Random) -> str | None:
    return draw.choice((*STRATEGIES, None))


def often_right(truth: str, draw: random.Random) -> str | None:
    return truth if draw.random() < 0.5 else draw.choice(STRATEGIES)


def comforter(truth: str, draw: random.Random) -> str | None:
    return "Affirmation and Reassurance" if draw.random() < 0.8 else draw.choice(STRATEGIES)


def macro(rows: Iterable[Record]) -> float:
    found = list(rows)
    return float(macro_f1(confusion([r.targets[0] for r in found], [r.parsed for r in found], STRATEGIES)))


ARMS: dict[str, Choose] = {"plain": chance, "better": often_right, "biased": comforter}


# ---- small cases


def test_numbers_by_hand() -> None:
    truth = ["Question", "Question", "Information", "Providing Suggestions", "Others"]
    said = ["Question", None, "Information", "Information", "Question"]
    rows = [record(f"d{n // 2}/{n}", "plain", t, s) for n, (t, s) in enumerate(zip(truth, said, strict=True))]
    found = analyse_support(plan_of("plain"), rows, resamples=100)
    arm = found.arms[0]
    assert (arm.n, arm.dialogues, found.instances, found.dialogues) == (5, 3, 5, 3)
    assert arm.accuracy.value == pytest.approx(2 / 5)
    # Question: 1 hit of 2 true and 2 said; Information: 1 hit of 1 true and 2 said; all others 0
    assert arm.label_f1["Question"] == pytest.approx(1 / 2)
    assert arm.label_f1["Information"] == pytest.approx(2 / 3)
    assert arm.q.value == pytest.approx((1 / 2 + 2 / 3) / 8)
    assert arm.preferences == pytest.approx(bradley_terry(truth, said, STRATEGIES), abs=1e-9)
    assert arm.b.value == pytest.approx(preference_bias(arm.preferences))
    # exploration: Question twice, one hit and one unparsed; action: Information and Providing Suggestions
    assert arm.stages["exploration"].value == pytest.approx(2 / 3)
    assert arm.stages["action"].value == pytest.approx((2 / 3 + 0) / 2)
    assert "comforting" not in arm.stages
    assert arm.estimate("comforting").value is None
    assert found.stage_n == {"exploration": 2, "comforting": 0, "action": 2, "none": 1}
    assert arm.confusion[0] == (1, 0, 0, 0, 0, 0, 0, 0, 1)
    assert (arm.unparsed, arm.unparsed_share, arm.failed) == (1, pytest.approx(1 / 5), 0)
    assert (arm.answers, arm.tokens, arm.usd, arm.seconds) == (1, 100, pytest.approx(0.001), 0.5)


def test_metrics_are_those_of_the_sequences() -> None:
    rows = list(dialogues(30, 4, {"plain": chance}))
    arm = analyse_support(plan_of("plain"), rows, resamples=100).arms[0]
    truth, said = [r.targets[0] for r in rows], [r.parsed for r in rows]
    assert arm.q.value == pytest.approx(macro(rows), abs=1e-12)
    for stage in STAGES:
        own = [r for r in rows if r.groups["stage"] == stage]
        counts = confusion([r.targets[0] for r in own], [r.parsed for r in own], STRATEGIES)
        assert arm.stages[stage].value == pytest.approx(float(weighted_f1(counts)), abs=1e-12)
    assert np.array(arm.confusion).tolist() == confusion(truth, said, STRATEGIES).tolist()


def test_failed_attempts_are_in_no_number_but_their_own() -> None:
    rows = list(dialogues(5, 4, {"plain": chance}))
    failed = [r.model_copy(update={"status": "failed", "parsed": None, "answer": None}) for r in rows[:3]]
    found = analyse_support(plan_of("plain"), [*failed, *rows[3:]], resamples=100)
    arm = found.arms[0]
    assert (arm.n, arm.failed, arm.failed_share) == (17, 3, pytest.approx(3 / 20))
    left = analyse_support(plan_of("plain"), rows[3:], resamples=100).arms[0]
    assert (arm.q.value, arm.b.value, arm.confusion) == (left.q.value, left.b.value, left.confusion)
    assert any("3 attempts failed" in note for note in found.notes)


def test_differences_are_of_the_instances_that_both_answered() -> None:
    rows = list(dialogues(12, 4, ARMS))
    gone = {r.item for r in rows[:18]}
    kept = [
        r.model_copy(update={"status": "failed", "parsed": None}) if r.arm == "better" and r.item in gone else r
        for r in rows
    ]
    found = analyse_support(plan_of(*ARMS), kept, resamples=100)
    one = found.difference("better", "q")
    both = [r for r in rows if r.item not in gone]
    expected = {arm: macro(r for r in both if r.arm == arm) for arm in ("better", "plain")}
    assert one is not None
    assert (one.n, one.reference) == (48 - len(gone), "plain")
    assert one.difference == pytest.approx(expected["better"] - expected["plain"], abs=1e-12)
    assert found.difference("plain", "q") is None
    biased = found.difference("biased", "q")
    assert biased is not None
    assert biased.n == 48


def test_of_two_records_the_later_counts_and_strangers_are_left_out() -> None:
    rows = [
        record("a/1", "plain", "Question", "Others"),
        record("a/1", "plain", "Question", "Question"),
        record("a/2", "else", "Question", "Question"),
        record("a/2", "plain", "No strategy", "Question"),
        record("a/2", "plain", "Question", "Question", task="gsm8k"),
        record("a/2", "plain", "Question", "Question", task="esconv/unknown"),
        record("a/2", "plain", "Question", "Question", replica=1),
    ]
    found = analyse_support(plan_of("plain"), rows, resamples=100)
    assert (found.instances, found.arms[0].accuracy.value) == (1, 1.0)
    assert any("4 records" in note for note in found.notes)


def test_repetitions_are_attempts_of_their_own_in_one_dialogue() -> None:
    rows = [record("a/1", "plain", "Question", said, replica=n) for n, said in enumerate(("Question", "Others"))]
    found = analyse_support(plan_of("plain", replicas=2), rows, resamples=100)
    assert (found.arms[0].n, found.arms[0].dialogues, found.arms[0].accuracy.value) == (2, 1, 0.5)


def test_what_stands_before_the_last_slash_is_the_dialogue() -> None:
    assert [dialogue_of(item) for item in ("a/b/7", "a/7", "7")] == ["a/b", "a", "7"]


def test_nothing_makes_findings_of_nothing() -> None:
    found = analyse_support(plan_of("plain", "other"), [])
    assert found.instances == 0
    assert [(arm.n, arm.q.value, arm.preferences) for arm in found.arms] == [(0, None, {})] * 2
    assert found.differences == found.references == ()
    assert "no record" in found.notes[0]
    assert SupportFindings.model_validate_json(found.model_dump_json()) == found


def test_an_arm_that_is_never_understood_has_no_preferences() -> None:
    rows = list(dialogues(6, 3, {"plain": chance, "mute": lambda truth, draw: None}))
    found = analyse_support(plan_of("plain", "mute"), rows, resamples=100)
    mute = found.arms[1]
    assert (mute.q.value, mute.b.value, mute.preferences, mute.unparsed_share) == (0.0, None, {}, 1.0)
    assert found.difference("mute", "b") is None
    assert found.difference("mute", "q") is not None


def test_one_dialogue_has_no_interval_and_nothing_is_significant() -> None:
    found = analyse_support(plan_of("plain", "better"), dialogues(1, 30, ARMS), resamples=100)
    assert all(arm.q.value is not None and arm.q.low is None for arm in found.arms)
    assert {d.p for d in found.differences} == {1.0}
    assert any("Only 1 dialogue" in note for note in found.notes)


def test_resamples_that_are_all_alike_are_no_certainty() -> None:
    one = "Affirmation and Reassurance"
    rows = list(dialogues(20, 4, {"plain": chance, "stuck": lambda truth, draw: one}))
    stuck = analyse_support(plan_of("plain", "stuck"), rows, resamples=100).arms[1]
    assert stuck.b.value == pytest.approx(7**0.5, abs=1e-6)
    assert (stuck.b.low, stuck.b.high) == (None, None)
    assert stuck.accuracy.low is not None


def test_several_tasks_are_counted_together_and_that_is_told() -> None:
    plan = plan_of("plain")
    tasks = tuple(TaskInfo(name=f"esconv/{name}", metrics=("accuracy",), items=1) for name in ("all", "paper"))
    rows = [record("a/1", "plain", "Question", "Question", task=task.name) for task in tasks]
    found = analyse_support(plan.model_copy(update={"tasks": tasks}), rows, resamples=100)
    assert (found.instances, found.dialogues) == (2, 1)
    assert any("2 tasks" in note for note in found.notes)


def test_mixes_over_the_conversation_are_of_arms_and_of_humans() -> None:
    rows = [
        record("a/1", "plain", "Question", "Question"),
        record("a/2", "plain", "Information", "Question"),
        record("a/3", "plain", "Information", None),
        record("a/4", "plain", "Others", "Others", groups={"progress": "80-100 %"}),
    ]
    found = analyse_support(plan_of("plain"), rows, resamples=100)
    assert found.bins == ("0-20 %", "80-100 %")
    assert found.human_mix["0-20 %"]["Information"] == pytest.approx(2 / 3)
    assert found.arms[0].mix["0-20 %"]["Question"] == 1
    assert found.arms[0].mix["80-100 %"]["Others"] == 1


def test_rows_that_cost_nothing() -> None:
    rows = list(dialogues(60, 10, {"plain": chance}))
    random_, majority = analyse_support(plan_of("plain"), rows, resamples=100).references
    truth = [r.targets[0] for r in rows]
    commonest = max(STRATEGIES, key=truth.count)
    share = truth.count(commonest) / len(truth)
    assert random_.accuracy == pytest.approx(1 / 8, abs=0.01)
    assert random_.q == pytest.approx(1 / 8, abs=0.01)
    assert random_.b < 0.3
    assert majority.accuracy == pytest.approx(share)
    assert majority.q == pytest.approx(2 * share / (1 + share) / 8)
    assert majority.b == pytest.approx(7**0.5, abs=1e-6)
    assert commonest in majority.how
    assert set(majority.stages) == set(STAGES)


def test_parameters_are_checked() -> None:
    for wrong in ({"alpha": 0.0}, {"alpha": 1.0}, {"resamples": 99}):
        with pytest.raises(ParameterError):
            analyse_support(plan_of("plain"), [], **wrong)


# ---- replies


def replies(arm: str, answers: Sequence[str | None]) -> list[Record]:
    return [record(f"a/{n}", arm, "Question", "Question", answer=answer) for n, answer in enumerate(answers)]


def test_replies_are_scored_and_bare_names_are_not() -> None:
    rows = [*replies("plain", ["Question", "[Question]"]), *replies("talker", ["I hear you.", "Question"])]
    found = analyse_support(plan_of("plain", "talker"), rows, resamples=100)
    assert found.arms[0].text is None
    text = found.arms[1].text
    assert text is not None
    assert (text.replies, text.bleu_2) == (1, pytest.approx(100))
    assert text.rouge_l == pytest.approx(100)


def test_without_the_extra_the_rest_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("sacrebleu.metrics.bleu", "rouge_score.rouge_scorer", "nltk.translate.meteor_score"):
        monkeypatch.setitem(sys.modules, name, None)
    found = analyse_support(plan_of("talker"), replies("talker", ["I hear you."]), resamples=100)
    assert found.arms[0].text is None
    assert found.arms[0].accuracy.value == 1
    assert any("extra 'support'" in note for note in found.notes)


# ---- the same numbers


def test_order_does_not_matter_and_the_seed_does() -> None:
    rows = list(dialogues(25, 4, ARMS))
    found = analyse_support(plan_of(*ARMS), rows, resamples=200)
    shuffled = random.Random(1).sample(rows, len(rows))
    assert analyse_support(plan_of(*ARMS), shuffled, resamples=200) == found
    other = analyse_support(plan_of(*ARMS, seed=4), rows, resamples=200)
    assert other.arms[0].q.value == found.arms[0].q.value
    assert other.arms[0].q != found.arms[0].q


def test_a_strong_difference_is_found_and_holm_counts_the_arms() -> None:
    found = analyse_support(plan_of(*ARMS), dialogues(60, 4, ARMS), resamples=300)
    better, biased = found.difference("better", "q"), found.difference("biased", "b")
    assert better is not None
    assert biased is not None
    assert better.significant
    assert better.low is not None
    assert 0.2 < better.low < better.difference
    assert biased.significant
    assert biased.difference > 1
    for metric in METRICS:
        own = sorted((d for d in found.differences if d.metric == metric), key=lambda d: d.p)
        assert len(own) == 2
        assert own[0].p_holm == pytest.approx(min(1, 2 * own[0].p))
        assert own[1].p_holm == pytest.approx(max(own[0].p_holm, own[1].p))


def test_intervals_hold_their_estimates() -> None:
    found = analyse_support(plan_of(*ARMS), dialogues(60, 4, ARMS), resamples=300)
    for metric in ("q", "accuracy", *STAGES):
        one = found.arms[1].estimate(metric)
        assert one.value is not None
        assert one.low is not None
        assert one.high is not None
        assert one.low < one.value < one.high


# ---- how often it errs


def clustered(seed: int, number: int, each: int, hit: Sequence[float] = (0.15, 0.15)) -> Choices:
    """Two predictors whose choices, and the truth, hang together within a dialogue."""
    rng = np.random.default_rng(seed)
    shares = np.array([0.2, 0.08, 0.11, 0.07, 0.32, 0.11, 0.06, 0.05])
    places = np.repeat(np.arange(number), each)

    def codes() -> Array:
        own = rng.choice(8, number, p=shares)[places]
        return np.where(rng.random(len(places)) < 0.4, own, rng.choice(8, len(places), p=shares))

    truth = codes()
    said = np.stack([np.where(rng.random(len(places)) < share, truth, codes()) for share in hit])
    empty = read_choices(plan_of("a", "b"), [])
    return Choices(**{**vars(empty), "dialogues": number, "dialogue": places, "truth": truth, "said": said,
                      "stage": rng.integers(0, 3, len(places)), "progress": np.zeros_like(places)})  # fmt: skip


def tables(choices: Choices) -> list[Array]:
    return [tabulate(choices, arm, choices.answered[arm]) for arm in (0, 1)]


def test_equal_arms_are_called_different_about_as_often_as_alpha_says() -> None:
    ps = [swap_ps(*tables(clustered(seed, 30, 5)), 199, np.random.default_rng(seed)) for seed in range(150)]
    rejected = (np.array(ps) <= 0.05).mean(axis=0)
    assert rejected.max() < 0.11  # 5 % and three standard errors of 150 tests
    assert 0.03 < rejected.mean() < 0.07


def test_a_test_that_ignored_the_dialogues_would_err_more() -> None:
    """Copies of a choice within a dialogue are no new evidence."""
    ignorant, clustered_ps = [], []
    for seed in range(60):
        one = clustered(seed, 30, 1)
        copied = {name: np.repeat(getattr(one, name), 6, axis=-1) for name in ("truth", "said", "stage", "progress")}
        whole = Choices(**{**vars(one), **copied, "dialogue": np.repeat(np.arange(30), 6)})
        apart = Choices(**{**vars(one), **copied, "dialogues": 180, "dialogue": np.arange(180)})
        clustered_ps.append(swap_ps(*tables(whole), 199, np.random.default_rng(seed))[2])
        ignorant.append(swap_ps(*tables(apart), 199, np.random.default_rng(seed))[2])
    assert np.mean(np.array(clustered_ps) <= 0.05) < 0.12
    assert np.mean(np.array(ignorant) <= 0.05) > 0.2


def test_intervals_of_differences_cover_what_is_true() -> None:
    hit = (0.4, 0.15)
    large = tables(clustered(0, 40_000, 5, hit))
    true = np.subtract(*(measure(one.sum(axis=0).reshape(SHAPE)) for one in large))
    covered = []
    for seed in range(1, 101):
        one, other = tables(clustered(seed, 60, 5, hit))
        times = draws(60, 300, np.random.default_rng(seed))
        low, high = percentiles(bootstrap(one, times) - bootstrap(other, times), 0.05)
        covered.append((low <= true) & (true <= high))
    shares = np.mean(covered, axis=0)
    assert shares.min() > 0.85  # 95 % less three standard errors of 100, and what few dialogues cost
    assert shares.mean() > 0.9


def test_few_dialogues_are_swapped_in_all_ways() -> None:
    """Three dialogues, all to one side: 2 of the 8 ways to swap are as great."""
    rows = [
        record(f"{d}/1", arm, "Question", said) for d in "abc" for arm, said in (("x", "Others"), ("y", "Question"))
    ]
    choices = read_choices(plan_of("x", "y"), rows)
    assert swap_ps(*tables(choices), 100, np.random.default_rng(0))[2] == pytest.approx(2 / 8)


def test_a_thousand_dialogues_and_ten_arms_take_seconds_and_little_memory() -> None:
    import time
    import tracemalloc

    arms = {f"arm-{n}": chance for n in range(10)}
    rows = list(dialogues(600, 3, arms))
    tracemalloc.start()
    start = time.perf_counter()
    found = analyse_support(plan_of(*arms), rows, resamples=1000)
    took, (_, peak) = time.perf_counter() - start, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found.differences) == 9 * len(METRICS)
    assert took < 60
    assert peak < 400e6
