"""Which DICOM files hold an image of a scan, and in which folders a series has slices enough for a volume."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from tumorline.data.layouts.tree import common_folder
from tumorline.formats.decode import is_dicom

if TYPE_CHECKING:
    from tumorline.formats.dicom_slice import SlicePlace


def is_image_of_scan(path: Path) -> bool:
    """Whether a DICOM file is no report, presentation state or segmentation."""
    return _place_of(path).is_image


def holds_series(path: Path) -> bool:
    """Whether a file is DICOM of so many frames that it is a volume by itself."""
    if not is_dicom(path):
        return False
    from tumorline.formats.dicom_stack import FEWEST

    place = _place_of(path)
    return place.is_image and len(place.places) >= FEWEST


def _place_of(path: Path) -> "SlicePlace":
    from tumorline.formats.dicom_slice import read_slice_place  # imports pydicom

    return read_slice_place(path)


def folders_of_slices(
    pictures: Iterable[Path],
) -> "tuple[list[tuple[Path, list[Path]]], list[Path], list[dict[Path, SlicePlace]]]":
    """Folders in which a series has slices enough for a volume, with the files of such series and what strayed in.

    Beside them the DICOM files that hold no image, and by folder those that stay pictures.
    """
    by_folder: dict[Path, dict[Path, SlicePlace]] = defaultdict(dict)
    objects = []
    for path in filter(is_dicom, pictures):
        place = _place_of(path)
        if place.is_image:
            by_folder[path.parent][path] = place
        else:
            objects.append(path)
    chosen = [(folder, _slices_of_volumes(files)) for folder, files in _joined(by_folder)]
    used = {path for _, files in chosen for path in files}
    loose = [{path: at for path, at in files.items() if path not in used} for files in by_folder.values()]
    return [(folder, files) for folder, files in chosen if files], objects, loose


def _joined(by_folder: "Mapping[Path, Mapping[Path, SlicePlace]]") -> "list[tuple[Path, dict[Path, SlicePlace]]]":
    """Folders with what lies in them; those over which one series is spread are one, the folder that holds them."""
    groups = {folder: [folder] for folder in by_folder}
    for one, other in _sharing(by_folder):
        if groups[one] is not groups[other]:
            groups[one] += groups[other]
            groups.update(dict.fromkeys(groups[other], groups[one]))
    return [
        (
            common_folder(folder / "x" for folder in folders),
            {p: at for own in folders for p, at in by_folder[own].items()},
        )
        for folders in {id(folders): folders for folders in groups.values()}.values()
    ]


def _sharing(by_folder: "Mapping[Path, Mapping[Path, SlicePlace]]") -> list[tuple[Path, Path]]:
    """Pairs of folders with slices of one series at other places each, enough in one of them; copies are none."""
    from tumorline.formats.dicom_stack import FEWEST

    places: dict[tuple[str, ...], dict[Path, set[tuple[float, ...]]]] = defaultdict(lambda: defaultdict(set))
    for folder, files in by_folder.items():
        for place in files.values():
            if place.series:
                places[(place.series, *place.kind)][folder] |= place.places
    return [
        (one, other)
        for folders in places.values()
        for (one, here), (other, there) in combinations(folders.items(), 2)
        if max(len(here), len(there)) >= FEWEST and not here <= there and not there <= here
    ]


def _slices_of_volumes(files: "Mapping[Path, SlicePlace]") -> list[Path]:
    """Slices at fewer places than a volume needs are strays where they are few beside one, else pictures."""
    from tumorline.formats.dicom_stack import FEWEST

    by_series: dict[str, list[Path]] = defaultdict(list)
    places: dict[str, set[tuple[float, ...]]] = defaultdict(set)
    for path, place in files.items():
        by_series[place.series].append(path)
        places[place.series] |= place.places
    by_series.pop("", None)
    volumes = [name for name in by_series if len(places[name]) >= FEWEST]
    largest = max((len(places[name]) for name in volumes), default=0)
    strays = [path for name in by_series if name not in volumes for path in by_series[name]]
    slices = [path for name in volumes for path in by_series[name]]
    return slices if len(strays) >= largest else [*slices, *strays]
