"""The charts and tables of a folder of results, by the kind of the folder."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from tumorline.evaluation.tables import read_rows
from tumorline.metrics.headline import name_figure
from tumorline.paper.methods import describe_methods, settings_of
from tumorline.paper.parts import (
    CASES,
    DICE,
    GROUP,
    INTERVAL,
    MISSED,
    PATIENTS,
    REGION,
    SIZE_RATIO,
    Contents,
    Rows,
    chosen,
    group_row,
    with_region,
)
from tumorline.paper.study import Study, count_parts
from tumorline.paper.tables import Cell, Column, Table
from tumorline.report.page import page_content
from tumorline.results import Figure, GroupSummary, Metrics, Summary
from tumorline.wording import in_words

FIGURES = (
    *("dice", "iou", "precision", "recall", "nsd", "hd95", "hd95_detected", "average_surface_distance_detected"),
    *("signed_offset", "volume_ratio", "truth_ml", "predicted_ml", "volume_error_ml", "volume_error_absolute_ml"),
    *("predicted_ml_tumour_free", "lesion_dice", "brats2023_lesion_dice", "brats2023_lesion_hd95", "false_positive"),
    *("accuracy", "accuracy_background"),
)


def contents_of_study(folder: Path, study: Study) -> Contents:
    """Of a run, of folds, or of an evaluation."""
    page = page_content(folder, study.summary, read_rows(folder), None)
    shown = {"regions": page["regions"], "training": page["curves"]}
    tables = (*_figure_tables(study.summary), *_study_tables(study))
    return Contents(page["title"], shown, [table for table in tables if table.rows], describe_methods(study))


def _figure_tables(summary: Summary) -> Iterator[Table]:
    several = len(summary.regions) > 1
    columns = [
        Column("figure", "figure"),
        Column("mean", "mean", 3),
        INTERVAL,
        Column("median", "median", 3),
        Column("mean_over_cases", "over cases", 3),
        PATIENTS,
        *([Column("validation", "validation", 3)] if summary.validation else []),
    ]
    rows = [row for region, metrics in summary.regions.items() for row in _figure_rows(summary, region, metrics)]
    yield Table("figures", "All figures, by patient", with_region(columns, several), rows)
    counts = [_counts(region, metrics) for region, metrics in summary.regions.items()]
    yield Table(
        "counts",
        "Cases, misses and false lesions",
        [REGION, *(Column(key, in_words(key), 0) for key in COUNTED)],
        counts,
    )
    for name, caption, groups in _groupings(summary):
        yield Table(name, caption, with_region(GROUP, several), groups)
    yield _baseline_table(summary, several)
    yield _stress_table(summary, several)


OF_METRICS = ("patients", "cases", "tumour_cases", "missed", "tumour_free_cases")
COUNTED = (*OF_METRICS, "false_positive_cases", "false_lesions")


def _counts(region: str, metrics: Metrics) -> dict[str, Cell]:
    return {
        "region": in_words(region),
        **chosen(metrics, *OF_METRICS),
        "false_positive_cases": metrics.invented,
        "false_lesions": metrics.lesions.invented if metrics.lesions else None,
    }


def _figure_rows(summary: Summary, region: str, metrics: Metrics) -> Iterator[dict[str, Cell]]:
    validation = (summary.validation or {}).get(region)
    for name in FIGURES:
        figure: Figure | None = getattr(metrics, name)
        if figure is None or figure.mean is None:
            continue
        validation_figure: Figure | None = getattr(validation, name) if validation else None
        unit = f", {figure.unit}" if figure.unit else ""
        yield {
            "region": in_words(region),
            "figure": name_figure(name, bool(metrics.truth_ml)) + unit,
            **chosen(figure, "mean", "ci95", "median", "mean_over_cases", "patients"),
            "validation": validation_figure.mean if validation_figure else None,
            "digits": 1 if figure.unit else 3,
        }


def _groupings(summary: Summary) -> Iterator[tuple[str, str, Rows]]:
    """Name, caption and rows of each way in which the cases are grouped."""
    regions = summary.regions
    classes = {region: metrics.by_class for region, metrics in regions.items()}
    yield "by-class", "Figures by class", _rows_of_groups(classes)
    sizes = {region: metrics.by_size for region, metrics in regions.items()}
    yield "by-size", "Figures by thirds of the true size", _rows_of_groups(sizes)
    for name in dict.fromkeys(name for metrics in regions.values() for name in metrics.by_attribute):
        groups = {region: metrics.by_attribute.get(name, {}) for region, metrics in regions.items()}
        yield f"by-{name}", f"Figures by {in_words(name)}, which the source states", _rows_of_groups(groups)


def _rows_of_groups(regions: Mapping[str, Mapping[str, GroupSummary]]) -> Rows:
    return [
        {"region": in_words(region), "group": key, **group_row(group)}
        for region, groups in regions.items()
        for key, group in groups.items()
    ]


def _baseline_table(summary: Summary, several: bool) -> Table:
    keys = ("dice", "ci95", "missed", "volume_ratio", "accuracy")
    rows = [
        {"region": in_words(region), "answer": in_words(name), **chosen(by_region[region], *keys)}
        for name, by_region in summary.baselines.items()
        for region in summary.regions
    ]
    columns = [Column("answer", "answer"), DICE, INTERVAL, MISSED, SIZE_RATIO, Column("accuracy", "accuracy", 4)]
    return Table("baselines", "What trivial answers reach on the same cases", with_region(columns, several), rows)


def _stress_table(summary: Summary, several: bool) -> Table:
    rows = [
        {
            "region": in_words(region),
            "change": f"{in_words(name)}, {change.unit}",
            "strength": str(level.strength),
            "dice": level.dice.mean,
            "ci95": level.dice.ci95,
            "missed": level.missed,
        }
        for region, robustness in summary.robustness.items()
        for name, change in robustness.changes.items()
        for level in change.levels
    ]
    columns = [Column("change", "change"), Column("strength", "strength"), DICE, INTERVAL, MISSED]
    return Table("stress", "Under changes of the images", with_region(columns, several), rows)


def _study_tables(study: Study) -> Iterator[Table]:
    several = len(study.summary.regions) > 1
    folds: Rows = [
        {"region": in_words(fold.region), "group": fold.fold, **group_row(fold)} for fold in study.summary.folds
    ]
    yield Table(
        "folds", "Folds: each patient is scored by the model that has not seen it", with_region(GROUP, several), folds
    )
    parts: Rows = [
        {"part": part, "patients": patients, "cases": cases}
        for part, (patients, cases) in count_parts(study.split).items()
    ]
    yield Table("split", "Parts of the split", [Column("part", "part"), PATIENTS, CASES], parts)
    if study.config:
        columns = [Column("setting", "setting"), Column("value", "value")]
        yield Table("settings", "All settings of the run", columns, settings_of(study.config))
