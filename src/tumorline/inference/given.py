"""What people hand to a model: an array, a path, a DICOM dataset; as `(C, *space)` in file values, with its grid."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tumorline.arrays import ImageArray
from tumorline.data.case import Case, read_and_look
from tumorline.data.source import open_picture
from tumorline.errors import UserError
from tumorline.formats.decode import is_dicom
from tumorline.formats.grey import as_float32, to_grey
from tumorline.formats.raster import PictureOfPillow, decoded
from tumorline.geometry.grid import Grid, grid_of
from tumorline.inference.jobs import PredictionJob, list_jobs
from tumorline.inference.volumes import read_scan

if TYPE_CHECKING:
    from tumorline.inference.model import Model

ACCEPTED = "give an array (H, W), (C, H, W) or (C, D, H, W), a path, or a pydicom dataset"
COLOURS = (3, 4)
"""Sides of a last axis that holds red, green, blue, and how opaque they are."""


class GivenImage(NamedTuple):
    """An image `(C, *space)`, its grid where it is known, and what it is called in messages."""

    image: ImageArray
    grid: Grid | None
    name: Path | str
    coloured: bool = False
    """Whether colours were mixed to grey."""


def read_given(given: Any, model: "Model", grid: Grid | None = None) -> GivenImage:
    """The image, on its own grid or else on `grid`.

    Raises UserError for what is no image, for another number of channels, for what cannot be read, and for a grid that
    does not fit or stands beside the image's own.
    """
    if isinstance(given, str | Path):
        return _on_grid(_from_path(Path(given), model), grid)
    if is_dataset(given):
        return _on_grid(_from_dataset(given), grid)
    return _on_grid(GivenImage(to_channels(given, model.info.image_channels), None, "image"), grid)


def _on_grid(given: GivenImage, grid: Grid | None) -> GivenImage:
    if grid is None:
        return given
    if not isinstance(grid, Grid):
        raise UserError(f"grid: a {type(grid).__name__}; give a Grid of tumorline.geometry.grid")
    if given.grid is not None and given.grid != grid:
        raise UserError(f"{given.name}: its header or a table states its own grid; leave out grid")
    if grid.shape != given.image.shape[1:]:
        raise UserError(f"{given.name}: its sides are {given.image.shape[1:]}, those of the grid {grid.shape}")
    return given._replace(grid=grid)


def is_dataset(given: Any) -> bool:
    """Whether it is of pydicom, which whoever made it has imported."""
    pydicom = sys.modules.get("pydicom")
    return pydicom is not None and isinstance(given, pydicom.Dataset)


def to_channels(given: Any, channels: int) -> ImageArray:
    """An array of numbers as `(C, H, W)` or `(C, D, H, W)`; of a picture with one channel the axis may be missing.

    Colours along the last axis become grey where the model takes one channel. Raises UserError for anything else.
    """
    pixels = as_numbers(given)
    if channels == 1 and pixels.ndim == 3 and len(pixels) != 1 and pixels.shape[-1] in COLOURS:
        pixels = to_grey(pixels[..., :3])
    if pixels.ndim == 2 and channels == 1:
        pixels = pixels[None]
    if 0 in pixels.shape or pixels.ndim not in (3, 4) or len(pixels) != channels:
        raise UserError(f"image: an array of the shape {pixels.shape}; {_wanted_shapes(pixels, channels)}")
    return as_float32(pixels, "image")


def spaced_grid(shape: Sequence[int], spacing_mm: Sequence[float]) -> Grid:
    """Raises UserError where there is not one length above 0 for each axis."""
    spacing = _as_lengths(spacing_mm)
    if len(spacing) != len(shape) or not all(0 < side < np.inf for side in spacing):
        shown = spacing or repr(spacing_mm)
        raise UserError(f"spacing_mm is {shown}; expected a length in mm for each of {len(shape)} axes")
    return Grid(tuple(shape), spacing) if len(shape) == 2 else grid_of(tuple(shape), np.diag([*spacing, 1.0]))


def _as_lengths(spacing_mm: Any) -> tuple[float, ...]:
    """Empty for what are no numbers."""
    try:
        return () if isinstance(spacing_mm, str) else tuple(float(side) for side in spacing_mm)
    except (TypeError, ValueError):
        return ()


def read_picture(job: PredictionJob, model: "Model") -> GivenImage:
    """A file that holds all channels is read as its layout says; otherwise each is a file of its own."""
    pixels, coloured = read_and_look(_picture_case(job, model))
    image = model.complete(pixels, job.channels)
    spacing_mm = pixels_of(job)
    return GivenImage(image, Grid(image.shape[1:], spacing_mm) if spacing_mm else None, job.path, coloured)


def _picture_case(job: PredictionJob, model: "Model") -> Case:
    if len(job.images) > 1 or job.channels:
        return Case(job.path.stem, job.images)
    names = tuple(model.info.input.channels)
    return open_picture(job.path, "" if names else model.channel, names)


def pixels_of(job: PredictionJob) -> tuple[float, float] | None:
    """From top to bottom and from left to right, of a picture of which a table or its header states it."""
    if job.spacing_mm or not job.path.is_file() or not is_dicom(job.path):
        return job.spacing_mm
    from tumorline.formats.dicom import read_dicom_header  # imports pydicom

    return read_dicom_header(job.path).spacing_mm


def _from_path(path: Path, model: "Model") -> GivenImage:
    jobs = list_jobs([path], model.channels, may_lack=model.info.input.may_lack_channels)
    if len(jobs) > 1:
        raise UserError(f"{path}: holds {len(jobs)} images, one is expected; 'tumorline.predict' takes folders of them")
    (job,) = jobs
    if job.problem:
        raise UserError(job.problem)
    if job.is_volume:
        scan = read_scan(job)
        return GivenImage(model.complete(scan.image, job.channels), scan.grid, path)
    return read_picture(job, model)


def _from_dataset(dataset: Any) -> GivenImage:
    from tumorline.formats.dicom import read_dataset_pixels

    pixels, spacing_mm = read_dataset_pixels(dataset)
    image = to_grey(pixels)[None]
    return GivenImage(image, Grid(image.shape[1:], spacing_mm) if spacing_mm else None, "DICOM dataset")


def as_numbers(image: Any, name: Path | str = "image") -> npt.NDArray[Any]:
    """An array of numbers, NaN where it is masked. Raises UserError for what is none."""
    try:
        pixels = decoded(image) if isinstance(image, PictureOfPillow) else np.asarray(image)
    except Exception as error:
        raise UserError(f"{name}: a {type(image).__name__} that is no array ({error}); {ACCEPTED}") from None
    if pixels.dtype.kind not in "buif":
        description = f"a {type(image).__name__}" if pixels.dtype.kind == "O" else f"an array of {pixels.dtype}"
        raise UserError(f"{name}: {description}; {ACCEPTED}")
    return np.where(np.ma.getmaskarray(image), np.nan, pixels) if np.ma.is_masked(image) else pixels


def _wanted_shapes(pixels: npt.NDArray[Any], channels: int) -> str:
    without_axis = "(H, W) or " if channels == 1 else ""
    shapes = f"this model takes {without_axis}({channels}, H, W), or volumes ({channels}, D, H, W)"
    if channels == 1 and pixels.ndim == 3:
        return f"{shapes}; a volume (D, H, W) is given as image[None]"
    return shapes
