"""What commands print of results: headlines, and rows of tables."""

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from tumorline.cli.printing import note, print_json, print_table, say
from tumorline.environment import is_first_process
from tumorline.errors import UserError
from tumorline.file_names import LEARNING_RATE_PAGE_NAME, MATRIX_PAGE_NAME
from tumorline.metrics.headline import (
    count_cases,
    count_false_lesions,
    count_false_positives,
    count_volumes,
    name_figure,
    size_name,
    tell_lost,
    tell_presence,
)
from tumorline.wording import numbered

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tumorline.audit.published import CheckResult
    from tumorline.results import Figure, Metrics, RegionSummary, Summary
    from tumorline.results.compared import ArmRow, Comparison, Leaderboard, Matrix, MatrixCell

MOST_OF_A_KIND = 10
"""Findings of one code that are printed."""


def print_rate(folder: Path, rate: float | None) -> None:
    """What a range test found; exit status 2 where it found nothing."""
    if not is_first_process():
        return
    say(f"report: {folder / LEARNING_RATE_PAGE_NAME}")
    if rate is None:
        raise UserError("no learning rate lowers the loss; look at the curve, at train.batch_size and at the loss")
    say(f"suggested: --set train.learning_rate={rate:.2g}")


def print_headline(summary: "Summary") -> None:
    for line in headline_lines(summary):
        say(line)


def headline_lines(summary: "Summary") -> "Iterator[str]":
    """The figures that matter, each with what it is."""
    from tumorline.results import mean_dice_over_regions

    for warning in summary.warnings:
        yield f"! {warning.text}"
    if len(summary.regions) > 1:
        yield f"mean over regions of the Dice by patient {format_number(mean_dice_over_regions(summary.regions))}"
        yield f"  {count_cases(summary)}"
    for region, figures in summary.regions.items():
        dice = figures.dice
        yield f"{region}: Dice by patient {format_number(dice.mean)} {_interval(dice)}"
        if len(summary.regions) == 1:
            yield f"  {count_cases(summary)}"
        for line in [*_headline_lines(figures), *tell_presence(summary, region), *_of_sources(figures)]:
            yield f"  {line}"


def _of_sources(figures: "RegionSummary") -> "Iterator[str]":
    """The Dice in each of several sources."""
    for name, group in figures.by_attribute.get("source", {}).items():
        if group.tumour_cases:
            missed = f"missed {group.missed} of {group.tumour_cases}, {_detected(group.hd95_detected)}"
            yield f"{name}: Dice by patient {format_number(group.dice.mean)} {_interval(group.dice)}, {missed}"


def _detected(hd95: "Figure") -> str:
    """Undefined, and why, where none is detected, and of cases that measure in pixels and in mm together."""
    return f"HD95 over detected {hd95.warning if hd95.mean is None else f'{format_number(hd95.mean, 1)} {hd95.unit}'}"


def _headline_lines(figures: "Metrics") -> "Iterator[str]":
    dice = figures.dice
    yield f"over cases {format_number(dice.mean_over_cases)}, median patient {format_number(dice.median)}"
    yield f"missed {figures.missed} of {figures.tumour_cases} tumours"
    yield f"false lesions {count_false_lesions(figures)}"
    yield f"false positives {'on ' if figures.tumour_free_cases else ''}{count_false_positives(figures)}"
    yield _detected(figures.hd95_detected)
    if figures.truth_ml:
        yield count_volumes(figures)
    of_volumes = bool(figures.truth_ml)
    mean, median = (format_number(value, 2) for value in (figures.volume_ratio.mean, figures.volume_ratio.median))
    yield f"predicted / true {size_name(of_volumes)}, mean by patient {mean}, median {median}"
    accuracy, background = figures.accuracy.mean, figures.accuracy_background.mean
    right = f"{name_figure('accuracy', of_volumes)} {format_number(accuracy, 4)}"
    yield f"{right}; all background reaches {format_number(background, 4)} with Dice 0"


def fold_rows(summary: "Summary") -> "list[dict[str, object]]":
    """A line for each fold, and one for all of them together; of each region."""
    several = len(summary.regions) > 1
    return [
        {"fold": name, **({"region": region} if several else {}), **_fold_cells(figures)}
        for region, together in summary.regions.items()
        for name, figures in [*((fold.fold, fold) for fold in summary.folds_of(region)), ("out of fold", together)]
    ]


def _fold_cells(figures: "RegionSummary") -> "dict[str, object]":
    return {
        "patients": figures.patients,
        "cases": figures.cases,
        "dice": format_number(figures.dice.mean),
        "over cases": format_number(figures.dice.mean_over_cases),
        "missed": figures.missed,
        "false lesions": _false_lesions(figures),
        "false positives": _share(figures.invented, figures.tumour_free_cases),
        **{name: format_number(group.dice.mean) for name, group in {**figures.by_class, **figures.by_size}.items()},
    }


def print_matrix(result: "Matrix", folder: Path, as_json: bool) -> None:
    """The cells as a table, and the sentences; exit status 2 where one could not be evaluated."""
    if as_json:
        print_json(result.to_json())
        note(f"report: {folder / MATRIX_PAGE_NAME}")
    else:
        several = result.several_regions
        print_table([matrix_row(cell, cell.figures, several) for cell in result.cells if cell.figures])
        for sentence in [*(f"! {warning}" for warning in result.warned), *result.sentences]:
            say(sentence)
        say(f"report: {folder / MATRIX_PAGE_NAME}")
    failed = [cell for cell in result.cells if cell.error]
    for cell in failed:
        note(f"error: {cell.model} on {cell.set}: {cell.error}")
    if failed:
        sys.exit(2)


def matrix_row(cell: "MatrixCell", figures: "Metrics", with_region: bool) -> "dict[str, object]":
    return {
        "model": cell.model,
        "set": cell.set,
        "domain": cell.domain,
        **({"region": cell.region} if with_region else {}),
        "patients": "unknown" if cell.patients_unknown else cell.patients,
        "cases": cell.cases,
        "dice": format_number(figures.dice.mean),
        "interval": _interval(figures.dice),
        "missed": f"{figures.missed}/{figures.tumour_cases}",
        "false lesions": _false_lesions(figures),
        "false positives": _drawn_in_free(cell, figures),
    }


def _drawn_in_free(cell: "MatrixCell", figures: "Metrics") -> str:
    """Image by image, as the page has it; by case in files from before it was counted."""
    if cell.presence:
        return _share(cell.presence.false_positives, cell.presence.free)
    return _share(figures.invented, figures.tumour_free_cases)


def print_leaderboard(result: "Leaderboard") -> None:
    """A table for each initialisation, then what could not be measured."""
    for warning in result.warnings:
        say(f"! {warning}")
    for group in result.groups:
        seeds = numbered(len(group.rows[0].seeds), "seed")
        say(f"# from {group.initialisation}, {seeds} each")
        print_table([leaderboard_row(row, _has_several_regions(group.rows)) for row in group.rows])
        for row in group.arms:
            if row.longer:
                say(f"{row.name} at {row.longer.epochs} epochs: Dice {row.longer.gain:+.3f}, {row.longer.verdict}")
    for arm in result.unmeasured:
        note(f"not measured here: {arm.name}: {arm.reason}")


def _has_several_regions(rows: "Sequence[ArmRow]") -> bool:
    return len({row.region for row in rows}) > 1


def leaderboard_row(row: "ArmRow", with_region: bool = False) -> "dict[str, object]":
    ranked = {"region": row.region, "mean over regions": format_number(row.mean_dice)} if with_region else {}
    return {
        "arm": row.name,
        **ranked,
        "dice": format_number(row.dice.mean),
        "interval": _interval(row.dice),
        "nsd": format_number(row.nsd.mean),
        "hd95": format_number(row.hd95.mean, 1),
        "mean size ratio": format_number(row.volume_ratio.mean, 2),
        "missed": f"{row.missed:g}/{row.tumour_cases}",
        "false lesions": _count(row.false_lesions),
        "false positives": _share(row.false_positives, row.tumour_free_cases),
        "images/s": row.inference_images_per_second,
        **row.chosen,
    }


def contender_rows(result: "Comparison") -> "list[dict[str, object]]":
    """A line for each contender and region."""
    several = len(result.regions) > 1
    return [
        {
            "name": contender.name,
            **({"region": contender.region} if several else {}),
            "dice": format_number(contender.figures.dice.mean),
            "over cases": format_number(contender.figures.dice.mean_over_cases),
            "nsd": format_number(contender.figures.nsd.mean),
            "hd95": format_number(contender.figures.hd95.mean, 1),
            "missed": f"{contender.missed:g}",
            "seeds": " ".join(format_number(run.dice) for run in contender.runs) if len(contender.runs) > 1 else "-",
        }
        for contender in result.contenders
    ]


def stress_rows(summary: "Summary") -> "list[dict[str, object]]":
    """A line for each change and strength; nothing where no stress was asked for. Of each region."""
    several = len(summary.robustness) > 1
    return [
        {
            **({"region": region} if several else {}),
            "change": name,
            "strength": strength,
            "dice": format_number(level.dice.mean),
            "missed": level.missed,
        }
        for region, robustness in summary.robustness.items()
        for name, strength, level in robustness.levels()
    ]


def lost_lines(summary: "Summary") -> "list[str]":
    """Of which cases the figures under stress are not, of each region; nothing where they are of all."""
    lost = {region: tell_lost(robustness) for region, robustness in summary.robustness.items()}
    return [f"{region}, under stress: {text}" for region, text in lost.items() if text]


def subset_rows(summary: "Summary") -> "list[dict[str, object]]":
    """A line for each region and subset of the channels; nothing where they were not asked for."""
    several = len(summary.subsets) > 1
    return [
        {
            **({"region": region} if several else {}),
            "channels": ", ".join(level.channels),
            "dice": format_number(level.dice.mean),
            "lost": format_number(level.dice.lost_against(levels[0].dice)),
            "missed": level.missed,
        }
        for region, levels in summary.subsets.items()
        for level in levels
    ]


def _false_lesions(figures: "Metrics") -> str:
    return _count(figures.lesions.invented if figures.lesions else None)


def _count(number: float | None) -> str:
    return "not counted" if number is None else f"{number:g}"


def _share(number: float, of: int) -> str:
    """Nothing can be found where there is nothing to look at."""
    return f"{number:g}/{of}" if of else "not measured"


def format_number(value: float | None, digits: int = 3) -> str:
    return "undefined" if value is None else f"{value:.{digits}f}"


def _interval(figure: "Figure") -> str:
    if figure.ci95:
        return f"(95 % interval {format_number(figure.ci95[0])} to {format_number(figure.ci95[1])})"
    if figure.range:
        reason, (low, high) = figure.warning or "no interval", map(format_number, figure.range)
        return f"({reason}: {low} to {high})" if low != high else f"({reason})"
    return ""


def print_check(result: "CheckResult") -> None:
    patients = "unknown patients" if result["patients"] is None else numbered(result["patients"], "patient")
    recognised = f", recognised as '{result['known_as']}'" if result["known_as"] else ""
    simulated = ", SIMULATED" if result["simulated"] else ""
    say(f"{result['source']}: {numbered(result['cases'], 'case')}, {patients}{recognised}{simulated}")
    count: Counter[str] = Counter()
    for finding in result["findings"]:
        kind = f"{finding['severity']} [{finding['code']}]"
        count[kind] += 1
        if count[kind] <= MOST_OF_A_KIND:
            say(f"{kind} {finding['message']}")
    for kind, number in count.items():
        if number > MOST_OF_A_KIND:
            say(f"{kind} and {number - MOST_OF_A_KIND} more, which --json lists")
    errors = sum(finding["severity"] == "error" for finding in result["findings"])
    others = len(result["findings"]) - errors
    notes = "1 warning or note" if others == 1 else f"{others} warnings and notes"
    say(f"{numbered(errors, 'error')}, {notes}")
