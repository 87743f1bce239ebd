"""Tensors on disk that are held against a checksum when they are read: a flipped bit is damage, never a weight."""

import zlib
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from tumorline.errors import UserError
from tumorline.files import atomic_path, sort_metadata

CHECKSUM_KEY = "checksum"
CURE = "put a copy back, or start a new run"


def write_tensors(path: Path, tensors: Mapping[str, Tensor], key: str, text: str) -> None:
    """Write tensors, and a text as metadata under `key`, whole or not at all."""
    kept = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with atomic_path(path) as temporary:
        save_file(kept, temporary, metadata={key: text, CHECKSUM_KEY: checksum(kept, text)})
        sort_metadata(temporary)


def read_tensors(path: Path, key: str) -> tuple[str, dict[str, Tensor]]:
    """The text under `key` (empty where there is none) and the tensors.

    Files of 0.1.0 have no checksum and are read without. Raises UserError for what is unreadable or damaged.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except Exception as error:
        raise UserError(f"{path}: cannot be read ({type(error).__name__}: {error}); {CURE}") from None
    text = str(metadata.get(key, ""))
    if metadata.get(CHECKSUM_KEY, checked := checksum(tensors, text)) != checked:
        raise UserError(f"{path}: damaged, its content does not fit its checksum; {CURE}")
    return text, tensors


def checksum(tensors: Mapping[str, Tensor], text: str) -> str:
    """Hash over a text and over name, type, shape and values of tensors on the processor."""
    digest = blake2b(text.encode(), digest_size=16)
    for name, tensor in sorted(tensors.items()):
        values = zlib.crc32(tensor.flatten().view(torch.uint8).numpy().data)
        digest.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)} {values}".encode())
    return digest.hexdigest()
