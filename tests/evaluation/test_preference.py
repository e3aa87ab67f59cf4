"""Preferences, their bias, and the F1 of labels: the paper's numbers, hand-made cases, and scikit-learn."""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from emoagents.evaluation.metrics.classification import accuracy, confusion, label_f1, macro_f1, weighted_f1
from emoagents.evaluation.metrics.preference import biases, bradley_terry, preference_bias, preferences
from emoagents.support.labels import STRATEGIES

WORST = math.sqrt(7)

TABLE_7 = {
    "GPT-4": ((0.11, 0.00, 0.92, 0.26, 4.26, 1.83, 0.34, 0.28), 1.352, 1.35),
    "ChatGPT": ((0.12, 0.27, 1.48, 0.14, 4.49, 0.61, 0.59, 0.29), 1.382, 1.38),
    "LLaMA2-70B": ((1.50, 0.97, 0.85, 0.48, 1.88, 0.65, 0.48, 1.18), 0.467, 0.47),
}


# ---- preferences


@pytest.mark.parametrize("model", TABLE_7)
def test_the_bias_of_the_papers_printed_preferences(model: str) -> None:
    printed, bias, rounded = TABLE_7[model]
    assert preference_bias(printed) == pytest.approx(bias, abs=0.0005)
    assert preference_bias(dict(zip(STRATEGIES, printed, strict=True))) == pytest.approx(rounded, abs=0.005)


def by_hand(
    counts: Sequence[Sequence[float]], iterations: int = 20, diagonal: bool = True, floor: float = 0.0
) -> list[float]:
    """Newman's update as the paper writes it, one number at a time."""
    n = len(counts)
    pi = [1.0] * n
    for _ in range(iterations):
        for i in range(n):
            others = [j for j in range(n) if diagonal or j != i]
            won = sum(counts[j][i] * pi[j] / (pi[i] + pi[j]) for j in others)
            lost = sum(counts[i][j] / (pi[i] + pi[j]) for j in others)
            pi[i] = max(won / lost, floor)
        mean = math.prod(pi) ** (1 / n)
        pi = [value / mean for value in pi]
    return [value * n / sum(pi) for value in pi]


def dense(seed: int, n: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).integers(3, 60, size=(n, n))


@pytest.mark.parametrize("seed", range(5))
def test_the_update_is_the_papers(seed: int) -> None:
    counts = dense(seed)
    assert preferences(counts) == pytest.approx(by_hand(counts.tolist()), abs=1e-9)
    assert preferences(counts) == pytest.approx(by_hand(counts.tolist(), diagonal=False), abs=1e-4)


def test_many_matrices_at_once_are_each_alone() -> None:
    counts = np.stack([[dense(seed + 10 * row) for seed in range(3)] for row in range(2)])
    found = preferences(counts)
    assert found.shape == (2, 3, 8)
    assert biases(found).shape == (2, 3)
    assert found[1, 2] == pytest.approx(preferences(counts[1, 2]), abs=1e-12)
    assert found.sum(axis=-1) == pytest.approx(8)


def test_two_labels_by_hand() -> None:
    """9 of 12 confusions go to "b": three times as strong, so 0.5 and 1.5. Updated at once, they would only swap."""
    truth, said = ["a"] * 9 + ["b"] * 3, ["b"] * 9 + ["a"] * 3
    found = bradley_terry(truth, said, ("a", "b"))
    assert found == pytest.approx({"a": 0.5, "b": 1.5}, abs=1e-6)
    assert preference_bias(found) == pytest.approx(0.5, abs=1e-6)


def test_known_preferences_are_found_again() -> None:
    """Whoever says i rather than j with chance p_i / (p_i + p_j) has the preferences p."""
    true = np.array([0.3, 0.5, 0.9, 0.2, 2.9, 1.7, 0.9, 0.6])
    counts = 1000 * true[None, :] / (true[:, None] + true[None, :])
    assert preferences(counts) == pytest.approx(true * 8 / true.sum(), abs=1e-4)


@pytest.mark.parametrize("label", STRATEGIES)
def test_always_one_label_is_the_greatest_bias(label: str) -> None:
    truth = [STRATEGIES[place % 8] for place in range(400)]
    found = bradley_terry(truth, [label] * 400, STRATEGIES)
    assert preference_bias(found) == pytest.approx(WORST, abs=1e-6)
    assert {name: f"{value:.2f}" for name, value in found.items() if name != label} == dict.fromkeys(
        set(STRATEGIES) - {label}, "0.00"
    )


def test_always_one_label_that_is_never_true_is_nearly_as_bad() -> None:
    truth = [STRATEGIES[place % 7] for place in range(400)]
    found = bradley_terry(truth, [STRATEGIES[7]] * 400, STRATEGIES)
    assert WORST - 0.2 < preference_bias(found) < WORST


@pytest.mark.parametrize("missing", [1, 3, 5, 6])
def test_labels_that_are_never_predicted_are_zero_and_move_no_other(missing: int) -> None:
    draw = random.Random(missing)
    truth = [draw.choice(STRATEGIES) for _ in range(2000)]
    said = [draw.choice(STRATEGIES[missing:]) for _ in truth]
    found = bradley_terry(truth, said, STRATEGIES)
    assert [f"{found[label]:.2f}" for label in STRATEGIES[:missing]] == ["0.00"] * missing
    kept = {label: value for label, value in found.items() if value > 0.001}
    finer = bradley_terry(truth, said, STRATEGIES, epsilon=1e-14)
    assert kept == pytest.approx({label: finer[label] for label in kept}, abs=1e-7)
    # what was never said only adds losses of nothing: the others stand to each other as without it
    counts = confusion(truth, said, STRATEGIES)[:, :-1].tolist()
    assert list(kept.values()) == pytest.approx(by_hand(counts, floor=1e-9)[missing:], abs=1e-6)


def test_a_label_that_is_never_true_is_not_infinitely_preferred_for_one_stray_prediction() -> None:
    truth = [STRATEGIES[place % 7] for place in range(70)]
    said = [*truth[:-1], "Others"]
    found = bradley_terry(truth, said, STRATEGIES)
    assert 0.5 < found["Others"] < 3
    assert bradley_terry(truth, truth, STRATEGIES)["Others"] < 1


def test_a_perfect_predictor_prefers_nothing() -> None:
    truth = list(STRATEGIES) * 3
    assert bradley_terry(truth, truth, STRATEGIES) == pytest.approx(dict.fromkeys(STRATEGIES, 1.0))


def test_answers_without_a_label_are_no_comparison() -> None:
    truth, said = ["a", "b", "a", "b"], ["b", "a", None, "?"]
    assert bradley_terry(truth, said, ("a", "b")) == bradley_terry(truth[:2], said[:2], ("a", "b"))
    with pytest.raises(ValueError, match="at least one"):
        bradley_terry(["a"], [None], ("a", "b"))
    with pytest.raises(ValueError, match="not among"):
        bradley_terry(["c"], ["a"], ("a", "b"))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), min_size=1, max_size=80))
def test_whatever_is_predicted_the_preferences_are_finite(pairs: list[tuple[int, int]]) -> None:
    found = bradley_terry([STRATEGIES[i] for i, _ in pairs], [STRATEGIES[j] for _, j in pairs], STRATEGIES)
    assert sum(found.values()) == pytest.approx(8)
    assert min(found.values()) >= 0
    assert 0 <= preference_bias(found) <= WORST + 1e-9


# ---- F1 and accuracy

Answers = st.lists(
    st.tuples(st.sampled_from(STRATEGIES), st.one_of(st.none(), st.sampled_from(STRATEGIES))), min_size=1, max_size=120
)


def sklearn_f1(truth: list[str], said: list[str | None], average: str | None) -> object:
    shown = ["no label" if label is None else label for label in said]
    return f1_score(truth, shown, labels=list(STRATEGIES), average=average, zero_division=0)


@settings(max_examples=200, deadline=None)
@given(Answers)
def test_f1_and_accuracy_agree_with_scikit_learn(answers: list[tuple[str, str | None]]) -> None:
    truth, said = [true for true, _ in answers], [label for _, label in answers]
    counts = confusion(truth, said, STRATEGIES)
    assert label_f1(counts) == pytest.approx(sklearn_f1(truth, said, None), abs=1e-12)
    assert float(macro_f1(counts)) == pytest.approx(sklearn_f1(truth, said, "macro"), abs=1e-12)
    assert float(weighted_f1(counts)) == pytest.approx(sklearn_f1(truth, said, "weighted"), abs=1e-12)
    shown = ["no label" if label is None else label for label in said]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert float(accuracy(counts)) == pytest.approx(accuracy_score(truth, shown), abs=1e-12)


def test_many_confusion_matrices_are_each_alone() -> None:
    counts = np.random.default_rng(0).integers(0, 9, size=(4, 3, 8, 9))
    for metric in (macro_f1, weighted_f1, accuracy):
        assert metric(counts).shape == (4, 3)
        assert float(metric(counts)[2, 1]) == float(metric(counts[2, 1]))


def test_f1_by_hand() -> None:
    truth, said = ["a", "a", "a", "b"], ["a", "a", None, "a"]
    counts = confusion(truth, said, ("a", "b"))
    assert counts.tolist() == [[2, 0, 1], [1, 0, 0]]
    assert label_f1(counts).tolist() == pytest.approx([2 / 3, 0])
    assert float(macro_f1(counts)) == pytest.approx(1 / 3)
    assert float(weighted_f1(counts)) == pytest.approx(0.5)
    assert float(accuracy(counts)) == 0.5


def test_no_answers_are_zero_and_no_warning() -> None:
    counts = np.zeros((2, 8, 9), dtype=np.int64)
    assert macro_f1(counts).tolist() == weighted_f1(counts).tolist() == accuracy(counts).tolist() == [0, 0]
    assert preferences(counts[..., :-1]).tolist() == [[1.0] * 8] * 2
