"""Figures over patients, of a region, of its groups and folds, and of trivial answers."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import Field, model_validator

from tumorline.own_files import Count, Limits, Number
from tumorline.results.result import Result


class Figure(Result):
    """Over patients; None where no case has a value."""

    mean: Number | None
    median: Number | None
    quartiles: Limits | None = None
    range: Limits | None
    ci95: Limits | None
    mean_over_cases: Number | None
    patients: Count
    warning: str | None
    unit: str = ""
    """Of distances only."""

    def lost_against(self, whole: "Figure") -> float | None:
        """How much lower the mean is than that of another; None where there is none."""
        return None if whole.mean is None or self.mean is None else whole.mean - self.mean

    @model_validator(mode="after")
    def has_all_or_nothing(self) -> Self:
        if len({value is None for value in (self.mean, self.median, self.range, self.mean_over_cases)}) > 1:
            raise ValueError("mean, median and range are there together, or none of them")
        return self


class Lesions(Result):
    """Counts over all cases."""

    truth: Count
    detected: Count
    invented: Count
    missed: Count | None = None
    cases_with_invented: Count | None = None
    invented_beside_tumours: Count | None = None
    """Those of the invented ones that lie in cases with a tumour, and the cases that have any."""
    tumour_cases_with_invented: Count | None = None


class Presence(Result):
    """Images, pictures and slices of volumes alike, and in how many of them a tumour is drawn or found."""

    tumour: Count
    found: Count
    free: Count
    """Without any label."""
    false_positives: Count
    other: Count
    """With other labels only."""
    other_drawn: Count
    false_positive: Figure
    """By patient, the mean over his cases of the share of free images in which something is drawn."""


class GroupSummary(Result):
    """A few figures of some of a region's cases."""

    dice: Figure
    nsd: Figure
    hd95_detected: Figure
    volume_ratio: Figure
    signed_offset: Figure | None = None
    volume_error_ml: Figure | None = None
    cases: Count
    tumour_cases: Count
    patients: Count
    missed: Count


class SizeGroup(GroupSummary):
    limits_px: Annotated[list[Count], Field(min_length=2, max_length=2)]
    limits_ml: Limits | None = None
    """Of volumes, whose groups are by it."""


class Metrics(Result):
    """All figures of a region on some cases; those that may be None were not computed by every version.

    Those in ml are of volumes only.
    """

    dice: Figure
    iou: Figure
    precision: Figure
    recall: Figure
    nsd: Figure
    hd95: Figure
    hd95_detected: Figure
    average_surface_distance: Figure | None = None
    average_surface_distance_detected: Figure | None = None
    volume_ratio: Figure
    signed_offset: Figure | None = None
    lesion_dice: Figure | None = None
    lesion_hd95: Figure | None = None
    false_positive: Figure | None = None
    accuracy: Figure
    accuracy_background: Figure
    cases: Count
    patients: Count
    tumour_cases: Count
    tumour_free_cases: Count
    missed: Count
    invented: Count
    lesions: Lesions | None = None
    brats2023_lesions: Lesions | None = None
    volume_ratio_undefined: Count
    false_positive_rate: Number | None
    dice_all: Number | None = None
    truth_ml: Figure | None = None
    """Of cases with a tumour."""
    predicted_ml: Figure | None = None
    """Of cases with a tumour."""
    volume_error_ml: Figure | None = None
    """Predicted minus true volume, of cases with a tumour."""
    volume_error_absolute_ml: Figure | None = None
    predicted_ml_tumour_free: Figure | None = None
    """Of cases whose truth lacks the region."""
    brats2023_lesion_dice: Figure | None = None
    """By the rule of BraTS 2023 (`metrics.lesion`), over all cases."""
    brats2023_lesion_hd95: Figure | None = None

    @model_validator(mode="after")
    def has_a_rate_where_it_is_defined(self) -> Self:
        if self.tumour_free_cases and self.false_positive_rate is None:
            raise ValueError("false_positive_rate is missing beside cases without a tumour")
        return self


class RegionSummary(Metrics):
    by_class: dict[str, GroupSummary]
    by_size: dict[str, SizeGroup]
    by_attribute: dict[str, dict[str, GroupSummary]] = Field(default={})


def mean_dice_over_regions(regions: Mapping[str, Metrics]) -> float | None:
    """The one number where one is needed: the mean over regions of the patient means; None where none has one."""
    means = [figures.dice.mean for figures in regions.values() if figures.dice.mean is not None]
    return sum(means) / len(means) if means else None


class FoldName(Result):
    fold: str
    region: str = ""
    """Empty in files of version 1, which had one region."""


class Fold(RegionSummary, FoldName):
    """A region's figures in one fold. Of the classes that it is made of the last one's fields are published first."""


class Baseline(Result):
    """What a trivial answer reaches on the same cases."""

    dice: Number | None
    ci95: Limits | None
    missed: Count
    volume_ratio: Number | None
    accuracy: Number | None
