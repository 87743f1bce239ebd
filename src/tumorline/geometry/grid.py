"""Where the pixels or voxels of an image lie."""

from dataclasses import dataclass

import numpy as np

from tumorline.arrays import Float64Array

SAME_WITHIN = 0.1
"""Two grids are one where no corner lies further apart than this share of the smallest side of a voxel."""

Affine = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Grid:
    """Sides and spacing of an image along its axes; the affine `(4, 4)` leads from indices to millimetres."""

    shape: tuple[int, ...]
    spacing_mm: tuple[float, ...] | None = None
    affine: Affine | None = None

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def unit(self) -> str:
        """In what distances on the grid are measured: "mm", or "px" where the spacing is unknown."""
        return "px" if self.spacing_mm is None else "mm"

    @property
    def voxel_ml(self) -> float | None:
        """Volume of a voxel; None where it is unknown."""
        if self.affine is None:
            return None
        return float(abs(np.linalg.det(np.asarray(self.affine)[:3, :3]))) / 1000

    @property
    def pixel_mm2(self) -> float | None:
        """Area of a picture's pixel; None where it is unknown, and of a volume."""
        if self.spacing_mm is None or self.ndim != 2:
            return None
        return self.spacing_mm[0] * self.spacing_mm[1]

    def difference(self, other: "Grid") -> str:
        """In what another grid of three axes differs, in words; empty where both are one."""
        if self.shape != other.shape:
            return f"{_sizes(self.shape)} against {_sizes(other.shape)}"
        apart, smallest = np.abs(corners_of(self) - corners_of(other)).max(), min(self.spacing_mm or (1.0,))
        return "" if apart <= SAME_WITHIN * smallest else f"the same voxel lies up to {apart:.3g} mm apart"


UNITS = ("px", "mm2", "ml")
"""In which the size of what is outlined is told."""


def sizes_of(elements: int, grid: Grid | None) -> dict[str, float | None]:
    """Of so many pixels or voxels by `UNITS`: pictures have an area, volumes a volume; None where it is unknown."""
    pixel_mm2, voxel_ml = (grid.pixel_mm2, grid.voxel_ml) if grid else (None, None)
    sizes = (None if one is None else round(elements * one, 6) for one in (1, pixel_mm2, voxel_ml))
    return dict(zip(UNITS, sizes, strict=True))


def grid_of(shape: tuple[int, ...], affine: Float64Array) -> Grid:
    sides = np.linalg.norm(affine[:3, :3], axis=0)
    spacing_mm = tuple(float(np.float32(side)) for side in sides)
    return Grid(shape, spacing_mm, tuple(tuple(map(float, row)) for row in affine))


def _sizes(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def corners_of(grid: Grid) -> Float64Array:
    """Positions of the corner voxels, `(3, 8)` in mm."""
    ends = np.array(np.meshgrid(*[(0, side - 1) for side in grid.shape], indexing="ij")).reshape(3, -1)
    affine = np.asarray(grid.affine)
    return np.asarray(affine[:3, :3] @ ends + affine[:3, 3:])
