"""Tumours with known truth: irregular growth, mass effect, necrotic core, enhancing rim and oedema."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tumorline.arrays import Float32Array
from tumorline.simulation.anatomy import Head
from tumorline.simulation.field import Axes, Noise, positions

Range = tuple[float, float]

MASS_REACH = 1.2
"""Distance over which displacement falls off, in radii of the lesion."""


@dataclass(frozen=True)
class Kind:
    """What tumours of one kind have in common; ranges are drawn from evenly, lengths are in mm."""

    class_name: str
    radius_mm: Range
    depth_mm: Range
    roughness: Range
    enhancement: Range
    necrosis: float
    oedema_mm: Range
    mass: Range
    patchiness: float = 0.1
    most_lesions: int = 1
    extra_axial: bool = False
    white_matter: float = 0.0
    """How much further it grows into white matter than into grey, in radii."""


MENINGIOMA, GLIOMA, METASTASIS = (
    Kind(
        "simulated meningioma",
        radius_mm=(12, 26),
        depth_mm=(1, 7),
        roughness=(0.05, 0.14),
        enhancement=(0.45, 1.0),
        necrosis=0.0,
        oedema_mm=(0, 5),
        mass=(0.6, 0.9),
        extra_axial=True,
    ),
    Kind(
        "simulated glioma",
        radius_mm=(14, 28),
        depth_mm=(14, 45),
        roughness=(0.18, 0.32),
        enhancement=(0.25, 0.9),
        necrosis=0.8,
        oedema_mm=(5, 16),
        mass=(0.35, 0.65),
        patchiness=0.3,
    ),
    Kind(
        "simulated metastasis",
        radius_mm=(8, 14),
        depth_mm=(8, 22),
        roughness=(0.04, 0.1),
        enhancement=(0.4, 1.0),
        necrosis=0.5,
        oedema_mm=(6, 20),
        mass=(0.3, 0.5),
        most_lesions=3,
    ),
)
KINDS = (MENINGIOMA, GLIOMA, METASTASIS)


@dataclass(frozen=True)
class Lesion:
    """One focus: an ellipsoid whose surface is modulated by noise."""

    centre_mm: Float32Array
    radius_mm: float
    stretch: Float32Array
    roughness: float
    bumps: tuple[Noise, Noise]

    @classmethod
    def draw(cls, rng: np.random.Generator, kind: Kind, centre_mm: Float32Array, radius_mm: float) -> "Lesion":
        bumps = (Noise.draw(rng, max(0.7 * radius_mm, 5)), Noise.draw(rng, max(0.3 * radius_mm, 3)))
        stretch = np.exp(rng.normal(0, 0.12, 3)).astype(np.float32)
        return cls(centre_mm, radius_mm, stretch, rng.uniform(*kind.roughness), bumps)

    def radial(self, points_mm: Float32Array) -> tuple[Float32Array, Float32Array]:
        """Offsets `(3, ...)` and distance in mm from the centre, in the ellipsoid's stretched space."""
        offset = points_mm - self.centre_mm[:, None, None, None]
        distance: Float32Array = np.linalg.norm(offset * self.stretch[:, None, None, None], axis=0)
        return offset, distance

    def level(self, axes: Axes) -> Float32Array:
        """About the signed distance in mm to the surface, positive inside."""
        _, distance = self.radial(positions(axes))
        coarse, fine = self.bumps
        bumps: Float32Array = np.clip(self.roughness * (coarse(axes) + 0.4 * fine(axes)), -0.6, 0.6)
        return self.radius_mm * (1 + bumps) - distance


@dataclass(frozen=True)
class Tumour:
    """All lesions of one patient with what they do to the tissue around them."""

    kind: Kind
    lesions: tuple[Lesion, ...]
    enhancement: float
    rim_mm: float | None
    oedema_mm: float
    mass: float
    texture: Noise

    @classmethod
    def draw(cls, rng: np.random.Generator, kind: Kind, head: Head, least_radius_mm: float) -> "Tumour":
        """A tumour at a place that its kind prefers; the first lesion has at least the given radius."""
        low, high = kind.radius_mm
        largest_mm = max(rng.uniform(low, high), least_radius_mm)
        radii = [largest_mm, *rng.uniform(0.6, 1.0, rng.integers(kind.most_lesions)) * largest_mm]
        centres = _places(rng, kind, head, len(radii))
        necrotic = rng.random() < kind.necrosis
        return cls(
            kind,
            tuple(Lesion.draw(rng, kind, *centre_and_radius) for centre_and_radius in zip(centres, radii, strict=True)),
            enhancement=rng.uniform(*kind.enhancement),
            rim_mm=max(3.0, largest_mm * rng.uniform(0.2, 0.45)) if necrotic else None,
            oedema_mm=rng.uniform(*kind.oedema_mm),
            mass=rng.uniform(*kind.mass),
            texture=Noise.draw(rng, 5.0),
        )

    def level(self, axes: Axes, depth_mm: Float32Array, tissue: Mapping[str, Float32Array]) -> Float32Array:
        """About the signed distance in mm to the tumour's surface; it stops at the skull and shuns fluid."""
        grown: Float32Array = np.max([lesion.level(axes) for lesion in self.lesions], axis=0)
        if not self.kind.extra_axial:
            grown = grown - 0.35 * self.lesions[0].radius_mm * tissue["fluid"]
        if self.kind.white_matter:
            reach = np.float32(self.kind.white_matter * self.lesions[0].radius_mm / 2)
            grown = grown + reach * (tissue["white"] - tissue["grey"])
        level: Float32Array = np.minimum(grown, depth_mm if self.kind.extra_axial else depth_mm - 2)
        return level

    def core(self, axes: Axes, level_mm: Float32Array) -> Float32Array:
        """About the signed distance in mm to the necrotic core, far outside where the tumour has none."""
        if self.rim_mm is None:
            return np.full_like(level_mm, -np.inf)
        core: Float32Array = level_mm - self.rim_mm * np.maximum(1 + 0.35 * self.texture(axes), 0.4)
        return core

    def push(self, points_mm: Float32Array, depth_mm: Float32Array) -> Float32Array:
        """Displacement `(3, ...)` in mm by which tissue here was pushed away; none at the skull."""
        total = np.zeros_like(points_mm)
        for lesion in self.lesions:
            offset, distance = lesion.radial(points_mm)
            outside = np.maximum(distance / lesion.radius_mm - 1, 0)
            share = self.mass * np.exp(-outside / MASS_REACH) / np.maximum(distance / lesion.radius_mm, 1)
            total += offset * share
        return total * np.clip(depth_mm / 10, 0, 1)


def _places(rng: np.random.Generator, kind: Kind, head: Head, count: int) -> list[Float32Array]:
    """Centres in mm in tissue and at a depth that the kind prefers."""
    centres: list[Float32Array] = []
    while len(centres) < count:
        point = rng.uniform((-70, -88, -30), (70, 85, 50)).astype(np.float32)
        axes = (point[:1], point[1:2], point[2:])
        in_template = head.to_template(axes)
        tissue = head.tissue(in_template)
        matter = tissue["white"] + (tissue["grey"] if kind.extra_axial else 0)
        low, high = kind.depth_mm
        if low <= head.depth(in_template).item() <= high and matter.item() > 0.5:
            centres.append(point)
    return centres
