"""`predict`: masks of images, as files or in memory."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tumorline.errors import UserError
from tumorline.formats.decode import PICTURE_SUFFIXES
from tumorline.inference import predict as prediction
from tumorline.inference.jobs import job_of_channels, list_jobs
from tumorline.inference.label_map import region_labels
from tumorline.inference.model import AUTO, Model, count_workers, load
from tumorline.inference.one import predict_given
from tumorline.inference.predictor import Predictor
from tumorline.journal import hash_inputs, hash_settings
from tumorline.model_file import BUILTIN
from tumorline.output_folder import Purpose, open_output, refuse_inputs_in
from tumorline.progress import Notify, Progress, silent
from tumorline.runtime import DEFAULT
from tumorline.work_ahead import count_cores

IDENTIFIED = (
    "DICOM segmentations keep the headers of patient and study that the standard requires (PatientName, PatientID, "
    "PatientBirthDate, AccessionNumber, StudyDate and others): they identify the patient as their series do"
)


def predict(
    inputs: Sequence[Path | str] | Path | str = (),
    model: Path | str = BUILTIN,
    output: Path | str | None = None,
    progress: Progress | None = None,
    tta: str = "none",
    overwrite: bool = False,
    channels: Sequence[str] = (),
    enhancing_label: int | None = None,
    keep_identifiers: bool = False,
    overlay: bool = True,
    precision: str = AUTO,
    runtime: str = DEFAULT,
) -> list[dict[str, Any]]:
    """Predict pictures, volumes, scans or folders of them, and write masks, overlays and tables.

    Args:
        inputs: A file or folder, or several: PNG, JPEG, TIFF, DICOM, `.mat`, NIfTI, folders of DICOM slices; of a model
            of several channels also folders in which the volumes of a scan are named by sequence, or a table with a
            column of files for each channel.
        model: As in `evaluate`.
        output: Folder for the masks, overlays, `predictions.csv` and `.json`; None makes `predictions/<time>`.
        progress: Called with the number of cases that are done and of all.
        tta: Test-time augmentation: 'none', 'flips' (4 copies) or 'all' (8).
        overwrite: Whether to replace other results of Tumorline in that folder; never other files.
        channels: In place of `inputs` the files of one case by channel, such as 'flair=a.nii.gz'.
        enhancing_label: 3 or 4, as which BraTS's enhancing tumour is written (4 where None).
        keep_identifiers: Show the ids of patients and series of DICOM headers instead of their hashes.
        overlay: Write a picture to look at of each case.
        precision: In which the network computes, as in `load`; `predictions.json` says which it was.
        runtime: The library that runs it, as in `load`.

    Returns:
        One row a case: `input`, `mask` and `overlay` (paths), `tumour_px`, `tumour_share`, `tumour_ml` (of volumes),
        `confidence` (0 to 1, None of an empty mask), `note`, and `error`, which says why a case failed.

    Raises:
        UserError: Where an input does not exist or holds no image, and for a folder with other results.

    Example:
        >>> (row,) = tumorline.predict("scans/images/s000.png", "runs/first", output="predictions/one")
        >>> Path(row["mask"]).name, row["error"]
        ('s000_mask.png', None)
    """
    return write_predictions(
        inputs,
        model,
        output=output,
        overwrite=overwrite,
        tta=tta,
        channels=channels,
        enhancing_label=enhancing_label,
        keep_identifiers=keep_identifiers,
        overlay=overlay,
        precision=precision,
        runtime=runtime,
        progress=progress,
    )[1]


def predict_array(
    image: Any,
    model: Model | Path | str = BUILTIN,
    *,
    spacing_mm: Sequence[float] | None = None,
    tta: str = "none",
) -> dict[str, Any]:
    """Predict one image in memory, or one file, and write nothing.

    Args:
        image: As `Model.mask` takes it: an array `(H, W)`, `(C, H, W)` or `(C, D, H, W)` in any grey scale, a path, or
            a pydicom dataset.
        model: A model from `load`, which is quicker for many images, or what `load` opens.
        spacing_mm: Of an array the size of a pixel (rows, columns) or voxel (slices, rows, columns) in mm; files state
            their own.
        tta: Test-time augmentation as in `load`, of a model that is opened here.

    Returns:
        `mask` (boolean `(R, *space)`), `probability` (float32, the same shape), `regions` (R names), `threshold` (R
        numbers), `model` (its name), `tumour_px` and `tumour_share` of all regions together, `tumour_mm2` (of a
        picture) or `tumour_ml` (of a volume), None where the spacing is unknown, `confidence` (0 to 1, None of an empty
        mask), `blank` (whether the image shows nothing).

    Raises:
        UserError: For what is no image, for another number of channels, and for a spacing that does not fit.

    Example:
        >>> found = tumorline.predict_array(np.zeros((64, 48)), "runs/first")
        >>> found["mask"].shape, found["tumour_px"], found["blank"]
        ((1, 64, 48), 0, True)
    """
    if isinstance(model, Model) and tta != "none":
        raise UserError("tta is that of the model which is given; open it with tumorline.load(..., tta=...)")
    return predict_given(image, model if isinstance(model, Model) else load(model, tta), spacing_mm)


def write_predictions(
    inputs: Sequence[Path | str] | Path | str = (),
    model: Path | str = BUILTIN,
    *,
    output: Path | str | None = None,
    overwrite: bool = False,
    tta: str = "none",
    channels: Sequence[str] = (),
    enhancing_label: int | None = None,
    keep_identifiers: bool = False,
    overlay: bool = True,
    precision: str = AUTO,
    runtime: str = DEFAULT,
    progress: Progress | None = None,
    notify: Notify = silent,
) -> tuple[Path, list[dict[str, Any]]]:
    """As `predict`, with the folder of the results; `notify` hears what is left out and how series were understood."""
    given = [Path(path) for path in ([inputs] if isinstance(inputs, (str, Path)) else inputs)]
    if bool(given) == bool(channels):
        raise UserError("predict: give INPUT, or --channel NAME=FILE for each channel of one case")
    is_alone = len(given) == 1 and given[0].suffix.lower() in PICTURE_SUFFIXES and given[0].is_file()
    loaded = load(model, tta, precision, runtime, requests=1 if is_alone else count_cores())
    labels = region_labels(loaded.info.regions, enhancing_label)
    known, may_lack = loaded.channels, loaded.info.input.may_lack_channels
    listed = job_of_channels(channels, known, notify, may_lack) if channels else None
    jobs = [listed] if listed else list_jobs(given, known, notify, may_lack)
    of_dicom, of_series = any(job.is_dicom for job in jobs), any(job.series for job in jobs)
    predictor = Predictor(loaded, labels, of_dicom, of_series, keep_identifiers, overlay)
    if output:
        refuse_inputs_in(Path(output), (path for job in jobs for path in job.files))
    contents = hash_inputs(path for job in jobs for path in job.files)
    more = {
        "enhancing_label": enhancing_label,
        "keep_identifiers": keep_identifiers,
        "no_overlay": not overlay,
        "precision": "" if loaded.precision == "float32" else loaded.precision,
        "runtime": "" if runtime == DEFAULT else runtime,
    }
    settings = {"tta": tta, **{name: value for name, value in more.items() if value}}
    identity = {"inputs": contents, "model": loaded.fingerprint, "settings": hash_settings(**settings)}
    purpose = Purpose("predict", identity, "predictions")
    with open_output(Path(output) if output else None, purpose, overwrite) as folder:
        workers = count_workers(loaded, any(job.is_volume for job in jobs), len(jobs))
        rows = prediction.predict(jobs, predictor, folder, progress, workers)
    if any(row.get("segmentation") for row in rows):
        notify(IDENTIFIED)
    return folder.path, rows
