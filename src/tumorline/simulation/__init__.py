"""A simulated cohort with known truth: T1ce-like slices of deformed template brains with grown tumours.

Nothing here is a patient. The anatomy is the ICBM 152 2009a template that nilearn carries; see `TEMPLATE` in
`anatomy` for its copyright notice and licence, which `simulated.json` of every cohort repeats.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import TypedDict

import numpy as np
import numpy.typing as npt
from PIL import Image

from tumorline.arrays import Float32Array, MaskArray
from tumorline.errors import UserError, WriteError
from tumorline.files import work_beside, write_csv, write_json, writing
from tumorline.geometry.upright import upright
from tumorline.given_paths import as_path
from tumorline.progress import Progress
from tumorline.simulation.anatomy import TEMPLATE, Head, Template
from tumorline.simulation.field import FIELD_OF_VIEW_MM, Axes, grid
from tumorline.simulation.render import T1CE, Scanner
from tumorline.simulation.scene import Patient, Surroundings
from tumorline.simulation.tumour import KINDS, Kind, Tumour
from tumorline.simulation.volumes import VolumeSettings, write_volumes

GENERATOR = 1
"""Raised whenever the same seed gives other pictures."""

LEAST_AREA_MM2 = 80.0
LOWEST_MM, HIGHEST_MM = -62.0, 70.0
TALLEST_MM = 40.0


@dataclass(frozen=True)
class Settings:
    """What a cohort is made from."""

    patients: int = 100
    slices: int = 5
    spacing_mm: float = 2.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not (isinstance(self.spacing_mm, Real) and 1 <= self.spacing_mm <= 4):
            raise UserError(f"simulated cohort: spacing_mm is {self.spacing_mm}; accepted: 1 to 4")
        tallest = int(TALLEST_MM / self.spacing_mm)
        checks = {
            "patients": (self.patients, is_whole(self.patients, 1, 9999), "1 to 9999"),
            "slices": (self.slices, is_whole(self.slices, 1, tallest), f"1 to {tallest} at this spacing_mm"),
            "seed": (self.seed, isinstance(self.seed, Integral) and self.seed >= 0, "0 or more"),
        }
        for name, (value, fine, accepted) in checks.items():
            if not fine:
                raise UserError(f"simulated cohort: {name} is {value}; accepted: {accepted}")


def simulate(
    directory: Path | str,
    *,
    patients: int = 100,
    slices: int = 5,
    volumes: int = 0,
    spacing_mm: float = 2.0,
    seed: int = 0,
    progress: Progress | None = None,
) -> Path:
    """Write a simulated cohort with known truth in the Kaggle layout.

    `images/` and `masks/` hold square 8-bit PNG of 256 mm (128 x 128 at 2 mm), axial, front up, the patient's right on
    the left; `patients.csv` has groups and kinds of tumour, `simulated.json` settings and truth. Masks are 0 and 255:
    enhancing rim and necrotic core without oedema, at least 80 mm2 in every slice. Each patient depends on seed and
    number only.

    Args:
        directory: A folder that does not exist or is empty.
        patients: How many, 1 or more.
        slices: Of each patient.
        volumes: In their place so many examinations, named as those of BraTS 2023: T1, T1ce, T2 and FLAIR of the brain
            as NIfTI, and labels of core (1), oedema (2) and enhancing tumour (3), which every fifth tumour lacks.
        spacing_mm: Side of a pixel or voxel.
        seed: Another one makes other patients.
        progress: Called with the number of patients that are done and of all.

    Returns:
        The folder.

    Raises:
        UserError: Where the folder exists and is not empty, and for values out of range.

    Example:
        >>> folder = tumorline.simulate("cohort", patients=3, slices=1)
        >>> len(list((folder / "images").iterdir()))
        3
    """
    spacing_mm = float(spacing_mm) if isinstance(spacing_mm, Real) else spacing_mm
    patients, slices, volumes, seed = map(as_whole, (patients, slices, volumes, seed))
    settings = VolumeSettings(volumes, spacing_mm, seed) if volumes else Settings(patients, slices, spacing_mm, seed)
    folder = as_path(directory, "directory")
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UserError(f"{folder}: exists and is not an empty folder; give a new folder or empty this one")
    Template.load()
    with writing(folder), work_beside(folder) as unfinished:
        report_progress = progress or (lambda done, total: None)
        if isinstance(settings, VolumeSettings):
            write_volumes(unfinished, settings, report_progress)
        else:
            _write_cohort(unfinished, settings, report_progress)
        if folder.exists():
            folder.rmdir()
        unfinished.replace(folder)
    return folder


def as_whole(number: int) -> int:
    """A whole number of NumPy as Python's, which JSON takes; anything else as it is."""
    return int(number) if isinstance(number, Integral) else number


def is_whole(number: object, least: int, most: int) -> bool:
    return isinstance(number, Integral) and int(number) in range(least, most + 1)


def default_cohort(folder: Path) -> Path:
    """The cohort of all default settings below `folder`, made on first use; another process may be quicker."""
    directory = folder / f"simulated-{GENERATOR}"
    try:
        return directory if directory.is_dir() else simulate(directory)
    except WriteError:
        if not directory.is_dir():
            raise
        return directory


def _write_cohort(directory: Path, settings: Settings, progress: Progress) -> None:
    for folder in ("images", "masks"):
        (directory / folder).mkdir()
    rows: list[dict[str, str]] = []
    truths = []
    for number in range(settings.patients):
        study = simulate_patient(settings, number)
        truths.append(study.truth)
        spacing = {"spacing_mm": f"{settings.spacing_mm:g}"}
        rows += [_write_slice(directory, study, index) | spacing for index in range(settings.slices)]
        progress(number + 1, settings.patients)
    write_csv(directory / "patients.csv", ("id", "patient_group", "class_name", "spacing_mm"), rows)
    write_json(directory / "simulated.json", _description(settings, truths))


class LesionTruth(TypedDict):
    centre_mm: list[float]
    radius_mm: float


class StudyTruth(TypedDict):
    """What `simulated.json` says of one patient."""

    patient_group: str
    class_name: str
    volume_ml: float
    necrosis_ml: float
    lesions: list[LesionTruth]
    enhancement: float
    oedema_mm: float
    slice_heights_mm: list[float]


@dataclass(frozen=True)
class Study:
    """Slices `(N, height, width)` of one simulated patient and what is true of them."""

    images: npt.NDArray[np.uint8]
    masks: MaskArray
    truth: StudyTruth


def simulate_patient(settings: Settings, number: int) -> Study:
    """One patient of a cohort, the same whatever other patients are made."""
    rng = np.random.default_rng([settings.seed, number])
    patient, heights = grow(rng, settings, KINDS[number % len(KINDS)])
    side = grid(settings.spacing_mm)
    axes = (side, side, heights)
    image = Scanner(rng, T1CE).acquire(patient.scene(axes, settings.spacing_mm), axes)
    truth = _truth(f"simulated-s{settings.seed}-p{number:03d}", patient, settings, heights)
    return Study(upright(image), upright(patient.mask(axes)), truth)


def grow(rng: np.random.Generator, settings: Settings, kind: Kind) -> tuple[Patient, Float32Array]:
    """A patient whose tumour shows in enough planes, and the heights in mm of those to show."""
    head, surroundings = Head.draw(rng), Surroundings.draw(rng)
    least_mm = float(np.hypot(settings.slices * settings.spacing_mm / 2, 7))
    while True:
        patient = Patient(head, Tumour.draw(rng, kind, head, least_mm), surroundings)
        axes = _box(patient, settings.spacing_mm)
        area = patient.mask(axes).sum(axis=(0, 1)) * settings.spacing_mm**2
        heights = axes[2][(area >= LEAST_AREA_MM2) & (axes[2] > LOWEST_MM) & (axes[2] < HIGHEST_MM)]
        if len(heights) >= settings.slices:
            indices = ((np.arange(settings.slices) + 0.5) * len(heights) / settings.slices).astype(int)
            return patient, heights[indices]


def _box(patient: Patient, spacing_mm: float) -> Axes:
    """The part of the grid that holds all lesions."""
    side = grid(spacing_mm)
    centres = np.stack([lesion.centre_mm for lesion in patient.tumour.lesions])
    reach = np.array([[2.2 * lesion.radius_mm] for lesion in patient.tumour.lesions])
    low, high = (centres - reach).min(axis=0), (centres + reach).max(axis=0)
    x, y, z = (side[(side >= a) & (side <= b)] for a, b in zip(low, high, strict=True))
    return x, y, z


def _truth(group: str, patient: Patient, settings: Settings, heights: Float32Array) -> StudyTruth:
    axes = _box(patient, settings.spacing_mm)
    voxel_ml = settings.spacing_mm**3 / 1000
    tumour = patient.tumour
    return {
        "patient_group": group,
        "class_name": tumour.kind.class_name,
        "volume_ml": round(float(patient.mask(axes).sum() * voxel_ml), 3),
        "necrosis_ml": round(float(patient.necrosis(axes).sum() * voxel_ml), 3),
        "lesions": [
            {"centre_mm": _rounded(lesion.centre_mm), "radius_mm": round(float(lesion.radius_mm), 2)}
            for lesion in tumour.lesions
        ],
        "enhancement": round(tumour.enhancement, 3),
        "oedema_mm": round(tumour.oedema_mm, 2),
        "slice_heights_mm": _rounded(heights),
    }


def _rounded(values: Float32Array) -> list[float]:
    return [round(float(value), 2) for value in values]


def _write_slice(directory: Path, study: Study, index: int) -> dict[str, str]:
    group = study.truth["patient_group"]
    name = f"{group}-{index}"
    mask = study.masks[index].astype(np.uint8) * 255
    Image.fromarray(study.images[index]).save(directory / "images" / f"{name}.png")
    Image.fromarray(mask).save(directory / "masks" / f"{name}.png")
    return {"id": name, "patient_group": group, "class_name": study.truth["class_name"]}


def _description(settings: Settings, truths: Sequence[StudyTruth]) -> dict[str, object]:
    return {
        "simulated": True,
        "note": "Simulated pictures of simulated tumours: no patient was imaged, no result is clinical.",
        "generator": GENERATOR,
        **asdict(settings),
        "field_of_view_mm": FIELD_OF_VIEW_MM,
        "plane": "axial",
        "contrast": "T1ce",
        "frame": "mm from the centre of the head: x to the patient's right, y to the front, z upward",
        "mask": "enhancing rim and necrotic core, without oedema",
        "anatomy": TEMPLATE,
        "truth": truths,
    }
