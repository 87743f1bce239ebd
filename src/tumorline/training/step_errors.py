"""What torch and the libraries of networks raise at a step, in one line with its cure."""

from collections.abc import Iterator
from contextlib import contextmanager
from traceback import walk_tb

import torch

from tumorline.config import Config
from tumorline.errors import UserError

TOO_FEW = "Expected more than 1 "
"""How torch begins to say that a norm has one value alone of a channel."""
NO_MEMORY = ("DefaultCPUAllocator", "out of memory")
"""What torch says of a full memory, where it has no exception of its own for it."""
LIBRARIES = {"timm", "segmentation_models_pytorch", "torchvision", "monai"}
"""Whose networks refuse what they do not take with the first image only."""
OUR_NETWORKS = "tumorline.models"


@contextmanager
def in_one_line(config: Config) -> Iterator[None]:
    """Raise UserError for a full memory, norms that a batch is too small for, and what a network does not take.

    Anything else is an error of a program and stays what it is.
    """
    try:
        yield
    except UserError:
        raise
    except (RuntimeError, ValueError, AssertionError, MemoryError) as error:
        if not (message := _message(error, config)):
            raise
        raise UserError(message) from error


def _message(error: Exception, config: Config) -> str:
    """With the cure; empty for what is not known."""
    name, key = config.model.name, "data.window" if config.data.window else "data.image_size"
    size = " x ".join(map(str, config.network_size))
    if _is_full_memory(error):
        return (
            f"{key} is {size} and train.batch_size {config.train.batch_size}: the memory is full; lower {key}, "
            "train.batch_size or the widths in model.options, or stop other programs"
        )
    if str(error).startswith(TOO_FEW):
        return (
            f"model.name is '{name}', whose norms cannot learn from batches of one image; give two training images or "
            "more and train.batch_size=2 or more, or take another network"
        )
    if _is_refused_by_library(error):
        why = str(error).partition("\n")[0].rstrip(". ")
        return (
            f"model.name is '{name}' and model.options {config.model.options}: this network does not take {size} "
            f"({why}); set another {key}, or take another network"
        )
    return ""


def _is_full_memory(error: Exception) -> bool:
    says_so = isinstance(error, RuntimeError) and any(words in str(error) for words in NO_MEMORY)
    return says_so or isinstance(error, MemoryError | torch.OutOfMemoryError)


def _is_refused_by_library(error: Exception) -> bool:
    """Whether it was a library's code within one of the networks, or torch for it."""
    modules = [str(frame.f_globals.get("__name__")) for frame, _ in walk_tb(error.__traceback__)]
    packages = [module.partition(".")[0] for module in modules]
    innermost = next((package for package in reversed(packages) if package != "torch"), "")
    return innermost in LIBRARIES and any(module.startswith(OUR_NETWORKS) for module in modules)
