"""Which DICOM files hold an image of a scan, and in which folders a series has slices enough for a volume."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from tumorline.data.layouts.tree import common_folder
from tumorline.formats.decode import FEWEST_SLICES, is_dicom

if TYPE_CHECKING:
    from tumorline.formats.dicom_slice import SlicePlace


def is_image_of_scan(path: Path) -> bool:
    """Whether a DICOM file is no report, presentation state or segmentation."""
    return _place_of(path).is_image


def holds_series(path: Path) -> bool:
    """Whether a file is DICOM of so many frames that it is a volume by itself."""
    if not is_dicom(path):
        return False
    slice_place = _place_of(path)
    return slice_place.is_image and len(slice_place.places) >= FEWEST_SLICES


def _place_of(path: Path) -> "SlicePlace":
    from tumorline.formats.dicom_slice import read_slice_place  # imports pydicom

    return read_slice_place(path)


def may_be_slice(path: Path) -> bool:
    """Whether a DICOM file is an image of a scan, and no picture of a screen."""
    slice_place = _place_of(path)
    return slice_place.is_image and not slice_place.is_screenshot


def folders_of_slices(
    pictures: Iterable[Path],
) -> "tuple[list[tuple[Path, list[Path]]], list[Path], list[dict[Path, SlicePlace]]]":
    """Folders in which a series has slices enough for a volume, with the files of such series and what strayed in.

    Beside them the DICOM files that hold no image of a scan, and by folder those that stay pictures. A screenshot is no
    image of a scan where there is one.
    """
    places = {path: _place_of(path) for path in filter(is_dicom, pictures)}
    images = {path: at for path, at in places.items() if at.is_image}
    slices = {path: at for path, at in images.items() if not at.is_screenshot}
    chosen = [(folder, files) for folder, group in _joined(_by_folder(slices)) if (files := _slices_of_volumes(group))]
    used = {path for _, files in chosen for path in files}
    loose = {path: at for path, at in (slices if chosen else images).items() if path not in used}
    objects = [path for path in places if path not in used and path not in loose]
    return chosen, objects, [*_by_folder(loose).values()]


def _by_folder(places: "Mapping[Path, SlicePlace]") -> "dict[Path, dict[Path, SlicePlace]]":
    by_folder: dict[Path, dict[Path, SlicePlace]] = defaultdict(dict)
    for path, slice_place in places.items():
        by_folder[path.parent][path] = slice_place
    return by_folder


def _joined(by_folder: "Mapping[Path, Mapping[Path, SlicePlace]]") -> "list[tuple[Path, dict[Path, SlicePlace]]]":
    """Folders with what lies in them; those over which one series is spread are one, the folder that holds them."""
    groups = {folder: [folder] for folder in by_folder}
    for first, second in _sharing(by_folder):
        if groups[first] is not groups[second]:
            groups[first] += groups[second]
            groups.update(dict.fromkeys(groups[second], groups[first]))
    return [
        (
            common_folder(folder / "x" for folder in folders),
            {p: at for child in folders for p, at in by_folder[child].items()},
        )
        for folders in {id(folders): folders for folders in groups.values()}.values()
    ]


def _sharing(by_folder: "Mapping[Path, Mapping[Path, SlicePlace]]") -> Iterator[tuple[Path, Path]]:
    """Pairs of folders with slices of one series at other places each, enough in all of them; copies are none."""
    places: dict[tuple[str, ...], dict[Path, set[tuple[float, ...]]]] = defaultdict(lambda: defaultdict(set))
    for folder, files in by_folder.items():
        for slice_place in files.values():
            if slice_place.series:
                places[(slice_place.series, *slice_place.kind)][folder] |= slice_place.places
    return (
        (first, second)
        for folders in map(_without_parts, places.values())
        if len(set().union(*folders.values())) >= FEWEST_SLICES
        for (first, of_first), (second, of_second) in combinations(folders.items(), 2)
        if of_first and of_second and of_first != of_second
    )


def _without_parts(folders: "Mapping[Path, set[tuple[float, ...]]]") -> "dict[Path, set[tuple[float, ...]]]":
    """Folders whose slices do not all lie in another one, as some that were copied for a closer look do."""
    return {
        folder: places for folder, places in folders.items() if not any(places < other for other in folders.values())
    }


def _slices_of_volumes(files: "Mapping[Path, SlicePlace]") -> list[Path]:
    """Slices at fewer places than a volume needs are strays where they are few beside one, else pictures."""
    by_series: dict[str, list[Path]] = defaultdict(list)
    places: dict[str, set[tuple[float, ...]]] = defaultdict(set)
    for path, slice_place in files.items():
        by_series[slice_place.series].append(path)
        places[slice_place.series] |= slice_place.places
    by_series.pop("", None)
    volumes = [name for name in by_series if len(places[name]) >= FEWEST_SLICES]
    largest = max((len(places[name]) for name in volumes), default=0)
    strays = [path for name in by_series if name not in volumes for path in by_series[name]]
    slices = [path for name in volumes for path in by_series[name]]
    return slices if len(strays) >= largest else [*slices, *strays]
