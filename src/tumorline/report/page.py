"""Gathers what a run folder holds and renders the page. Missing optional parts leave their section out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tomli_w
from markupsafe import Markup

from tumorline.config import PATHS, parse_config, read_toml, with_bare_names
from tumorline.errors import UserError
from tumorline.escaping import for_page, for_shell
from tumorline.evaluation.status import UNVERIFIED
from tumorline.evaluation.tables import read_confidences, read_rows
from tumorline.file_names import (
    CARD_PAGE_NAME,
    CONFIG_NAME,
    ENVIRONMENT_NAME,
    PREDICTIONS_NAME,
    REPORT_NAME,
    SUMMARY_NAME,
)
from tumorline.files import write_text
from tumorline.groups import grouped
from tumorline.metrics.headline import count_cases
from tumorline.metrics.summary import Row, are_mixed, are_volumes
from tumorline.report import charts
from tumorline.report.browsing import notes_of, picture_content, table_of_rows
from tumorline.report.card_page import write_card_page
from tumorline.report.cases import CaseReader, Drawing, Picture, choose, draw, scored_cases
from tumorline.report.content import BrowserContent, Curves, PageContent, ScoredRow, SplitRow
from tumorline.report.region import below_background, region_content
from tumorline.report.templates import template
from tumorline.report.viewed import Predicted, ViewedSource, Wanted, gather_pictures
from tumorline.results import Summary, WarningCode, mean_dice_over_regions, read_summary
from tumorline.run_folder import read_environment, read_history, read_split, region_column, source_columns
from tumorline.wording import NOT_STATED, in_words

Record = dict[str, str]

MARKS = {
    WarningCode.SIMULATED: "simulated data",
    WarningCode.LEAKING: "leaking split",
    WarningCode.TRAINING_CASES: "training cases included",
    WarningCode.PATIENTS_UNKNOWN: "patients unknown",
    WarningCode.OTHER_SEQUENCE: "another sequence",
    WarningCode.OTHER_MEANING: "another meaning of the mask",
    WarningCode.BASELINE_NOT_BEATEN: "does not beat a trivial baseline",
    WarningCode.COPIES: "copies of training pictures",
    WarningCode.ONE_PATIENT: "one patient",
    WarningCode.MASKS_CORRECTED: "corrected masks",
    WarningCode.MASKS_BY_PROGRAM: "masks by a program",
    WarningCode.COLOURED: "pictures in colour",
    WarningCode.FEW_VALIDATION_PATIENTS: "few validation patients",
    WarningCode.TEMPERATURE_AT_LIMIT: "temperature at its limit",
    WarningCode.THRESHOLD_AT_LIMIT: "threshold at its limit",
    WarningCode.MASKS_GIVEN: "masks of another program",
    WarningCode.CASES_WITHOUT_MASK: "not all cases",
}


def write_report(run: Path, read_case: CaseReader | None = None) -> Path:
    """Write `report.html` of an evaluated run folder and return its path.

    `read_case` gives image and truth of a case; without it, or where it fails, the page says that the pictures are
    missing. Where those of all cases are too large for the page they lie in `report-images` beside it. Raises UserError
    where the folder holds no evaluation. A model card beside it becomes a page as well.
    """
    if not (run / SUMMARY_NAME).is_file():
        raise UserError(f"{run}: {_why_not_evaluated(run)}")
    write_card_page(run)
    summary, rows = read_summary(run / SUMMARY_NAME), read_rows(run)
    content = page_content(run, summary, rows, read_case) | {"browsed": _browsed(run, summary, rows, read_case)}
    write_text(run / REPORT_NAME, template("template.html", browses=True).render(**content))
    return run / REPORT_NAME


def _why_not_evaluated(run: Path) -> str:
    if (run / CONFIG_NAME).is_file():
        return f"not evaluated yet (no {SUMMARY_NAME}); finish it with: tumorline train --resume {for_shell(run)}"
    return f"not evaluated (no {SUMMARY_NAME}); give a folder of train, folds or evaluate"


def _browsed(run: Path, summary: Summary, rows: Sequence[Row], read_case: CaseReader | None) -> BrowserContent:
    """The table of all cases with their pictures."""
    regions = list(summary.regions)
    by_case = grouped(rows, lambda row: row.case)
    wanted: list[Wanted | None] = [None] * len(by_case)
    if read_case:
        source = ViewedSource(read_case, regions, regions, [Predicted("", run / PREDICTIONS_NAME, regions)])
        wanted = [Wanted(case, source, notes_of(members)) for case, members in by_case.items()]
    files = gather_pictures(run / REPORT_NAME, wanted)
    return picture_content(table_of_rows(rows, regions, read_confidences(run)), files)


def page_content(run: Path, summary: Summary, rows: Sequence[Row], read_case: CaseReader | None) -> PageContent:
    headline = [row for row in rows if row.status in summary.headline_status]
    regions = list(summary.regions)
    return {
        "title": run.resolve().name,
        "summary": summary,
        "regions": [region_content(summary, region, headline) for region in regions],
        "mean_dice": mean_dice_over_regions(summary.regions),
        "volumes": are_volumes(headline),
        "mixed": are_mixed(headline),
        "marks": _marks(summary),
        "counted": count_cases(summary),
        "curves": _curves(read_history(run), regions),
        "pictures": _pictures(run, headline, regions, read_case),
        "split": _split_table(read_split(run)),
        "scored": _scored_table(rows),
        "card": (run / CARD_PAGE_NAME).is_file(),
        "configuration": Markup("\n".join(map(for_page, _text(run / CONFIG_NAME).split("\n")))),
        "made_with": _made_with(run, summary),
    }


def _marks(summary: Summary) -> list[str]:
    """The badges: what a reader has to know before the first figure."""
    codes = {warning.code for warning in summary.warnings}
    marks = [mark for code, mark in MARKS.items() if code in codes]
    if any(below_background(figures) for figures in summary.regions.values()):
        marks.append("accuracy below predicting nothing")
    return marks


def _curves(rows: Sequence[Record], regions: Sequence[str]) -> Curves | None:
    if not rows:
        return None
    losses = {"training": _column(rows, "train_loss")}
    dice = _column(rows, "validation_dice")
    validated = not all(np.isnan(dice))
    parts = {"validation Dice by patient": dice, **_dice_by_part(rows, regions)}
    best = max((epoch for epoch, row in enumerate(rows, 1) if validated and row.get("best") == "1"), default=None)
    if validated:
        losses["validation"] = _column(rows, "validation_loss")
    rate = {"learning rate × 1000": [1000 * value for value in _column(rows, "learning_rate")]}
    return {
        "loss": Markup(charts.curves(losses, "loss", best)),
        "dice": Markup(charts.curves(parts, "Dice", best)) if validated else "",
        "rate": Markup(charts.curves(rate, "rate", height=150)),
        "validated": validated,
        "best": best,
        "best_dice": dice[best - 1] if best else None,
        "epochs": len(rows),
        "minutes": float(np.nansum(_column(rows, "seconds"))) / 60,
        "images_per_second": _column(rows, "images_per_second")[-1],
    }


def _dice_by_part(rows: Sequence[Record], regions: Sequence[str]) -> dict[str, list[float]]:
    """Where there are several regions or sources, what each has reached."""
    columns = {in_words(region): name for region in regions for name in rows[0] if name == region_column(region)}
    prefix, _ = source_columns("")
    columns |= {f"in {name.removeprefix(prefix)}": name for name in rows[0] if name.startswith(prefix)}
    return {part: _column(rows, name) for part, name in columns.items()}


def _column(rows: Sequence[Record], name: str) -> list[float]:
    """A column of numbers; NaN where a cell is empty or the column is not there."""
    return [float(row.get(name) or "nan") for row in rows]


def _pictures(
    run: Path, rows: Sequence[Row], regions: Sequence[str], read_case: CaseReader | None
) -> dict[str, list[Picture]]:
    if read_case is None:
        return {}
    drawing = Drawing(read_case, regions, run / PREDICTIONS_NAME, regions)
    drawn = {
        name: [picture for case in members if (picture := draw(case, drawing))]
        for name, members in choose(scored_cases(rows)).items()
    }
    return {name: pictures for name, pictures in drawn.items() if pictures}


def _split_table(rows: Sequence[Record]) -> list[SplitRow]:
    """Patients and cases of each part and class."""
    groups = grouped(rows, lambda row: (row["part"], row["class_name"]))
    order = {"train": 0, "validation": 1, "test": 2, "excluded": 3}
    return [
        {
            "part": part,
            "class_name": class_name or NOT_STATED,
            "patients": len({row["patient"] or row["case"] for row in members}),
            "cases": len(members),
        }
        for (part, class_name), members in sorted(groups.items(), key=lambda item: (order.get(item[0][0], 4), item[0]))
    ]


def _scored_table(rows: Sequence[Row]) -> list[ScoredRow]:
    """Patients and cases that were scored, by what the model knows of them and by class."""
    groups = grouped(rows, lambda row: (row.status, row.attributes.get("class_name") or NOT_STATED))
    return [
        {
            "status": status,
            "class_name": class_name,
            "patients": len({row.group for row in members}),
            "cases": len({row.case for row in members}),
            "tumours": len({row.case for row in members if row.scores.has_tumour}),
        }
        for (status, class_name), members in sorted(groups.items())
    ]


def _text(path: Path) -> str:
    """The configuration without its paths, which are this machine's."""
    if not path.is_file():
        return ""
    config = read_toml(path)
    parse_config(config, str(path))
    for key in PATHS:
        config.get("data", {}).pop(key, None)
    for source in config.get("data", {}).get("sources", []):
        source.pop("path", None)
        source.pop("corrections", None)
    return tomli_w.dumps(with_bare_names(config))


def _made_with(run: Path, summary: Summary) -> dict[str, str]:
    """Versions and machine of a training; of an evaluation by itself its model and its data, as hashes."""
    if summary.made_with:
        made = summary.made_with
        scored = "masks" if UNVERIFIED in summary.case_status else "model"
        return {"Tumorline": made.version, f"hash of the {scored}": made.fingerprint, "hash of the data": made.data}
    if not (run / ENVIRONMENT_NAME).exists():
        return {}
    flat: dict[str, str] = {}
    for key, value in read_environment(run).items():
        nested = value if isinstance(value, dict) else {key: value}
        flat |= {in_words(name): str(text) for name, text in nested.items()}
    return flat
