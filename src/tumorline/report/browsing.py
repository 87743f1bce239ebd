"""The table of all cases of a page: what stands in it, region by region, and which picture belongs to which line.

```
texts   names of the columns of words: "case", "patient", "class", ...      cases   their values, a list for each case
keys    what a link to a case says (#case=...), where that is not its first text
views   [{name, columns: [{name, digits}], values: [[number | null]], flags: [text]}]      one for each region
packs   where pictures lie        places   [pack, number] of each case, or null
sort    the column that is sorted by at first, descending or not        volumes
```
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from markupsafe import Markup

from tumorline.data.corrections import AS_GIVEN, TRUTH
from tumorline.escaping import one_line
from tumorline.files import JsonObject
from tumorline.metrics.case import CaseScores
from tumorline.metrics.summary import Row, are_volumes
from tumorline.report.content import BrowserContent
from tumorline.report.picture_files import PictureFiles
from tumorline.viewer.assets import script_data
from tumorline.wording import in_words

Confidences = Mapping[tuple[str, str], float]
"""By case and region."""
FLAGS = ("missed", "false positive", "found", "no tumour")
"""What came of a case; of several regions the first of these that holds for any."""
SIGNIFICANT = 5


@dataclass(frozen=True)
class Column:
    name: str
    digits: int


@dataclass(frozen=True)
class View:
    """The numbers of all cases in one region, or over all; `flags` are words such as 'missed'."""

    name: str
    columns: Sequence[Column]
    values: Sequence[Sequence[float | None]]
    flags: Sequence[str]

    def to_json(self) -> JsonObject:
        columns = [{"name": column.name, "digits": column.digits} for column in self.columns]
        values = [[_rounded(value) for value in row] for row in self.values]
        return {"name": one_line(self.name), "columns": columns, "values": values, "flags": list(self.flags)}


@dataclass(frozen=True)
class CaseTable:
    """The table of a page."""

    texts: Sequence[str]
    cases: Sequence[Sequence[str]]
    views: Sequence[View]
    sort: str
    volumes: bool
    descending: bool = False
    keys: Sequence[str] = field(default=())

    def to_script(self, files: PictureFiles) -> Markup:
        """As it stands in the page. Texts are shown with what could hide in them made visible; keys are as they are."""
        content = {
            "texts": list(self.texts),
            "cases": [[one_line(text) for text in case] for case in self.cases],
            "keys": list(self.keys) or [case[0] for case in self.cases],
            "views": [view.to_json() for view in self.views],
            "places": [list(place) if place else None for place in files.places],
            "packs": list(files.addresses),
            "sort": self.sort,
            "descending": self.descending,
            "volumes": self.volumes,
        }
        return Markup(script_data(content))


def picture_content(table: CaseTable, files: PictureFiles) -> BrowserContent:
    """What `browser.html` shows."""
    return {
        "index": table.to_script(files),
        "packs": {files.address(name): Markup(cases) for name, cases in files.inside.items()},
        "folder": files.in_folder,
        "megabytes": files.size / 1e6,
        "cases": len(table.cases),
        "pictures": files.count,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{SIGNIFICANT}g}")


def table_of_rows(rows: Sequence[Row], regions: Sequence[str], confidences: Confidences) -> CaseTable:
    """Of an evaluation: a view for each region, and where there are several one of their means before them."""
    by_case: dict[str, dict[str, Row]] = defaultdict(dict)
    for row in rows:
        by_case[row.case][row.region] = row
    cases = [next(iter(case_rows.values())) for case_rows in by_case.values()]
    views = [_region_view(region, list(by_case.values()), confidences) for region in regions]
    told = any(TRUTH in case.attributes for case in cases)
    texts = [(*case_texts(case), *([case.attributes.get(TRUTH, "")] if told else [])) for case in cases]
    all_views = [mean_view(views, _first_flags(views)), *views] if len(regions) > 1 else views
    names = ("case", "patient", "class", "status", *([TRUTH] if told else []))
    return CaseTable(names, texts, all_views, "Dice", are_volumes(rows))


def case_texts(row: Row) -> tuple[str, str, str, str]:
    """Name, patient, class and status of a case."""
    return row.case, row.patient or "", row.attributes.get("class_name") or "", row.status


def size_units(scores: Sequence[CaseScores]) -> list[str]:
    """In what sizes are told: pixels, ml, or both where cases without a volume stand beside volumes."""
    in_ml = [score.truth_ml is not None for score in scores]
    return [*([] if in_ml and all(in_ml) else ["px"]), *(["ml"] if any(in_ml) else [])]


def _region_view(region: str, cases: Sequence[Mapping[str, Row]], confidences: Confidences) -> View:
    case_rows = [case.get(region) for case in cases]
    scores = [row.scores for row in case_rows if row]
    sizes = size_units(scores)
    units = {score.unit for score in scores}
    hd95 = f"HD95, {units.pop()}" if len(units) == 1 else "HD95"
    columns = [
        Column("Dice", 3),
        Column(hd95, 1),
        *(size_column(name, size) for size in sizes for name in SIZES),
    ]
    empty: list[float | None] = [None] * len(columns)
    values = [_case_numbers(row.scores, sizes) if row else [*empty] for row in case_rows]
    if confidences:
        columns.append(Column("confidence", 3))
        for row, case in zip(values, case_rows, strict=True):
            row.append(confidences.get((case.case, region)) if case else None)
    return View(in_words(region), columns, values, [flag_of(row.scores) if row else "" for row in case_rows])


SIZES = ("true", "predicted")
SIZE_DIGITS = {"px": 0, "ml": 2}


def size_column(name: str, unit: str) -> Column:
    return Column(f"{name}, {unit}", SIZE_DIGITS[unit])


def sizes_in(unit: str, scores: CaseScores) -> tuple[float | None, float | None]:
    """True and predicted size: of a case in ml where its volume is known, else in pixels; in the other unit none."""
    if unit == "ml":
        return scores.truth_ml, scores.predicted_ml
    return (scores.truth_px, scores.predicted_px) if scores.truth_ml is None else (None, None)


def _case_numbers(scores: CaseScores, sizes: Sequence[str]) -> list[float | None]:
    return [scores.dice, scores.hd95, *(value for size in sizes for value in sizes_in(size, scores))]


def flag_of(scores: CaseScores) -> str:
    """What came of a case in a region: one of `FLAGS`."""
    if scores.missed:
        return "missed"
    if scores.invented:
        return "false positive"
    return "found" if scores.has_tumour else "no tumour"


def mean_view(views: Sequence[View], flags: Sequence[str]) -> View:
    """Means over the regions that a case has; sizes are those of the largest region."""
    columns = views[0].columns
    rows = zip(*(view.values for view in views), strict=True)
    values = [
        [_together(column, [region_values[index] for region_values in row]) for index, column in enumerate(columns)]
        for row in rows
    ]
    return View("all regions (means)", columns, values, flags)


def _together(column: Column, values: Sequence[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    if not defined:
        return None
    return max(defined) if column.name.startswith(SIZES) else fmean(defined)


def _first_flags(views: Sequence[View]) -> list[str]:
    return [first_flag(flags) for flags in zip(*(view.flags for view in views), strict=True)]


def first_flag(flags: Sequence[str]) -> str:
    return next((flag for flag in FLAGS if flag in flags), "")


def notes_of(rows: Sequence[Row]) -> list[str]:
    """What is said below the picture of a case: whose it is, and its figures by region."""
    first = rows[0]
    truth = first.attributes.get(TRUTH, AS_GIVEN)
    mask = "" if truth == AS_GIVEN else f"mask {truth}"
    about = " · ".join(filter(None, (first.patient, first.attributes.get("class_name"), first.status, mask)))
    return [one_line(text) for text in (about, *(_figures_note(row, len(rows) > 1) for row in rows)) if text]


def _figures_note(row: Row, with_region: bool) -> str:
    scores = row.scores
    region = f"{in_words(row.region)}: " if with_region else ""
    dice = "no tumour" if scores.dice is None else f"Dice {scores.dice:.3f}"
    if scores.truth_ml is not None and scores.predicted_ml is not None:
        return f"{region}{dice}, true {scores.truth_ml:.2f} ml, predicted {scores.predicted_ml:.2f} ml"
    return f"{region}{dice}, true {scores.truth_px} px, predicted {scores.predicted_px} px"
