"""NIfTI volumes in no set's names: an image and its mask, in two folders or by suffix."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tumorline.config import DataConfig
from tumorline.data.layouts import folders, pairs
from tumorline.data.layouts.contents import Contents, Listing
from tumorline.data.layouts.tree import Tree
from tumorline.data.layouts.volumes.listed_volumes import list_scans
from tumorline.data.layouts.volumes.nnunet import is_in_nnunet_folder
from tumorline.data.layouts.volumes.scan_files import scans_by_name


@dataclass(frozen=True)
class LooseVolumes(Contents):
    """The contents of a folder as if its volumes, those of other layouts left out, were its pictures."""

    of: Contents

    @cached_property
    def tree(self) -> Tree:
        return self.of.tree

    @cached_property
    def pictures(self) -> tuple[Path, ...]:
        named = {path for scan in scans_by_name(self.of)[0].values() if len(scan.by_word) > 1 for path in scan.paths}
        return tuple(file for file in self.of.volumes if file not in named and not is_in_nnunet_folder(file))


def loose(contents: Contents) -> LooseVolumes:
    return LooseVolumes(contents.path, contents)


def find_volume_pairs(contents: Contents) -> str:
    return pairs.find_pairs(loose(contents)) if contents.volumes else ""


def find_volume_folders(contents: Contents) -> str:
    return folders.find_folders(loose(contents)) if contents.volumes else ""


def read_volume_pairs(contents: Contents, settings: DataConfig) -> Listing:
    return _read_as(pairs.read_pairs, contents, settings)


def read_volume_folders(contents: Contents, settings: DataConfig) -> Listing:
    return _read_as(folders.read_folders, contents, settings)


def _read_as(read: Callable[[Contents, DataConfig], Listing], contents: Contents, settings: DataConfig) -> Listing:
    cases, findings = read(loose(contents), settings)
    scans, more = list_scans(contents.path, cases, settings)
    return scans, findings + more
