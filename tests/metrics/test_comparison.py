"""Paired tests, Holm's correction, ranks: by hand."""

import numpy as np
import pytest
from scipy import stats

from tumorline.metrics import comparison


def test_five_patients_that_all_gain_have_two_extreme_exchanges_of_32() -> None:
    assert comparison.sign_flip_test(np.full(5, 0.1)) == pytest.approx(2 / 32)


def test_an_exchange_counts_by_how_large_the_differences_are_and_not_by_their_ranks() -> None:
    """Of 10, 1, -3 and -4 the sum is 4; of the eight up to sign only 10 - 1 - 3 - 4 = 2 is nearer to 0."""
    assert comparison.sign_flip_test(np.array([10.0, 1, -3, -4])) == pytest.approx(7 / 8)


def test_a_patient_without_a_difference_changes_nothing_when_exchanges_are_drawn() -> None:
    thirteen = np.array([0.3, -0.1, 0.25, 0.2, -0.3, 0.05, 0.1, -0.15, 0.2, 0.1, -0.05, 0.15, -0.2])
    exact = comparison.sign_flip_test(thirteen)
    assert 0.2 < exact < 0.8
    assert comparison.sign_flip_test(np.append(thirteen, 0)) == pytest.approx(exact, abs=0.02)


def test_no_difference_has_p_1_and_an_interval_of_nothing() -> None:
    values = np.linspace(0, 1, 25)
    difference = comparison.paired(values, values)
    assert (difference.mean, difference.ci95, difference.p) == (0, (0, 0), 1)


def test_many_patients_are_drawn_and_p_is_never_zero() -> None:
    assert comparison.sign_flip_test(np.full(40, 0.1), draws=999) == pytest.approx(1 / 1000)


def test_the_order_of_two_models_turns_the_sign_only() -> None:
    random = np.random.default_rng(0)
    first, second = random.random(30), random.random(30)
    forth, back = comparison.paired(first, second), comparison.paired(second, first)
    assert forth.mean == -back.mean == pytest.approx(float(first.mean() - second.mean()))
    assert forth.p == back.p
    assert forth.ci95 is not None
    assert back.ci95 is not None
    assert forth.ci95[0] < forth.mean < forth.ci95[1]
    assert forth.ci95 == pytest.approx((-back.ci95[1], -back.ci95[0]), abs=0.02)


def test_below_twenty_patients_there_is_no_interval() -> None:
    assert comparison.paired(np.arange(19) / 19, np.zeros(19)).ci95 is None
    assert comparison.between_recipes(np.ones((3, 19)), np.zeros((3, 19))).ci95 is None


def test_a_difference_that_hangs_on_the_seed_is_no_difference_of_recipes() -> None:
    patients = np.linspace(0.7, 0.9, 40)
    luck = np.array([[0.02], [0.0], [-0.02]])
    first, second = patients + 0.01 + luck, patients + luck
    assert comparison.paired(first[0], second[0]).p < 0.001
    assert comparison.between_recipes(first, second).p > 0.4


def test_recipes_that_differ_more_than_their_seeds_do_differ() -> None:
    random = np.random.default_rng(0)
    patients = np.linspace(0.7, 0.9, 40)
    noise = 0.01 * random.standard_normal((2, 3, 40))
    difference = comparison.between_recipes(patients + 0.05 + noise[0], patients + noise[1])
    assert difference.p < 0.001
    assert difference.ci95 is not None
    assert difference.ci95[0] < 0.05 < difference.ci95[1]


PATIENTS = np.linspace(-0.3, 0.5, 20)
SEEDS = np.array([[-0.1], [0.0], [0.2]]), np.array([[0.1], [0.15], [0.3], [0.25]])


def test_where_only_patients_differ_recipes_are_compared_by_a_t_test_over_them() -> None:
    difference = comparison.between_recipes(np.tile(PATIENTS, (3, 1)), np.zeros((4, 20)))
    expected = stats.ttest_1samp(PATIENTS, 0)
    assert difference.p == pytest.approx(expected.pvalue)
    assert difference.ci95 == pytest.approx(expected.confidence_interval(0.95))


def test_where_only_seeds_differ_recipes_are_compared_by_welchs_test_over_them() -> None:
    first, second = (seeds + np.zeros(20) for seeds in SEEDS)
    difference, expected = (
        comparison.between_recipes(first, second),
        stats.ttest_ind(*map(np.ravel, SEEDS), equal_var=False),
    )
    assert difference.p == pytest.approx(expected.pvalue)
    assert difference.ci95 == pytest.approx(expected.confidence_interval(0.95))


def test_patients_and_seeds_count_together() -> None:
    """Each adds a variance of 0.0012, patients with 19 degrees of freedom and three seeds with 2."""
    patients = PATIENTS * np.sqrt(20 * 0.0012 / PATIENTS.var(ddof=1))
    difference = comparison.between_recipes(patients + np.array([[0.04], [0.1], [0.16]]), np.zeros((3, 20)))
    together = stats.t(4 / (1 / 19 + 1 / 2), difference.mean, np.sqrt(0.0024))
    assert difference.ci95 == pytest.approx(together.interval(0.95))
    assert difference.p == pytest.approx(2 * together.cdf(0))


def test_a_recipe_against_itself_has_p_1() -> None:
    values = np.random.default_rng(0).random((3, 20))
    assert comparison.between_recipes(values, values).p == 1


def test_holm_multiplies_the_smallest_by_all_and_never_falls() -> None:
    assert comparison.holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert comparison.holm([0.9, 0.8]) == [1, 1]
    assert comparison.holm([]) == []


def test_the_better_in_every_patient_is_always_first() -> None:
    """However little better, and however patients differ: all are ranked on the same patients drawn."""
    values = np.linspace(0, 1, 10) + np.array([[0.0], [0.01]])
    assert comparison.rank_shares(values).tolist() == [[0, 1], [1, 0]]


def test_the_mean_over_regions_ranks_and_not_the_one_that_more_patients_have() -> None:
    both = np.full((2, 2, 10), np.nan)  # (models, regions, patients)
    both[:, 0] = [[0.6], [0.5]]
    both[:, 1, :2] = [[0.1], [0.9]]
    assert comparison.rank_shares(both)[1, 0] > 0.8
    assert comparison.rank_shares(both[:, :1]).tolist() == [[1, 0], [0, 1]]


def test_equals_share_their_ranks() -> None:
    assert comparison.rank_shares(np.ones((2, 10))).tolist() == [[0.5, 0.5], [0.5, 0.5]]
    assert comparison.rank_shares(np.ones((3, 10))) == pytest.approx(np.full((3, 3), 1 / 3))
    best_of_three = np.array([[1.0] * 10, [0.5] * 10, [0.5] * 10])
    assert comparison.rank_shares(best_of_three).tolist() == [[1, 0, 0], [0, 0.5, 0.5], [0, 0.5, 0.5]]
