"""The charts and tables of a folder of results, by the kind of the folder."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tumorline.compared_results import ComparedFigures, Comparison, Leaderboard, Matrix
from tumorline.metrics.headline import name_figure
from tumorline.own_files import EVALUATE_AGAIN, read_own_model
from tumorline.paper.compared_methods import describe_comparison, describe_leaderboard, describe_matrix
from tumorline.paper.methods import Paragraph, describe_methods, settings_of
from tumorline.paper.study import Study, count_parts
from tumorline.paper.tables import Cell, Column, Table
from tumorline.report.benchmark import pareto_chart
from tumorline.report.comparison import NAMES, differences_chart
from tumorline.report.matrix import strip_charts
from tumorline.report.page import page_content
from tumorline.results import Figure, Fold, GroupSummary, Metrics, RegionSummary, Summary

COMPARE_AGAIN = "run the command that made it again"
FIGURES = (
    *("dice", "iou", "precision", "recall", "nsd", "hd95", "hd95_detected", "average_surface_distance_detected"),
    *("signed_offset", "volume_ratio", "truth_ml", "predicted_ml", "volume_error_ml", "volume_error_absolute_ml"),
    *("predicted_ml_tumour_free", "lesion_dice", "brats2023_lesion_dice", "brats2023_lesion_hd95", "false_positive"),
    *("accuracy", "accuracy_background"),
)
REGION = Column("region", "region")
GROUP = (
    Column("group", "group"),
    Column("patients", "patients", 0),
    Column("cases", "cases", 0),
    Column("dice", "Dice", 3),
    Column("ci95", "95 % interval", 3),
    Column("nsd", "NSD", 3),
    Column("hd95_detected", "HD95, detected", 1),
    Column("volume_ratio", "size ratio", 2),
    Column("missed", "missed", 0),
)
Rows = list[dict[str, Cell]]


@dataclass(frozen=True)
class Contents:
    title: str
    charts: Mapping[str, object]
    """Content of the page, in which the charts are."""
    tables: Sequence[Table]
    methods: Sequence[Paragraph] = ()


def contents_of_study(folder: Path, study: Study) -> Contents:
    """Of a run, of folds, or of an evaluation."""
    page = page_content(folder, None)
    shown = {"regions": page["regions"], "training": page["curves"]}
    found = (*_figure_tables(study.summary), *_study_tables(study))
    return Contents(page["title"], shown, [table for table in found if table.rows], describe_methods(study))


def contents_of_comparison(path: Path) -> Contents:
    result = read_own_model(path, Comparison, COMPARE_AGAIN)
    several = len(result.regions) > 1
    return Contents(
        " against ".join(result.names),
        {"differences": differences_chart(result)},
        [_contender_table(result, several), _pair_table(result, several), _ranking_table(result)],
        describe_comparison(result),
    )


def contents_of_matrix(path: Path) -> Contents:
    result = read_own_model(path, Matrix, EVALUATE_AGAIN)
    rows: Rows = [
        {
            **{key: getattr(cell, key) for key in ("model", "set", "region", "domain")},
            **(_group_figures(cell.figures) if cell.figures else {}),
            "cases": cell.cases,
            "patients": cell.patients,
        }
        for cell in result.cells
    ]
    columns = [Column("model", "model"), Column("set", "set"), Column("domain", "domain"), *GROUP[1:]]
    table = Table("matrix", "Models by sets", _with_region(columns, result.several_regions), rows)
    return Contents("Models by sets", {"dice": strip_charts(result)}, [table], describe_matrix(result))


def contents_of_leaderboard(path: Path) -> Contents:
    result = read_own_model(path, Leaderboard, COMPARE_AGAIN)
    rows: Rows = [
        {
            "initialisation": group.initialisation,
            **{key: getattr(row, key) for key in ("name", "region", "parameters", "multiply_adds", "training_minutes")},
            "speed": row.inference_images_per_second,
            **_group_figures(row),
            **{key: getattr(row, key) for key in ("patients", "cases", "missed")},
        }
        for group in result.groups
        for row in group.rows
    ]
    columns = [
        Column("initialisation", "weights before"),
        Column("name", "arm"),
        *GROUP[3:],
        Column("parameters", "parameters", 0),
        Column("speed", "images/s", 1),
        Column("training_minutes", "minutes", 1),
    ]
    several = len({row["region"] for row in rows}) > 1
    table = Table("leaderboard", f"Leaderboard; {result.budget}", _with_region(columns, several), rows)
    return Contents(result.name, {"pareto": pareto_chart(result)}, [table], describe_leaderboard(result))


def _figure_tables(summary: Summary) -> Iterator[Table]:
    several = len(summary.regions) > 1
    columns = [
        Column("figure", "figure"),
        Column("mean", "mean", 3),
        Column("ci95", "95 % interval", 3),
        Column("median", "median", 3),
        Column("mean_over_cases", "over cases", 3),
        Column("patients", "patients", 0),
        *([Column("validation", "validation", 3)] if summary.validation else []),
    ]
    rows = [row for region, metrics in summary.regions.items() for row in _figure_rows(summary, region, metrics)]
    yield Table("figures", "All figures, by patient", _with_region(columns, several), rows)
    counts = [_counts(region, metrics) for region, metrics in summary.regions.items()]
    yield Table(
        "counts",
        "Cases, misses and false lesions",
        [Column(key, key.replace("_", " "), 0 if number else None) for key, number in COUNTS],
        counts,
    )
    for name, caption, groups in _groupings(summary):
        yield Table(name, caption, _with_region(GROUP, several), groups)
    yield _baseline_table(summary, several)
    yield _stress_table(summary, several)


COUNTS = (
    *(("region", False), ("patients", True), ("cases", True), ("tumour_cases", True), ("missed", True)),
    *(("tumour_free_cases", True), ("false_positive_cases", True), ("false_lesions", True)),
)


def _counts(region: str, metrics: Metrics) -> dict[str, Cell]:
    same = ("patients", "cases", "tumour_cases", "missed", "tumour_free_cases")
    return {
        "region": region.replace("_", " "),
        **{key: getattr(metrics, key) for key in same},
        "false_positive_cases": metrics.invented,
        "false_lesions": metrics.lesions.invented if metrics.lesions else None,
    }


def _figure_rows(summary: Summary, region: str, metrics: Metrics) -> Iterator[dict[str, Cell]]:
    validation = (summary.validation or {}).get(region)
    for name in FIGURES:
        figure: Figure | None = getattr(metrics, name)
        if figure is None or figure.mean is None:
            continue
        other: Figure | None = getattr(validation, name) if validation else None
        unit = f", {figure.unit}" if figure.unit else ""
        yield {
            "region": region.replace("_", " "),
            "figure": name_figure(name) + unit,
            **{key: getattr(figure, key) for key in ("mean", "ci95", "median", "mean_over_cases", "patients")},
            "validation": other.mean if other else None,
            "digits": 1 if figure.unit else 3,
        }


def _groupings(summary: Summary) -> Iterator[tuple[str, str, Rows]]:
    """Name, caption and rows of each way in which the cases are grouped."""
    attributes = dict.fromkeys(name for metrics in summary.regions.values() for name in metrics.by_attribute)
    wanted = [("by-class", "Figures by class"), ("by-size", "Figures by thirds of the true size")]
    wanted += [(f"by-{name}", f"Figures by {name}") for name in attributes]
    for name, caption in wanted:
        rows = []
        for region, metrics in summary.regions.items():
            known: dict[str, Mapping[str, GroupSummary]] = {
                "by-class": metrics.by_class,
                "by-size": {**metrics.by_size},
            }
            groups = known.get(name) or metrics.by_attribute.get(name[3:], {})
            rows += [
                {"region": region.replace("_", " "), "group": key, **_group(found)} for key, found in groups.items()
            ]
        yield name, caption, rows


def _group(found: GroupSummary | Fold) -> dict[str, Cell]:
    return {**_group_figures(found), **{key: getattr(found, key) for key in ("patients", "cases", "missed")}}


def _group_figures(found: GroupSummary | RegionSummary | ComparedFigures) -> dict[str, Cell]:
    """Of whatever has these figures."""
    means = {key: getattr(found, key).mean for key in ("dice", "nsd", "hd95_detected", "volume_ratio")}
    return {**means, "ci95": found.dice.ci95, "missed": getattr(found, "missed", None)}


def _baseline_table(summary: Summary, several: bool) -> Table:
    keys = ("dice", "ci95", "missed", "volume_ratio", "accuracy")
    rows = [
        {
            "region": region.replace("_", " "),
            "answer": name_figure(name),
            **{key: getattr(found[region], key) for key in keys},
        }
        for name, found in summary.baselines.items()
        for region in summary.regions
    ]
    columns = [
        Column("answer", "answer"),
        Column("dice", "Dice", 3),
        Column("ci95", "95 % interval", 3),
        Column("missed", "missed", 0),
        Column("volume_ratio", "size ratio", 2),
        Column("accuracy", "accuracy", 4),
    ]
    return Table("baselines", "What trivial answers reach on the same cases", _with_region(columns, several), rows)


def _stress_table(summary: Summary, several: bool) -> Table:
    rows = [
        {
            "region": region.replace("_", " "),
            "change": f"{name.replace('_', ' ')}, {change.unit}",
            "strength": str(level.strength),
            "dice": level.dice.mean,
            "ci95": level.dice.ci95,
            "missed": level.missed,
        }
        for region, found in summary.robustness.items()
        for name, change in found.changes.items()
        for level in change.levels
    ]
    columns = [
        Column("change", "change"),
        Column("strength", "strength"),
        Column("dice", "Dice", 3),
        Column("ci95", "95 % interval", 3),
        Column("missed", "missed", 0),
    ]
    return Table("stress", "Under changes of the images", _with_region(columns, several), rows)


def _study_tables(study: Study) -> Iterator[Table]:
    several = len(study.summary.regions) > 1
    folds: Rows = [
        {"region": fold.region.replace("_", " "), "group": fold.fold, **_group(fold)} for fold in study.summary.folds
    ]
    yield Table(
        "folds", "Folds: each patient is scored by the model that has not seen it", _with_region(GROUP, several), folds
    )
    parts: Rows = [
        {"part": part, "patients": patients, "cases": cases}
        for part, (patients, cases) in count_parts(study.split).items()
    ]
    counted = [Column("part", "part"), Column("patients", "patients", 0), Column("cases", "cases", 0)]
    yield Table("split", "Parts of the split", counted, parts)
    if study.config:
        columns = [Column("setting", "setting"), Column("value", "value")]
        yield Table("settings", "All settings of the run", columns, settings_of(study.config))


def _contender_table(result: Comparison, several: bool) -> Table:
    rows: Rows = [
        {
            "region": one.region.replace("_", " "),
            "group": one.name,
            **_group_figures(one.figures),
            "missed": one.missed,
            "cases": one.tumour_cases,
            "patients": one.figures.dice.patients,
            "seed_deviation": one.seed_deviation,
        }
        for one in result.contenders
    ]
    columns = [*GROUP, *([Column("seed_deviation", "deviation of seeds", 3)] if result.about != "models" else [])]
    return Table("contenders", "Contenders on the same cases", _with_region(columns, several), rows)


def _pair_table(result: Comparison, several: bool) -> Table:
    rows: Rows = [
        {
            "region": pair.region.replace("_", " "),
            "pair": f"{pair.first} − {pair.second}",
            "metric": NAMES.get(pair.metric, pair.metric),
            **{key: getattr(pair.difference, key) for key in ("mean", "ci95", "p")},
            "p_corrected": pair.p_corrected,
            "verdict": "within noise" if pair.noise else f"{pair.better} is better",
        }
        for pair in result.pairs
    ]
    columns = [
        Column("pair", "first − second"),
        Column("metric", "metric"),
        Column("mean", "difference", 3),
        Column("ci95", "95 % interval", 3),
        Column("p", "p", 3),
        Column("p_corrected", "p corrected", 3),
        Column("verdict", "verdict"),
    ]
    return Table("differences", "Paired differences; p corrected after Holm", _with_region(columns, several), rows)


def _ranking_table(result: Comparison) -> Table:
    places = range(max((len(one.rank_shares) for one in result.ranking), default=0))
    rows: Rows = [
        {"name": one.name, "dice": one.dice, **{f"rank_{place + 1}": one.rank_shares[place] for place in places}}
        for one in result.ranking
    ]
    ranks = [Column(f"rank_{place + 1}", f"rank {place + 1}", 2) for place in places]
    caption = f"Share of redrawn sets of patients in which each takes each rank, by {result.ranked_by}"
    return Table("ranking", caption, [Column("name", "contender"), Column("dice", "Dice", 3), *ranks], rows)


def _with_region(columns: Sequence[Column], several: bool) -> list[Column]:
    return [REGION, *columns] if several else list(columns)
