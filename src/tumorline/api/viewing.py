"""Cases, predictions and evaluations to look at in a notebook."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tumorline.arrays import Float32Array, ImageArray, MaskArray
from tumorline.data.case import Case, read_image
from tumorline.data.layouts.volumes.scan_case import resampled_truth_finding
from tumorline.data.masks.read import read_mask
from tumorline.data.sample import Sample
from tumorline.data.source import open_picture
from tumorline.data.volumes import read_label_values
from tumorline.errors import UserError
from tumorline.evaluation.tables import read_rows
from tumorline.file_names import PREDICTED_NAME, PREDICTIONS_NAME, SUMMARY_NAME
from tumorline.files import read_json
from tumorline.formats.boundary import decode_one
from tumorline.formats.decode import is_dicom, read_pixels
from tumorline.formats.grey import as_float32
from tumorline.formats.nifti import is_volume, read_volume_header
from tumorline.geometry.grid import Grid
from tumorline.geometry.upright import upright_grid
from tumorline.given_paths import as_path
from tumorline.inference.given import as_numbers, pixels_of, spaced_grid
from tumorline.inference.jobs import PredictionJob, job_of_channels, list_jobs
from tumorline.inference.label_map import from_labels, region_labels
from tumorline.inference.volumes import read_scan
from tumorline.regions import REGION
from tumorline.report.browsing import notes_of
from tumorline.report.run_images import run_images
from tumorline.report.viewed import Predicted, ViewedSource, Wanted, read_viewed
from tumorline.results import read_summary
from tumorline.trust import local_only, refuse_remote
from tumorline.viewer.encoding import EncodedCase, ViewedCase, encode_case
from tumorline.viewer.frames import View

MOST_CHARACTERS = 20_000_000
"""Of cases in one frame; those beyond it are left out."""

Pixels = npt.NDArray[Any]
Source = Pixels | Path | str
Shown = Source | Sample | Mapping[str, Any] | list[dict[str, Any]]


def view(
    what: Shown,
    *,
    truth: Source | None = None,
    prediction: Source | None = None,
    case: str = "",
    regions: Sequence[str] = (),
    spacing_mm: Sequence[float] | None = None,
    height: int = 680,
) -> View:
    """Show a case, a prediction or an evaluation in a notebook, with its true and its predicted outlines.

    Args:
        what: One of
            an image: an array `(H, W)`, `(C, H, W)` or `(C, D, H, W)`, or the path of a picture or a NIfTI volume;
            a `Sample`, as `load_dataset(...).read(case)` gives it;
            what `tumorline.predict` returned, one row of it, or the folder that it wrote;
            a run folder or an evaluation (a folder with `summary.json`), the lowest Dice first.
        truth: A mask `(*space)` or `(R, *space)`, or the path of one; with an image only.
        prediction: The same, of a model.
        case: Of an evaluation or of predictions the one case to show.
        regions: Names of the regions of the masks.
        spacing_mm: Of an array the sides of its pixels or voxels.
        height: Of the frame, in pixels.

    Returns:
        A `View`, which a notebook shows. `view(...).save("case.html")` writes it as a page, `.html` is its text.

    Raises:
        UserError: for what cannot be read, masks of another size than the image, or a case that is not there.

    Example:
        >>> import numpy as np
        >>> shown = view(np.zeros((32, 32)), prediction=np.eye(32) > 0)
        >>> [one["space"] for one in shown.cases]
        [[32, 32]]
    """
    if not isinstance(height, int) or height <= 0:
        raise UserError(f"height is {height!r:.40}; expected a whole number of pixels above 0")
    if isinstance(what, Mapping):
        return View(_bounded(_viewed_rows([what], case)), height)
    if isinstance(what, Sample):
        names, grid = regions or _region_names(len(what.truth)), what.grid
        masks = None if prediction is None else _masks(prediction, grid, len(names), _grid_apart(prediction, grid))
        viewed = ViewedCase(case or "case", what.image, grid, names, (), what.truth, _named(masks))
        return View(_bounded([viewed]), height)
    if isinstance(what, list):
        if strange := [row for row in what if not isinstance(row, Mapping)]:
            raise UserError(f"view: a list of {type(strange[0]).__name__}; give an array, or rows of tumorline.predict")
        return View(_bounded(_viewed_rows(what, case)), height)
    if not _is_array(what) and as_path(what, "view").is_dir():
        return View(_bounded(_viewed_folder(as_path(what, "view"), case)), height)
    return View(_bounded([_viewed_image(what, truth, prediction, regions, spacing_mm)]), height)


def _bounded(cases: Iterable[ViewedCase]) -> list[EncodedCase]:
    """As many of the cases as a frame can hold, at least one."""
    encoded_cases: list[EncodedCase] = []
    size = 0
    for case in cases:
        encoded = encode_case(case)
        size += len(json.dumps(encoded))
        if encoded_cases and size > MOST_CHARACTERS:
            break
        encoded_cases.append(encoded)
    return encoded_cases


def _viewed_image(
    source: Source,
    truth: Source | None,
    prediction: Source | None,
    regions: Sequence[str],
    spacing_mm: Sequence[float] | None,
) -> ViewedCase:
    name, image, grid = _image(source, spacing_mm)
    outlines = {key: mask for key, mask in (("truth", truth), ("", prediction)) if mask is not None}
    apart = {key: _grid_apart(mask, grid) for key, mask in outlines.items()}
    moved = ((as_path(outlines[key], "mask"), own_grid) for key, own_grid in apart.items() if own_grid)
    notes = [resampled_truth_finding(Path(name), path, (grid, own_grid)).message for path, own_grid in moved]
    masks = {key: _masks(mask, grid, len(regions), apart[key]) for key, mask in outlines.items()}
    counts = {len(mask) for mask in masks.values()} or {len(regions) or 1}
    if len(counts) > 1:
        raise UserError(f"{name}: truth and prediction have different numbers of regions: {sorted(counts)}")
    names = regions or _region_names(counts.pop())
    predicted = {key: mask for key, mask in masks.items() if key != "truth"}
    return ViewedCase(name, image, grid, names, (), masks.get("truth"), predicted, notes)


def _image(source: Source, spacing_mm: Sequence[float] | None) -> tuple[str, Float32Array, Grid]:
    if _is_array(source):
        image = as_float32(as_numbers(source), "image")
        image = image[None] if image.ndim == 2 else image
        if image.ndim not in (3, 4) or 0 in image.shape:
            raise UserError(f"an array of the shape {image.shape}; expected (H, W), (C, H, W) or (C, D, H, W)")
        return "image", image, Grid(image.shape[1:], _spacing(image, spacing_mm))
    path = as_path(source, "view")
    if not path.is_file():
        raise UserError(f"{path}: no such file or folder")
    if is_volume(path):
        grid = upright_grid(read_volume_header(path).grid)
        case = Case(path.name, (path,), is_volume=True, grid=grid)
        return path.name, read_image(case), grid
    image = read_image(open_picture(path))
    return path.name, image, Grid(image.shape[1:], _spacing(image, spacing_mm) or _stated_pixels(path))


def _stated_pixels(path: Path) -> tuple[float, float] | None:
    (job,) = list_jobs([path])
    return pixels_of(job)


def _is_array(given: Any) -> bool:
    """Of NumPy or of another library that gives one."""
    return hasattr(given, "__array__") or hasattr(given, "__array_interface__")


def _spacing(image: ImageArray, spacing_mm: Sequence[float] | None) -> tuple[float, ...] | None:
    return None if spacing_mm is None else spaced_grid(image.shape[1:], spacing_mm).spacing_mm


def _masks(mask: Source, grid: Grid, regions: int, apart: Grid | None) -> MaskArray:
    """Masks `(R, *space)`; a map of several labels is that of the labels that `tumorline predict` writes."""
    if _is_array(mask):
        marked = np.asarray(as_numbers(mask, "mask") != 0)
        return marked if marked.ndim > grid.ndim else marked[None]
    return _mask_file(as_path(mask, "mask"), grid, _region_names(regions), apart)


def _mask_file(path: Path, grid: Grid, regions: Sequence[str], apart: Grid | None) -> MaskArray:
    if is_volume(path):
        values = read_label_values(path, grid, {path: apart} if apart else {})
    elif len(regions) < 2:
        return read_mask(path)[None]
    else:
        with decode_one(path):
            values = read_pixels(path, "mask")
    if len(regions) < 2:
        return np.asarray(values != 0)[None]
    return from_labels(values.astype(np.uint8), region_labels(regions))


def _grid_apart(mask: Source, grid: Grid) -> Grid | None:
    """That of a volume which lies otherwise than a grid; None where both are one, or nobody knows where that lies."""
    path = None if _is_array(mask) else as_path(mask, "mask")
    own_grid = upright_grid(read_volume_header(path).grid) if path and grid.affine and is_volume(path) else None
    return own_grid if own_grid and own_grid.difference(grid) else None


def _region_names(count: int) -> tuple[str, ...]:
    return (REGION,) if count < 2 else tuple(f"region_{number}" for number in range(1, count + 1))


def _named(masks: MaskArray | None) -> dict[str, MaskArray]:
    return {} if masks is None else {"": masks}


def _viewed_row(row: Mapping[str, Any], masks: Path | None = None) -> ViewedCase:
    """A row of `tumorline.predict`; `masks` is the folder of its masks where the row came out of a file."""
    mask = Path(str(row["mask"]))
    if masks is not None:
        with local_only():
            refuse_remote(str(row["input"]), str(masks / PREDICTED_NAME))
        mask = _mask_below(masks, mask)
    names, image, grid = _image_of_row(row, is_volume(mask))
    regions = [key.removesuffix("_px") for key in row if key.endswith("_px") and key != "tumour_px"] or [REGION]
    notes = [f"confidence {row['confidence']:.3f}"] if isinstance(row.get("confidence"), float) else []
    notes += [str(row["note"])] if row.get("note") else []
    is_one = len(regions) < 2 and not is_volume(mask)
    predicted = {"": read_mask(mask, 0)[None] if is_one else _mask_file(mask, grid, regions, _grid_apart(mask, grid))}
    return ViewedCase(Path(str(row["input"])).name, image, grid, regions, names, None, predicted, notes)


def _mask_below(folder: Path, written: Path) -> Path:
    """Where a mask lies in a folder of predictions, which may have been moved since its path was written."""
    parts = [part for part in written.parts if part not in (written.anchor, "..")]
    places = [folder.joinpath(*parts[start:]) for start in range(len(parts))]
    return next((place for place in places if place.is_file()), folder / written.name)


def _image_of_row(row: Mapping[str, Any], is_scan: bool) -> tuple[Sequence[str], ImageArray, Grid]:
    """Channels and image that a row is about: its file, those of its channels, or the series of its file."""
    path = Path(str(row["input"]))
    files = [text for text in str(row.get("channels") or "").split("; ") if "=" in text]
    names = [text.split("=")[0] for text in files]
    if len(files) > 1:
        job = _job_of_files(files, names)
    elif is_scan and is_dicom(path):
        job = _job_of(path)
    else:
        return (names, *_image(path, None)[1:])
    if job.is_volume:
        image, grid, *_ = read_scan(job)
        return names, image, grid
    image = read_image(Case(path.stem, job.images))
    return names, image, Grid(image.shape[1:], _stated_pixels(path))


def _job_of_files(files: Sequence[str], names: Sequence[str]) -> PredictionJob:
    """The scan of files `NAME=FILE`, or of the frames of one. Raises UserError where nothing says which they are."""
    paths = {text.partition("=")[2] for text in files}
    if len(paths) > 1:
        return job_of_channels(files, names)
    (job,) = list_jobs([Path(path) for path in paths], names)
    if job.problem:
        raise UserError(job.problem)
    return job


def _job_of(path: Path) -> PredictionJob:
    """The series that begins with a file. Raises UserError where it does no longer."""
    jobs = list_jobs([path.parent]) if path.is_file() else []
    for job in jobs:
        if job.path == path:
            return job
    raise UserError(f"{path}: no longer the first slice of its series; put its slices back, or predict again")


def _viewed_rows(rows: Sequence[Mapping[str, Any]], case: str, masks: Path | None = None) -> Iterator[ViewedCase]:
    chosen = [row for row in rows if case in ("", str(row.get("input")), Path(str(row.get("input"))).name)]
    usable = [row for row in chosen if row.get("mask") and not row.get("error")]
    if not usable:
        reason = f" ({chosen[0].get('error')})" if chosen and chosen[0].get("error") else ""
        raise UserError(f"{case or 'these predictions'}: nothing was predicted that could be shown{reason}")
    return (_viewed_row(row, masks) for row in usable)


def _viewed_folder(folder: Path, case: str) -> Iterator[ViewedCase]:
    if (folder / PREDICTED_NAME).is_file():
        return _viewed_rows(_rows_of(folder / PREDICTED_NAME), case, folder)
    if not (folder / SUMMARY_NAME).is_file():
        raise UserError(f"{folder}: neither an evaluation (summary.json) nor predictions ({PREDICTED_NAME})")
    return _viewed_evaluation(folder, case)


def _rows_of(path: Path) -> list[dict[str, Any]]:
    try:
        rows = read_json(path)["predictions"]
        return [row for row in rows if isinstance(row, dict) and "input" in row]
    except (ValueError, KeyError, TypeError, OSError):
        raise UserError(f"{path}: not what 'tumorline predict' writes; predict again") from None


def _viewed_evaluation(folder: Path, case: str) -> Iterator[ViewedCase]:
    """The cases of an evaluation whose images are where they were, the lowest Dice first."""
    regions = list(read_summary(folder / SUMMARY_NAME).regions)
    rows = sorted(read_rows(folder), key=lambda row: 2.0 if row.scores.dice is None else row.scores.dice)
    names = [name for name in dict.fromkeys(row.case for row in rows) if case in ("", name)]
    if not names:
        raise UserError(f"{folder}: no case is called '{case}'")
    with run_images(folder) as reader:
        if reader is None:
            raise UserError(f"{folder}: the images of its cases are not where they were")
        source = ViewedSource(reader, regions, regions, [Predicted("", folder / PREDICTIONS_NAME, regions)])
        for name in names[:MOST_CASES]:
            yield read_viewed(Wanted(name, source, notes_of([row for row in rows if row.case == name])))


MOST_CASES = 40
"""Of an evaluation in one frame; the report has all."""
