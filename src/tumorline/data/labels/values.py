"""What the user says that the values of label maps mean: `data.label_values`."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tumorline.config import DataConfig
from tumorline.data.case import Case
from tumorline.errors import UserError
from tumorline.regions import REGION, Labels

CURE = "name these in data.label_values as well, in a region that data.regions leaves out where they are none of it"


def with_label_values(path: Path, cases: Sequence[Case], settings: DataConfig) -> list[Case]:
    """The cases with the values that make their regions, where the user says which these are.

    Raises UserError for regions of which he says nothing, and for masks that are no label maps.
    """
    if not settings.label_values:
        return list(cases)
    labels = _labels(path, settings)
    for case in cases:
        _require_label_map(case)
    return [replace(case, labels=labels) for case in cases]


def named_region(settings: DataConfig) -> str:
    """The one region that `data.label_values` names; empty where it names several, or says no more than `tumour`."""
    names = [name for name in settings.label_values if name != REGION]
    return names[0] if len(names) == len(settings.label_values) == 1 else ""


def _labels(path: Path, settings: DataConfig) -> Labels:
    label_values = settings.label_values
    wanted = settings.regions or tuple(label_values)
    if lacking := [region for region in wanted if region not in label_values]:
        raise UserError(f"{path}: data.regions names '{lacking[0]}', but data.label_values {', '.join(label_values)}")
    if not settings.regions and len(label_values) > 1:
        names = ",".join(label_values)
        raise UserError(f"{path}: data.label_values has several regions; say which are outlined: data.regions={names}")
    allowed = sorted({0, *(value for values in label_values.values() for value in values)})
    return Labels(tuple(label_values[region] for region in wanted), tuple(allowed), "data.label_values names", CURE)


def _require_label_map(case: Case) -> None:
    if case.outlines is not None:
        raise UserError(f"{case.images[0]}: data.label_values is for label maps, and this has outlines; leave it out")
    if case.more_masks:
        raise UserError(
            f"{case.mask}: data.label_values is for one label map of each image, and case '{case.id}' has "
            f"{1 + len(case.more_masks)} masks; leave it out"
        )
