"""The channels of a scan, which are volumes, as one image on the grid of the first."""

from pathlib import Path
from typing import NamedTuple

from tumorline.arrays import ImageArray
from tumorline.data.case import Case, read_image
from tumorline.data.layouts.gather import sequence_of_volume
from tumorline.data.layouts.volumes import volume_of_scan
from tumorline.formats.nifti import OpenVolume, open_volume
from tumorline.geometry.grid import Grid
from tumorline.inference.jobs import PredictionJob


class ScanImage(NamedTuple):
    """What a model sees of a scan, and the volume on which its answer is to lie."""

    image: ImageArray
    """`(C, D, H, W)`, slices from the feet up."""
    grid: Grid
    volume: OpenVolume
    notes: tuple[str, ...]
    """What was resampled."""


def read_scan(job: PredictionJob) -> ScanImage:
    """Raises UserError for what is no readable volume, and for channels that do not overlap."""
    (case,), findings = volume_of_scan(Case(job.path.stem, job.images, planes=job.planes))
    image = read_image(case)
    grid = case.grid or Grid(image.shape[1:])
    return ScanImage(image, grid, open_volume(job.path), tuple(finding.message for finding in findings))


def sequence_note(path: Path, channel: str) -> str:
    """What is said of a volume whose name states another sequence than the model knows; empty where it does not."""
    stated = sequence_of_volume(path)
    is_other = stated and channel and stated != channel
    return f"its name states {stated}, the model was trained on {channel}" if is_other else ""
