"""Paired tests, Holm's correction, ranks: by hand."""

import numpy as np
import pytest

from tumorline.metrics import comparison


def test_five_patients_that_all_gain_have_two_extreme_exchanges_of_32() -> None:
    assert comparison.sign_flip_test(np.full(5, 0.1)) == pytest.approx(2 / 32)


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
    assert forth.mean == -back.mean
    assert forth.p == back.p


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


def test_a_recipe_against_itself_has_p_1() -> None:
    values = np.random.default_rng(0).random((3, 20))
    assert comparison.between_recipes(values, values).p == 1


def test_holm_multiplies_the_smallest_by_all_and_never_falls() -> None:
    assert comparison.holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert comparison.holm([0.9, 0.8]) == [1, 1]
    assert comparison.holm([]) == []


def test_the_better_in_every_patient_is_always_first() -> None:
    values = np.stack([np.full(10, 0.5), np.full(10, 0.7)])
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
