"""Elements of a mask's boundary: where they lie and how long or large they are.

An element lies where four pixels (eight voxels) meet that are not all alike, and its code says which of them are in
the mask. A piece of contour (of surface) passes through that window; its length (area) follows from the code and the
spacing, as in DeepMind's surface-distance, which takes the surfaces of marching cubes (Lorensen and Cline 1987,
SIGGRAPH 21:163). Here the surfaces are derived: where corners of the window differ along an edge, the surface passes
through the middle of that edge, and corners that are connected are cut off together.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from itertools import product

import numpy as np
import numpy.typing as npt

from tumorline.arrays import Float64Array, MaskArray

CodeArray = npt.NDArray[np.uint8]
FULL = {2: 0b1111, 3: 0b11111111}
"""The code of a window that lies inside the mask altogether, by dimension."""

CORNERS = np.array(list(product((0, 1), repeat=3)))


def neighbourhood_codes(mask: MaskArray) -> CodeArray:
    """Code of the window at each corner between the pixels of `mask (H, W)` or `(D, H, W)`; one longer on each axis.

    One bit for each pixel of the window, the highest for the first.
    """
    codes: CodeArray = np.zeros(np.add(mask.shape, 2), np.uint8)
    codes[(slice(1, -1),) * mask.ndim] = mask
    for axis, weight in zip(reversed(range(mask.ndim)), (2, 4, 16), strict=False):
        before = (slice(None),) * axis
        codes = np.uint8(weight) * codes[(*before, slice(None, -1))] + codes[(*before, slice(1, None))]
    return codes


def element_sizes(spacing: Sequence[float]) -> Float64Array:
    """Length (2D, 16 codes) or area (3D, 256 codes) of an element by its code; 0 where there is no boundary."""
    return _lengths(*map(float, spacing)) if len(spacing) == 2 else _areas(*map(float, spacing))


@lru_cache
def _lengths(height: float, width: float) -> Float64Array:
    corner = 0.5 * float(np.hypot(height, width))
    lengths = np.full(16, corner)
    lengths[[0b0000, 0b1111]] = 0
    lengths[[0b0011, 0b1100]] = width
    lengths[[0b0101, 0b1010]] = height
    lengths[[0b0110, 0b1001]] = 2 * corner
    return lengths


@lru_cache
def _areas(depth: float, height: float, width: float) -> Float64Array:
    faces = np.array([height * width, depth * width, depth * height])
    return np.asarray(np.linalg.norm(_triangles_by_code() * faces, axis=-1).sum(-1))


@cache
def _triangles_by_code() -> Float64Array:
    """The at most four triangles of each code's surface in a unit cube, as vector areas `(256, 4, 3)`."""
    areas = np.zeros((256, 4, 3))
    for code in range(256):
        for index, triangle in enumerate(_triangles(code)):
            areas[code, index] = np.cross(triangle[1] - triangle[0], triangle[2] - triangle[0]) / 2
    return areas


def _triangles(code: int) -> Iterator[Float64Array]:
    """The smaller side of the window decides; each of its connected parts is cut off by a surface of its own."""
    from scipy import ndimage  # slow to import

    corners = np.array([code >> bit & 1 for bit in reversed(range(8))], bool)
    if corners.sum() > 4:
        corners = ~corners
    parts, count = ndimage.label(corners.reshape(2, 2, 2))
    for part in range(1, count + 1):
        yield from _triangles_of_part(parts == part)


def _triangles_of_part(part: MaskArray) -> Iterator[Float64Array]:
    """A triangle over each corner with a single edge out of the part, then a fan over the middles that are left.

    Four corners of one face have one such edge each; there the fan alone is the surface. The fan starts at the longest
    diagonal, which only matters for four corners in a winding row: all other fans are flat.
    """
    ring = _ring(part)
    edges = Counter(corner for corner, _ in ring)
    middles = np.array([middle for _, middle in ring])
    single = np.array([edges[corner] == 1 for corner, _ in ring])
    single &= not single.all()
    for index in map(int, np.flatnonzero(single)):
        yield middles.take((index - 1, index, index + 1), axis=0, mode="wrap")
    fan = middles[~single]
    start = int(np.argmax(np.linalg.norm(fan[:, None] - fan, axis=-1).max(1)))
    fan = np.roll(fan, -start, axis=0)
    for index in range(1, len(fan) - 1):
        yield fan[[0, index, index + 1]]


def _ring(part: MaskArray) -> list[tuple[int, Float64Array]]:
    """Middles of the edges that lead out of a part, each with the number of its corner, in the order around it.

    Neighbours in this order lie in one face of the cube.
    """
    inside = part.ravel()
    edges = [
        (int(corner), (CORNERS[corner] + CORNERS[outer]) / 2)
        for corner in np.flatnonzero(inside)
        for outer in np.flatnonzero(~inside)
        if np.abs(CORNERS[corner] - CORNERS[outer]).sum() == 1
    ]
    ring = [edges.pop()]
    while edges:
        here = ring[-1][1]
        ring.append(edges.pop(next(i for i, (_, there) in enumerate(edges) if _in_one_face(here, there))))
    return ring


def _in_one_face(here: Float64Array, there: Float64Array) -> bool:
    return bool(((here == there) & (here != 0.5)).any())
