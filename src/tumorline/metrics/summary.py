"""What the scores of many cases come to: a figure for each measure, by region, group and size."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tumorline.groups import group_of, grouped
from tumorline.metrics.case import NSD_TOLERANCE, CaseScores
from tumorline.metrics.figure import UNDEFINED, figure_of
from tumorline.results import Figure, GroupSummary, Lesions, Metrics, SizeGroup
from tumorline.wording import NOT_STATED

MOST_GROUPS = 12
SHORT = ("dice", "nsd", "hd95_detected", "volume_ratio", "signed_offset")
DISTANCES = (
    "hd95",
    "hd95_detected",
    "average_surface_distance",
    "average_surface_distance_detected",
    "signed_offset",
    "lesion_hd95",
    "brats2023_lesion_hd95",
)
TOLERANT = ("nsd",)
"""Shares within 2 mm, or within 2 pixels where the spacing is unknown, which is another figure."""
SIZES = ("small", "medium", "large")
UNPOOLED = UNDEFINED.model_copy(update={"warning": "undefined: distances in mm and in pixels have no mean"})
OF_TWO_TOLERANCES = UNDEFINED.model_copy(
    update={
        "warning": f"undefined: shares within {NSD_TOLERANCE:g} mm and within {NSD_TOLERANCE:g} pixels have no mean",
    }
)

Value = Callable[[CaseScores], float | None]


@dataclass(frozen=True)
class Row:
    """One case and region with its scores. `patient` is None where unknown: the case then stands for itself."""

    case: str
    patient: str | None
    attributes: Mapping[str, str]
    status: str
    region: str
    scores: CaseScores = field(repr=False)

    @property
    def group(self) -> str:
        return group_of(self.patient, self.case)


def of_region(rows: Sequence[Row], region: str) -> list[Row]:
    return [row for row in rows if row.region == region]


def are_volumes(rows: Sequence[Row]) -> bool:
    """Whether any of them is of a volume."""
    return any(row.scores.depth is not None for row in rows)


def are_mixed(rows: Sequence[Row]) -> bool:
    """Whether pictures stand beside volumes."""
    return are_volumes(rows) and any(row.scores.depth is None for row in rows)


def _of_tumours(name: str) -> Value:
    return lambda scores: getattr(scores, name) if scores.has_tumour else None


def _of_detected(name: str) -> Value:
    return lambda scores: getattr(scores, name) if scores.detected else None


FIGURES: dict[str, Value] = {
    "dice": _of_tumours("dice"),
    "iou": _of_tumours("iou"),
    "precision": _of_tumours("precision"),
    "recall": _of_tumours("recall"),
    "nsd": _of_tumours("nsd"),
    "hd95": _of_tumours("hd95"),
    "hd95_detected": _of_detected("hd95"),
    "average_surface_distance": _of_tumours("average_surface_distance"),
    "average_surface_distance_detected": _of_detected("average_surface_distance"),
    "volume_ratio": lambda scores: scores.volume_ratio,
    "signed_offset": lambda scores: scores.signed_offset,
    "lesion_dice": _of_tumours("lesion_dice"),
    "lesion_hd95": _of_tumours("lesion_hd95"),
    "false_positive": lambda scores: None if scores.has_tumour else float(scores.invented),
    "accuracy": lambda scores: scores.accuracy,
    "accuracy_background": lambda scores: scores.accuracy_background,
}
VOLUME_FIGURES: dict[str, Value] = {
    "truth_ml": _of_tumours("truth_ml"),
    "predicted_ml": _of_tumours("predicted_ml"),
    "volume_error_ml": _of_tumours("volume_error_ml"),
    "volume_error_absolute_ml": lambda scores: (
        abs(scores.volume_error_ml) if scores.has_tumour and scores.volume_error_ml is not None else None
    ),
    "predicted_ml_tumour_free": lambda scores: None if scores.has_tumour else scores.predicted_ml,
    "brats2023_lesion_dice": lambda scores: scores.brats2023_lesion_dice,
    "brats2023_lesion_hd95": lambda scores: scores.brats2023_lesion_hd95,
}
"""Of volumes whose spacing is known; those by the rule of BraTS are over all cases."""


def summarise_rows(rows: Sequence[Row]) -> Metrics:
    """All figures of one region: see FIGURES and VOLUME_FIGURES, and counts of missed, invented and undefined.

    `signed_offset` is undefined where `volume_ratio` is. `lesions` is None where a row lacks them (an older file).
    """
    scores = [row.scores for row in rows]
    tumour_free = [score for score in scores if not score.has_tumour]
    metrics = Metrics(
        **figures_of(rows, FIGURES),
        cases=len(rows),
        patients=len({row.group for row in rows}),
        tumour_cases=len(rows) - len(tumour_free),
        tumour_free_cases=len(tumour_free),
        missed=sum(score.missed for score in scores),
        invented=sum(score.invented for score in scores),
        lesions=_lesions(scores),
        volume_ratio_undefined=sum(score.volume_ratio is None for score in scores),
        false_positive_rate=sum(score.invented for score in tumour_free) / len(tumour_free) if tumour_free else None,
        dice_all=figure(rows, lambda score: score.dice_all).mean,
    )
    return metrics.model_copy(update=_figures_of_volumes(rows)) if _have_ml(rows) else metrics


def _figures_of_volumes(rows: Sequence[Row]) -> dict[str, Any]:
    lesions = _lesions([row.scores for row in rows], "brats2023_")
    return {**figures_of(rows, VOLUME_FIGURES), "brats2023_lesions": lesions}


def _have_ml(rows: Sequence[Row]) -> bool:
    """Whether there are volumes of known spacing among the rows."""
    return any(row.scores.truth_ml is not None for row in rows)


def _lesions(scores: Sequence[CaseScores], prefix: str = "") -> Lesions | None:
    names = ("truth", "detected", "invented")
    counts = {name: [getattr(score, f"{prefix}lesions_{name}") for score in scores] for name in names}
    if any(count is None for values in counts.values() for count in values):
        return None
    totals = {name: sum(values) for name, values in counts.items()}
    return Lesions(
        truth=totals["truth"],
        detected=totals["detected"],
        invented=totals["invented"],
        missed=totals["truth"] - totals["detected"],
        cases_with_invented=sum(map(bool, counts["invented"])),
        **_beside_tumours(scores, counts["invented"]),
    )


def _beside_tumours(scores: Sequence[CaseScores], invented: Sequence[int]) -> dict[str, int]:
    """Where all cases have a tumour they are the counts themselves, and not stated twice."""
    with_tumour = [count for score, count in zip(scores, invented, strict=True) if score.has_tumour]
    if len(with_tumour) == len(scores):
        return {}
    return {"invented_beside_tumours": sum(with_tumour), "tumour_cases_with_invented": sum(map(bool, with_tumour))}


def grouping_attributes(rows: Sequence[Row]) -> list[str]:
    """Names of the attributes, the class aside, that part the rows into 2 to `MOST_GROUPS` groups."""
    values: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        for name, value in row.attributes.items():
            values[name].add(value)
    return sorted(
        name for name, distinct in values.items() if name != "class_name" and 2 <= len(distinct) <= MOST_GROUPS
    )


def rows_by(rows: Sequence[Row], attribute: str) -> dict[str, list[Row]]:
    """The rows of each value of an attribute, such as the class."""
    return grouped(rows, lambda row: row.attributes.get(attribute) or NOT_STATED)


def by_group(rows: Sequence[Row], attribute: str) -> dict[str, GroupSummary]:
    """A short summary for each value of an attribute."""
    return {name: _short_summary(members) for name, members in sorted(rows_by(rows, attribute).items())}


def by_size(rows: Sequence[Row]) -> dict[str, SizeGroup]:
    """A short summary for each of `size_groups`, with its limits in pixels; of volumes in ml too."""
    return {
        name: _size_group(members, _in_ml(kind_rows))
        for kind, kind_rows in _kinds(rows).items()
        for name, members in _thirds(kind_rows, kind).items()
    }


def size_groups(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Thirds of the cases with a tumour by its true size: in pixels, of volumes in ml.

    Pictures and volumes, which have no size in common, are cut by themselves where there are both.
    """
    return {
        name: members for kind, kind_rows in _kinds(rows).items() for name, members in _thirds(kind_rows, kind).items()
    }


def _kinds(rows: Sequence[Row]) -> dict[str, list[Row]]:
    tumours = [row for row in rows if row.scores.has_tumour]
    kinds = {
        "pictures": [row for row in tumours if row.scores.depth is None],
        "volumes": [row for row in tumours if row.scores.depth is not None],
    }
    return kinds if all(kinds.values()) else {"": tumours}


def _in_ml(rows: Sequence[Row]) -> bool:
    return bool(rows) and all(row.scores.truth_ml is not None for row in rows)


def _thirds(rows: Sequence[Row], kind: str) -> dict[str, list[Row]]:
    """Of one kind of cases, by name; fewer where there are not so many."""
    in_ml = _in_ml(rows)
    ordered = sorted(rows, key=lambda row: (row.scores.truth_ml if in_ml else row.scores.truth_px, row.case))
    parts = [[ordered[index] for index in part] for part in np.array_split(np.arange(len(ordered)), len(SIZES))]
    return {f"{name} {kind}".rstrip(): part for name, part in zip(SIZES, parts, strict=True) if part}


def figures_of(rows: Sequence[Row], values: Mapping[str, Value]) -> dict[str, Any]:
    """A figure of each value, by name; distances with their unit."""
    by_unit = dict.fromkeys(DISTANCES, distance) | dict.fromkeys(TOLERANT, share_within)
    return {name: by_unit.get(name, figure)(rows, value) for name, value in values.items()}


def distance(rows: Sequence[Row], value: Value) -> Figure:
    """One figure of the rows with its unit; undefined where it is in mm for some and in pixels for others."""
    units = _units(rows, value)
    return UNPOOLED if len(units) > 1 else figure(rows, value).model_copy(update={"unit": "".join(units)})


def share_within(rows: Sequence[Row], value: Value) -> Figure:
    """A share within a distance; undefined where that is in mm for some and in pixels for others."""
    return OF_TWO_TOLERANCES if len(_units(rows, value)) > 1 else figure(rows, value)


def _units(rows: Sequence[Row], value: Value) -> set[str]:
    """Of the rows that have a value, else of all."""
    return {row.scores.unit for row in rows if value(row.scores) is not None} or {row.scores.unit for row in rows}


def figure(rows: Sequence[Row], value: Value) -> Figure:
    """One figure of the rows, as `figure_of`."""
    return figure_of((row.group, value(row.scores)) for row in rows)


def _short_summary(rows: Sequence[Row]) -> GroupSummary:
    group = GroupSummary(
        **figures_of(rows, {name: FIGURES[name] for name in SHORT}),
        cases=len(rows),
        tumour_cases=sum(row.scores.has_tumour for row in rows),
        patients=len({row.group for row in rows}),
        missed=sum(row.scores.missed for row in rows),
    )
    error = figure(rows, VOLUME_FIGURES["volume_error_ml"])
    return group.model_copy(update={"volume_error_ml": error}) if _have_ml(rows) else group


def _size_group(rows: Sequence[Row], in_ml: bool) -> SizeGroup:
    """Of rows in the order of their size."""
    pixels = [row.scores.truth_px for row in rows]
    group = SizeGroup(**_short_summary(rows).stated(), limits_px=[min(pixels), max(pixels)])
    ml = [rows[index].scores.truth_ml for index in (0, -1)]
    return group.model_copy(update={"limits_ml": ml}) if in_ml else group
