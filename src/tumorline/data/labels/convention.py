"""What 3 and 4 mean in BraTS's label maps: told by the names and labels of the whole set, never guessed.

To 2022 enhancing tumour is 4. From 2023 on it is 3, and 4, since 2024, the resection cavity after treatment. Of
children's tumours it is 1 since 2024.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tumorline.config import DataConfig
from tumorline.data.case import Case
from tumorline.data.memory import cache_folder, remember, stamps
from tumorline.errors import ReadError, UserError
from tumorline.formats import nifti
from tumorline.regions import EARLIER, LATER, Labels, LabelScheme, scheme_of_parts

CHILDREN = 1
"""Label of enhancing tumour of the third convention, beside `EARLIER` and `LATER`."""
SCHEMES = {
    EARLIER: scheme_of_parts(oedema=(2,), core=(1,), enhancing=(4,)),
    LATER: scheme_of_parts(oedema=(2,), core=(1,), enhancing=(3,), others=(0, 4)),
    CHILDREN: scheme_of_parts(oedema=(4,), core=(2, 3), enhancing=(1,)),
}
EARLIER_KINDS, LATER_KINDS = {"t1ce", "t1gd"}, {"t1n", "t2w", "t2f"}
CHILDRENS_NAME = re.compile(r"brats.*?[-_]peds?[-_]\d", re.IGNORECASE)
EARLIER_NAME = re.compile(r"upenn[-_]gbm", re.IGNORECASE)
LATER_NAME = re.compile(r"brats(?:[-_]?20)?(?:[-_]?2[3-9])?[-_](?:gli|ssa|met|men|goat)[-_]\d", re.IGNORECASE)
KNOWN_FOR_4 = re.compile(r"ucsf[-_]pdgm", re.IGNORECASE)
"""A public set with T1c beside T1 and T2, whose enhancing tumour is 4."""
TOLD_APART = (LATER, EARLIER)
CURE = (
    "say data.enhancing_label=4 (BraTS to 2022) or 3 (from 2023 on; 4 is then the resection cavity), "
    "or keep sets of one convention"
)
CHILDRENS_CURE = "say data.enhancing_label=3 (1 not enhancing, 2 oedema) or 1 (2 not enhancing, 3 cyst, 4 oedema)"

OTHERS_CURE = (
    "set data.enhancing_label where 3 or 4 means something else here, data.label_values where others do, or "
    "data.mask_threshold=0 where all but 0 is the one region that is asked for"
)

Truths = Mapping[Path, Collection[str]]
"""Label maps, with the words by which the files of the same scan are named."""


def labels_of_set(truths: Truths, regions: Sequence[str], settings: DataConfig) -> Labels | None:
    """Which values of a set's label maps make the regions; None where `data.label_values` or `data.mask_threshold` say.

    Raises UserError as `find_scheme`, and for a threshold where several regions are asked for.
    """
    if settings.label_values or makes_one_region(regions, settings):
        return None
    scheme, by_names = find_scheme(truths, settings)
    values = tuple(scheme.regions[region] for region in regions)
    by_labels = by_names and not any(
        _stated(path.name, kinds) or KNOWN_FOR_4.search(path.name) for path, kinds in truths.items()
    )
    return Labels(values, scheme.allowed, cure=OTHERS_CURE, by_labels=by_labels, by_names=by_names)


def makes_one_region(regions: Sequence[str], settings: DataConfig) -> bool:
    """Whether `data.mask_threshold` makes one region of a label map. Raises UserError where several are asked for."""
    if settings.mask_threshold is not None and len(regions) > 1:
        raise UserError(
            f"data.mask_threshold makes one region of a mask, but data.regions names {len(regions)}; leave one of them "
            "out"
        )
    return settings.mask_threshold is not None


def find_scheme(truths: Truths, settings: DataConfig) -> tuple[LabelScheme, bool]:
    """The scheme of a set's label maps, and whether their names alone tell it.

    Raises UserError where names or labels say different things, or nothing.
    """
    if settings.enhancing_label:
        return SCHEMES[settings.enhancing_label], False
    if child := next((path for path in truths if CHILDRENS_NAME.search(path.name)), None):
        raise UserError(f"{child}: children's tumours had other labels in 2023 than since 2024; {CHILDRENS_CURE}")
    stated = {path: _stated(path.name, kinds) for path, kinds in truths.items()}
    unstated = [path for path, label in stated.items() if not label]
    if unstated:
        by_names = {label for label in stated.values() if label}
        stated |= dict.fromkeys(unstated, _told_by_labels(_labels_of(unstated, settings), by_names))
    first = {label: path for path, label in reversed(stated.items()) if label}
    if len(first) > 1:
        raise UserError(f"{_two_files(first[LATER], first[EARLIER])}, by their names and labels; {CURE}")
    return SCHEMES[next(iter(first), EARLIER)], True


def _stated(name: str, kinds: Collection[str]) -> int:
    """The convention that names state; 0 where they state none."""
    if EARLIER_KINDS & {*kinds} or EARLIER_NAME.search(name):
        return EARLIER
    return LATER if LATER_KINDS & {*kinds} or LATER_NAME.search(name) else 0


def _told_by_labels(labels: Mapping[Path, Collection[int]], by_names: Collection[int]) -> int:
    """The convention that labels of files tell whose names state none; 0 where they hold neither 3 nor 4.

    `by_names` are the conventions that the names of the other files state.
    """
    later, earlier = _told_apart(labels)
    if EARLIER not in by_names and not all(KNOWN_FOR_4.search(path.name) for path in earlier):
        raise UserError(f"{earlier[0]}: holds the label 4, no file of these 3, and their names tell nothing; {CURE}")
    return LATER if later else EARLIER if earlier else 0


def require_one_convention(path: Path, cases: Iterable[Case], labels: Iterable[Collection[int]]) -> None:
    """Raise UserError where the labels that were found contradict what the names of a set's files say."""
    labels_by_file: dict[Path, set[int]] = {}
    later = False
    for case, values in zip(cases, labels, strict=True):
        if case.truth_file and case.labels and case.labels.by_names:
            labels_by_file.setdefault(case.truth_file, set()).update(values)
            later = LATER in case.labels.allowed
    _, earlier = _told_apart(labels_by_file)
    if later and earlier:
        raise UserError(
            f"{earlier[0]}: holds the label 4, but no file of {path} 3, by which files of these names mark "
            f"enhancing tumour; {CURE}"
        )


def _told_apart(labels: Mapping[Path, Collection[int]]) -> tuple[list[Path], list[Path]]:
    """The files that hold 3, and those that hold 4 where none holds 3.

    Raises UserError where some hold the one, others the other, and none both.
    """
    later, earlier = ([path for path, values in labels.items() if label in values] for label in TOLD_APART)
    if later and earlier and not {*later} & {*earlier}:
        raise UserError(f"{_two_files(later[0], earlier[0])}; {CURE}")
    return later, [] if later else earlier


def _two_files(later: Path, earlier: Path) -> str:
    return f"{later} marks enhancing tumour by 3, {earlier} by 4"


def _labels_of(truths: Collection[Path], settings: DataConfig) -> dict[Path, list[int]]:
    """Which of 3 and 4 each label map holds; a file that cannot be read is named elsewhere."""

    def look() -> list[list[int] | None]:
        with ThreadPoolExecutor() as pool:
            return list(pool.map(_held_in, truths))

    file_stamps = stamps(truths)
    labels = (
        look()
        if not file_stamps
        else remember(cache_folder(settings), "labels", file_stamps, look, list, lasts=lambda held: None not in held)
    )
    return {path: held or [] for path, held in zip(truths, labels, strict=True)}


def _held_in(path: Path) -> list[int] | None:
    """None for a file that the system did not give this time."""
    try:
        return held_labels(nifti.read_volume(path))
    except ReadError:
        return None
    except UserError:
        return []


def held_labels(values: nifti.Voxels) -> list[int]:
    """Which of the labels that tell conventions apart are there."""
    if values.dtype.kind in "iu":
        return [label for label in TOLD_APART if (values == label).any()]
    return [label for label in TOLD_APART if (abs(values - float(label)) <= 0.01).any()]
