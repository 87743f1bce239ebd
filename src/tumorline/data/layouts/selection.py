"""Which files of a folder are images to predict, and what is left out and why."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tumorline.data.layouts.contents import Contents
from tumorline.data.layouts.names import is_in_mask_folder

OVERLAY = "_overlay"


@dataclass(frozen=True)
class Selection:
    """Images of a folder; `left_out` has the reason for each other file."""

    images: tuple[Path, ...]
    left_out: Mapping[Path, str]
    problems: Mapping[Path, str]
    """Folders that could not be listed, with what is said of them."""

    @property
    def remark(self) -> str:
        """What is left out, counted, in words; empty where nothing is."""
        counted = sorted(Counter(self.left_out.values()).items(), key=lambda item: (-item[1], item[0]))
        example = {why: file.name for file, why in sorted(self.left_out.items(), reverse=True)}
        return ", ".join(f"{count} {why} (for example {example[why]})" for why, count in counted)


def select_images(contents: Contents) -> Selection:
    """The images below a folder, without masks, earlier results and what no reader knows."""
    images = {*contents.pictures, *contents.matlab_files}
    left_out = {file: _other_kind(contents, file) for file in contents.files if file not in images}
    left_out |= {file: why for file in contents.pictures if (why := _no_image(contents, file))}
    kept = tuple(file for file in (*contents.pictures, *contents.matlab_files) if file not in left_out)
    problems = {Path(f.files[0]): f.message for f in contents.tree.findings if f.severity == "error"}
    return Selection(kept, left_out, problems)


def _other_kind(contents: Contents, file: Path) -> str:
    if file in contents.volumes:
        return "volumes, which are not predicted yet"
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
