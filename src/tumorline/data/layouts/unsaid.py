"""Masks whose names do not say alone that they are some: `x_tumor.png` beside `x.png`, `x.png` beside `x.jpg`."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path

from tumorline.data.layouts.names import read_truth_name
from tumorline.data.masks.read import read_mask
from tumorline.errors import UserError

LOOKED_AT = 20
"""Files of each kind that are decoded to tell masks from images."""

Masks = dict[Path, str]
"""Mask -> the name of its image."""


def unsaid_masks(names: Mapping[Path, str]) -> Masks:
    """The masks among pictures of these names; none where their pixels do not bear it out."""
    masks = masks_by_word(names)
    if not masks:
        return _masks_by_suffix(names)
    of_masks = set(masks.values())
    return masks if _are_masks(masks, [file for file, name in names.items() if name in of_masks]) else {}


def masks_by_word(names: Mapping[Path, str]) -> Masks:
    """The pictures that have the name of another and a word such as `_tumor` behind it."""
    all_names = set(names.values())
    ways = {file: way for file, name in names.items() if (way := read_truth_name(name)) and way.base in all_names}
    images = all_names - {names[file] for file in ways}
    return {file: way.base for file, way in ways.items() if way.base in images}


def twins(names: Mapping[Path, str]) -> list[list[Path]]:
    """The pictures of one name but for the suffix, where there are two and more."""
    files_by_name: dict[str, list[Path]] = defaultdict(list)
    for file, name in names.items():
        files_by_name[name].append(file)
    return [files for files in files_by_name.values() if len(files) > 1]


def _masks_by_suffix(names: Mapping[Path, str]) -> Masks:
    both = twins(names)
    by_suffix = [{file.suffix.lower(): file for file in files} for files in both]
    if not both or any(len(suffixes) != 2 or len(files) != 2 for suffixes, files in zip(by_suffix, both, strict=True)):
        return {}
    for suffix in set.intersection(*(set(suffixes) for suffixes in by_suffix)):
        masks = [suffixes[suffix] for suffixes in by_suffix]
        images = [file for files in both for file in files if file.suffix.lower() != suffix]
        if _are_masks(masks, images):
            return {mask: names[mask] for mask in masks}
    return {}


def _are_masks(masks: Collection[Path], images: Collection[Path]) -> bool:
    """Whether all files of one kind hold two values and some mark anything, and not all of the other kind do so."""
    marked = [_marks(file) for file in _some(masks)]
    return None not in marked and any(marked) and any(_marks(file) is None for file in _some(images))


def _marks(file: Path) -> bool | None:
    """Whether a mask marks anything; None for what is no mask of two values."""
    try:
        return bool(read_mask(file).any())
    except UserError:
        return None


def _some(files: Collection[Path]) -> list[Path]:
    ordered = list(files)
    return ordered[:: max(1, -(-len(ordered) // LOOKED_AT))]
