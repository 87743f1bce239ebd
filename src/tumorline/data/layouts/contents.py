"""What lies in a folder, listed once for all layouts."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tumorline.data.case import Case
from tumorline.data.finding import Finding
from tumorline.data.layouts.documents import read_json_document
from tumorline.data.layouts.names import (
    Match,
    image_id,
    is_in_mask_folder,
    match_masks,
    name_below,
    read_mask_names,
    says_mask,
)
from tumorline.data.layouts.tcga import triples
from tumorline.data.layouts.tree import Tree, folders_above, list_tree
from tumorline.data.layouts.unsaid import unsaid_masks
from tumorline.errors import UserError
from tumorline.file_names import PREDICTED_NAME
from tumorline.formats.decode import MATLAB_SUFFIX, is_picture
from tumorline.formats.nifti import is_volume

Listing = tuple[list[Case], list[Finding]]


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
    """The files below a folder (none where `path` is a file), hidden ones and those of systems left out."""

    path: Path

    @cached_property
    def tree(self) -> Tree:
        return list_tree(self.path) if self.path.is_dir() else Tree((), ())

    @property
    def files(self) -> tuple[Path, ...]:
        return self.tree.files

    def of_suffix(self, suffix: str) -> list[Path]:
        return [file for file in self.files if file.suffix.lower() == suffix]

    @cached_property
    def pictures(self) -> tuple[Path, ...]:
        return tuple(file for file in self.files if is_picture(file))

    @cached_property
    def volumes(self) -> tuple[Path, ...]:
        return tuple(file for file in self.files if is_volume(file))

    @cached_property
    def matlab_files(self) -> tuple[Path, ...]:
        """All `.mat` but the table of folds."""
        return tuple(file for file in self.of_suffix(MATLAB_SUFFIX) if file.stem.lower() != "cvind")

    @cached_property
    def documents(self) -> dict[Path, Mapping[str, Any]]:
        """The JSON files that can be read, without the images that some hold."""
        return {
            path: document for path, document in self._read_documents.items() if not isinstance(document, UserError)
        }

    @cached_property
    def unread_documents(self) -> dict[Path, UserError]:
        """The JSON files that cannot be read, with the reason."""
        return {path: error for path, error in self._read_documents.items() if isinstance(error, UserError)}

    @cached_property
    def _read_documents(self) -> dict[Path, Mapping[str, Any] | UserError]:
        return {file: _read_document(file) for file in self.of_suffix(".json")}

    @cached_property
    def groups(self) -> dict[str, Group]:
        """Pictures and masks that stand in one folder, by the name of the case relative to `path`."""
        groups = self._group_by_words()
        if any(group.masks for group in groups.values()):
            return groups
        return _regrouped(groups, unsaid_masks(self.names), self.names)

    def _group_by_words(self) -> dict[str, Group]:
        match = self.matched
        image_of = {mask: image for image, masks in match.masks.items() for mask in masks} | match.surplus
        groups: dict[str, Group] = defaultdict(Group)
        for file, name in self.names.items():
            if name in image_of:
                groups[image_id(image_of[name])].masks.append(file)
            elif name in match.lonely or name in match.unclear:
                groups[name].masks.append(file)
            else:
                groups[image_id(name)].images.append(file)
        return dict(groups)

    @cached_property
    def masks(self) -> frozenset[Path]:
        """Pictures that are masks by their own names."""
        return frozenset(mask for group in self.groups.values() for mask in group.masks)

    @cached_property
    def result_folders(self) -> frozenset[Path]:
        """Folders in which earlier predictions lie."""
        return frozenset(file.parent for file in self.files if file.name == PREDICTED_NAME)

    @cached_property
    def names(self) -> dict[Path, str]:
        """Each picture's name relative to `path`, without its suffix."""
        return {file: name_below(file, self.path) for file in self.pictures}

    @cached_property
    def picture_names(self) -> frozenset[str]:
        return frozenset(self.names.values())

    @cached_property
    def triples(self) -> frozenset[Path]:
        """Pictures whose colours are three sequences."""
        paired = {image for group in self.pairs.values() for image in group.images}
        outside = {file for file, name in self.names.items() if not is_in_mask_folder(name)}
        return triples(paired | (outside - self.masks))

    @cached_property
    def picture_folders(self) -> tuple[Path, ...]:
        """The folders that hold pictures, at whatever depth, from the outside inwards; `path` itself is none."""
        return tuple(sorted(folders_above(self.pictures, self.path))[1:]) if self.path.is_dir() else ()

    @cached_property
    def matched(self) -> Match:
        """Masks by the image beside them; a name that says mask only weakly is an image where it has no partner."""
        masks = {name for name in self.picture_names if read_mask_names(name)}
        images = set(self.picture_names - masks)
        images |= {name for name in match_masks(images, masks).lonely if not says_mask(name)}
        return match_masks(images, masks - images)

    @cached_property
    def pairs(self) -> dict[str, Group]:
        return {name: group for name, group in self.groups.items() if group.is_pair}


def _regrouped(groups: dict[str, Group], masks: Mapping[Path, str], names: Mapping[Path, str]) -> dict[str, Group]:
    """Groups of images, some of which are masks after all, of the images of these names."""
    for mask, image in masks.items():
        mask_id = image_id(names[mask])
        groups[mask_id].images.remove(mask)
        groups[image_id(image)].masks.append(mask)
        if groups[mask_id] == Group():
            del groups[mask_id]
    return groups


def _read_document(path: Path) -> Mapping[str, Any] | UserError:
    try:
        document = read_json_document(path)
    except UserError as error:
        return error
    document.pop("imageData", None)
    return document
