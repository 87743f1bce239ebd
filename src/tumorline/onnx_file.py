"""What an ONNX file is apart from its texts, read without the `onnx` package: the base install has none."""

import hashlib
import mmap
from collections.abc import Iterator
from pathlib import Path

from tumorline.errors import UserError

LARGEST_FILE = 1 << 31
"""Bytes; the limit of the format itself."""
NETWORK_KEY = "tumorline_network"
"""Of an ONNX file's texts, the one that holds the hash of all the rest."""
TEXTS = 14
"""The field `metadata_props` of a ModelProto."""
MOST_FIELDS = 100_000
"""At the top level; a file of Tumorline has about ten."""
FIXED = {1: 8, 5: 4}
"""Bytes of the wire types whose length is fixed."""


def hash_network(path: Path) -> str:
    """SHA-256 of an ONNX file without its texts: graph, weights and versions. Raises UserError where it is none."""
    total = hashlib.sha256()
    try:
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
            memoryview(mapped) as content,
        ):
            for field, start, end in _fields(content):
                if field != TEXTS:
                    with content[start:end] as part:
                        total.update(part)
    except (OSError, ValueError, IndexError):
        raise UserError(f"{path}: not an ONNX file, or cut off; write it with 'tumorline export'") from None
    return total.hexdigest()


def read_texts(path: Path) -> dict[str, str]:
    """The texts of an ONNX file by name; none where it is no ONNX file."""
    texts: dict[str, str] = {}
    try:
        content = memoryview(path.read_bytes())
        for field, start, end in _fields(content):
            if field == TEXTS:
                entry = content[_past_length(content, start) : end]
                pair = {
                    number: bytes(entry[_past_length(entry, begin) : stop]) for number, begin, stop in _fields(entry)
                }
                texts[pair.get(1, b"").decode()] = pair.get(2, b"").decode()
    except (OSError, ValueError, IndexError):
        return {}
    return texts


def _past_length(content: memoryview, start: int) -> int:
    """Where what a field holds begins, after its tag and its length."""
    _, position = _varint(content, start)
    return _varint(content, position)[1]


def _fields(content: memoryview) -> Iterator[tuple[int, int, int]]:
    """Number, start and end of each field at the top level. Raises ValueError or IndexError for what is none."""
    start = 0
    for _ in range(MOST_FIELDS):
        if start == len(content):
            return
        tag, position = _varint(content, start)
        wire = tag & 7
        if wire == 0:
            _, end = _varint(content, position)
        elif wire == 2:
            length, position = _varint(content, position)
            end = position + length
        else:
            end = position + FIXED.get(wire, len(content))
        if end > len(content):
            raise ValueError("cut off")
        yield tag >> 3, start, end
        start = end
    raise ValueError("too many fields")


def _varint(content: memoryview, position: int) -> tuple[int, int]:
    """A number of up to ten bytes, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        byte = content[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
    raise ValueError("no number")
