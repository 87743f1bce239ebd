"""What there is to train with, and how fast it is taken to be: stated figures, so that a plan can be repeated."""

from dataclasses import dataclass

from tumorline.errors import require_extra
from tumorline.work_ahead import count_cores

GIGA = 1e9
GPU_NAME = "GPU"
CPU_BFLOAT16, CPU_FLOAT32 = 140.0, 70.0
"""GFLOP/s of a core in the steps of a U-Net in three axes, measured on an AMD EPYC with AVX512-BF16."""
GPU = 20_000.0
"""GFLOP/s of a GPU in bfloat16; not measured, of the order of what such networks reach on one."""
OF_STEPS = 0.85
"""Share of the time that is left for steps beside validation, augmentation and saving."""
MOST_PATCHES = 500_000
"""That are planned: nnU-Net's 1000 epochs of 250 steps of 2."""
SLICES = 0.55
"""Of that speed in networks of slices whose encoders are light, as measured with the Lite networks."""


@dataclass(frozen=True)
class AtHand:
    device: str
    cores: int
    memory: int
    """Bytes of the device."""
    gflops: float
    """In a training step, all cores together."""
    minutes: float
    """What a training may take, without its evaluation."""
    stated: bool = False
    """Whether the speed was given, not assumed."""
    bfloat16: bool = False
    """Whether it computes faster in bfloat16, so that trainings do."""

    @property
    def device_type(self) -> str:
        """As torch calls it."""
        return "cuda" if self.device == GPU_NAME else "cpu"

    @property
    def is_large(self) -> bool:
        """Whether networks of the papers' widths are trained on it in hours."""
        return self.gflops >= 5000

    @property
    def time(self) -> str:
        return f"{self.minutes:g} {'minute' if self.minutes == 1 else 'minutes'}"

    def describe(self) -> str:
        basis = "as stated" if self.stated else "assumed, --gflops states another"
        speed = f"{self.gflops:.3g} GFLOP/s in training ({basis})"
        return f"{self.device}, {self.memory / GIGA:.3g} GB of memory, {speed}, {self.time}"


def find_at_hand(minutes: float, memory_gb: float | None = None, gflops: float | None = None) -> AtHand:
    """This machine, or as much of it as is stated. Needs the `train` extra."""
    require_extra("torch", "planning", "train")
    import torch

    from tumorline.training.machine import computes_in_bfloat16
    from tumorline.training.memory import total_memory

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    cores = count_cores()
    bfloat16 = computes_in_bfloat16(device)
    core = CPU_BFLOAT16 if bfloat16 else CPU_FLOAT32
    name = GPU_NAME if device.type == "cuda" else f"processor with {cores} {'core' if cores == 1 else 'cores'}"
    return AtHand(
        device=name,
        cores=cores,
        memory=int((memory_gb or 0) * GIGA) or total_memory(device) or int(8 * GIGA),
        gflops=gflops or (GPU if device.type == "cuda" else cores * core),
        minutes=minutes,
        stated=gflops is not None,
        bfloat16=bfloat16,
    )
