"""Heads of simulated patients: the MNI152 template, deformed, inside a schematic skull and scalp."""

import functools
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial.transform import Rotation

from tumorline.arrays import Float32Array, MaskArray
from tumorline.errors import MissingExtraError, UserError
from tumorline.simulation.field import Axes, Noise, positions

TEMPLATE = {
    "name": "ICBM 152 nonlinear symmetric 2009a: skull-stripped T1, grey and white matter, from nilearn",
    "source": "https://nist.mni.mcgill.ca/icbm-152-nonlinear-atlases-2009/",
    "reference": "Fonov et al., Unbiased average age-appropriate atlases for pediatric studies, 2011",
    "licence_from": "the notice that the McConnell Brain Imaging Centre gives; nilearn's own page says 'unknown'",
    "licence": "Copyright (C) 1993-2004 Louis Collins, McConnell Brain Imaging Centre, Montreal Neurological "
    "Institute, McGill University. Permission to use, copy, modify, and distribute this software and "
    "its documentation for any purpose and without fee is hereby granted, provided that the above "
    "copyright notice appear in all copies. The authors and McGill University make no representations "
    "about the suitability of this software for any purpose. It is provided 'as is' without express or "
    "implied warranty. The authors are not responsible for any data loss, equipment damage, property "
    "loss, or injury to subjects or patients resulting from the use or misuse of this software package.",
}

Bytes = npt.NDArray[np.uint8]

HULL_SPACING_MM = 4.0
HULL_CLOSING_MM = 28.0


@dataclass(frozen=True)
class Template:
    """Maps around the centre of the brain: tissue (0..255, 1 mm), depth below the skull, distance in mm."""

    grey: Bytes
    white: Bytes
    brain: Bytes
    depth: Float32Array
    away: Float32Array

    @classmethod
    @functools.cache
    def load(cls) -> "Template":
        """Read the template that nilearn carries; UserError where nilearn is missing or has no such file."""
        t1, grey, white = (_read(tissue_map) for tissue_map in ("t1", "gm", "wm"))
        brain = (t1 > 0).astype(np.uint8) * 255
        return cls(grey, white, brain, *_surroundings(brain))


def _read(tissue_map: str) -> Bytes:
    nilearn = importlib.util.find_spec("nilearn")
    if nilearn is None or nilearn.origin is None:
        raise MissingExtraError("the simulated cohort (its anatomy comes with nilearn)", "train")
    folder = Path(nilearn.origin).parent / "datasets" / "data"
    path = folder / f"mni_icbm152_{tissue_map}_tal_nlin_sym_09a_converted.nii.gz"
    if not path.is_file():
        raise UserError(f"{path}: not there; the simulated cohort needs nilearn 0.10 or later, upgrade nilearn")
    return _centred(np.asarray(nibabel.load(path).dataobj))  # type: ignore[attr-defined]


def _centred(volume: Bytes) -> Bytes:
    """Crop to a fixed box whose middle is the middle of the template's brain."""
    return np.ascontiguousarray(volume[12:185, 17:218, :157])


def _surroundings(brain: Bytes) -> tuple[Float32Array, Float32Array]:
    """Depth under the closed surface of the brain and distance to the brain, in mm, on a coarse grid."""
    step = int(HULL_SPACING_MM)
    coarse: MaskArray = np.pad(brain[step // 2 :: step, step // 2 :: step, step // 2 :: step] > 0, 16)
    distance = ndimage.distance_transform_edt(~coarse) * step
    hull = ndimage.distance_transform_edt(distance <= HULL_CLOSING_MM) * step > HULL_CLOSING_MM
    signed = ndimage.distance_transform_edt(hull) - ndimage.distance_transform_edt(~hull)
    return ndimage.gaussian_filter(signed * step, 1.2).astype(np.float32), distance.astype(np.float32)


def _sample(volume: Float32Array | Bytes, points_mm: Float32Array, spacing_mm: float) -> Float32Array:
    middle = (np.array(volume.shape, np.float32) - 1) / 2
    indices = points_mm / np.float32(spacing_mm) + middle.reshape(3, *[1] * (points_mm.ndim - 1))
    mode = "nearest" if volume.dtype == np.float32 else "constant"
    values: Float32Array = ndimage.map_coordinates(volume, indices, np.float32, order=1, mode=mode)
    return values


@dataclass(frozen=True)
class Head:
    """One patient's anatomy: where each point of the patient lies in the template."""

    template: Template
    matrix: Float32Array
    bends: tuple[tuple[Noise, float], ...]
    """Displacement along x, y and z, far-reaching and then fine: fields and their sizes in mm."""
    atrophy: float
    skull_mm: float
    scalp_mm: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Head":
        """A head with its own size, tilt, shape and folding."""
        turn = Rotation.from_euler("xyz", rng.normal(0, (4, 2.5, 4)), degrees=True).as_matrix()
        matrix = (turn / rng.normal((1.04, 1.02, 1.0), 0.025)).astype(np.float32)
        bends = [(60.0, 2.5)] * 3 + [(14.0, 1.2)] * 3
        return cls(
            Template.load(),
            matrix,
            tuple((Noise.draw(rng, scale), size) for scale, size in bends),
            atrophy=rng.uniform(0.0, 0.35),
            skull_mm=rng.uniform(5, 8),
            scalp_mm=rng.uniform(3, 6),
        )

    def to_template(self, axes: Axes) -> Float32Array:
        """Points `(3, x, y, z)` in mm of the template that lie at the points of a patient's grid."""
        x, y, z, fine_x, fine_y, fine_z = (size * noise(axes) for noise, size in self.bends)
        bent: Float32Array = self.turned(positions(axes)) + np.stack([x + fine_x, y + fine_y, z + fine_z])
        return bent

    def turned(self, vectors_mm: Float32Array) -> Float32Array:
        """Vectors `(3, ...)` of the patient in the template's directions and size."""
        turned: Float32Array = np.tensordot(self.matrix, vectors_mm, axes=1)
        return turned

    def depth(self, template_mm: Float32Array) -> Float32Array:
        """Depth in mm below the inner surface of the skull, negative outside."""
        return _sample(self.template.depth, template_mm, HULL_SPACING_MM)

    def away_from_brain(self, template_mm: Float32Array) -> Float32Array:
        """Distance in mm to the brain, 0 inside."""
        return _sample(self.template.away, template_mm, HULL_SPACING_MM)

    def tissue(self, template_mm: Float32Array) -> dict[str, Float32Array]:
        """Fractions of fluid, grey and white matter in the brain, sharper than the average template's."""
        maps = (self.template.grey, self.template.white, self.template.brain)
        grey, white, brain = (_sample(values, template_mm, 1.0) / 255 for values in maps)
        fluid = np.clip(brain - grey - white, 0, 1) + self.atrophy * (white < 0.5)
        sharp = np.exp(8 * np.stack([fluid, grey, white]))
        fractions = brain * sharp / sharp.sum(axis=0)
        return dict(zip(("fluid", "grey", "white"), fractions, strict=True))
