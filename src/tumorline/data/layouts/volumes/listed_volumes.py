"""Scans of which an image and its mask are known, by pairs or by a table, but not what their labels mean."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tumorline.config import DataConfig
from tumorline.data.case import Case
from tumorline.data.labels.convention import labels_of_set
from tumorline.data.layouts.contents import Listing
from tumorline.data.layouts.volumes.scan_case import list_each, list_scan
from tumorline.data.layouts.volumes.volume_names import read_volume_name
from tumorline.errors import UserError
from tumorline.regions import NESTED, Labels


def list_scans(path: Path, cases: Sequence[Case], settings: DataConfig) -> Listing:
    """The cases, whose files are volumes, as `list_scan` gives them.

    A mask has two values, or is a label map of BraTS where several regions or `data.label` are asked for. Raises
    UserError where a region is none of a label map's, and where it cannot be told what the labels mean.
    """
    labels = _labels(path, cases, settings)
    return list_each(cases, lambda case: list_scan(replace(case, labels=labels)))


def _labels(path: Path, cases: Sequence[Case], settings: DataConfig) -> Labels | None:
    wanted = settings.regions if len(settings.regions) > 1 else (settings.label,) if settings.label else ()
    if settings.label_values or not wanted or any(case.mask_per_region for case in cases):
        return None
    if strange := [region for region in wanted if region not in NESTED]:
        raise UserError(f"{path}: data.regions names '{strange[0]}'; a label map holds {', '.join(NESTED)}")
    truths = {case.mask: _words_of(case) for case in cases if case.mask}
    return labels_of_set(truths, wanted, settings)


def _words_of(case: Case) -> set[str]:
    """The words in which the names of a case's images end."""
    return {stated.word for path in case.images if (stated := read_volume_name(path.name)).scan}
