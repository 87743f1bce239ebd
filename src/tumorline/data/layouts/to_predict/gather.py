"""Which volumes of a folder, a list or a command line are the channels of one scan, without any truth."""

import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tumorline.data.layouts.contents import Contents
from tumorline.data.layouts.names import is_mask_name, name_below
from tumorline.data.layouts.to_predict.series_names import split_place
from tumorline.data.layouts.volumes.nnunet import Scan as NnunetScan
from tumorline.data.layouts.volumes.nnunet import files_of_channels, is_in_nnunet_folder, scans_in_nnunet
from tumorline.data.layouts.volumes.scan_case import FILE_WORDS, SEQUENCE_WORDS, SEQUENCES, plain_word
from tumorline.data.layouts.volumes.volume_names import Stated, read_volume_name, visits_among
from tumorline.errors import UserError, did_you_mean
from tumorline.formats.decode import without_suffix
from tumorline.formats.nifti import is_volume, without_volume_suffix
from tumorline.wording import is_or_are

WEIGHTED_FLAIR = r"t[12]w?[-_ ]?flair"
LAST_WORD = re.compile(rf"(?:(.+?)[-_. ])?({WEIGHTED_FLAIR}|[^-_. ]+)", re.IGNORECASE)
BIAS = "_bias"
"""Ends the word of a volume that is read only where there is none without it."""


@dataclass(frozen=True)
class Scan:
    """The files of one scan in the order of the channels that were asked for."""

    name: Path
    """Relative to where it was looked for."""
    images: tuple[Path, ...]
    planes: tuple[int, ...] = ()
    """Of files of several frames, the frame of each channel."""
    problem: str = ""
    """Why it lacks a channel or has one twice; empty where it does not."""
    channels: tuple[str, ...] = ()
    """Of which channels the images are, where it lacks some and may; empty where it has all."""
    spacing_mm: tuple[float, float] | None = None
    """Of pictures the size of a pixel as a table states it."""


@dataclass
class _Found:
    """Volumes of one scan by channel and by the word that stands for it."""

    name: str
    """Empty where the names of its files are such a word and nothing else."""
    files: dict[str, dict[str, list[Path]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))

    @property
    def paths(self) -> tuple[Path, ...]:
        return tuple(path for words in self.files.values() for paths in words.values() for path in paths)


def gather_scans(contents: Contents, channels: Sequence[str], may_lack: bool = False) -> list[Scan]:
    """The scans below a folder whose volumes are named by sequence, or lie in a folder of nnU-Net.

    Where they `may_lack` channels, one is enough.
    """
    scans_by_name: dict[str, _Found] = {}
    visits = visits_among(path.name for path in contents.volumes)
    for path in contents.volumes:
        if not is_in_nnunet_folder(path) and not is_mask_name(name_below(path, contents.path)):
            name, word = split_name(path, visits)
            if channel := channel_meant(word, channels):
                scan = scans_by_name.setdefault(name or path.parent.as_posix(), _Found(name))
                scan.files[channel][word].append(path)
    scans = [
        _as_scan(scan, contents.path, channels_there(channels, scan.files, may_lack)) for scan in scans_by_name.values()
    ]
    return [*(stating_channels(scan, channels) for scan in scans), *nnunet_scans(contents, channels, may_lack)]


def channels_there(channels: Sequence[str], there: Collection[str], may_lack: bool) -> Sequence[str]:
    """Those of the channels that are there, where others may be lacking; all of them where not, or where none is."""
    return [channel for channel in channels if channel in there] or channels if may_lack else channels


def stating_channels(scan: Scan, channels: Sequence[str]) -> Scan:
    """The same without the names of its channels where it has all."""
    return replace(scan, channels=()) if len(scan.channels) == len(channels) else scan


def split_name(path: Path, visits: Collection[str] = ()) -> Stated:
    """The scan and the word for its sequence in a volume's name: `A_t1ce.nii.gz` is `A` and `t1ce`."""
    stated = read_volume_name(path.name, visits)
    if stated.word and not ("flair" in stated.word and re.search(WEIGHTED_FLAIR, path.name, re.IGNORECASE)):
        return stated
    match = LAST_WORD.fullmatch(without_volume_suffix(path.name))
    return Stated(match[1] or "", match[2].lower()) if match else Stated()


def sequence_of_volume(path: Path, visits: Collection[str] = ()) -> str:
    """The sequence that the name of a volume states; empty where it states none."""
    return channel_meant(split_name(path, visits).word)


def channel_meant(word: str, channels: Sequence[str] = SEQUENCES) -> str:
    """The channel that a word means: one of `channels`, or a sequence by any of its names; empty where none."""
    plain = word.lower().replace("-", "_").replace(" ", "_")
    if plain in channels:
        return plain
    return SEQUENCE_WORDS.get(plain_word(word), "")


def name_channels(given: Sequence[str], channels: Sequence[str], may_lack: bool = False) -> Scan:
    """The scan that `NAME=FILE` of each channel make, or of some that it may do with.

    Raises UserError for a channel too few, too many or unknown.
    """
    files: dict[str, Path] = {}
    for text in given:
        word, equals, file = text.partition("=")
        channel = channel_meant(word.strip(), channels)
        option = f"--channel {text}"
        if not equals or not file.strip():
            raise UserError(f"{option}: expected NAME=FILE, for example flair=a.nii.gz")
        if channel not in channels:
            reason = f"the model takes no {channel}" if channel else f"'{word}' is no channel"
            raise UserError(f"{option}: {reason}; {did_you_mean(word, channels)}")
        if channel in files:
            raise UserError(f"{option}: {channel} was given before, as {files[channel]}; keep one of them")
        files[channel] = Path(file.strip())
    there = channels_there(channels, files, may_lack)
    if lacking := [channel for channel in there if channel not in files]:
        are = is_or_are(len(lacking))
        raise UserError(f"--channel: {', '.join(lacking)} {are} not given; this model takes {', '.join(channels)}")
    if lost := [path for path in files.values() if not split_place(path)[0].exists()]:
        raise UserError(f"{lost[0]}: no such file or folder")
    images = tuple(files[channel] for channel in there)
    return stating_channels(Scan(Path(common_name(images)), images, channels=tuple(there)), channels)


def common_name(images: Sequence[Path]) -> str:
    """What the files of one scan are called together: the scan that all their names state, or the first by itself."""
    visits = visits_among(path.name for path in images)
    stated = {split_name(path, visits).scan if is_volume(path) else "" for path in images}
    common = stated.pop() if len(stated) == 1 and len(images) > 1 else ""
    return common or without_suffix(Path(split_place(images[0])[0].name)).name


def _as_scan(scan: _Found, root: Path, channels: Sequence[str]) -> Scan:
    folder = scan.paths[0].parent
    below = folder.relative_to(root)
    target = below / scan.name if scan.name or below.parts else Path(folder.resolve().name or "scan")
    try:
        return Scan(target, tuple(_file_of(channel, scan, folder) for channel in channels), channels=tuple(channels))
    except UserError as error:
        return Scan(target, scan.paths, problem=str(error))


def _file_of(channel: str, scan: _Found, folder: Path) -> Path:
    """Raises UserError where a scan has no file of a channel, or two."""
    words = scan.files.get(channel, {})
    plain = {word: paths for word, paths in words.items() if not word.endswith(BIAS)} or words
    files = [path for paths in plain.values() for path in paths]
    if not files:
        accepted = " or ".join(FILE_WORDS.get(channel, (channel,)))
        raise UserError(f"{folder}: no {channel} volume of {scan.name or folder.name} (a name that ends in {accepted})")
    if len(files) > 1:
        raise UserError(
            f"{files[0]} and {files[1]}: both are {channel} of {scan.name or folder.name}; keep one of them"
        )
    return files[0]


def nnunet_scans(contents: Contents, channels: Sequence[str], may_lack: bool = False) -> list[Scan]:
    return [_nnunet_scan(name, scan, channels, may_lack) for name, scan in scans_in_nnunet(contents).items()]


def _nnunet_scan(name: str, scan: NnunetScan, channels: Sequence[str], may_lack: bool) -> Scan:
    named = [channel for channel in channels if _is_in_nnunet(name, scan, channel)] if may_lack else channels
    there = channels_there(channels, named, may_lack)
    try:
        images, planes = files_of_channels(name, scan, there)
    except UserError as error:
        return Scan(Path(name), scan.files, problem=str(error))
    return stating_channels(Scan(Path(name), images, planes, channels=tuple(there)), channels)


def _is_in_nnunet(name: str, scan: NnunetScan, channel: str) -> bool:
    try:
        files_of_channels(name, scan, [channel])
    except UserError:
        return False
    return True
