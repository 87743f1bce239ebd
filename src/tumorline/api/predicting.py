"""`predict`: masks of images, as files or in memory."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, Unpack

from tumorline.api.keywords import spelled_out
from tumorline.cluster import open_cluster
from tumorline.errors import UserError
from tumorline.formats.decode import PICTURE_SUFFIXES
from tumorline.given_paths import as_path_or_none, as_paths, as_texts
from tumorline.inference import predict as prediction
from tumorline.inference.jobs import PredictionJob, job_of_channels, list_jobs
from tumorline.inference.label_map import region_labels
from tumorline.inference.model import AUTO, Model, count_workers, load
from tumorline.inference.on_cluster import rows_on
from tumorline.inference.one import predict_given
from tumorline.inference.predictor import COLOURED_NOTE, CaseRow, Predictor
from tumorline.model_file import BUILTIN
from tumorline.output.folder import open_output
from tumorline.output.journal import hash_inputs, hash_settings
from tumorline.output.place import refuse_inputs_in
from tumorline.output.purpose import Purpose
from tumorline.progress import Notify, Progress, silent
from tumorline.runtime import DEFAULT
from tumorline.wording import is_or_are, numbered
from tumorline.work_ahead import count_cores

IDENTIFIED = (
    "DICOM segmentations keep the headers of patient and study that the standard requires (PatientName, PatientID, "
    "PatientBirthDate, AccessionNumber, StudyDate and others): they identify the patient as their series do"
)

IN_COLOUR = (
    ": outlines, text and colour maps in them may be taken for tumour, and sequences laid into colours are mixed; give "
    "grey pictures of one sequence"
)


class PredictionKeywords(TypedDict, total=False):
    """What `predict` takes by name."""

    progress: Progress | None
    tta: str
    overwrite: bool
    channels: Sequence[str]
    enhancing_label: int | None
    keep_identifiers: bool
    overlay: bool
    precision: str
    runtime: str
    ray: str


@dataclass(frozen=True)
class PredictionOptions:
    """How images are predicted; see `predict`."""

    output: Path | str | None = None
    progress: Progress | None = None
    tta: str = "none"
    overwrite: bool = False
    channels: Sequence[str] = ()
    enhancing_label: int | None = None
    keep_identifiers: bool = False
    overlay: bool = True
    precision: str = AUTO
    runtime: str = DEFAULT
    ray: str = ""
    notify: Notify = silent
    """Hears what is left out and how series were understood."""

    def load(self, model: Path | str, requests: int) -> Model:
        return load(model, self.tta, self.precision, self.runtime, requests)

    def list_jobs(self, inputs: Sequence[Path], model: Model) -> list[PredictionJob]:
        """What is to be predicted."""
        channels, may_lack = model.channels, model.info.input.may_lack_channels
        if self.channels:
            return [job_of_channels(as_texts(self.channels, "channels"), channels, self.notify, may_lack)]
        return list_jobs(inputs, channels, self.notify, may_lack)

    def settings(self, model: Model) -> dict[str, str | int]:
        """What of them results depend on; what came after `tta` only where it is chosen, so that folders stay."""
        later = {
            "enhancing_label": self.enhancing_label,
            "keep_identifiers": self.keep_identifiers,
            "no_overlay": not self.overlay,
            "precision": "" if model.precision == "float32" else model.precision,
            "runtime": "" if self.runtime == DEFAULT else self.runtime,
        }
        return {"tta": self.tta, **{name: value for name, value in later.items() if value}}


@spelled_out(PredictionKeywords, PredictionOptions)
def predict(
    inputs: Sequence[Path | str] | Path | str = (),
    model: Path | str = BUILTIN,
    output: Path | str | None = None,
    **options: Unpack[PredictionKeywords],
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
        ray: Address of a Ray cluster whose machines predict, 'HOST:PORT', or 'local'. All need the inputs and the model
            at the same paths; the results are written by this one and are those of one machine.

    Returns:
        One row a case: `input`, `mask` and `overlay` (paths), `tumour_px`, `tumour_share`, `tumour_mm2` (of pictures),
        `tumour_ml` (of volumes), `confidence` (0 to 1, None of an empty mask), `note`, and `error`, which says why a
        case failed.

    Raises:
        UserError: Where an input does not exist or holds no image, and for a folder with other results.

    Example:
        >>> (row,) = tumorline.predict("scans/images/s000.png", "runs/first", output="predictions/one")
        >>> Path(row["mask"]).name, row["error"]
        ('s000_mask.png', None)
    """
    return write_predictions(inputs, model, PredictionOptions(output, **options))[1]


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
        numbers), `model` (its name), `fingerprint` (hash of its files), `version` (of Tumorline), `tumour_px` and
        `tumour_share` of all regions together, `tumour_mm2` (of a picture) or `tumour_ml` (of a volume), None where the
        spacing is unknown, `confidence` (0 to 1, None of an empty mask), `blank` (whether the image shows nothing).

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
    inputs: Sequence[Path | str] | Path | str, model: Path | str, how: PredictionOptions
) -> tuple[Path, list[CaseRow]]:
    """As `predict`, with the folder of the results."""
    paths = as_paths(inputs, "inputs")
    if bool(paths) == bool(how.channels):
        raise UserError("predict: give INPUT, or --channel NAME=FILE for each channel of one case")
    loaded = how.load(model, requests=1 if _is_one_picture(paths) else count_cores())
    labels = region_labels(loaded.info.regions, how.enhancing_label)
    jobs = how.list_jobs(paths, loaded)
    predictor = _predictor(loaded, labels, jobs, how)
    output = as_path_or_none(how.output, "output")
    if output:
        refuse_inputs_in(output, [path for job in jobs for path in job.files])
    settings = hash_settings(**how.settings(loaded))
    contents = {job.target.as_posix(): hash_inputs(job.files) for job in jobs}
    identity = {"inputs": _hash_jobs(jobs), "model": loaded.fingerprint, "settings": settings}
    purpose = Purpose("predict", identity, "predictions", contents=contents)
    with open_output(output, purpose, how.overwrite) as folder, _carried_out(loaded, jobs, how.ray) as rows_of:
        rows = prediction.predict(jobs, predictor, folder, how.progress, rows_of)
    if any(row.get("segmentation") for row in rows):
        how.notify(IDENTIFIED)
    if coloured := sum(COLOURED_NOTE in (row["note"] or "") for row in rows):
        how.notify(
            f"warning: {coloured} of {numbered(len(rows), 'image')} {is_or_are(coloured)} {COLOURED_NOTE}{IN_COLOUR}"
        )
    return folder.path, rows


def _hash_jobs(jobs: Sequence[PredictionJob]) -> str:
    """One hash of the names of what is read, as what, and of where its results go."""
    descriptions = [
        [[*map(str, job.files)], job.target.as_posix(), job.planes, job.channels, job.spacing_mm] for job in jobs
    ]
    return hash_settings(jobs=descriptions)


@contextmanager
def _carried_out(model: Model, jobs: Sequence[PredictionJob], ray: str) -> Iterator[prediction.Rows]:
    """What predicts: the threads of this machine, or a cluster."""
    if not ray:
        yield prediction.rows_by(count_workers(model, any(job.is_volume for job in jobs), len(jobs)))
        return
    with open_cluster(ray) as cluster:
        yield rows_on(cluster)


def _is_one_picture(paths: Sequence[Path]) -> bool:
    return len(paths) == 1 and paths[0].suffix.lower() in PICTURE_SUFFIXES and paths[0].is_file()


def _predictor(
    model: Model, labels: Mapping[str, Sequence[int]], jobs: Sequence[PredictionJob], how: PredictionOptions
) -> Predictor:
    of_dicom, of_series = any(job.is_dicom for job in jobs), any(job.series for job in jobs)
    return Predictor(model, labels, of_dicom, of_series, how.keep_identifiers, how.overlay)
