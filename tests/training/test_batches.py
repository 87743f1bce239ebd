from collections import Counter

import numpy as np
import pytest
import torch

from tumorline.config import DataConfig, TrainConfig
from tumorline.errors import UserError
from tumorline.network_input.cache import Cache
from tumorline.training.batches import Batches, Store
from tumorline.training.machine import Machine
from tumorline.training.windows import (
    TrainingSource,
    Windows,
    patient_weights,
    windows_of_source,
    with_tumour_free,
)

CPU = torch.device("cpu")


def of(batch_size: int, epoch_images: int = 0) -> TrainConfig:
    return TrainConfig(batch_size=batch_size, epoch_images=epoch_images)


def windows_of(rows: list[int], weights: np.ndarray) -> Windows:
    return Windows(np.array(rows), weights, len(rows))


def one_of(rank: int, world: int) -> Machine:
    return Machine(CPU, bfloat16=False, rank=rank, world=world)


def test_an_epoch_shows_each_case_at_most_once_and_the_next_in_another_order() -> None:
    batches = Batches(windows_of(list(range(100, 110)), np.ones(10)), of(3), seed=0, machine=one_of(0, 1))
    epochs = [[batches.numbers(epoch, step) for step in range(batches.steps)] for epoch in (0, 1)]
    shown = [index for batch in epochs[0] for index in batch]
    assert batches.steps == 3
    assert len(set(shown)) == len(shown) == 9
    assert set(shown) <= set(range(100, 110))
    assert epochs[0] != epochs[1]


def test_processes_share_the_batch_that_one_process_would_see() -> None:
    whole = Batches(windows_of(list(range(20)), np.ones(20)), of(4), seed=1, machine=one_of(0, 1)).numbers(2, 1)
    shares = [
        Batches(windows_of(list(range(20)), np.ones(20)), of(4), seed=1, machine=one_of(rank, 2)).numbers(2, 1)
        for rank in (0, 1)
    ]
    assert sorted(shares[0] + shares[1]) == sorted(whole)
    assert [len(share) for share in shares] == [2, 2]


def test_a_small_set_is_one_batch() -> None:
    batches = Batches(windows_of([4, 5, 6], np.ones(3)), of(16), seed=0, machine=one_of(0, 1))
    assert (batches.steps, sorted(batches.numbers(0, 0))) == (1, [4, 5, 6])


def test_an_epoch_may_be_cut_and_the_next_shows_others() -> None:
    batches = Batches(windows_of(list(range(40)), np.ones(40)), of(4, epoch_images=10), seed=0, machine=one_of(0, 1))
    assert (batches.batch_size, batches.steps) == (4, 2)
    first, second = ({index for step in (0, 1) for index in batches.numbers(epoch, step)} for epoch in (0, 1))
    assert len(first) == len(second) == 8
    assert first != second


def test_more_processes_than_cases_are_refused() -> None:
    with pytest.raises(UserError, match="1 training image cannot be shared among 2 processes"):
        Batches(windows_of([4], np.ones(1)), of(2), seed=0, machine=one_of(0, 2))


def test_balanced_patients_come_up_alike_whatever_their_number_of_slices() -> None:
    patients = ["many"] * 9 + ["one"] + ["two"] * 2
    batches = Batches(windows_of(list(range(12)), patient_weights(patients, 1.0)), of(12), seed=0, machine=one_of(0, 1))
    for epoch in range(3):
        shown = Counter(patients[row] for row in batches.windows.rows_of(batches.numbers(epoch, 0)))
        assert shown == {"many": 4, "one": 4, "two": 4}


def test_a_window_that_comes_up_again_in_an_epoch_is_another_sample() -> None:
    windows = windows_of([3, 5, 7], np.array([10.0, 1, 1]))
    batches = Batches(windows, of(3), seed=0, machine=one_of(0, 1))
    for epoch in range(5):
        numbers = batches.numbers(epoch, 0)
        assert windows.rows_of(numbers).count(3) >= 2
        assert len(set(numbers)) == 3, "equal numbers would be changed alike"
        assert min(numbers) in (3, 5, 7), "the first time is as if it were the only one"


def test_without_balance_every_slice_counts_alike() -> None:
    assert patient_weights(["a", "a", "b"], 0.0).tolist() == [1, 1, 1]
    assert patient_weights(["a", "a", "a", "a", "b"], 0.5).tolist() == [0.5] * 4 + [1]


def cache_of(images: np.ndarray, masks: np.ndarray, slices: list[int]) -> Cache:
    rows = np.stack([images.any((1, 2, 3)), masks.any((1, 2, 3))], axis=1)
    return Cache(images, masks, rows, np.concatenate([[0], np.cumsum(slices)]).astype(np.intp))


def test_a_batch_from_the_device_is_that_from_the_cache() -> None:
    random = np.random.default_rng(0)
    images = random.normal(size=(5, 2, 4, 4)).astype(np.float16)
    cache = cache_of(images, random.integers(0, 2, (5, 1, 4, 4), np.uint8), [1] * 5)
    mapped, whole = Store(cache, CPU), Store(cache, CPU, on_device=True)
    assert (mapped.whole is None, whole.whole is None) == (True, False)
    for one, other in zip(mapped.batch([3, 0]), whole.batch([3, 0]), strict=True):
        assert one.dtype == torch.float32
        assert torch.equal(one, other)
    assert torch.equal(mapped.batch([3])[0][0], torch.from_numpy(images[3].astype(np.float32)))


@pytest.mark.parametrize("on_device", [False, True])
def test_a_window_shows_the_neighbours_of_its_own_case_alone(on_device: bool) -> None:
    images = np.arange(5, dtype=np.float16)[:, None, None, None] + np.zeros((5, 2, 4, 4), np.float16)
    cache = cache_of(images, np.zeros((5, 3, 4, 4), np.uint8), [3, 2])
    image, target = Store(cache, CPU, context=1, on_device=on_device).batch([0, 2, 3])
    assert image.shape == (3, 6, 4, 4)
    assert image[:, ::2, 0, 0].tolist() == [[0, 0, 1], [1, 2, 2], [3, 3, 4]]
    assert torch.equal(image[:, ::2], image[:, 1::2])
    assert target.shape == (3, 3, 4, 4)


def test_windows_without_a_region_come_up_as_often_as_is_asked() -> None:
    marked = np.arange(40) < 12
    windows = with_tumour_free(windows_of(list(range(40)), np.ones(40)), marked, 0.25)
    assert windows.images == 16
    batches = Batches(windows, of(16), seed=0, machine=one_of(0, 1))
    drawn = np.array([windows.rows_of(batches.numbers(epoch, 0)) for epoch in range(200)])
    assert (drawn >= 12).mean() == pytest.approx(0.25, abs=0.02)
    assert np.bincount(drawn[drawn < 12]).std() < 20


@pytest.mark.parametrize(("balance", "pull"), [(0.0, 10.0), (1.0, 4.0)])
def test_a_source_pulls_by_what_an_epoch_shows_of_it_or_by_its_patients(balance: float, pull: float) -> None:
    """Else a source of scans without their tumour-free slices would push those beside it out of the epoch."""
    masks = np.zeros((40, 1, 4, 4), np.uint8)
    masks[:10] = 1
    cache = cache_of(np.ones((40, 1, 4, 4), np.float16), masks, [1] * 40)
    patients = [f"p{number % 4}" for number in range(40)]
    source = TrainingSource("scans", DataConfig(tumour_free_share=0), False, range(40), patients)
    windows = windows_of_source(source, cache, balance)
    assert windows.windows.images == 10
    assert windows.pull == pytest.approx(pull)


def test_an_epoch_shows_each_window_with_a_region_once_beside_the_share_of_others() -> None:
    marked = np.arange(400) % 10 < 4
    windows = with_tumour_free(windows_of(list(range(400)), np.ones(400)), marked, 0.2)
    batches = Batches(windows, of(200), seed=0, machine=one_of(0, 1))
    for epoch in range(3):
        shown = Counter(windows.rows_of(batches.numbers(epoch, 0)))
        assert {row: count for row, count in shown.items() if marked[row]} == dict.fromkeys(np.flatnonzero(marked), 1)
        assert sum(count for row, count in shown.items() if not marked[row]) == 40


def test_shares_are_kept_in_epochs_that_are_shorter_than_the_set() -> None:
    weights = np.where(np.arange(100) < 10, 3.0, 1.0)
    batches = Batches(windows_of(list(range(100)), weights), of(20, epoch_images=20), seed=0, machine=one_of(0, 1))
    drawn = np.array([batches.numbers(epoch, 0) for epoch in range(300)])
    assert {5} == set((drawn < 10).sum(1)), "10 of weight 3 beside 90 of weight 1 are a quarter"
    often = np.bincount(drawn.ravel(), minlength=100) / len(drawn)
    assert often == pytest.approx(0.2 * weights / 1.2, abs=0.12)


def test_without_windows_that_lack_a_region_nothing_changes() -> None:
    windows = windows_of([1, 2], np.ones(2))
    assert with_tumour_free(windows, np.array([True, True]), 0.5) is windows
    assert with_tumour_free(windows, np.array([False, True]), 0.0).rows.tolist() == [2]
    assert with_tumour_free(windows, np.array([False, True]), 1.0).rows.tolist() == [1]
