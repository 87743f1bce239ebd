"""A table of cases to predict: a row for each, a column of files for each channel."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tumorline.data.layouts.to_predict.gather import Scan, channel_meant, channels_there, common_name, stating_channels
from tumorline.data.layouts.to_predict.series_names import split_place
from tumorline.data.user_tables import read_rows_of_cases, stated_spacing
from tumorline.errors import UserError
from tumorline.formats.nifti import is_volume
from tumorline.user_text import written_path

PREFIX = "image"


def read_case_list(path: Path, channels: Sequence[str], may_lack: bool = False) -> list[Scan]:
    """The scan of each row, in the order of the channels; what a row lacks is its problem and not that of the others.

    Raises UserError for a table without rows, without a column for each channel, or with two for one. Where scans
    `may_lack` channels, columns and cells may be empty as long as one is not.
    """
    rows = read_rows_of_cases(path, required=())
    columns = _columns_of_channels(path, [*next(iter(rows.values()), {})], channels, may_lack)
    scans = []
    for line, row in rows.items():
        filled = [channel for channel, column in columns.items() if row[column]]
        there = channels_there(list(columns), filled, may_lack)
        scan = _scan_of_row(path, line, row, [columns[channel] for channel in there])
        scans.append(stating_channels(replace(scan, channels=tuple(there)), channels))
    times = Counter(scan.name for scan in scans)
    if twice := [name for name, count in times.items() if count > 1]:
        raise UserError(f"{path}: '{twice[0]}' stands in more than one line; give each row an id of its own")
    return scans


def _columns_of_channels(path: Path, columns: Sequence[str], channels: Sequence[str], may_lack: bool) -> dict[str, str]:
    """The column of each channel that has one, in the order of the channels."""
    columns_by_channel: dict[str, str] = {}
    for column in columns:
        channel = _channel_of(column, channels)
        if channel in columns_by_channel:
            raise UserError(
                f"{path}: columns '{columns_by_channel[channel]}' and '{column}' both mean {channel}; keep one of them"
            )
        if channel:
            columns_by_channel[channel] = column
    if len(channels) == 1 and PREFIX in columns:
        columns_by_channel.setdefault(channels[0], PREFIX)
    there = channels_there(channels, columns_by_channel, may_lack)
    if lacking := [channel for channel in there if channel not in columns_by_channel]:
        seen = ", ".join(columns) or "no rows"
        raise UserError(f"{path}: no column of {lacking[0] or PREFIX} files; found {seen}")
    return {channel: columns_by_channel[channel] for channel in there}


def _channel_of(column: str, channels: Sequence[str]) -> str:
    """The channel that `image_t1ce`, or `t1ce` by itself, means; empty where it is none of `channels`."""
    word = column.casefold().removeprefix(PREFIX).strip("_- ")
    channel = channel_meant(word, channels) if word else ""
    return channel if channel in channels else ""


def _scan_of_row(path: Path, line: int, row: Mapping[str, str], columns: Sequence[str]) -> Scan:
    if empty := [column for column in columns if not row[column]]:
        name = Path(row.get("id") or f"line-{line}")
        return Scan(name, (path,), problem=f"{path}: line {line} names no file in column {empty[0]}")
    images = tuple(written_path(row[column], path.parent) for column in columns)
    name = Path((row.get("id") or common_name(images)).replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts:
        raise UserError(f"{path}: line {line} has the id '{row['id']}'; expected a name without '..' or a root")
    try:
        return Scan(name, images, spacing_mm=_pixel_of(images, row, name.as_posix()))
    except UserError as error:
        return Scan(name, images, problem=f"{error} (line {line} of {path})")


def _pixel_of(images: Sequence[Path], row: Mapping[str, str], name: str) -> tuple[float, float] | None:
    """As a row states it, of pictures. Raises UserError where a file or folder is not there, and for no size."""
    if lost := [image for image in images if not split_place(image)[0].exists()]:
        raise UserError(f"{lost[0]}: no such file or folder")
    return None if is_volume(images[0]) or not images[0].is_file() else stated_spacing(row, f"case '{name}'")
