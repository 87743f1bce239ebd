"""What lies in a folder, listed once for all layouts."""

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tumorline.data.case import Case
from tumorline.data.decode import MATLAB_SUFFIX, is_picture, without_suffix
from tumorline.data.finding import Finding
from tumorline.data.volume import is_volume

Listing = tuple[list[Case], list[Finding]]

MASK_NAME = re.compile(r"(.+)[-_.](?:mask|seg|label|gt)", re.IGNORECASE)
IMAGE_NAME = re.compile(r"(.+)[-_.](?:image|img)", re.IGNORECASE)


@dataclass
class Group:
    """Files of one folder whose names differ only in what says image or mask."""

    images: list[Path] = field(default_factory=list)
    masks: list[Path] = field(default_factory=list)

    @property
    def is_pair(self) -> bool:
        return bool(self.images and self.masks)


@dataclass(frozen=True)
class Contents:
    """The files below a folder (none where `path` is a file), hidden ones left out."""

    path: Path

    @cached_property
    def files(self) -> tuple[Path, ...]:
        found = (file for file in self.path.rglob("*") if file.is_file())
        return tuple(sorted(file for file in found if not self._is_hidden(file)))

    @cached_property
    def pictures(self) -> tuple[Path, ...]:
        return tuple(file for file in self.files if is_picture(file))

    @cached_property
    def volumes(self) -> tuple[Path, ...]:
        return tuple(file for file in self.files if is_volume(file))

    @cached_property
    def matlab_files(self) -> tuple[Path, ...]:
        """All `.mat` but the table of folds."""
        return tuple(f for f in self.files if f.suffix.lower() == MATLAB_SUFFIX and f.stem.lower() != "cvind")

    @cached_property
    def groups(self) -> dict[str, Group]:
        """Pictures and masks that stand in one folder, by their common name relative to `path`."""
        groups: dict[str, Group] = {}
        for file in self.pictures:
            name, is_mask = split_name(without_suffix(file.relative_to(self.path)).as_posix())
            group = groups.setdefault(name, Group())
            (group.masks if is_mask else group.images).append(file)
        return groups

    @cached_property
    def pairs(self) -> dict[str, Group]:
        return {name: group for name, group in self.groups.items() if group.is_pair}

    def _is_hidden(self, file: Path) -> bool:
        return any(part.startswith(".") for part in file.relative_to(self.path).parts)


def split_name(name: str) -> tuple[str, bool]:
    """A name without the suffix that says what it is, and whether that is a mask: 'x_mask' is ('x', True)."""
    as_mask = MASK_NAME.fullmatch(name)
    base = as_mask[1] if as_mask else name
    as_image = IMAGE_NAME.fullmatch(base)
    return (as_image[1] if as_image else base), as_mask is not None
