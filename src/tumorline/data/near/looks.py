"""What a picture looks like, in few characters: by it a model knows resized, turned and newly saved copies again.

Each of 24 x 24 points of a thumbnail is brighter than its surroundings, darker, or neither. Cropped pictures and slices
cut from a volume are not known by it; benchmarks/near_duplicates.md has the measures that the limit rests on.
"""

import base64
from collections.abc import Sequence

import numpy as np

from tumorline.arrays import Float32Array, IntArray
from tumorline.data.near.duplicates import detail, shrink, unit_rows, unpack
from tumorline.geometry.symmetry import TRANSFORMS, transformed

SIDE = 24
PLAIN = 0.3
"""Detail up to here is neither bright nor dark; the mean square of a picture's detail is about 1."""
LEAST_ALIKE = 0.95
"""Correlation from which two looks are of one picture."""
MOST_LOOKS = 20_000
"""A model keeps no more of them; each takes 156 bytes of its file."""
PACKED = 5
"""Points in a byte, which has room for 3 ** 5 = 243 values."""
BYTES = -(-SIDE * SIDE // PACKED)
ROWS_AT_ONCE = 512


def looks_of(thumbnails: Sequence[bytes]) -> list[str]:
    """The look of each thumbnail (`duplicates.thumbnail`); empty where the picture is constant."""
    shown = [number for number, thumbnail in enumerate(thumbnails) if thumbnail]
    looks = [""] * len(thumbnails)
    for start in range(0, len(shown), ROWS_AT_ONCE):
        chunk = shown[start : start + ROWS_AT_ONCE]
        fine = detail(shrink(unpack([thumbnails[number] for number in chunk]), SIDE))
        for number, points in zip(chunk, np.sign(fine) * (np.abs(fine) > PLAIN), strict=True):
            looks[number] = _pack(points.astype(np.int64))
    return looks


def most_alike(looks: Sequence[str], known: Sequence[str]) -> list[int | None]:
    """For each look the position of that known one which is alike in one of eight flips and turns; None without any."""
    if not looks or not known:
        return [None] * len(looks)
    theirs = unit_rows(_unpack(known))
    positions: list[int | None] = []
    for start in range(0, len(looks), ROWS_AT_ONCE):
        points = _unpack(looks[start : start + ROWS_AT_ONCE])
        best = np.max([unit_rows(transformed(points, n)) @ theirs.T for n in range(len(TRANSFORMS))], axis=0)
        positions += [int(row.argmax()) if row.max() >= LEAST_ALIKE else None for row in best]
    return positions


def _pack(points: IntArray) -> str:
    """-1, 0 and 1 `(24, 24)` as text."""
    digits = np.zeros(BYTES * PACKED, np.int64)
    digits[: points.size] = points.reshape(-1) + 1
    return base64.b64encode((digits.reshape(-1, PACKED) @ 3 ** np.arange(PACKED)).astype(np.uint8).tobytes()).decode()


def _unpack(looks: Sequence[str]) -> Float32Array:
    """-1, 0 and 1 `(N, 24, 24)`; zeros for an empty look."""
    packed = np.frombuffer(b"".join(map(_bytes_of, looks)), np.uint8).reshape(len(looks), BYTES, 1)
    digits = packed.astype(np.int64) // 3 ** np.arange(PACKED) % 3
    return (digits.reshape(len(looks), -1)[:, : SIDE * SIDE] - 1).reshape(-1, SIDE, SIDE).astype(np.float32)


def _bytes_of(look: str) -> bytes:
    return base64.b64decode(look) if look else bytes([sum(3**power for power in range(PACKED))]) * BYTES
