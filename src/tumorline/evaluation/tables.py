"""The files of an evaluation: rows, baselines, certainties, summary."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import numpy as np

from tumorline.data.corrections import AS_GIVEN, TRUTH
from tumorline.data.patients.names import patient_meant
from tumorline.evaluation import baselines
from tumorline.evaluation.agreement import require_agreement
from tumorline.evaluation.status import HEADLINE
from tumorline.file_names import BASELINES_NAME, CERTAINTY_NAME, EVALUATION_NAME, SUMMARY_NAME
from tumorline.files import write_csv, write_json
from tumorline.groups import grouped
from tumorline.metrics import calibration
from tumorline.metrics.calibration import Certainty, Reliability
from tumorline.metrics.case import CaseScores
from tumorline.metrics.summary import Row, are_volumes, grouping_attributes
from tumorline.own_files import (
    EVALUATE_AGAIN,
    Cell,
    amount,
    any_text,
    case_name,
    finite_number,
    is_true,
    number_or_none,
    or_empty,
    read_own_csv,
    share,
    truth_value,
    whole_number,
)
from tumorline.regions import REGION
from tumorline.results import Result, read_comparable

ID_COLUMNS = ("case", "patient", "class_name", "status", "region")
ATTRIBUTE = "attribute: "
"""Before the name of a column with what else the source states of a case."""
BIN_COLUMNS = tuple(field.name for field in fields(Reliability))
CERTAINTY_COLUMNS = ("case", "patient", "status", "region", "dice", "dice_at_true_area", "confidence", *BIN_COLUMNS)
SHARES = ("dice", "iou", "precision", "recall", "nsd", "accuracy", "accuracy_background", "lesion_dice")
SIGNED = ("signed_offset", "volume_error_ml")
"""Scores of a case that lie between 0 and 1, and those that may be below 0."""


def score_cell(name: str, kind: object) -> Cell:
    """What may stand in the column of a score of a case, which has this type."""
    if kind is str:
        return any_text
    signed = name in SIGNED
    number = share if name.removeprefix("brats2023_") in SHARES else finite_number if signed else amount
    cell = whole_number if kind in (int, int | None) else number
    return cell if kind in (int, float) else or_empty(cell)


def write_certainties(output: Path, rows: Sequence[Row], certainties: Sequence[Certainty]) -> None:
    """Bins are lists of numbers in one cell, for each of `calibration.BINS` bins of probability."""
    table = [
        {
            "case": row.case,
            "patient": case.patient,
            "status": row.status,
            "region": row.region,
            "dice": case.dice,
            "dice_at_true_area": case.dice_at_true_area,
            "confidence": case.confidence,
            **{name: " ".join(f"{count:.9g}" for count in counts) for name, counts in vars(case.reliability).items()},
        }
        for row, case in zip(rows, certainties, strict=True)
    ]
    write_csv(output / CERTAINTY_NAME, CERTAINTY_COLUMNS, table)


def bin_counts(text: str) -> None:
    """A number for each of `calibration.BINS` bins."""
    counts = text.split()
    for count in counts:
        amount(count)
    if len(counts) != calibration.BINS:
        raise ValueError(f"expected {calibration.BINS} numbers (found {len(counts)})")


CERTAINTY_CELLS: dict[str, Cell] = {
    **dict.fromkeys(("case", "patient", "status"), any_text),
    **dict.fromkeys(("dice", "dice_at_true_area", "confidence"), or_empty(share)),
    **dict.fromkeys(BIN_COLUMNS, bin_counts),
}
BASELINE_CELLS: dict[str, Cell] = {
    **dict.fromkeys(("case", "patient", "baseline"), any_text),
    "missed": truth_value,
    **dict.fromkeys(("dice", "accuracy"), or_empty(share)),
    "volume_ratio": or_empty(amount),
}

REGION_CELL: dict[str, Cell] = {"region": any_text}
"""Missing in tables from before there were several regions; all of them are of `REGION` then."""


def read_certainties(folder: Path, statuses: Collection[str] = HEADLINE) -> dict[str, list[Certainty]]:
    """By region the cases of a folder's `certainty.csv`; none where it was evaluated before there was one."""
    by_region = grouped(_certainty_records(folder, statuses), lambda record: record["region"])
    return {region: [_certainty(record) for record in records] for region, records in by_region.items()}


def gather_certainties(folders: Sequence[Path], output: Path, statuses: Collection[str]) -> None:
    """Write the certainties of several folders as one table, where all have one."""
    if all((folder / CERTAINTY_NAME).is_file() for folder in folders):
        records = [record for folder in folders for record in _certainty_records(folder, statuses)]
        write_csv(output / CERTAINTY_NAME, CERTAINTY_COLUMNS, records)


def _certainty_records(folder: Path, statuses: Collection[str] | None = None) -> list[dict[str, str]]:
    """The rows of a folder's `certainty.csv`, None for all; none where it has none."""
    if not (folder / CERTAINTY_NAME).is_file():
        return []
    records = read_own_csv(folder / CERTAINTY_NAME, CERTAINTY_CELLS, EVALUATE_AGAIN, REGION_CELL)
    return [{"region": REGION, **record} for record in records if statuses is None or record["status"] in statuses]


def certainty_keys(folder: Path, statuses: Collection[str]) -> list[tuple[str, str]]:
    """Case and region of each row of a folder's `certainty.csv`; none where it has none."""
    return [(record["case"], record["region"]) for record in _certainty_records(folder, statuses)]


def read_confidences(folder: Path) -> dict[tuple[str, str], float]:
    """By case and region, where they are known."""
    return {
        (record["case"], record["region"]): float(record["confidence"])
        for record in _certainty_records(folder)
        if record["confidence"]
    }


def _certainty(record: Mapping[str, str]) -> Certainty:
    dice, at_true_area, confidence = (
        number_or_none(record[name]) for name in ("dice", "dice_at_true_area", "confidence")
    )
    bins = Reliability(*(np.array(record[name].split(), np.float64) for name in BIN_COLUMNS))
    return Certainty(record["patient"], dice, at_true_area, confidence, bins)


def read_baselines(folder: Path) -> list[baselines.Record]:
    """The records of a folder's `baselines.csv`; none where it was evaluated before there were any."""
    if not (folder / BASELINES_NAME).is_file():
        return []
    records = read_own_csv(folder / BASELINES_NAME, BASELINE_CELLS, EVALUATE_AGAIN, REGION_CELL)
    return [
        {
            "case": record["case"],
            "patient": record["patient"],
            "region": record.get("region", REGION),
            "baseline": record["baseline"],
            "dice": number_or_none(record["dice"]),
            "missed": is_true(record["missed"]),
            "volume_ratio": number_or_none(record["volume_ratio"]),
            "accuracy": number_or_none(record["accuracy"]),
        }
        for record in records
    ]


def write_evaluation(output: Path, rows: Sequence[Row], summary: Result) -> None:
    """Write `evaluation.csv` and `summary.json`."""
    scores = _score_columns(rows)
    differ = any(row.attributes.get(TRUTH, AS_GIVEN) != AS_GIVEN for row in rows)
    attributes = dict.fromkeys([*grouping_attributes(rows), *([TRUTH] if differ else [])])
    table = [
        {
            "case": row.case,
            "patient": row.patient,
            "class_name": row.attributes.get("class_name", ""),
            "status": row.status,
            "region": row.region,
            **{name: getattr(row.scores, name) for name in scores},
            **{ATTRIBUTE + name: row.attributes.get(name, "") for name in attributes},
        }
        for row in rows
    ]
    columns = (*ID_COLUMNS, *scores, *(ATTRIBUTE + name for name in attributes))
    write_csv(output / EVALUATION_NAME, columns, table)
    write_json(output / SUMMARY_NAME, summary.to_json())


def _score_columns(rows: Sequence[Row]) -> list[str]:
    """Names of all figures but those of volumes where there are none."""
    names = [field.name for field in fields(CaseScores)]
    if are_volumes(rows):
        return names
    return [name for name in names if not name.endswith("_ml") and not name.startswith("brats2023_")]


def read_rows(folder: Path) -> list[Row]:
    """The rows of a folder's `evaluation.csv`; figures that it lacks, from before they were computed, are None.

    Raises UserError where they are not those that its summary, if it has one, is about.
    """
    rows = [_parse_row(record) for record in read_records(folder)]
    require_agreement(folder, rows)
    return rows


def read_headline_rows(folder: Path) -> list[Row]:
    """Those of the cases that the headline is over."""
    headline = read_comparable(folder / SUMMARY_NAME).headline_status
    return [row for row in read_rows(folder) if row.status in headline]


def read_records(folder: Path) -> list[dict[str, str]]:
    """The rows of a folder's `evaluation.csv` as they are written, each cell held against what it may be."""
    kinds = {field.name: score_cell(field.name, field.type) for field in fields(CaseScores)}
    later = {field.name for field in fields(CaseScores) if field.default is not MISSING}
    needed = {name: cell for name, cell in kinds.items() if name not in later}
    columns = {**dict.fromkeys(ID_COLUMNS, any_text), "case": case_name, **needed}
    return read_own_csv(folder / EVALUATION_NAME, columns, EVALUATE_AGAIN, kinds)


def _parse_row(record: Mapping[str, str]) -> Row:
    kinds: dict[object, Callable[[str], Any]] = {int: int, int | None: int, str: str}
    texts = {field: record[field.name] for field in fields(CaseScores) if field.name in record}
    values: dict[str, Any] = {
        field.name: kinds.get(field.type, float)(text) if text or field.type is str else None
        for field, text in texts.items()
    }
    scores = CaseScores(**values)
    stated = {name.removeprefix(ATTRIBUTE): text for name, text in record.items() if name.startswith(ATTRIBUTE)}
    attributes = {**stated, "class_name": record["class_name"]}
    patient = patient_meant(record["patient"]) or None  # version 0.1.0 wrote visits
    return Row(record["case"], patient, attributes, record["status"], record["region"], scores)
