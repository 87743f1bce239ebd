"""Simulated examinations as volumes: four sequences of one head and the labels of BraTS 2023, as NIfTI."""

import gzip
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypedDict

import nibabel
import numpy as np
import numpy.typing as npt

from tumorline.arrays import MaskArray
from tumorline.errors import UserError
from tumorline.files import write_bytes, write_json
from tumorline.progress import Progress
from tumorline.simulation.anatomy import TEMPLATE, Head
from tumorline.simulation.field import Axes
from tumorline.simulation.render import FLAIR, T1, T1CE, T2, Scanner
from tumorline.simulation.scene import Patient, Scene, Surroundings
from tumorline.simulation.tumour import GLIOMA, Tumour

BOX_MM = ((-84.0, 84.0), (-104.0, 104.0), (-76.0, 84.0))
"""What a volume shows of the head along x, y and z: all of the brain."""
SEQUENCES = {"t1n": T1, "t1c": T1CE, "t2w": T2, "t2f": FLAIR}
"""What the files of BraTS 2023 end in, and what is seen there."""
CORE, OEDEMA, ENHANCING = 1, 2, 3
"""Labels of BraTS 2023; the core is what neither enhances nor is oedema: necrosis and solid tumour."""
LEAST_ML, LEAST_ENHANCEMENT = 2.0, 0.25
WITHOUT_ENHANCEMENT = 5
"""Every fifth tumour takes up no contrast agent."""
INFILTRATING = replace(GLIOMA, white_matter=0.3)
PLANES = 16
"""Axial planes that are made at a time, which bounds the memory."""

Labels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class VolumeSettings:
    """What a cohort of volumes is made from."""

    volumes: int
    spacing_mm: float = 2.0
    seed: int = 0

    def __post_init__(self) -> None:
        checks = {
            "volumes": (self.volumes, self.volumes in range(1, 10_000), "1 to 9999"),
            "spacing_mm": (self.spacing_mm, isinstance(self.spacing_mm, Real) and 1 <= self.spacing_mm <= 8, "1 to 8"),
            "seed": (self.seed, isinstance(self.seed, Integral) and self.seed >= 0, "0 or more"),
        }
        for name, (value, fine, accepted) in checks.items():
            if not fine:
                raise UserError(f"simulated cohort: {name} is {value}; accepted: {accepted}")

    @property
    def axes(self) -> Axes:
        x, y, z = (
            (np.arange(low, high, self.spacing_mm) + self.spacing_mm / 2).astype(np.float32) for low, high in BOX_MM
        )
        return x, y, z


class ExaminationTruth(TypedDict):
    """What `simulated.json` says of one patient."""

    patient_group: str
    core_ml: float
    oedema_ml: float
    enhancing_ml: float
    centre_mm: list[float]
    radius_mm: float


@dataclass(frozen=True)
class Examination:
    """Volumes `(x, y, z)` of one simulated patient, without skull, and what is true of them."""

    images: dict[str, npt.NDArray[np.int16]]
    labels: Labels
    truth: ExaminationTruth


def write_volumes(directory: Path, settings: VolumeSettings, progress: Progress) -> None:
    """A folder for each patient, named as those of BraTS 2023, and `simulated.json`."""
    truths = []
    for number in range(settings.volumes):
        examination = simulate_examination(settings, number)
        truths.append(examination.truth)
        name = examination.truth["patient_group"]
        _write_nifti(directory / name / f"{name}-seg.nii.gz", examination.labels, settings)
        for ending, volume in examination.images.items():
            _write_nifti(directory / name / f"{name}-{ending}.nii.gz", volume, settings)
        progress(number + 1, settings.volumes)
    write_json(directory / "simulated.json", _describe_volumes(settings, truths))


def simulate_examination(settings: VolumeSettings, number: int) -> Examination:
    """One patient of a cohort of volumes, the same whatever other patients are made."""
    rng = np.random.default_rng([settings.seed, number, 3])
    patient = _grow_infiltrating(rng, settings, enhances=number % WITHOUT_ENHANCEMENT != WITHOUT_ENHANCEMENT - 1)
    scanners = {ending: Scanner(rng, contrast) for ending, contrast in SEQUENCES.items()}
    slabs = [_show_slab(patient, scanners, axes, settings.spacing_mm) for axes in _slabs(settings.axes)]
    labels = np.concatenate([labels for labels, _ in slabs], axis=2)
    images = {ending: np.concatenate([images[ending] for _, images in slabs], axis=2) for ending in SEQUENCES}
    return Examination(images, labels, _truth(f"simulated-v{settings.seed}-p{number:04d}", patient, labels, settings))


def _slabs(axes: Axes) -> Iterator[Axes]:
    x, y, z = axes
    return ((x, y, z[start : start + PLANES]) for start in range(0, len(z), PLANES))


def _grow_infiltrating(rng: np.random.Generator, settings: VolumeSettings, enhances: bool) -> Patient:
    """A patient whose tumour is large enough to be seen."""
    head, surroundings = Head.draw(rng), Surroundings.draw(rng)
    while True:
        tumour = Tumour.draw(rng, INFILTRATING, head, 8.0)
        patient = Patient(head, tumour if enhances else replace(tumour, enhancement=0.0, rim_mm=None), surroundings)
        size = sum(int(patient.mask(axes).sum()) for axes in _slabs(settings.axes))
        if size * settings.spacing_mm**3 / 1000 >= LEAST_ML:
            return patient


def _show_slab(
    patient: Patient, scanners: dict[str, Scanner], axes: Axes, width_mm: float
) -> tuple[Labels, dict[str, npt.NDArray[np.int16]]]:
    scene = patient.scene(axes, width_mm)
    points = patient.head.to_template(axes)
    inside = (patient.head.depth(points) > 1) & (patient.head.away_from_brain(points) < 4)
    labels = np.where(inside, _label(patient, scene, axes), 0).astype(np.uint8)
    acquired = {ending: scanner.acquire(scene, axes).astype(np.int16) for ending, scanner in scanners.items()}
    # 0 is what lies outside of the brain and nothing else, as in BraTS
    return labels, {
        ending: np.where(inside, np.maximum(grey, 1), 0).astype(np.int16) for ending, grey in acquired.items()
    }


def _label(patient: Patient, scene: Scene, axes: Axes) -> Labels:
    inside: MaskArray = patient.mask(axes)
    oedema = scene.get("oedema", np.zeros(inside.shape, np.float32)) > 0.4
    labels = np.where(oedema & ~inside, OEDEMA, 0)
    enhancing = inside & (scene["enhancing"] > LEAST_ENHANCEMENT) & ~patient.necrosis(axes)
    return np.where(enhancing, ENHANCING, np.where(inside, CORE, labels)).astype(np.uint8)


def _truth(group: str, patient: Patient, labels: Labels, settings: VolumeSettings) -> ExaminationTruth:
    voxel_ml = settings.spacing_mm**3 / 1000
    core, oedema, enhancing = (
        round(float((labels == label).sum() * voxel_ml), 3) for label in (CORE, OEDEMA, ENHANCING)
    )
    lesion = patient.tumour.lesions[0]
    return {
        "patient_group": group,
        "core_ml": core,
        "oedema_ml": oedema,
        "enhancing_ml": enhancing,
        "centre_mm": [round(float(value), 2) for value in lesion.centre_mm],
        "radius_mm": round(float(lesion.radius_mm), 2),
    }


def _write_nifti(path: Path, volume: npt.NDArray[Any], settings: VolumeSettings) -> None:
    affine = np.diag([*[settings.spacing_mm] * 3, 1.0])
    affine[:3, 3] = [axis[0] for axis in settings.axes]
    nifti: Any = nibabel
    image = nifti.Nifti1Image(volume, affine)
    image.header.set_xyzt_units("mm")
    path.parent.mkdir(exist_ok=True)
    write_bytes(path, gzip.compress(image.to_bytes(), compresslevel=6, mtime=0))


def _describe_volumes(settings: VolumeSettings, truths: Sequence[ExaminationTruth]) -> dict[str, object]:
    return {
        "simulated": True,
        "note": "Simulated volumes of simulated tumours: no patient was imaged, no result is clinical.",
        **asdict(settings),
        "sequences": {"t1n": "T1", "t1c": "T1ce", "t2w": "T2", "t2f": "FLAIR"},
        "labels": {"1": "tumour core that does not enhance", "2": "oedema", "3": "enhancing tumour"},
        "frame": "mm from the centre of the head: x to the patient's right, y to the front, z upward",
        "anatomy": TEMPLATE,
        "truth": truths,
    }
