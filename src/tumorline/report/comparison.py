"""The page of a comparison: what differs, whether it is noise, and where the contenders disagree."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from markupsafe import Markup

from tumorline.escaping import one_line
from tumorline.evaluation.tables import read_headline_rows, read_rows
from tumorline.file_names import COMPARISON_PAGE_NAME, PREDICTIONS_NAME, SUMMARY_NAME
from tumorline.files import write_text
from tumorline.metrics.figure import LEAST_FOR_INTERVAL
from tumorline.metrics.headline import short_names
from tumorline.report import charts
from tumorline.report.browsing import picture_content
from tumorline.report.cases import Drawing, Picture, draw, scored_cases
from tumorline.report.charts import linear_axis
from tumorline.report.compared_cases import entries_of, model_notes, table_of_models
from tumorline.report.content import BrowserContent
from tumorline.report.templates import template
from tumorline.report.viewed import Predicted, ViewedSource, Wanted, gather_pictures
from tumorline.results import read_comparable
from tumorline.results.compared import (
    CaseGroup,
    ComparedFigures,
    ComparedPair,
    Comparison,
    Contestant,
    Disagreement,
)
from tumorline.wording import in_words, tell_p

DIGITS = {"volume_error_absolute_ml": 2, "hd95": 1, "hd95_detected": 1, "signed_offset": 2, "volume_ratio": 2}
MOST_PAIRS = 10
"""Pairs in the picture of differences; the table has all."""


@dataclass(frozen=True)
class ShownDifference:
    mean: float
    ci95: Sequence[float] | None
    patients: int


def write_comparison(result: Comparison, folders: Sequence[Path], output: Path, source: Drawing | None) -> Path:
    """Write `compare.html`; `folders` hold the predictions of the contenders, in their order.

    `source` says where images and truth come from; without it there are no pictures.
    """
    pictures = _pictures(result, folders, source) if source else []
    browsed = _browsed(result, folders, output, source)
    of_volumes = are_of_volumes(contender.figures for contender in result.contenders)
    content = {
        **dict(result),
        "contender_names": result.names,
        "several": len(result.regions) > 1,
        "volumes": of_volumes,
        "by_seeds": any(len(one.runs) > 1 for one in result.contenders),
        "least_patients": LEAST_FOR_INTERVAL,
        "ranked": is_ranked(result),
        "by_region": {region: result.of_region(region) for region in result.regions},
        "names": short_names(of_volumes),
        "differences": differences_chart(result),
        "pictures": pictures,
        "browsed": browsed,
        "groups": groups_of(result.contenders),
        "within": within_groups(result.pairs_within, short_names(of_volumes)),
    }
    write_text(output / COMPARISON_PAGE_NAME, template("comparison.html", browses=True).render(**content))
    return output / COMPARISON_PAGE_NAME


def groups_of(contenders: Iterable[Contestant]) -> dict[str, list[str]]:
    """The names of the classes and of the thirds by size, each in its order; none of those there are no two of."""
    names: dict[str, dict[str, None]] = {"class": {}, "size": {}}
    for one in contenders:
        names["class"] |= dict.fromkeys(one.by_class)
        names["size"] |= dict.fromkeys(one.by_size)
    return {by: list(groups) for by, groups in names.items() if len(groups) > 1}


@dataclass(frozen=True)
class DifferencesWithin:
    """Of two contenders within one group of cases, by the names of the metrics."""

    group: CaseGroup
    region: str
    first: str
    second: str
    texts: dict[str, str]


def within_groups(pairs: Iterable[ComparedPair], names: Mapping[str, str]) -> list[DifferencesWithin]:
    """A line for each group and two contenders; a dash stands where a difference is undefined."""
    lines: dict[tuple[CaseGroup, str, str, str], dict[str, str]] = {}
    metrics: dict[str, str] = {}
    for pair in pairs:
        if pair.within:
            key = (pair.within, pair.region, pair.first, pair.second)
            lines.setdefault(key, {})[pair.metric] = tell_difference(pair)
            metrics[pair.metric] = names[pair.metric]
    return [
        DifferencesWithin(*key, {name: texts.get(metric, "–") for metric, name in metrics.items()})
        for key, texts in lines.items()
    ]


def tell_difference(pair: ComparedPair) -> str:
    """With its interval, or the range where there are too few patients, and p."""
    digits, values = DIGITS.get(pair.metric, 3), pair.difference
    low, high = values.ci95 or values.range
    limits = f"{'' if values.ci95 else 'range '}{low:+.{digits}f} to {high:+.{digits}f}"
    return f"{values.mean:+.{digits}f} ({limits}), {tell_p(pair.p_corrected)}"


def are_of_volumes(compared: Iterable[ComparedFigures]) -> bool:
    return any(one.volume_error_absolute_ml for one in compared)


def is_ranked(result: Comparison) -> bool:
    """Whether redrawn patients tell how stable the ranking is: not of a leak, of one alone, or of too few to redraw.

    Of several regions the one that fewest patients have says whether they are too few.
    """
    patients = [one.figures.dice.patients for one in result.contenders if one.figures.dice.patients]
    enough = min(patients, default=0) >= LEAST_FOR_INTERVAL
    return result.about != "leak" and len(result.names) > 1 and enough


def _browsed(result: Comparison, folders: Sequence[Path], output: Path, source: Drawing | None) -> BrowserContent:
    """All cases that every contender was scored on, with their pictures; of recipes by the first seed of each."""
    rows = {(name, ""): read_headline_rows(folder) for name, folder in zip(result.names, folders, strict=True)}
    shared = set.intersection(*({row.case for row in members} for members in rows.values()))
    entries = entries_of({key: [row for row in members if row.case in shared] for key, members in rows.items()})
    wanted: list[Wanted | None] = [None] * len(entries)
    if source:
        viewed = _viewed_source(result, folders, source)
        wanted = [Wanted(case, viewed, model_notes(scored)) for (_, case), scored in entries.items()]
    files = gather_pictures(output / COMPARISON_PAGE_NAME, wanted)
    return picture_content(table_of_models(entries, result.names, result.regions), files)


def _viewed_source(result: Comparison, folders: Sequence[Path], source: Drawing) -> ViewedSource:
    predicted = [
        Predicted(one_line(name), folder / PREDICTIONS_NAME, list(read_comparable(folder / SUMMARY_NAME).regions))
        for name, folder in zip(result.names, folders, strict=True)
    ]
    return ViewedSource(source.read_case, source.true_regions, result.regions, predicted)


def differences_chart(result: Comparison) -> Markup:
    """A dot for each patient: the difference of its Dice. Where two are compared, the axis says which."""
    shown = [pair for pair in result.pairs if pair.metric == "dice"][:MOST_PAIRS]
    largest = max((abs(value) for pair in shown for value in pair.by_patient or ()), default=0) or 0.1
    compared = {_compared(pair) for pair in shown}
    label = f"difference of Dice, {compared.pop()}" if len(compared) == 1 else "difference of Dice"
    strips = {_row_name(pair, len(result.names), len(result.regions)): _strip(pair) for pair in shown}
    return Markup(charts.strips(strips, label, linear_axis(-largest, largest, label)))


def _compared(pair: ComparedPair) -> str:
    return f"{pair.first} − {pair.second}"


def _row_name(pair: ComparedPair, contenders: int, regions: int) -> str:
    """The region first: of a long name the end is cut off."""
    region = in_words(pair.region)
    if contenders == 2:
        return region
    return f"{region}: {_compared(pair)}" if regions > 1 else _compared(pair)


def _strip(pair: ComparedPair) -> charts.Strip:
    values = pair.by_patient or []
    return values, ShownDifference(pair.difference.mean, pair.difference.ci95, len(values))


def _pictures(result: Comparison, folders: Sequence[Path], source: Drawing) -> list[list[tuple[str, Picture]]]:
    """For each case one picture a contender; a case without all of them is left out."""
    by_contender = [_drawn(result.disagreements, folder, source) for folder in folders]
    drawn = [
        [(name, picture) for name, picture in zip(result.names, pictures, strict=True) if picture]
        for pictures in zip(*by_contender, strict=True)
    ]
    return [pictures for pictures in drawn if len(pictures) == len(folders)]


def _drawn(disagreements: Sequence[Disagreement], folder: Path, source: Drawing) -> list[Picture | None]:
    """Each as one contender predicts it."""
    regions = list(read_comparable(folder / SUMMARY_NAME).regions)
    drawing = replace(source, predictions=folder / PREDICTIONS_NAME, predicted_regions=regions)
    rows = {(row.case, row.region): row for row in read_rows(folder)}
    return [draw(scored_cases([rows[one.case, one.region]])[0], drawing) for one in disagreements]
