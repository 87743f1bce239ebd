"""Start a command of nnU-Net in its own environment, beside a torch without CUDA.

    python benchmarks/nnunet_launch.py nnUNetv2_train ARGUMENTS

PyPI's torchvision, which nnU-Net imports, stops there at "operator torchvision::nms does not exist". Its schemas are
declared first, here and, because this file is imported by them too, in the processes that nnU-Net spawns.
"""

import importlib.util
import sys
from importlib.metadata import entry_points
from pathlib import Path

CURE = Path(__file__).parents[1] / "src" / "tumorline" / "models" / "torchvision_cure.py"


def declare_operators() -> object:
    """By the file alone: Tumorline itself is not in nnU-Net's environment."""
    spec = importlib.util.spec_from_file_location("torchvision_cure", CURE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.cure_torchvision()


DECLARED = declare_operators()

if __name__ == "__main__":
    _, name, *arguments = sys.argv
    sys.argv = [name, *arguments]
    (command,) = entry_points(group="console_scripts", name=name)
    command.load()()
