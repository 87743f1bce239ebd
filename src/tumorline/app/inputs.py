"""Which of the files that were received make up a case, by what their names say and what they hold."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tumorline.app.uploads import Upload, known_suffix
from tumorline.data.layouts.names import is_in_mask_folder, says_mask
from tumorline.data.layouts.to_predict.gather import channel_meant, split_name
from tumorline.data.layouts.to_predict.series_folders import is_image_of_scan
from tumorline.data.layouts.volumes.brats import sequence_in_name
from tumorline.errors import UserError
from tumorline.formats.decode import is_dicom, without_suffix
from tumorline.formats.nifti import is_volume
from tumorline.groups import grouped
from tumorline.inference.jobs import PredictionJob, job_of_channels, list_jobs
from tumorline.wording import in_words

OF_SYSTEMS = {"dicomdir", "thumbs.db", "desktop.ini", ".ds_store"}
DICOM = "dicom"
UPLOADED = re.compile(r"upload-(\d{4,})(\.[a-z0-9]+(?:\.gz)?)?")
SERIES = re.compile(r"dicom/series-(\d{4,})")
BEFORE_A_FILE = re.compile(r"dicom/series-\d{4,}/(?=upload-)")
CURES = (
    (re.compile(r"; where it is another, give --channel \S+"), ""),
    (
        re.compile(r"where one of these is wrong, give --channel .*"),
        "where one is wrong, say of each which channel it is",
    ),
    (
        re.compile(r"--channel NAME=(?:FILE|FOLDER(?:#NUMBER)?) for each( channel)?"),
        "say of each file which channel it is",
    ),
    (re.compile(r"give (say of each)"), r"\1"),
    (re.compile(r"^--channel: |--channel \S+=\S+: "), ""),
    (re.compile(r"give --channel (\w+)=.+"), r"say so: it is \1"),
)


@dataclass
class Gathered:
    """Cases to predict, each with the name under which it is shown, and what is not predicted."""

    jobs: list[PredictionJob] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    """Name of a file -> why."""
    remarks: list[str] = field(default_factory=list)


class CaseGatherer:
    """Sorts uploads, which lie in one folder; slices of DICOM are moved into a folder for each of the client's."""

    def __init__(self, uploads: Sequence[Upload], root: Path, channels: Sequence[str], may_lack: bool = False) -> None:
        self.uploads, self.root, self.channels, self.may_lack = uploads, root, channels, may_lack
        self.folders: list[str] = []
        """Names of the client's folders, by the number of ours."""
        self.called: list[tuple[str, ...]] = []
        """What each case may be called: the shortest name first."""
        self.found = Gathered()

    def gather(self) -> Gathered:
        """Raises UserError where nothing is left to predict, and where named channels make no case."""
        self._gather_jobs()
        self.found.names = tell_apart(self.called)
        return self.found

    def _gather_jobs(self) -> None:
        if any(upload.channel for upload in self.uploads):
            for channel_files in self._given_channels():
                self._add(job_of_channels(channel_files, self.channels, self.found.remarks.append, self.may_lack))
            return
        wanted = [upload for upload in self.uploads if not self._is_left_out(upload)]
        slices = [upload for upload in wanted if is_dicom(upload.path)]
        volumes = [upload for upload in wanted if is_volume(upload.path)]
        several = len(self.channels) > 1 and all(self.channels)
        if several and (self.may_lack or len(volumes) > 1):
            self._add_scans(volumes)
        else:
            self._add_files(self._of_own_sequence(volumes))
        self._add_files([upload for upload in wanted if upload not in volumes and upload not in slices])
        self._add_series(slices)
        if not self.found.jobs:
            name, reason = next(iter(self.found.left_out.items()))
            raise UserError(f"no image to predict; {name}: {reason}")

    def client_names(self, job: PredictionJob) -> list[str]:
        """Of the files of a case, with the client's folders."""
        return [self._upload_at(path).shown for path in job.files]

    def _upload_at(self, path: Path) -> Upload:
        return next(upload for upload in self.uploads if upload.path.name == path.name)

    def shown(self, text: str) -> str:
        """A message with the client's names in place of ours, and without the command line's cures."""
        plain = text.replace(f"{self.root}/", "").replace(str(self.root), "the files")
        plain = UPLOADED.sub(self._client_file, BEFORE_A_FILE.sub("", plain))
        plain = SERIES.sub(self._client_folder, plain)
        for pattern, cure in CURES:
            plain = pattern.sub(cure, plain)
        return plain

    def _client_file(self, match: re.Match[str]) -> str:
        number = int(match[1])
        if number >= len(self.uploads):
            return match[0]
        name = self.uploads[number].name
        return name if match[2] else without_suffix(Path(name)).name

    def _client_folder(self, match: re.Match[str]) -> str:
        number = int(match[1])
        return (self.folders[number] if number < len(self.folders) else "") or "the files"

    def _is_left_out(self, upload: Upload) -> bool:
        """Of a folder, what `predict` leaves out too; a file that was given by itself is always wanted."""
        if reason := self._why_left_out(upload):
            self.found.left_out[upload.shown] = reason
        return bool(reason)

    def _why_left_out(self, upload: Upload) -> str:
        if upload.name.lower() in OF_SYSTEMS:
            return "a file of the system"
        if len(self.uploads) == 1:
            return ""
        stem = without_suffix(Path(upload.shown)).as_posix()
        is_truth = sequence_in_name(upload.name) == "truth"
        if is_truth or says_mask(stem) or is_in_mask_folder(stem):
            return "a mask"
        of_dicom = is_dicom(upload.path)
        if of_dicom and not is_image_of_scan(upload.path):
            return "no image of a scan"
        is_known = of_dicom or known_suffix(upload.name)
        return "of no known format" if upload.folder and not is_known else ""

    def _of_own_sequence(self, volumes: Sequence[Upload]) -> list[Upload]:
        """Of a folder of sequences a model of one channel gets its own, as in `predict`."""
        sequence = self.channels[0] if len(self.channels) == 1 else ""
        kept = []
        for upload in volumes:
            stated = sequence_of(upload)
            if sequence and len(volumes) > 1 and stated not in ("", sequence):
                self.found.left_out[upload.shown] = f"{in_words(stated)}, and the model takes {sequence}"
            else:
                kept.append(upload)
        return kept

    def _add_files(self, uploads: Iterable[Upload]) -> None:
        for upload in uploads:
            for job in list_jobs([upload.path], self.channels, may_lack=self.may_lack):
                self._add(job, *names_of(upload))

    def _add_scans(self, volumes: Sequence[Upload]) -> None:
        """The volumes of each scan, told apart by the words in their names."""
        scans: dict[tuple[str, str], list[Upload]] = defaultdict(list)
        for upload in volumes:
            if sequence_of(upload) in self.channels:
                scans[upload.folder, split_name(Path(upload.name)).scan].append(upload)
            else:
                self.found.left_out[upload.shown] = (
                    f"its name states none of {', '.join(self.channels)}; say of each file which channel it is"
                )
        for (folder, scan), members in scans.items():
            name = scan or folder.rpartition("/")[2] or "scan"
            try:
                channel_files = [f"{sequence_of(upload)}={upload.path}" for upload in members]
                job = job_of_channels(channel_files, self.channels, may_lack=self.may_lack)
            except UserError as error:
                job = PredictionJob(tuple(upload.path for upload in members), Path(), problem=str(error))
            self._add(job, name, f"{folder}/{scan}" if scan else folder)

    def _add_series(self, slices: Sequence[Upload]) -> None:
        """Slices of one folder of the client's are looked at together."""
        if not slices:
            return
        by_folder = grouped(slices, lambda upload: upload.folder)
        places = {self._move(folder, members): folder for folder, members in by_folder.items()}
        for job in list_jobs(places, self.channels, self.found.remarks.append, self.may_lack):
            folder = places[job.path.parent] or "series"
            of_series = (folder.rpartition("/")[2], folder)
            self._add(job, *(of_series if job.series or job.problem else ()))

    def _move(self, folder: str, members: Iterable[Upload]) -> Path:
        series_folder = self.root / DICOM / f"series-{len(self.folders):04d}"
        self.folders.append(folder)
        series_folder.mkdir(parents=True)
        for upload in members:
            upload.path.rename(series_folder / upload.path.name)
        return series_folder

    def _given_channels(self) -> list[list[str]]:
        """`NAME=PATH` of each channel that is named, by case: each file of one channel, or the channels of one scan."""
        wanted = (upload for upload in self.uploads if upload.name.lower() not in OF_SYSTEMS)
        by_channel = grouped(wanted, lambda upload: upload.channel)
        if len(by_channel) == 1:
            ((channel, members),) = by_channel.items()
            if not any(is_dicom(upload.path) for upload in members):
                return [[f"{channel}={upload.path}"] for upload in members]
        return [[f"{channel}={self._place_of(channel, members)}" for channel, members in by_channel.items()]]

    def _place_of(self, channel: str, members: Sequence[Upload]) -> Path:
        """The file of a channel, or a folder of its DICOM slices. Raises UserError for several of other kinds."""
        if len(members) == 1:
            return members[0].path
        if not all(is_dicom(upload.path) for upload in members):
            raise UserError(f"{len(members)} files are said to be {channel}, one is expected, or DICOM slices")
        return self._move(members[0].folder, members)

    def _add(self, job: PredictionJob, *names: str) -> None:
        """A case, called as its first file where no names are given."""
        number = len(self.found.jobs)
        self.found.jobs.append(replace(job, target=Path(f"case-{number:04d}")))
        self.called.append(names or names_of(self._upload_at(job.path)))


def names_of(upload: Upload) -> tuple[str, ...]:
    """What a case of one file may be called."""
    stem = without_suffix(Path(upload.shown))
    return stem.name, stem.as_posix(), upload.shown


def tell_apart(called: Sequence[tuple[str, ...]]) -> list[str]:
    """A name of each case, a longer one where a shorter is that of another case as well."""
    names = [shortest for shortest, *_ in called]
    for length in (1, 2):
        counts = Counter(names)
        names = [
            choice[min(length, len(choice) - 1)] if counts[name] > 1 else name
            for name, choice in zip(names, called, strict=True)
        ]
    return names


def sequence_of(upload: Upload) -> str:
    """The channel that the name of a volume states; empty where it states none."""
    return channel_meant(split_name(Path(upload.name)).word)
