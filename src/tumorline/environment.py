"""What a result was made with: versions and machine, without importing what it names; and which process this is."""

import os
import platform
import sys
from collections.abc import Mapping
from functools import cache
from importlib import metadata

PACKAGES = (
    "tumorline",
    "numpy",
    "scipy",
    "Pillow",
    "h5py",
    "pydicom",
    "openvino",
    "torch",
    "torchvision",
    "monai",
    "segmentation-models-pytorch",
    "timm",
    "onnx",
    "nilearn",
)
INSTRUCTIONS = {"amx_bf16": "AMX", "avx512_bf16": "AVX512-BF16", "avx512f": "AVX512", "avx2": "AVX2"}
"""By their flag in /proc/cpuinfo, the strongest first."""


def versions() -> dict[str, str]:
    """Installed versions of Python and of the packages that shape a result."""
    found = {name: version for name in PACKAGES if (version := _installed_version(name))}
    return {"python": platform.python_version(), **found}


@cache
def _installed_version(package: str) -> str:
    """Empty where it is not installed. What a package states of itself is a file that takes half a millisecond."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def machine() -> dict[str, str]:
    """Processor, cores and system; no host name, no user name."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _of_processor("model name") or platform.processor(),
        "instructions": _instructions(),
        "cores": str(os.cpu_count()),
        "interpreter": sys.implementation.name,
    }


def is_first_process() -> bool:
    """Of those that torchrun started for one training, or of one alone."""
    return os.environ.get("RANK", "0") == "0"


def processor_kind(described: Mapping[str, str]) -> str:
    """Of a `machine`: what decides over its speed, and over bfloat16, in a few words.

    Of an environment that was written before there were instructions in it, the processor alone.
    """
    return ", ".join(filter(None, (described["processor"], described.get("instructions", ""))))


def _instructions() -> str:
    """The most that the processor has of what networks gain from; empty where that is not known."""
    flags = _of_processor("flags").split()
    return next((name for flag, name in INSTRUCTIONS.items() if flag in flags), "")


def _of_processor(key: str) -> str:
    """What the system says of the first core; empty where it does not."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next((line.partition(":")[2].strip() for line in file if line.startswith(key)), "")
    except OSError:
        return ""
