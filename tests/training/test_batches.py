from collections import Counter

import numpy as np
import pytest
import torch

from tumorline.config import TrainConfig
from tumorline.errors import UserError
from tumorline.network_input.cache import Cache
from tumorline.training.batches import Batches, Store, patient_weights
from tumorline.training.machine import Machine

CPU = torch.device("cpu")


def of(batch_size: int, epoch_images: int = 0) -> TrainConfig:
    return TrainConfig(batch_size=batch_size, epoch_images=epoch_images)


def one_of(rank: int, world: int) -> Machine:
    return Machine(CPU, bfloat16=False, rank=rank, world=world)


def test_an_epoch_shows_each_case_at_most_once_and_the_next_in_another_order() -> None:
    batches = Batches(list(range(100, 110)), np.ones(10), of(3), seed=0, machine=one_of(0, 1))
    epochs = [[batches.indices(epoch, step) for step in range(batches.steps)] for epoch in (0, 1)]
    shown = [index for batch in epochs[0] for index in batch]
    assert batches.steps == 3
    assert len(set(shown)) == len(shown) == 9
    assert set(shown) <= set(range(100, 110))
    assert epochs[0] != epochs[1]


def test_processes_share_the_batch_that_one_process_would_see() -> None:
    whole = Batches(list(range(20)), np.ones(20), of(4), seed=1, machine=one_of(0, 1)).indices(2, 1)
    shares = [
        Batches(list(range(20)), np.ones(20), of(4), seed=1, machine=one_of(rank, 2)).indices(2, 1) for rank in (0, 1)
    ]
    assert sorted(shares[0] + shares[1]) == sorted(whole)
    assert [len(share) for share in shares] == [2, 2]


def test_a_small_set_is_one_batch() -> None:
    batches = Batches([4, 5, 6], np.ones(3), of(16), seed=0, machine=one_of(0, 1))
    assert (batches.steps, sorted(batches.indices(0, 0))) == (1, [4, 5, 6])


def test_an_epoch_may_be_cut_and_the_next_shows_others() -> None:
    batches = Batches(list(range(40)), np.ones(40), of(4, epoch_images=10), seed=0, machine=one_of(0, 1))
    assert (batches.batch_size, batches.steps) == (4, 2)
    first, second = ({index for step in (0, 1) for index in batches.indices(epoch, step)} for epoch in (0, 1))
    assert len(first) == len(second) == 8
    assert first != second


def test_more_processes_than_cases_are_refused() -> None:
    with pytest.raises(UserError, match="1 training cases cannot be shared among 2 processes"):
        Batches([4], np.ones(1), of(2), seed=0, machine=one_of(0, 2))


def test_balanced_patients_come_up_alike_whatever_their_number_of_slices() -> None:
    patients = ["many"] * 9 + ["one"] + ["two"] * 2
    batches = Batches(list(range(12)), patient_weights(patients, 1.0), of(12), seed=0, machine=one_of(0, 1))
    for epoch in range(3):
        shown = Counter(patients[index] for index in batches.indices(epoch, 0))
        assert shown == {"many": 4, "one": 4, "two": 4}


def test_without_balance_every_slice_counts_alike() -> None:
    assert patient_weights(["a", "a", "b"], 0.0).tolist() == [1, 1, 1]
    assert patient_weights(["a", "a", "a", "a", "b"], 0.5).tolist() == [0.5] * 4 + [1]


def test_a_batch_from_the_device_is_that_from_the_cache() -> None:
    random = np.random.default_rng(0)
    images = random.normal(size=(5, 2, 4, 4)).astype(np.float16)
    cache = Cache(images, random.integers(0, 2, (5, 1, 4, 4), np.uint8))
    mapped, whole = Store(cache, CPU), Store(cache, CPU, on_device=True)
    assert (mapped.whole is None, whole.whole is None) == (True, False)
    for one, other in zip(mapped.batch([3, 0]), whole.batch([3, 0]), strict=True):
        assert one.dtype == torch.float32
        assert torch.equal(one, other)
    assert torch.equal(mapped.batch([3])[0][0], torch.from_numpy(images[3].astype(np.float32)))
