"""Which files of a folder are images to predict, and what is left out and why."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tumorline.data.layouts.contents import Contents
from tumorline.data.layouts.names import (
    is_in_mask_folder,
    is_mask_name,
    name_below,
    stated_part,
    without_image_folders,
)
from tumorline.data.layouts.patient_tables import NAMES
from tumorline.data.layouts.to_predict.gather import sequence_of_volume
from tumorline.data.layouts.to_predict.stated_pixels import Spacings, speaks_of_pixels, stated_pixels
from tumorline.data.layouts.volumes.brats import sequence_in_name
from tumorline.data.layouts.volumes.nnunet import is_in_nnunet_folder
from tumorline.data.layouts.volumes.volume_names import visits_among

OVERLAY = "_overlay"
OTHER_SEQUENCE = "volumes of another sequence than the model's"


@dataclass(frozen=True)
class Selection:
    """Images of a folder; `left_out` has the reason for each other file."""

    images: tuple[Path, ...]
    left_out: Mapping[Path, str]
    problems: Mapping[Path, str]
    """Folders that could not be listed, with what is said of them."""
    spacings_mm: Spacings = field(default_factory=dict)
    """Of the pictures whose pixels a table states."""

    @property
    def remark(self) -> str:
        """What is left out, counted, in words; empty where nothing is."""
        counted = sorted(Counter(self.left_out.values()).items(), key=lambda item: (-item[1], item[0]))
        example = {why: file.name for file, why in sorted(self.left_out.items(), reverse=True)}
        return ", ".join(f"{count} {why} (for example {example[why]})" for why, count in counted)


def select_images(contents: Contents, channel: str = "") -> Selection:
    """The images and volumes below a folder, without masks, earlier results and what no reader knows.

    Volumes whose names state another sequence than `channel` are left out where that is known. Raises UserError as
    `stated_pixels`.
    """
    images = {*contents.pictures, *contents.matlab_files, *contents.volumes}
    left_out = {file: _other_kind(file) for file in contents.files if file not in images}
    left_out |= {file: why for file in contents.pictures if (why := _no_image(contents, file))}
    left_out |= dict(_no_scans(contents, channel))
    kept = tuple(
        file for file in (*contents.pictures, *contents.matlab_files, *contents.volumes) if file not in left_out
    )
    problems = {Path(f.files[0]): f.message for f in contents.tree.findings if f.severity == "error"}
    pictures = [file for file in contents.pictures if file not in left_out]
    return Selection(kept, left_out, problems, stated_pixels(contents, pictures))


def pixels_around(inputs: Iterable[Path]) -> Spacings:
    """Spacings of pictures, by absolute path, as tables state that lie beside a file or above a folder of images.

    They are those of the whole set, of which the inputs are a part. Raises UserError as `stated_pixels`.
    """
    absolute = {Path(os.path.abspath(input_path)) for input_path in inputs}
    beside = {path.parent for path in absolute if not path.is_dir()}
    above = {
        folder for path in beside | {path for path in absolute if path.is_dir()} for folder in _folders_of_set(path)
    }
    spacings: dict[Path, tuple[float, float]] = {}
    for folder in sorted(beside | above, key=lambda folder: len(folder.parts)):
        if _has_table_of_pixels(folder):
            spacings |= select_images(Contents(folder)).spacings_mm
    return spacings


def _folders_of_set(folder: Path) -> Iterator[Path]:
    """The folders above one that says image, or part of a split, as far as it is of one set by these names."""
    while folder.name and (without_image_folders(f"{folder.name}/x") == "x" or stated_part(f"{folder.name}/x")):
        folder = folder.parent
        yield folder


def _has_table_of_pixels(folder: Path) -> bool:
    with suppress(OSError):
        return any(file.name.casefold() in NAMES and speaks_of_pixels(file) for file in folder.iterdir())
    return False


def _no_scans(contents: Contents, channel: str) -> Iterator[tuple[Path, str]]:
    """The volumes that are none to predict, and why."""
    visits = visits_among(file.name for file in contents.volumes)
    for file in contents.volumes:
        stated = sequence_in_name(file.name, visits) or sequence_of_volume(file, visits)
        if why := _no_scan(contents, file, stated, channel):
            yield file, why


def _no_scan(contents: Contents, file: Path, stated: str, channel: str) -> str:
    in_labels = is_in_nnunet_folder(file) and file.parent.name.lower().startswith("labels")
    if stated == "truth" or in_labels or is_mask_name(name_below(file, contents.path)):
        return "masks"
    return OTHER_SEQUENCE if channel and stated not in ("", channel) else ""


def _other_kind(file: Path) -> str:
    return f"of the kind '{file.suffix}'" if file.suffix else "without a suffix"


def _no_image(contents: Contents, file: Path) -> str:
    """Why a picture is no image to predict; empty where it is one."""
    name = contents.names[file]
    if is_in_mask_folder(name) or file in contents.masks:
        return "masks"
    base = name.removesuffix(OVERLAY)
    if base != name and (base in contents.picture_names or contents.result_folders & set(file.parents)):
        return "overlays of earlier results"
    return ""
