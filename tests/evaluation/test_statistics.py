"""The statistics of a comparison, held against statsmodels and scipy, and against simulation."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap, norm, permutation_test
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.proportion import proportion_confint

from emoagents.evaluation.analysis.compare import MCNEMAR, SIGN_FLIP, compare, estimate
from emoagents.evaluation.analysis.resampling import (
    BCA,
    CONSTANT,
    PERCENTILE,
    Array,
    macro_means,
    mean_intervals,
    sign_flip_ps,
    spreads,
)
from emoagents.evaluation.analysis.statistics import (
    constant_interval,
    holm,
    mcnemar_interval,
    mcnemar_p,
    smallest_effect,
    wilson,
)

tables = st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(0, 200)).filter(lambda t: sum(t) > 0)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def intervals(strata: list[Array], seed: int = 1, alpha: float = 0.05) -> list[tuple[float, float, str]]:
    return mean_intervals(strata, floor=-1.0, ceiling=1.0, alpha=alpha, resamples=2000, rng=rng(seed))


# -- one pair of proportions ------------------------------------------------------------------------------------------


@given(tables)
def test_mcnemar_is_statsmodels(table: tuple[int, int, int]) -> None:
    wins, losses, _ = table
    expected = mcnemar([[3, wins], [losses, 4]], exact=True).pvalue if wins + losses else 1.0
    assert mcnemar_p(wins, losses) == pytest.approx(expected)


@given(tables, st.sampled_from([0.01, 0.05, 0.2]))
def test_the_interval_excludes_0_just_where_mcnemar_is_significant(table: tuple[int, int, int], alpha: float) -> None:
    wins, losses, _ = table
    n = sum(table)
    low, high = mcnemar_interval(wins, losses, n, alpha)
    assert -1 <= low <= (wins - losses) / n <= high <= 1
    assert (low > 0 or high < 0) == (mcnemar_p(wins, losses) < alpha)
    assert mcnemar_interval(losses, wins, n, alpha) == pytest.approx((-high, -low))


def test_the_interval_by_hand() -> None:
    """12 wins and 3 losses among 40: side 0.6 in (2 l - 1, 2 u - 1), share 0.375."""
    lower, upper = (2 * float(end) - 1 for end in proportion_confint(12, 15, 0.05, method="beta"))
    rare, frequent = proportion_confint(15, 40, 0.05, method="wilson")
    low = 0.225 - np.hypot(0.6 * (0.375 - rare), 0.375 * (0.6 - lower))
    high = 0.225 + np.hypot(0.6 * (frequent - 0.375), 0.375 * (upper - 0.6))
    assert mcnemar_interval(12, 3, 40) == pytest.approx((max(low, rare * lower), high))


@pytest.mark.parametrize(
    ("n", "better", "worse"),
    [(30, 0.1, 0.1), (50, 0.3, 0.05), (50, 0.3, 0.0), (100, 0.5, 0.1), (200, 0.2, 0.15), (100, 0.02, 0.02)],
)
def test_the_interval_of_proportions_covers(n: int, better: float, worse: float) -> None:
    interval = lru_cache(mcnemar_interval)
    drawn = rng().multinomial(n, [better, worse, 1 - better - worse], size=1000)
    bounds = [interval(int(wins), int(losses), n) for wins, losses, _ in drawn]
    assert np.mean([low - 1e-9 <= better - worse <= high + 1e-9 for low, high in bounds]) >= 0.93


@given(st.integers(0, 500), st.integers(1, 500), st.sampled_from([0.01, 0.05]))
def test_wilson_is_statsmodels(successes: int, n: int, alpha: float) -> None:
    successes = min(successes, n)
    expected = np.clip(proportion_confint(successes, n, alpha, method="wilson"), 0, 1)
    assert wilson(successes, n, alpha) == pytest.approx(tuple(expected))


def test_wilson_of_nothing_is_everything() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


def test_a_constant_is_bounded_by_what_was_not_seen() -> None:
    assert constant_interval(0.0, 30, 0.0, 1.0) == pytest.approx(wilson(0, 30))
    assert constant_interval(1.0, 30, 0.0, 1.0) == pytest.approx(wilson(30, 30))
    low, high = constant_interval(0.5, 10, -1.0, 1.0)
    assert (0.5 - low) == pytest.approx(3 * (high - 0.5))


# -- sign flips -------------------------------------------------------------------------------------------------------


def test_sign_flips_are_scipys_where_exact() -> None:
    gaps = rng().normal(0.3, 1, size=(6, 10))
    expected = [
        permutation_test((row,), np.mean, permutation_type="samples", vectorized=True, n_resamples=2000).pvalue
        for row in gaps
    ]
    assert sign_flip_ps([gaps], 2000, rng()) == pytest.approx(expected)


def test_sign_flips_are_mcnemar_on_single_trials() -> None:
    gaps = rng().choice([-1.0, 0.0, 1.0], p=[0.1, 0.7, 0.2], size=(5, 12))
    expected = [mcnemar_p(int((row > 0).sum()), int((row < 0).sum())) for row in gaps]
    assert sign_flip_ps([gaps], 5000, rng()) == pytest.approx(expected)


def test_random_sign_flips_are_near_the_exact_ones() -> None:
    gaps = rng(3).choice([-1.0, 0.0, 1.0], p=[0.2, 0.5, 0.3], size=(8, 60))
    expected = [mcnemar_p(int((row > 0).sum()), int((row < 0).sum())) for row in gaps]
    assert sign_flip_ps([gaps], 20000, rng()) == pytest.approx(expected, abs=0.015)


def test_sign_flips_weight_each_task_the_same() -> None:
    """Five items of one task count as much as 100 of another: p is that of the weighted differences."""
    small, large = rng(1).normal(0.5, 1, size=(1, 5)), rng(2).normal(0, 1, size=(1, 7))
    weighted = np.concatenate([small[0] / 10, large[0] / 14])
    expected = permutation_test((weighted,), np.sum, permutation_type="samples", vectorized=True).pvalue
    assert sign_flip_ps([small, large], 5000, rng())[0] == pytest.approx(expected)


def test_missing_values_are_not_differences() -> None:
    gaps = rng().normal(0.5, 1, size=(1, 9))
    padded = np.hstack([gaps, np.full((1, 3), np.nan)])
    assert sign_flip_ps([padded], 5000, rng()) == pytest.approx(sign_flip_ps([gaps], 5000, rng()))


def test_ties_have_a_p_of_1() -> None:
    assert sign_flip_ps([np.zeros((2, 7)), np.zeros((2, 0))], 1000, rng()).tolist() == [1.0, 1.0]


# -- clusters ---------------------------------------------------------------------------------------------------------


def test_clusters_of_one_item_change_nothing() -> None:
    gaps, alone = rng(3).normal(0.2, 1, size=(3, 25)), np.arange(25)
    assert sign_flip_ps([gaps], 500, rng(), [alone]).tolist() == sign_flip_ps([gaps], 500, rng()).tolist()
    assert spreads([gaps], [alone]) == pytest.approx(spreads([gaps]))
    clustered = mean_intervals([gaps], floor=-9, ceiling=9, alpha=0.05, resamples=500, rng=rng(), clusters=[alone])
    free = mean_intervals([gaps], floor=-9, ceiling=9, alpha=0.05, resamples=500, rng=rng())
    assert [one[:2] for one in clustered] == [pytest.approx(one[:2]) for one in free]


def test_copies_in_a_cluster_are_no_more_evidence_than_one() -> None:
    gaps = rng(5).normal(0.3, 1, size=(2, 20))
    copied, codes = np.repeat(gaps, 3, axis=1), np.repeat(np.arange(20), 3)
    assert sign_flip_ps([copied], 500, rng(), [codes]) == pytest.approx(sign_flip_ps([gaps], 500, rng()))
    given = {"floor": -9.0, "ceiling": 9.0, "alpha": 0.05, "resamples": 500}
    together = mean_intervals([copied], **given, rng=rng(), clusters=[codes])
    once = mean_intervals([gaps], **given, rng=rng())
    assert [one[:2] for one in together] == [pytest.approx(one[:2], abs=1e-8) for one in once]
    assert spreads([copied], [codes]) / np.sqrt(60) == pytest.approx(spreads([gaps]) / np.sqrt(20))


def test_intervals_of_whole_clusters_cover_and_tests_keep_their_level() -> None:
    """Clusters of 1 to 5 items that share most of their difference, which has no direction."""
    codes = np.repeat(np.arange(40), rng(1).integers(1, 6, 40))
    shared, own = rng(2).normal(size=(400, 40)), rng(3).normal(0, 0.3, size=(400, len(codes)))
    gaps = shared[:, codes] + own
    given = {"floor": -9.0, "ceiling": 9.0, "alpha": 0.05, "resamples": 400}
    covered = {}
    for name, clusters in (("clusters", [codes]), ("items", None)):
        found = mean_intervals([gaps], **given, rng=rng(), clusters=clusters)
        covered[name] = np.mean([low <= 0 <= high for low, high, _ in found])
    assert 0.9 <= covered["clusters"] <= 0.98
    assert covered["items"] < 0.8
    assert np.mean(sign_flip_ps([gaps], 1000, rng(), [codes]) < 0.05) == pytest.approx(0.05, abs=0.04)
    assert np.mean(sign_flip_ps([gaps], 1000, rng()) < 0.05) > 0.15


def test_one_cluster_and_gaps_in_clusters_are_no_crash() -> None:
    gaps = np.array([[0.1, 0.4, np.nan, 0.2], [np.nan, np.nan, 0.5, 0.5]])
    given = {"floor": -1.0, "ceiling": 1.0, "alpha": 0.05, "resamples": 200}
    for codes in (np.zeros(4, dtype=int), np.array([0, 0, 1, 1])):
        for low, high, _ in mean_intervals([gaps], **given, rng=rng(), clusters=[codes]):
            assert -1 <= low <= high <= 1
    assert sign_flip_ps([gaps], 200, rng(), [np.zeros(4, dtype=int)]).tolist() == [1.0, 1.0]


def test_p_is_uniform_where_there_is_no_difference() -> None:
    ps = sign_flip_ps([rng(4).standard_t(4, size=(1500, 30))], 2000, rng())
    for level in (0.01, 0.05, 0.2, 0.5):
        assert np.mean(ps <= level) == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / 1500))


# -- bootstrap --------------------------------------------------------------------------------------------------------


def test_the_bootstrap_of_one_task_is_scipys_bca() -> None:
    gaps = rng().exponential(size=(4, 35)) - 0.5
    found = intervals([gaps])
    for row, (low, high, method) in zip(gaps, found, strict=True):
        expected = bootstrap((row,), np.mean, n_resamples=2000, method="BCa", random_state=rng(1)).confidence_interval
        assert (low, high, method) == (pytest.approx(expected.low), pytest.approx(expected.high), BCA)


def test_the_bootstrap_of_several_tasks_is_scipys_of_several_samples() -> None:
    tasks = [rng(1).normal(0, 1, size=(3, 20)), rng(2).normal(1, 2, size=(3, 8)), rng(3).normal(0, 1, size=(3, 40))]

    def macro(*samples: Array, axis: int = -1) -> Array:
        return np.mean([sample.mean(axis=axis) for sample in samples], axis=0)

    for row, (low, high, method) in enumerate(intervals(tasks)):
        data = [task[row] for task in tasks]
        expected = bootstrap(data, macro, n_resamples=2000, method="percentile", vectorized=True, random_state=rng(1))
        bounds = expected.confidence_interval
        assert (low, high, method) == (pytest.approx(bounds.low), pytest.approx(bounds.high), PERCENTILE)


def test_rows_with_gaps_are_resampled_from_what_they_have() -> None:
    full = rng().normal(0, 1, size=(1, 60))
    few = full.copy()
    few[0, :5] = np.nan  # few gaps: together with the full rows
    many = full.copy()
    many[0, :50] = np.nan
    found = intervals([np.vstack([full, few, many])])
    assert found[0][:2] == pytest.approx(intervals([full])[0][:2])
    assert found[1][:2] == pytest.approx(intervals([few[:, 5:]])[0][:2], abs=0.03)
    assert found[2][:2] == pytest.approx(intervals([many[:, 50:]])[0][:2], abs=0.06)  # other random numbers


def test_equal_values_are_bounded_without_a_warning() -> None:
    found = intervals([np.array([[0.25] * 12, [np.nan] * 11 + [0.5], [np.nan] * 12])])
    assert found[0] == (*constant_interval(0.25, 12, -1, 1), CONSTANT)
    assert found[1] == (*constant_interval(0.5, 1, -1, 1), CONSTANT)
    assert found[2] == (-1.0, 1.0, CONSTANT)
    several = intervals([np.zeros((1, 12)), np.full((1, 20), 0.5)])[0]
    shares = [constant_interval(value, 24, -1, 1) for value in (0.0, 0.5)]
    assert several[:2] == pytest.approx(np.mean(shares, axis=0))


def test_a_task_of_one_item_is_kept_as_it_is() -> None:
    gaps = rng().normal(0, 1, size=(1, 40))
    (low, high, _), (alone_low, alone_high, _) = intervals([gaps, np.array([[0.5]])])[0], intervals([gaps])[0]
    assert low == pytest.approx((alone_low + 0.5) / 2, abs=0.02)
    assert high == pytest.approx((alone_high + 0.5) / 2, abs=0.02)


@pytest.mark.parametrize("skewed", [False, True])
def test_bootstrap_intervals_cover(skewed: bool) -> None:
    gaps = rng(5).beta(0.5, 1.5, size=(600, 60)) - 0.25 if skewed else rng(5).normal(0, 0.3, size=(600, 60))
    found = intervals([gaps])
    assert 0.92 <= np.mean([low <= 0 <= high for low, high, _ in found]) <= 0.98


def test_stratified_intervals_cover() -> None:
    tasks = [rng(k).normal(k, 1 + k, size=(500, 25 + 10 * k)) for k in range(4)]
    found = intervals(tasks)
    assert 0.92 <= np.mean([low <= 1.5 <= high for low, high, _ in found]) <= 0.98


def test_means_and_spreads_by_hand() -> None:
    tasks = [np.array([[1.0, 0.0, 1.0, 0.0]]), np.array([[1.0, 1.0, 1.0, np.nan]]), np.array([[np.nan]])]
    assert macro_means(tasks).tolist() == [0.75]
    # standard error: half of sqrt(variance 1/3 over 4); times the root of 7 items
    assert spreads(tasks)[0] == pytest.approx(0.5 * np.sqrt(1 / 12) * np.sqrt(7))
    assert np.isnan(macro_means([np.full((1, 2), np.nan)])[0])


# -- Holm, power ------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 1), max_size=30))
@settings(max_examples=12, deadline=None)  # statsmodels collects garbage in each call
def test_holm_is_statsmodels(ps: list[float]) -> None:
    expected = multipletests(ps, method="holm")[1].tolist() if ps else []
    assert holm(ps) == pytest.approx(expected)


@given(st.integers(2, 3000), st.sampled_from([0.01, 0.05, 0.2]))
@settings(max_examples=40, deadline=None)
def test_the_smallest_effect_has_the_power_that_is_said(n: int, alpha: float) -> None:
    sd = 0.05
    fewest = next(k for k in range(1, 99) if 2 * 0.5**k < alpha)
    effect = smallest_effect(n, sd, alpha)
    if fewest / n < effect < 1:
        assert TTestPower().power(effect / sd, n, alpha) == pytest.approx(0.8, abs=1e-3)
    else:  # what the exact test needs binds
        assert effect == pytest.approx(min(1.0, fewest / n))


def test_the_smallest_effect_at_its_ends() -> None:
    assert smallest_effect(0, 0.3) == smallest_effect(1, 0.3) == 1.0
    assert smallest_effect(5, 0.0) == 1.0  # 2 * 0.5 ** 5 is above 0.05: nothing could show
    assert smallest_effect(100, 0.0) == pytest.approx(6 / 100)
    assert smallest_effect(2, 1.0) == 1.0


def test_the_smallest_effect_is_found_four_times_in_five() -> None:
    """Real values by sign flips, and single trials by McNemar (which, being exact, finds a little less)."""
    n, sd = 80, 0.4
    gaps = rng(7).normal(smallest_effect(n, sd), sd, size=(800, n))
    assert np.mean(sign_flip_ps([gaps], 2000, rng()) < 0.05) == pytest.approx(0.8, abs=0.06)
    better, worse = 0.25, 0.1
    sd = np.sqrt(better + worse - (better - worse) ** 2)
    n = next(n for n in range(20, 999) if smallest_effect(n, sd) <= better - worse)
    drawn = rng(8).multinomial(n, [better, worse, 1 - better - worse], size=800)
    assert np.mean([mcnemar_p(int(w), int(v)) < 0.05 for w, v, _ in drawn]) == pytest.approx(0.78, abs=0.06)
    assert norm.ppf(0.975) + norm.ppf(0.8) == pytest.approx(
        smallest_effect(10**5, 0.3) / 0.3 * np.sqrt(10**5), rel=0.01
    )


# -- compare ----------------------------------------------------------------------------------------------------------


def pair(first: list[Array], second: list[Array], single: bool = True) -> list:
    return compare(first, second, single=single, alpha=0.05, resamples=1000, flips=1000, rng=rng())


def test_single_trials_get_mcnemar_and_everything_else_sign_flips() -> None:
    ones, zeros = np.ones((1, 8)), np.zeros((1, 8))
    assert pair([ones], [zeros])[0].test == MCNEMAR
    assert pair([ones], [zeros], single=False)[0].test == SIGN_FLIP
    assert pair([ones, ones], [zeros, zeros])[0].test == SIGN_FLIP
    assert pair([ones * 0.9], [zeros])[0].test == SIGN_FLIP
    assert pair([np.full((1, 8), np.nan)], [zeros]) == [None]


def test_only_pairs_count() -> None:
    found = pair([np.array([[1.0, 1.0, 0.0, np.nan, 1.0]])], [np.array([[0.0, 0.0, 1.0, 1.0, np.nan]])])[0]
    assert (found.n, found.wins, found.losses, found.ties) == (3, 2, 1, 0)
    assert found.difference == pytest.approx(1 / 3)
    assert found.p == 1.0


def test_a_score_of_single_trials_has_wilsons_interval() -> None:
    found = estimate([np.array([[1.0, 0.0, 1.0, np.nan], [np.nan] * 4])], True, 0.05, 500, rng())
    assert (found[0].n, found[0].mean) == (3, pytest.approx(2 / 3))
    assert (found[0].low, found[0].high) == pytest.approx(wilson(2, 3))
    assert found[1].n == 0
