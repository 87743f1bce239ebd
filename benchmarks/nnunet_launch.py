"""Start a command of nnU-Net in its own environment, beside a torch without CUDA.

    python benchmarks/nnunet_launch.py nnUNetv2_train ARGUMENTS

PyPI's torchvision, which nnU-Net imports, stops there at "operator torchvision::nms does not exist". Its schemas are
declared first, here and, because this file is imported by them too, in the processes that nnU-Net spawns.
"""

import sys
from importlib.machinery import SourceFileLoader
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

CURE = Path(__file__).parents[1] / "src" / "tumorline" / "models" / "torchvision_cure.py"


def declare_operators() -> object:
    """By the file alone: Tumorline itself is not in nnU-Net's environment."""
    loader = SourceFileLoader("torchvision_cure", str(CURE))
    module = ModuleType(loader.name)
    loader.exec_module(module)
    return module.cure_torchvision()


DECLARED = declare_operators()

if __name__ == "__main__":
    _, name, *arguments = sys.argv
    sys.argv = [name, *arguments]
    (command,) = entry_points(group="console_scripts", name=name)
    command.load()()
