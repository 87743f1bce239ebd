"""Networks that OpenVINO has compiled, kept in the user's cache folder: a second start does not compile again.

What is kept is found by the hash of the network in the ONNX file (which the model's stamp is held against), OpenVINO's
version, the processor and the settings, precision among them. A file that is damaged, of another user or not understood
counts as none and is made again; a folder that cannot be written keeps nothing.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from tumorline.environment import machine
from tumorline.errors import UserError
from tumorline.files import keep_newest, write_bytes
from tumorline.onnx_file import hash_network
from tumorline.user_folders import default_folder

FOLDER, SUFFIX = "compiled", ".network"
FORMAT = 1
"""Of the files that are kept."""
MOST, LARGEST_KEPT = 12, 1 << 29
"""Networks that are kept, those used last; bytes of the largest ONNX file of which it is done."""

Settings = Mapping[str, str]


@dataclass(frozen=True)
class CompiledNetwork:
    """What OpenVINO can take up again."""

    network: bytes
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]


@dataclass(frozen=True)
class KeptNetwork:
    """Where a compiled network is kept, or would be."""

    path: Path | None
    """None where nothing can be kept."""

    def read(self) -> CompiledNetwork | None:
        """None where there is none, where it is damaged, or where another user has put it there."""
        try:
            if self.path is None or not _is_own(self.path):
                return None
            first, _, content = self.path.read_bytes().partition(b"\n")
            checksum, _, network = content.partition(b"\n")
            if checksum.decode() != _checksum(first, network):
                return None
            header = json.loads(first)
            with suppress(OSError):
                os.utime(self.path)  # used last
            return CompiledNetwork(network, tuple(header["input_shape"]), tuple(header["output_shape"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, compiled: CompiledNetwork) -> None:
        if self.path is None:
            return
        header = {name: getattr(compiled, name) for name in ("input_shape", "output_shape")}
        first = json.dumps(header).encode()
        content = b"\n".join([first, _checksum(first, compiled.network).encode(), compiled.network])
        with suppress(OSError, UserError):
            Context().run(write_bytes, self.path, content)  # it belongs to no folder of results
            keep_newest(self.path.parent, f"*{SUFFIX}", MOST)


def find_compiled(onnx: Path, settings: Settings) -> KeptNetwork:
    """Where the network of an ONNX file is kept, compiled with these settings on this machine."""
    try:
        identity = [FORMAT, hash_network(onnx), metadata.version("openvino"), machine(), sorted(settings.items())]
        name = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:32]
        return KeptNetwork(default_folder() / FOLDER / f"{name}{SUFFIX}")
    except UserError:
        return KeptNetwork(None)


def _is_own(path: Path) -> bool:
    """A regular file of this user."""
    return path.is_file() and not path.is_symlink() and (not hasattr(os, "getuid") or path.stat().st_uid == os.getuid())


def _checksum(first: bytes, network: bytes) -> str:
    total = hashlib.sha256(first)
    total.update(network)
    return total.hexdigest()
