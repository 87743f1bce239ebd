"""What is to be predicted: pictures, volumes, and scans whose channels are files of their own."""

import os
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tumorline.data.layouts.contents import Contents
from tumorline.data.layouts.to_predict.case_list import read_case_list
from tumorline.data.layouts.to_predict.gather import Scan, gather_scans, name_channels, nnunet_scans, sequence_of_volume
from tumorline.data.layouts.to_predict.selection import OTHER_SEQUENCE, Selection, pixels_around, select_images
from tumorline.data.layouts.to_predict.series import SeriesFound, SeriesScan, gather_series, series_of_channels
from tumorline.data.layouts.to_predict.series_folders import holds_series
from tumorline.data.layouts.to_predict.series_names import split_place
from tumorline.data.layouts.to_predict.series_words import describe_series
from tumorline.data.layouts.to_predict.stated_pixels import Spacings
from tumorline.data.layouts.volumes.nnunet import is_in_nnunet_folder
from tumorline.data.user_tables import TABLE_SUFFIXES
from tumorline.errors import UserError
from tumorline.formats.boundary import require_kind
from tumorline.formats.decode import PICTURE_SUFFIXES, is_dicom, without_suffix
from tumorline.formats.nifti import is_volume
from tumorline.inference.targets import targets_apart
from tumorline.model_file import BUILTIN_OF_SCANS
from tumorline.progress import Notify

if TYPE_CHECKING:
    from tumorline.formats.dicom_series import DicomSeries

Channels = Sequence[str]
"""Names of the channels that a model takes, in its order; "" where one is unknown."""

Listed = tuple[Selection, list[Scan]]
"""Files that are predicted each by itself, or as slices of series, and scans of several files."""


@dataclass(frozen=True)
class PredictionJob:
    """One case to predict and the path, without suffix, under which its results go below the output folder."""

    images: tuple[Path, ...]
    """A file for each channel of the model, or one file of several channels."""
    target: Path
    planes: tuple[int, ...] = ()
    """Of files of several frames, the frame of each channel."""
    problem: str = ""
    """Why it cannot be predicted; empty where it may be."""
    series: "tuple[DicomSeries, ...]" = ()
    """Of DICOM slices the series of each channel, whose first files `images` then are."""
    channels: tuple[str, ...] = ()
    """Of which of the model's channels they are, where the case lacks others; empty where it has all."""
    spacing_mm: tuple[float, float] | None = None
    """Of a picture the size of a pixel as a table states it, which counts before its header."""

    @property
    def path(self) -> Path:
        return self.images[0]

    @property
    def files(self) -> tuple[Path, ...]:
        """All that is read."""
        return tuple(path for series in self.series for path in series.paths) or self.images

    @property
    def is_dicom(self) -> bool:
        return bool(self.series) or (not is_volume(self.path) and is_dicom(self.path))

    @property
    def is_volume(self) -> bool:
        return bool(self.series) or is_volume(self.path)


def list_jobs(
    inputs: Iterable[Path], channels: Channels = ("",), notify: Notify | None = None, may_lack: bool = False
) -> list[PredictionJob]:
    """The cases to predict, without earlier results, each file once, though it be given twice or with its folder.

    `notify` hears what of a folder is left out, and why. Of a folder's volumes a model of one channel gets those of its
    channel and those whose names do not say what they are; a model of several gets the scans that have all of them, or
    where they `may_lack` channels, one at least.

    Raises UserError where an input does not exist or holds no image, and where two would have the same results.
    """
    once = {os.path.abspath(path): path for path in inputs}
    jobs = [*_all_jobs([*once.values()], channels, notify, may_lack)]
    targets = targets_apart([job.path for job in jobs], [job.target for job in jobs])
    return [replace(job, target=target) for job, target in zip(jobs, targets, strict=True)]


def job_of_channels(
    given: Sequence[str], channels: Channels, notify: Notify | None = None, may_lack: bool = False
) -> PredictionJob:
    """The case whose files are given as `NAME=FILE`. Raises UserError as `name_channels` does."""
    _require_names(channels, "--channel")
    return _job_of_named(name_channels(given, channels, may_lack), channels, notify)


def _job_of_named(scan: Scan, channels: Channels, notify: Notify | None) -> PredictionJob:
    """A scan whose files someone has named, among which may be folders of DICOM series. Raises UserError."""
    of_series = [split_place(path)[0].is_dir() or holds_series(path) for path in scan.images]
    if scan.problem or not any(of_series):
        return _job_of_scan(scan)
    if not all(of_series):
        plain_file = scan.images[of_series.index(False)]
        raise UserError(f"{plain_file}: a file, and other channels are DICOM series; give one kind")
    scan_channels = scan.channels or channels
    series = series_of_channels(scan.images, scan_channels, notify)
    if notify:
        for place, channel, channel_series in zip(scan.images, scan_channels, series, strict=True):
            said = f"; taken as {channel}, as you say" if channel else ""
            notify(f"{place}: {describe_series(channel_series)}{said}")
    return _job_of_series(SeriesScan(Path(), scan.name, series, (), channels=scan.channels))


def _job_of_row(scan: Scan, channels: Channels, notify: Notify | None) -> PredictionJob:
    """What is wrong with one row costs no other."""
    try:
        return _job_of_named(scan, channels, notify)
    except UserError as error:
        return _job_of_scan(replace(scan, problem=str(error)))


def _all_jobs(
    inputs: Sequence[Path], channels: Channels, notify: Notify | None, may_lack: bool
) -> Iterator[PredictionJob]:
    """The cases of all inputs, in their order; series are looked for in all folders together."""
    listed = _listed_once(inputs, channels, may_lack)
    pictures = ((path, below[0].images) for path, below in listed.items() if below)
    slices = gather_series(pictures, channels, may_lack)
    around = pixels_around(path for path, below in listed.items() if below or not _is_table(path))
    for path, below in listed.items():
        if below:
            jobs = _jobs_of_folder(path, below, slices, channels, notify)
        else:
            jobs = _jobs_of_file(path, channels, notify, may_lack)
        yield from jobs if _is_table(path) else (_with_pixels(job, around) for job in jobs)
    if notify:
        for remark in slices.remarks:
            notify(remark)


def _listed_once(inputs: Iterable[Path], channels: Channels, may_lack: bool) -> dict[Path, Listed | None]:
    """The files of each input that are below none before it; None for a file that is read by itself.

    An input of which all files are below others is left out.
    """
    seen: set[str] = set()
    listed: dict[Path, Listed | None] = {}
    for path in inputs:
        below = _files_below(path, channels, may_lack)
        files = [path] if below is None else _files_of(below)
        if not files or any(os.path.abspath(file) not in seen for file in files):
            listed[path] = below and _unseen(below, seen)
        seen |= {*map(os.path.abspath, files)} if below or not _is_table(path) else set()
    return listed


def _files_below(path: Path, channels: Channels, may_lack: bool) -> Listed | None:
    """What lies in a folder, or in a file of DICOM slices; None for any other file."""
    if path.is_dir():
        return _images_and_scans(Contents(path), channels, may_lack)
    return (Selection((path,), {}, {}), []) if path.is_file() and holds_series(path) else None


def _files_of(below: Listed) -> list[Path]:
    selection, scans = below
    return [*selection.images, *selection.problems, *(image for scan in scans for image in scan.images)]


def _unseen(below: Listed, seen: Container[str]) -> Listed:
    """The same without what was seen already."""
    selection, scans = below
    images = tuple(path for path in selection.images if os.path.abspath(path) not in seen)
    problems = {path: why for path, why in selection.problems.items() if os.path.abspath(path) not in seen}
    new = [scan for scan in scans if not scan.images or any(os.path.abspath(path) not in seen for path in scan.images)]
    return replace(selection, images=images, problems=problems), new


def _with_pixels(job: PredictionJob, around: Spacings) -> PredictionJob:
    """The job with the size of a pixel that a table outside of what is given states, where none within does."""
    return replace(job, spacing_mm=job.spacing_mm or around.get(Path(os.path.abspath(job.path))))


def _is_table(path: Path) -> bool:
    return path.suffix.lower() in TABLE_SUFFIXES and path.is_file()


def _jobs_of_folder(
    folder: Path, below: Listed, slices: SeriesFound, channels: Channels, notify: Notify | None
) -> list[PredictionJob]:
    """The cases of a folder, and its folders that cannot be listed, each with the name of its results."""
    selection, scans = below
    of_series = [scan for scan in slices.scans if scan.root == folder]
    had_slices = any(path in slices.used for path in selection.images)
    slice_files = slices.used | slices.objects
    pictures = tuple(path for path in selection.images if path not in slice_files)
    selection = replace(selection, images=pictures)
    if not selection.images and not selection.problems and not scans and not had_slices:
        raise UserError(
            f"{folder}: no {_wanted(channels)} in this folder{_seen(selection)}; accepted are {_accepted()}"
        )
    if notify and selection.remark:
        count = len(selection.images) + len(scans) + len(of_series)
        notify(f"{folder}: images only, {count} of them; left out are {_tell_left_out(selection)}")
    locked = [PredictionJob((path,), path.relative_to(folder), problem=why) for path, why in selection.problems.items()]
    single = [
        PredictionJob((path,), without_suffix(path.relative_to(folder)), spacing_mm=selection.spacings_mm.get(path))
        for path in selection.images
    ]
    return [*single, *map(_job_of_scan, scans), *map(_job_of_series, of_series), *locked]


def _tell_left_out(selection: Selection) -> str:
    together = f"; '{BUILTIN_OF_SCANS}' takes them together"
    return selection.remark + (together if OTHER_SEQUENCE in selection.left_out.values() else "")


def _images_and_scans(contents: Contents, channels: Channels, may_lack: bool) -> Listed:
    """Files that are predicted each by itself, and scans, of which a model of one channel gets those of nnU-Net."""
    if len(channels) > 1:
        scans = gather_scans(contents, channels, may_lack) if all(channels) else []
        return _without_volumes(select_images(contents), scans, is_volume), scans
    selection = select_images(contents, channels[0])
    scans = nnunet_scans(contents, channels) if channels[0] else []
    if all(scan.problem for scan in scans):
        return selection, []
    return _without_volumes(selection, scans, is_in_nnunet_folder), scans


def _jobs_of_file(path: Path, channels: Channels, notify: Notify | None, may_lack: bool) -> list[PredictionJob]:
    if not path.exists():
        raise UserError(f"{path}: no such file or folder")
    require_kind(path)
    if _is_table(path):
        if len(channels) > 1:
            _require_names(channels, str(path))
        return [_job_of_row(scan, channels, notify) for scan in read_case_list(path, channels, may_lack)]
    job = PredictionJob((path,), without_suffix(Path(path.name)))
    if len(channels) > 1 and job.is_volume:
        if of_frames := _scans_of_frames(path, channels, may_lack):
            return [replace(_job_of_scan(of_frames[0]), target=job.target)]
        if may_lack and (stated := sequence_of_volume(path)) in channels:
            return [replace(job, channels=(stated,))]
        cure = "give the folder of its scan, or --channel NAME=FILE for each"
        return [replace(job, problem=f"{path}: one volume; this model takes {', '.join(channels)}; {cure}")]
    return [job]


def _scans_of_frames(path: Path, channels: Channels, may_lack: bool) -> list[Scan]:
    """The scan that a file is where it lies in a folder of nnU-Net that says what its frames are."""
    scans = gather_scans(Contents(path.parent.parent), channels, may_lack) if is_in_nnunet_folder(path) else []
    return [scan for scan in scans if path in scan.images and scan.planes]


def _require_names(channels: Channels, where: str) -> None:
    if not all(channels):
        raise UserError(
            f"{where}: the channels of this model have no names, so that files cannot be told apart by them"
        )


def _job_of_scan(scan: Scan) -> PredictionJob:
    return PredictionJob(
        scan.images, scan.name, scan.planes, scan.problem, channels=scan.channels, spacing_mm=scan.spacing_mm
    )


def _job_of_series(scan: SeriesScan) -> PredictionJob:
    first = tuple(series.paths[0] for series in scan.series) or scan.files[:1]
    return PredictionJob(first, scan.name, problem=scan.problem, series=scan.series, channels=scan.channels)


def _without_volumes(selection: Selection, scans: Sequence[Scan], is_of_scan: Callable[[Path], bool]) -> Selection:
    """A selection whose volumes are of scans, or left out."""
    used = {path for scan in scans for path in scan.images}
    volumes = [path for path in selection.images if is_of_scan(path)]
    left_out = {**selection.left_out, **dict.fromkeys(volumes, "volumes that are no channel of a scan")}
    return replace(
        selection,
        images=tuple(path for path in selection.images if not is_of_scan(path)),
        left_out={path: why for path, why in left_out.items() if path not in used},
    )


def _wanted(channels: Channels) -> str:
    return f"image and no scan with {', '.join(channels)}" if len(channels) > 1 and all(channels) else "image"


def _seen(selection: Selection) -> str:
    return f" ({selection.remark})" if selection.remark else ""


def _accepted() -> str:
    return f"{', '.join(sorted(PICTURE_SUFFIXES))}, .mat, .nii, .nii.gz and DICOM without a suffix"
