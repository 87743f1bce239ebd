"""The leaderboard of a benchmark: a page, the same as Markdown, and accuracy against speed as a picture."""

import re
from collections.abc import Iterator
from pathlib import Path

from markupsafe import Markup

from tumorline.file_names import LEADERBOARD_PAGE_NAME, LEADERBOARD_TEXT_NAME, PARETO_NAME
from tumorline.files import write_text
from tumorline.metrics.comparison import LEAST_SEEDS
from tumorline.metrics.headline import short_names, size_name
from tumorline.report import charts
from tumorline.report.comparison import DifferencesWithin, are_of_volumes, tell_difference, within_groups
from tumorline.report.templates import template
from tumorline.results.compared import ArmRow, ComparedPair, Leaderboard, LeaderboardGroup, LongerTraining


def write_leaderboard(result: Leaderboard, output: Path) -> Path:
    """Write `leaderboard.html`, `leaderboard.md` and, of several networks, `pareto.svg`; returns the page."""
    picture = pareto_chart(result)
    content = {
        **dict(result),
        "several": result.several_regions,
        "size": size_name(are_of_volumes(result.rows)),
        "headings": headings(result),
        "arms": arms(result),
        "has_longer": any(row.longer for row in result.rows),
        "pareto": Markup(picture),
        "findings": findings(result),
        "differences": differences(result),
        "within": differences_within(result),
        "whose": whose_differences(result),
    }
    write_text(output / LEADERBOARD_PAGE_NAME, template("benchmark.html").render(**content))
    write_text(output / LEADERBOARD_TEXT_NAME, re.sub(r"\n{3,}", "\n\n", template("benchmark.md").render(**content)))
    if picture:
        write_text(output / PARETO_NAME, charts.standalone(picture, _style()))
    return output / LEADERBOARD_PAGE_NAME


ABOUT = {
    "models": "one run each: about these models, not about their recipes",
    "recipes": "over patients and seeds",
}
"""What differences are about."""


def whose_differences(result: Leaderboard) -> str:
    """What the differences of all groups are about, of those that have any."""
    about = [group.about for group in result.groups if group.pairs]
    if len({*about}) > 1:
        return f"of arms of {LEAST_SEEDS} seeds or more {ABOUT['recipes']}, of others {ABOUT['models']}"
    return ABOUT[about[0]] if about else ""


def headings(result: Leaderboard) -> list[str]:
    """Of each group its initialisation, and its seeds where groups differ in them."""
    starts = [
        "From scratch" if group.initialisation == "scratch" else f"From {group.initialisation}"
        for group in result.groups
    ]
    differ = len({len(row.seeds) for row in result.rows}) > 1
    return [start + (_seeds(group) if differ else "") for start, group in zip(starts, result.groups, strict=True)]


def _seeds(group: LeaderboardGroup) -> str:
    number = len(group.rows[0].seeds)
    return ", one seed" if number == 1 else f", {number} seeds"


def arms(result: Leaderboard) -> list[ArmRow]:
    """A row of each arm, in whatever groups it is."""
    return list({row.name: row for group in reversed(result.groups) for row in reversed(group.arms)}.values())[::-1]


def findings(result: Leaderboard) -> list[str]:
    """A sentence for each difference of Dice, and for each arm that was trained at more epochs."""
    sentences = [
        f"{pair.first} minus {pair.second}{where}: Dice {tell_difference(pair)}: {pair.verdict()}"
        for pair, where in _placed_pairs(result)
        if pair.metric == "dice"
    ]
    return sentences + [_rises(row.name, row.longer) for row in arms(result) if row.longer]


def _rises(name: str, longer: LongerTraining) -> str:
    low, high = longer.interval or (None, None)
    limits = "" if low is None else f" ({low:+.3f} to {high:+.3f})"
    return f"{name} at {longer.epochs} epochs: Dice {longer.gain:+.3f}{limits}: {longer.verdict}"


def differences(result: Leaderboard) -> dict[str, dict[str, str]]:
    """Arm -> metric -> difference from the reference, its interval and p; empty without a reference.

    Of several regions each arm has a line for each. All lines have the same metrics: a dash stands where a difference
    is undefined.
    """
    pairs = {
        (pair.first + where, pair.metric): pair
        for pair, where in _placed_pairs(result)
        if pair.second == result.reference
    }
    texts = {key: tell_difference(pair) for key, pair in pairs.items()}
    names = short_names(are_of_volumes(result.rows))
    metrics = {metric: names[metric] for _, metric in texts}
    lines = dict.fromkeys(line for line, _ in texts)
    return {line: {name: texts.get((line, metric), "–") for metric, name in metrics.items()} for line in lines}


def differences_within(result: Leaderboard) -> list[DifferencesWithin]:
    """From the reference, within classes and thirds by size."""
    pairs = [pair for group in result.groups for pair in group.pairs_within if pair.second == result.reference]
    return within_groups(pairs, short_names(are_of_volumes(result.rows)))


def _placed_pairs(result: Leaderboard) -> Iterator[tuple[ComparedPair, str]]:
    """All pairs, each with its region and its seeds, where there are several of them."""
    for group, heading in zip(result.groups, headings(result), strict=True):
        seeds = heading.partition(",")[2].strip()
        for pair in group.pairs:
            yield pair, (f", {pair.region}" if result.several_regions else "") + (f" ({seeds})" if seeds else "")


def pareto_chart(result: Leaderboard) -> str:
    """Dice against images a second; empty where all arms are one network, or the speed of fewer than two is known."""
    timed = [(row, speed) for row in arms(result) if (speed := row.inference_images_per_second) is not None]
    if len({row.multiply_adds for row, _ in timed}) < 2:
        return ""
    points: dict[str, dict[str, tuple[float, float]]] = {}
    for row, speed in timed:
        points.setdefault(row.initialisation, {})[row.name] = (speed, row.mean_dice or 0.0)
    label = "Dice by patient" + (", mean over regions" if result.several_regions else "")
    return charts.pareto(points, "images a second, inference", label)


def _style() -> str:
    return re.sub(
        r"@media print.*", "", (Path(__file__).with_name("style.css")).read_text(encoding="utf-8"), flags=re.S
    )
