import platform

import pytest
import torch

from tumorline.config import TrainConfig
from tumorline.errors import UserError
from tumorline.training.machine import computes_in_bfloat16, keep_freed_memory, open_machine


def test_the_allocator_is_told_to_keep_memory_where_it_is_glibc() -> None:
    assert keep_freed_memory() == (platform.libc_ver()[0] == "glibc")


def test_precision_follows_the_hardware_unless_it_is_set() -> None:
    with open_machine(TrainConfig(device="cpu")) as machine:
        assert machine.bfloat16 == computes_in_bfloat16(torch.device("cpu"))
    with open_machine(TrainConfig(device="cpu", precision="float32")) as machine:
        assert not machine.bfloat16


def test_an_unusable_device_is_named() -> None:
    with (
        pytest.raises(UserError, match=r"train\.device is 'gpu0'.*try auto or cpu"),
        open_machine(TrainConfig(device="gpu0")),
    ):
        pass


def test_a_batch_must_divide_among_the_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    with (
        pytest.raises(UserError, match="batch_size is 16; it must be a multiple of the 3 processes"),
        open_machine(TrainConfig(device="cpu")),
    ):
        pass


@pytest.mark.parametrize("chosen", [False, True])
def test_torch_is_left_as_it_was(chosen: bool) -> None:
    before = torch.get_rng_state()
    with open_machine(TrainConfig(device="cpu", deterministic=chosen)):
        assert torch.are_deterministic_algorithms_enabled() == chosen
        torch.manual_seed(7)
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.equal(torch.get_rng_state(), before)
