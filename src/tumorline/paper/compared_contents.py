"""The charts and tables of what compares several models or sets: a comparison, a matrix, a leaderboard."""

from collections.abc import Sequence
from pathlib import Path

from tumorline.metrics.headline import short_names
from tumorline.metrics.summary import DISTANCES
from tumorline.own_files import EVALUATE_AGAIN, read_own_model
from tumorline.paper.compared_methods import describe_comparison, describe_leaderboard, describe_matrix
from tumorline.paper.parts import (
    COMPARE_AGAIN,
    DICE,
    GROUP,
    INTERVAL,
    Contents,
    Rows,
    chosen,
    figures_of_group,
    over_seeds,
    with_region,
)
from tumorline.paper.tables import Cell, Column, Table
from tumorline.report.benchmark import pareto_chart
from tumorline.report.comparison import are_of_volumes, differences_chart, is_ranked
from tumorline.report.matrix import strip_charts
from tumorline.results import RegionSummary
from tumorline.results.compared import ComparedPair, Comparison, Leaderboard, Matrix, MatrixCell
from tumorline.wording import in_words, short_p

OF_CELLS = (
    *(column for column in GROUP[1:] if column.key != "volume_ratio"),
    Column("tumour_cases", "of tumours", 0),
    Column("volume_ratio_median", "median size ratio", 2),
    Column("false_lesions", "false lesions", 0),
    Column("false_positives", "false positives", 0),
    Column("free", "of images without a tumour", 0),
)

WITHIN = (Column("name", "within"), Column("cases", "cases", 0), Column("patients", "patients", 0))


def contents_of_comparison(path: Path) -> Contents:
    result = read_own_model(path, Comparison, COMPARE_AGAIN)
    several = len(result.regions) > 1
    return Contents(
        " against ".join(result.names),
        {"differences": differences_chart(result)},
        [_contender_table(result, several), *_pair_tables(result, several), *_ranking_tables(result)],
        describe_comparison(result),
    )


def contents_of_matrix(path: Path) -> Contents:
    result = read_own_model(path, Matrix, EVALUATE_AGAIN)
    rows: Rows = [
        {
            **chosen(cell, "model", "set", "region", "domain"),
            **(_figures_of_cell(cell, cell.figures) if cell.figures else {}),
            "cases": cell.cases,
            "patients": "unknown" if cell.patients_unknown else cell.patients,
        }
        for cell in result.cells
    ]
    columns = [Column("model", "model"), Column("set", "set"), Column("domain", "domain"), *OF_CELLS]
    table = Table("matrix", "Models by sets", with_region(columns, result.several_regions), rows)
    return Contents("Models by sets", {"dice": strip_charts(result)}, [table], describe_matrix(result))


def _figures_of_cell(cell: MatrixCell, figures: RegionSummary) -> dict[str, Cell]:
    """As the page of the matrix has them: the median of the size ratio, and false positives image by image."""
    counted = cell.presence if cell.presence and cell.presence.free else None
    return {
        **figures_of_group(figures),
        "volume_ratio_median": figures.volume_ratio.median,
        "tumour_cases": figures.tumour_cases,
        "false_lesions": figures.lesions.invented if figures.lesions else None,
        "free": counted.free if counted else figures.tumour_free_cases,
        "false_positives": counted.false_positives if counted else figures.invented,
    }


def contents_of_leaderboard(path: Path) -> Contents:
    result = read_own_model(path, Leaderboard, COMPARE_AGAIN)
    rows: Rows = [
        {
            "initialisation": group.initialisation,
            "seeds": len(row.seeds),
            **chosen(row, "name", "region", "parameters", "multiply_adds", "training_minutes"),
            "speed": row.inference_images_per_second,
            **figures_of_group(row),
            **chosen(row, "patients", "cases", "missed"),
        }
        for group in result.groups
        for row in group.rows
    ]
    has_seeds = any(len(row.seeds) > 1 for row in result.rows)
    figures = over_seeds(GROUP[3:]) if has_seeds else GROUP[3:]
    columns = [
        Column("initialisation", "weights before"),
        Column("name", "arm"),
        *([Column("seeds", "seeds", 0)] if len({row["seeds"] for row in rows}) > 1 else []),
        *figures,
        Column("parameters", "parameters", 0),
        Column("speed", "images/s", 1),
        Column("training_minutes", "minutes", 1),
    ]
    table = Table("leaderboard", f"Leaderboard; {result.budget}", with_region(columns, result.several_regions), rows)
    return Contents(result.name, {"pareto": pareto_chart(result)}, [table], describe_leaderboard(result))


def _contender_table(result: Comparison, several: bool) -> Table:
    rows: Rows = [
        {
            "region": in_words(contender.region),
            "group": contender.name,
            **figures_of_group(contender.figures),
            "missed": contender.missed,
            "cases": contender.tumour_cases,
            "patients": contender.figures.dice.patients,
            "seed_deviation": contender.seed_deviation,
        }
        for contender in result.contenders
    ]
    of_seeds = [*over_seeds(GROUP), Column("seed_deviation", "deviation of seeds", 3)]
    columns = GROUP if result.about == "models" else of_seeds
    return Table("contenders", "Contenders on the same cases", with_region(columns, several), rows)


def _pair_tables(result: Comparison, several: bool) -> list[Table]:
    """Of all cases, and within classes and sizes where these were compared."""
    whole = Table(
        "differences", "Paired differences; p corrected after Holm", *_of_pairs(result, result.pairs, several)
    )
    if not result.pairs_within:
        return [whole]
    columns, rows = _of_pairs(result, result.pairs_within, several)
    title = "Paired differences within classes and thirds by size; p corrected over these as well"
    return [whole, Table("differences_within", title, [*WITHIN, *columns], rows)]


def _of_pairs(result: Comparison, pairs: Sequence[ComparedPair], several: bool) -> tuple[list[Column], Rows]:
    names = short_names(are_of_volumes(contender.figures for contender in result.contenders))
    unit = result.contenders[0].figures.hd95.unit
    rows: Rows = [
        {
            "region": in_words(pair.region),
            "pair": f"{pair.first} − {pair.second}",
            "metric": names[pair.metric],
            "unit": unit if pair.metric in DISTANCES else "",
            **chosen(pair.difference, "mean", "ci95", "p"),
            "p_corrected": pair.p_corrected,
            "verdict": pair.verdict("scores higher" if result.about == "leak" else "is better"),
        }
        | (chosen(pair.within, "name", "cases", "patients") if pair.within else {})
        for pair in pairs
    ]
    columns = [
        Column("pair", "first − second"),
        Column("metric", "metric"),
        Column("unit", "unit"),
        Column("mean", "difference", 3),
        INTERVAL,
        Column("p", "p", 3, short_p),
        Column("p_corrected", "p corrected", 3, short_p),
        Column("verdict", "verdict"),
    ]
    return with_region(columns, several), rows


def _ranking_tables(result: Comparison) -> list[Table]:
    if not is_ranked(result):
        return []
    ranks = range(max((len(contender.rank_shares) for contender in result.ranking), default=0))
    rows: Rows = [
        {
            "name": contender.name,
            "dice": contender.dice,
            **{f"rank_{rank + 1}": contender.rank_shares[rank] for rank in ranks},
        }
        for contender in result.ranking
    ]
    rank_columns = [Column(f"rank_{rank + 1}", f"rank {rank + 1}", 2) for rank in ranks]
    caption = f"Share of redrawn sets of patients in which each takes each rank, by {result.ranked_by}"
    return [Table("ranking", caption, [Column("name", "contender"), DICE, *rank_columns], rows)]
