"""What a page shows of one region: its figures beside each other, as charts and against trivial answers."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean

from markupsafe import Markup

from tumorline.data.joined import SOURCE
from tumorline.groups import grouped
from tumorline.metrics.headline import count_false_positives, dice_of_sources, split_false_lesions, tell_lost
from tumorline.metrics.summary import Row, are_volumes, of_region, rows_by, size_groups
from tumorline.report import certainty, charts
from tumorline.report.content import FigureCharts, RegionContent, StressContent, StressPanel, SubsetRow
from tumorline.results import Figure, GroupSummary, RegionSummary, Robustness, SizeGroup, Summary
from tumorline.wording import in_words

COSTLY = 0.05
"""A change that costs more Dice than this at every strength is named."""


def region_content(summary: Summary, region: str, rows: Sequence[Row]) -> RegionContent:
    """Of the rows of the headline those of the region are shown."""
    figures = summary.regions[region]
    dice = figures.dice
    point, calibration = summary.operating_points.get(region), summary.calibration.get(region)
    return {
        "region": region,
        "figures": figures,
        "validation": (summary.validation or {}).get(region),
        "false_lesions": split_false_lesions(figures),
        "false_positives": count_false_positives(figures),
        "below_background": below_background(figures),
        "headline_bar": Markup(charts.interval_bar(dice.mean, dice.ci95) if dice.mean is not None else ""),
        **_figure_charts(of_region(rows, region), figures),
        "folds": summary.folds_of(region),
        "presence": summary.presence.get(region, {}),
        "sources": figures.by_attribute.get(SOURCE, {}),
        "dice_of_sources": dice_of_sources(figures, figures.by_attribute.get(SOURCE, {})),
        "distances_by_source": _distances_by_source(figures),
        "baselines": {name: scored[region] for name, scored in summary.baselines.items()},
        "over_segmentation": certainty.over_segmentation(figures, point, calibration),
        "calibration": certainty.calibration(calibration, point),
        "confidence": certainty.confidence(calibration),
        "stress": _stress(summary.robustness.get(region)),
        "subsets": subset_rows(summary, region),
    }


def _distances_by_source(figures: RegionSummary) -> dict[str, Figure]:
    """HD95 of detected tumours in each source, where their units have no mean in common."""
    by_source = {name: group.hd95_detected for name, group in figures.by_attribute.get(SOURCE, {}).items()}
    together = figures.hd95_detected.mean is not None
    return {} if together else {name: hd95 for name, hd95 in by_source.items() if hd95.mean is not None}


def below_background(figures: RegionSummary) -> bool:
    return (figures.accuracy.mean or 0) < (figures.accuracy_background.mean or 0)


def _figure_charts(rows: Sequence[Row], figures: RegionSummary) -> FigureCharts:
    """Dice by class, by attribute and by size, sizes, and the distribution of Dice."""
    scored = [row for row in rows if row.scores.dice is not None]
    classes = rows_by(rows, "class_name")
    by_class = {name: (_dice(classes[name]), group.dice) for name, group in figures.by_class.items()}
    by_attribute = {
        in_words(name): Markup(charts.strips(strips, "Dice"))
        for name, groups in figures.by_attribute.items()
        if (strips := _attribute_strips(scored, name, groups))
    }
    by_size = _size_strips(scored, figures.by_size)
    counted = "patients" if all(row.patient for row in scored) else "cases"
    return {
        "by_class": Markup(charts.strips(by_class, "Dice") if by_class else ""),
        "by_attribute": by_attribute,
        "by_size": Markup(charts.strips(by_size, "Dice") if by_size else ""),
        "areas": _size_scatter(classes) if rows else Markup(""),
        "distribution": Markup(charts.histogram(_dice(scored), "Dice", counted) if scored else ""),
    }


def _size_scatter(classes: Mapping[str, Sequence[Row]]) -> Markup:
    """Predicted against true size, means by patient: volumes in ml where they are known."""
    rows = [row for members in classes.values() for row in members]
    in_ml = all(row.scores.truth_ml is not None for row in rows)
    sizes = {name: _mean_sizes(members, in_ml) for name, members in sorted(classes.items())}
    measure = "volume in ml" if in_ml else "size in px" if are_volumes(rows) else "area in px"
    return Markup(charts.scatter(sizes, f"true {measure}", f"predicted {measure}"))


def _mean_sizes(rows: Sequence[Row], in_ml: bool) -> list[tuple[float, float]]:
    """True and predicted size of each patient, over the cases with a tumour."""
    by_patient = grouped((row for row in rows if row.scores.has_tumour), lambda row: row.group)
    sizes = ([_size_pair(row, in_ml) for row in own] for own in by_patient.values())
    return [(fmean(true for true, _ in pairs), fmean(predicted for _, predicted in pairs)) for pairs in sizes]


def _size_pair(row: Row, in_ml: bool) -> tuple[float, float]:
    scores = row.scores
    if in_ml:
        return scores.truth_ml or 0.0, scores.predicted_ml or 0.0
    return float(scores.truth_px), float(scores.predicted_px)


def _dice(rows: Sequence[Row]) -> list[float]:
    """Of each patient, as the headline has it: the mean over its cases with a tumour."""
    return list(dice_of_patients(rows).values())


def dice_of_patients(rows: Sequence[Row]) -> dict[str, float]:
    """By patient, or by case where the patient is unknown."""
    by_patient: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        if row.scores.dice is not None:
            by_patient[row.group].append(row.scores.dice)
    return {group: fmean(values) for group, values in by_patient.items()}


def _attribute_strips(scored: Sequence[Row], name: str, groups: Mapping[str, GroupSummary]) -> dict[str, charts.Strip]:
    values = rows_by(scored, name)
    return {value: (_dice(values[value]), group.dice) for value, group in groups.items() if value in values}


def _size_strips(scored: Sequence[Row], groups: Mapping[str, SizeGroup]) -> dict[str, charts.Strip]:
    """The cases of each third by true size."""
    dice_by_third = {name: _dice(members) for name, members in size_groups(scored).items()}
    return {
        f"{name}, {size_limits(group)}": (dice_by_third.get(name, []), group.dice) for name, group in groups.items()
    }


def size_limits(group: SizeGroup, to: str = "–") -> str:
    """Of volumes in ml, else in pixels."""
    if group.limits_ml:
        low_ml, high_ml = group.limits_ml
        return f"{low_ml:.3g}{to}{high_ml:.3g} ml"
    low, high = group.limits_px
    return f"{low}{to}{high} px"


def subset_rows(summary: Summary, region: str) -> list[SubsetRow]:
    """What is told of each subset of the channels; nothing where they were not asked for."""
    levels = summary.subsets.get(region, [])
    return [
        {
            "channels": ", ".join(in_words(name) for name in level.channels),
            "dice": level.dice.mean,
            "lost": level.dice.lost_against(levels[0].dice),
            "missed": level.missed,
            "cases": level.cases,
        }
        for level in levels
    ]


def _stress(stress: Robustness | None) -> StressContent | None:
    """A chart for each change, and the changes that cost more than `COSTLY` at every strength."""
    if not stress or stress.unchanged.dice.mean is None:
        return None
    unchanged = stress.unchanged.dice
    panels, fragile = list[StressPanel](), list[str]()
    for name, change in stress.changes.items():
        levels = {f"{level.strength:g}": level.dice for level in change.levels}
        title = in_words(name).replace("jpeg", "JPEG")
        chart = Markup(charts.levels({"as it is": unchanged, **levels}, "Dice"))
        panels.append({"title": title, "unit": change.unit, "chart": chart})
        if stress.unchanged.dice.mean - max(figure.mean or 0.0 for figure in levels.values()) > COSTLY:
            fragile.append(title)
    return {"panels": panels, "fragile": fragile, "costly": COSTLY, "lost": tell_lost(stress)}
