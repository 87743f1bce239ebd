"""What a training runs on: device, precision, processes, memory allocator."""

import ctypes
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from tumorline.config import TrainConfig
from tumorline.errors import UserError

T = TypeVar("T")
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
AUTOCAST_DTYPE = torch.bfloat16


@dataclass(frozen=True)
class Machine:
    """Device, autocast and this process's place among all."""

    device: torch.device
    bfloat16: bool
    rank: int = 0
    world: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def autocast(self) -> Any:
        if not self.bfloat16:
            return nullcontext()
        return torch.autocast(self.device.type, AUTOCAST_DTYPE)

    def first(self, build: Callable[[], T]) -> T:
        """What `build` gives, which the first process does while the others wait, and the others after it."""
        if self.world > 1 and not self.leads:
            dist.barrier()
        built = build()
        if self.world > 1 and self.leads:
            dist.barrier()
        return built

    def gather(self, value: Any) -> list[Any]:
        """The values of all processes, in their order."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        dist.all_gather_object(values, value)
        return values


@contextmanager
def open_machine(settings: TrainConfig) -> Iterator[Machine]:
    """Choose device and precision; join the other processes where torchrun started several."""
    keep_freed_memory()
    world, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    device = _device(settings.device)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if settings.batch_size % world:
        raise UserError(f"train.batch_size is {settings.batch_size}; it must be a multiple of the {world} processes")
    if world > 1:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        with _torch_for(settings, device):
            bfloat16 = use_bfloat16(settings.precision, computes_in_bfloat16(device))
            yield Machine(device, bfloat16, rank, world)
    finally:
        if world > 1:
            dist.destroy_process_group()


@contextmanager
def _torch_for(settings: TrainConfig, device: torch.device) -> Iterator[None]:
    """PyTorch as a training needs it; what the program that trains had chosen, and its random state, come back."""
    benchmark, warns = torch.backends.cudnn.benchmark, torch.is_deterministic_algorithms_warn_only_enabled()
    deterministic = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(settings.deterministic)
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = not settings.deterministic
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield
    finally:
        torch.use_deterministic_algorithms(deterministic, warn_only=warns)
        torch.backends.cudnn.benchmark = benchmark


def keep_freed_memory() -> bool:
    """Have glibc keep large freed blocks instead of returning them to the system, to save page faults.

    Returns whether it was done. Call before the first tensor; elsewhere than on glibc it does nothing.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    largest_accepted = next((size for size in (1 << 30, 1 << 25) if libc.mallopt(M_MMAP_THRESHOLD, size)), 0)
    return bool(largest_accepted and libc.mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1))


def computes_in_bfloat16(device: torch.device) -> bool:
    """Whether the hardware multiplies bfloat16 faster than float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        return any(flag in _processor_flags() for flag in ("amx_bf16", "avx512_bf16"))
    return False


def peak_memory_mb(device: torch.device) -> float:
    """Most memory in use so far: of the GPU where that is the device, else of this process; 0 where it is not known."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    if platform.system() == "Windows":
        return 0.0
    import resource

    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def use_bfloat16(precision: str, is_fast: bool) -> bool:
    """Whether a training computes in it; `is_fast` says what the hardware thinks of it."""
    return precision == "bfloat16" or (precision == "auto" and is_fast)


def _processor_flags() -> frozenset[str]:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            flags = next((line for line in file if line.startswith("flags")), "")
    except OSError:
        return frozenset()
    return frozenset(flags.split())


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and "LOCAL_RANK" in os.environ:
        name = f"cuda:{os.environ['LOCAL_RANK']}"
    try:
        device = torch.device(name)
        torch.empty(1, device=device).cpu()  # "meta" is a device that computes nothing
    except Exception as error:
        reason = str(error).splitlines()[0].partition(". ")[0]
        raise UserError(f"train.device is '{name}', which cannot be used here ({reason}); try auto or cpu") from None
    return device
