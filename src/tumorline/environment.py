"""What a result was made with: versions and machine, without importing what it names."""

import os
import platform
import sys
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


def versions() -> dict[str, str]:
    """Installed versions of Python and of the packages that shape a result."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, str]:
    """Processor, cores and system; no host name, no user name."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "interpreter": sys.implementation.name,
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor()
