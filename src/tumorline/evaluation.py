"""A model's figures on cases that it has not seen, at native resolution, with all conventions stated."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from tumorline import baselines, operating_point
from tumorline.data.case import Case, read_mask
from tumorline.data.dataset import Dataset, read_case_mask
from tumorline.data.patients import patient_meant
from tumorline.data.source import Source
from tumorline.errors import UserError
from tumorline.files import write_csv, write_json
from tumorline.metrics import calibration
from tumorline.metrics.calibration import Certainty, Reliability
from tumorline.metrics.case import CaseScores, Pair, score_cases
from tumorline.metrics.summary import Row, by_group, by_size, grouping_attributes, summarise
from tumorline.model_file import ModelInfo
from tumorline.output_folder import Memory
from tumorline.own_files import (
    EVALUATE_AGAIN,
    Cell,
    any_text,
    case_name,
    finite_number,
    or_empty,
    read_own_csv,
    whole_number,
)
from tumorline.prediction import TTA, Model
from tumorline.write.images import mask_path, write_mask

SCHEMA_VERSION = 1
HEADLINE = ("test", "unseen")
SEEN = ("train", "validation")
EVALUATION_NAME, SUMMARY_NAME, PREDICTIONS_NAME = "evaluation.csv", "summary.json", "predictions"
BASELINES_NAME, CERTAINTY_NAME = "baselines.csv", "certainty.csv"
NOT_BEATEN = "BASELINE NOT BEATEN"
ONE_PATIENT = "ONE PATIENT"
ID_COLUMNS = ("case", "patient", "class_name", "status", "region")
ATTRIBUTE = "attribute: "
"""Before the name of a column with what else the source states of a case."""
BIN_COLUMNS = tuple(field.name for field in fields(Reliability))
CERTAINTY_COLUMNS = ("case", "patient", "status", "dice", "dice_at_true_area", "confidence", *BIN_COLUMNS)
CELLS: dict[object, Cell] = {
    str: any_text,
    int: whole_number,
    int | None: or_empty(whole_number),
    float: finite_number,
    float | None: or_empty(finite_number),
}
"""Of the scores of a case, by their type."""
Progress = Callable[[int, int], None]

CONVENTIONS = {
    "resolution": "masks are compared at their native size, after the prediction was brought back to it",
    "aggregation": "slice, then mean over a patient's slices, then mean over patients",
    "headline": "Dice, NSD and HD95 are over cases whose truth has a tumour; status test and unseen only",
    "miss": "a missed tumour counts Dice 0, NSD 0 and as HD95 and average surface distance the image diagonal",
    "dice_all": "all cases; where truth and prediction are both empty the Dice is 1 (as BraTS)",
    "surface": "distances between boundary elements weighted by their length, as DeepMind's surface-distance",
    "average_surface_distance": "mean over both boundaries together, each element weighted by its length",
    "signed_offset": "mean distance of the predicted from the true boundary, outside positive; undefined as the ratio",
    "lesions": "connected over corners, matched within 3 pixels, as BraTS 2023; missed and invented ones count Dice 0 "
    "and as HD95 the image diagonal",
    "interval": "95 % bootstrap over patients (BCa); below 20 patients values and range only",
    "volume_ratio": "predicted over true area; undefined where either is empty, then left out and counted",
    "calibration": "pixels within 10 px of the true or predicted tumour; patients count alike",
    "confidence": "soft Dice confidence, the Dice that the probabilities expect; an empty mask has none and ranks last",
    "dice_lost_to_area": "Dice of the most probable pixels, as many as the truth has, minus the Dice of the mask",
    "accuracy": "share of pixels that are right; all background reaches accuracy_background",
}


@dataclass(frozen=True)
class Request:
    """What is to be scored. `include` are the statuses whose cases are predicted at all; see `score_cases`."""

    dataset: Dataset
    output: Path
    include: Collection[str] = HEADLINE
    headline: Collection[str] = HEADLINE
    processes: int = 1
    memory: Memory | None = None
    """What an earlier try has finished in the same folder."""


def case_status(info: ModelInfo, dataset: Dataset) -> dict[str, str]:
    """Status of each case for this model: train, validation, test or unseen.

    A case is known by the content of its image and by its patient, and the worse of the two counts: one member of an
    ensemble may have tested the image itself where another was trained on the patient, and version 0.1.0 took visits of
    one patient for patients. Only where slices of one patient were split on purpose does the image alone decide.
    """
    contents = {name: part for part in (*HEADLINE, *SEEN) for name in info.known_cases.contents.get(part, [])}
    patients = {name: part for part in (*HEADLINE, *SEEN) for name in info.known_cases.patients.get(part, [])}
    severity = {"train": 0, "validation": 1, "test": 2, "unseen": 3}
    by_slice = bool(info.split.get("leaking")) and not info.members
    status = {}
    for case, facts in zip(dataset.cases, dataset.facts, strict=True):
        by_content = [contents[facts.image_hash]] if facts.image_hash in contents else []
        by_patient = [patients.get(key, "unseen") for key in dataset.known_patient_keys(case, facts)]
        found = by_content or by_patient if by_slice else by_content + by_patient
        status[case.id] = min(found, key=severity.__getitem__, default="unseen")
    return status


def request(dataset: Dataset, memory: Memory, allow_training_cases: bool = False, processes: int = 1) -> Request:
    """An evaluation of `dataset` into a folder; training cases are left out unless they are allowed."""
    statuses = (*HEADLINE, *SEEN) if allow_training_cases else HEADLINE
    return Request(dataset, memory.path, statuses, statuses, processes, memory)


def evaluate(model: Model, wanted: Request, progress: Progress | None = None) -> dict[str, Any]:
    """Score a model and write `evaluation.csv`, `summary.json` and `predictions/` below the output folder.

    Returns the summary. Raises UserError where no case is left that the model has not been trained on.
    """
    status = case_status(model.info, wanted.dataset)
    names = [name for name in status if status[name] in wanted.include]
    if not any(status[name] in wanted.headline for name in names):
        raise UserError(_nothing_left(model.info, wanted.dataset, status))
    _check_size(model, wanted.dataset)
    certainties: list[Certainty] = []
    scores = score_cases(_predicted(model, wanted, names, certainties, progress), wanted.processes)
    cases = [wanted.dataset.cases[wanted.dataset.index[name]] for name in names]
    rows = [
        Row(case.id, case.patient, _attributes(case), status[case.id], model.info.regions[0], score)
        for case, score in zip(cases, scores, strict=True)
    ]
    summary = _summary(model, wanted, rows, status)
    summary = with_baselines(summary, _measure_baselines(model.info, wanted, rows))
    headline = [case for case, row in zip(certainties, rows, strict=True) if row.status in wanted.headline]
    summary["calibration"] = {row.region: calibration.summarise(headline) for row in rows[:1]}
    _write_certainties(wanted.output, rows, certainties)
    write(wanted.output, rows, summary)
    return summary


def _nothing_left(info: ModelInfo, dataset: Dataset, status: Mapping[str, str]) -> str:
    counts = Counter(status.values())
    seen = ", ".join(f"{counts[part]} {part}" for part in SEEN if counts[part])
    training = f"the training of one or another of its {len(info.members)} members" if info.members else "its training"
    return (
        f"{dataset.source.path}: every case is known to this model from {training} ({seen}); figures on them "
        "say nothing about new patients. Give other cases, or --allow-training-cases, which marks every output"
    )


def _check_size(model: Model, dataset: Dataset) -> None:
    if dataset.channels != model.info.architecture.channels:
        raise UserError(
            f"{dataset.source.path}: {dataset.channels} channels; the model takes {model.info.architecture.channels}"
        )


def _predicted(
    model: Model, wanted: Request, names: Sequence[str], certainties: list[Certainty], progress: Progress | None
) -> Iterator[Pair]:
    """Truth and prediction of each case, as they are asked for; writes the masks and notes the certainties."""
    dataset = wanted.dataset
    for done, name in enumerate(names, start=1):
        case = dataset.cases[dataset.index[name]]
        certainty, pair = _recalled(wanted, case) or _answered(model, wanted, case)
        certainties.append(certainty)
        yield pair
        if progress:
            progress(done, len(names))


def _answered(model: Model, wanted: Request, case: Case) -> tuple[Certainty, Pair]:
    image, truth = wanted.dataset.read(case)
    probability = model.answer(image, case.images[0]).probability[0]
    predicted = probability >= model.info.threshold
    certainty = calibration.judge(case.patient or f"case {case.id}", probability, truth, predicted)
    write_mask(mask_path(wanted.output / PREDICTIONS_NAME, case.id), predicted)
    if wanted.memory:
        wanted.memory.keep(case.id, calibration.to_record(certainty))
    return certainty, Pair(truth, predicted, wanted.dataset.spacing_mm(case))


def _recalled(wanted: Request, case: Case) -> tuple[Certainty, Pair] | None:
    """What an earlier try has found, with the mask that it wrote; None where the case is still to be done."""
    record = wanted.memory.recall(case.id) if wanted.memory else None
    path = mask_path(wanted.output / PREDICTIONS_NAME, case.id)
    certainty = calibration.from_record(record)
    if certainty is None or not path.is_file():
        return None
    truth = read_case_mask(case, wanted.dataset.settings)
    return certainty, Pair(truth, read_mask(path), wanted.dataset.spacing_mm(case))


def _attributes(case: Case) -> dict[str, str]:
    return {**case.attributes, "class_name": case.class_name}


def _summary(model: Model, wanted: Request, rows: Sequence[Row], status: Mapping[str, str]) -> dict[str, Any]:
    info, source = model.info, wanted.dataset.source
    headline = [row for row in rows if row.status in wanted.headline]
    validation = [row for row in rows if row.status == "validation"]
    leaking = bool(info.split.get("leaking")) and any(row.status == "test" for row in headline)
    regions = {region: region_figures([row for row in headline if row.region == region]) for region in info.regions}
    return {
        "schema_version": SCHEMA_VERSION,
        "model": info.name,
        "source": {
            "known_as": source.known_as or None,
            "layout": source.layout,
            "channel": source.channel or None,
            "label": source.label or None,
            "simulated": source.simulated,
        },
        "split": {
            **info.split,
            "leaking": leaking,
            "patients_unknown": source.patients_unknown,
            "training_cases_included": any(row.status in SEEN for row in headline),
        },
        "cases": len(headline),
        "patients": len({row.group for row in headline}),
        "case_status": dict(Counter(status.values())),
        "left_out": dict(source.left_out),
        "headline_status": sorted({row.status for row in headline}),
        "regions": regions,
        "validation": {region: summarise(validation) for region in info.regions} if validation else None,
        "baselines": {},
        "operating_point": {
            "threshold": info.threshold,
            "temperature": info.temperature,
            "tta": model.tta,
            **info.metrics.get("operating_point", {}),
        },
        "conventions": {**CONVENTIONS, **_test_time_augmentation(model.tta)},
        "warnings": _warnings(info, wanted, headline, leaking),
    }


def _test_time_augmentation(tta: str) -> dict[str, str]:
    """The convention that it adds; none without it."""
    turns = "flips" if tta == "flips" else "flips and quarter turns"
    text = f"probabilities are the mean over {len(TTA[tta])} copies of the picture ({turns}), each brought back"
    return {} if tta == "none" else {"test_time_augmentation": text}


def region_figures(rows: Sequence[Row]) -> dict[str, Any]:
    """All figures of one region, by class, by size and by further attributes of the source as well."""
    by_class = by_group(rows, "class_name") if any(row.attributes.get("class_name") for row in rows) else {}
    by_attribute = {name: by_group(rows, name) for name in grouping_attributes(rows)}
    return {**summarise(rows), "by_class": by_class, "by_size": by_size(rows), "by_attribute": by_attribute}


def _measure_baselines(info: ModelInfo, wanted: Request, rows: Sequence[Row]) -> list[baselines.Record]:
    constant = baselines.from_text(info.constant_mask) if info.constant_mask else None
    names = [row.case for row in rows if row.status in wanted.headline]
    records = baselines.measure(wanted.dataset, names, constant)
    write_csv(wanted.output / BASELINES_NAME, baselines.COLUMNS, records)
    return records


def _write_certainties(output: Path, rows: Sequence[Row], certainties: Sequence[Certainty]) -> None:
    """Bins are lists of numbers in one cell, for each of `calibration.BINS` bins of probability."""
    table = [
        {
            "case": row.case,
            "patient": case.patient,
            "status": row.status,
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
        finite_number(count)
    if len(counts) != calibration.BINS:
        raise ValueError(f"expected {calibration.BINS} numbers (found {len(counts)})")


def truth_value(text: str) -> None:
    if text not in ("True", "False"):
        raise ValueError(f"expected True or False (found {text[:40]!r})")


CERTAINTY_CELLS: dict[str, Cell] = {
    "patient": any_text,
    "status": any_text,
    **dict.fromkeys(("dice", "dice_at_true_area", "confidence"), or_empty(finite_number)),
    **dict.fromkeys(BIN_COLUMNS, bin_counts),
}
BASELINE_CELLS: dict[str, Cell] = {
    **dict.fromkeys(("case", "patient", "baseline"), any_text),
    "missed": truth_value,
    **dict.fromkeys(("dice", "volume_ratio", "accuracy"), or_empty(finite_number)),
}


def read_certainties(folder: Path, statuses: Collection[str] = HEADLINE) -> list[Certainty]:
    """The cases of a folder's `certainty.csv`; none where it was evaluated before there was one."""
    if not (folder / CERTAINTY_NAME).is_file():
        return []
    records = read_own_csv(folder / CERTAINTY_NAME, CERTAINTY_CELLS, EVALUATE_AGAIN)
    return [_certainty(record) for record in records if record["status"] in statuses]


def _certainty(record: Mapping[str, str]) -> Certainty:
    dice, at_true_area, confidence = (
        float(record[name]) if record[name] else None for name in ("dice", "dice_at_true_area", "confidence")
    )
    bins = Reliability(*(np.array(record[name].split(), np.float64) for name in BIN_COLUMNS))
    return Certainty(record["patient"], dice, at_true_area, confidence, bins)


def read_baselines(folder: Path) -> list[baselines.Record]:
    """The records of a folder's `baselines.csv`; none where it was evaluated before there were any."""
    if not (folder / BASELINES_NAME).is_file():
        return []
    numbers = ("dice", "volume_ratio", "accuracy")
    return [
        {**record, "missed": record["missed"] == "True"}
        | {name: float(record[name]) if record[name] else None for name in numbers}
        for record in read_own_csv(folder / BASELINES_NAME, BASELINE_CELLS, EVALUATE_AGAIN)
    ]


def with_baselines(summary: Mapping[str, Any], records: Sequence[baselines.Record]) -> dict[str, Any]:
    """The summary with what the trivial baselines reach, and a warning for each that the headline does not beat."""
    ((region, figures),) = summary["regions"].items()
    found = {"all_background": _all_background(figures), **baselines.summarise(records)}
    dice = figures["dice"]["mean"]
    beaten_by = [
        f"{NOT_BEATEN}: {name.replace('_', ' ')} has Dice {baseline['dice']:.3f}, the model {dice:.3f}"
        for name, baseline in found.items()
        if dice is not None and baseline["dice"] is not None and dice <= baseline["dice"]
    ]
    return {
        **summary,
        "baselines": {name: {region: baseline} for name, baseline in found.items()},
        "warnings": [*summary["warnings"], *beaten_by],
    }


def without_own(warnings: Sequence[str]) -> list[str]:
    """The warnings that hold for other cases of the same source, and for other models, as well."""
    return [text for text in warnings if not text.startswith((NOT_BEATEN, ONE_PATIENT, *operating_point.WEAKNESSES))]


def _all_background(figures: Mapping[str, Any]) -> dict[str, Any]:
    """What predicting no tumour anywhere reaches on the same cases."""
    return {
        "dice": 0.0,
        "ci95": None,
        "missed": figures["tumour_cases"],
        "volume_ratio": None,
        "accuracy": figures["accuracy_background"]["mean"],
    }


def _warnings(info: ModelInfo, wanted: Request, headline: Sequence[Row], leaking: bool) -> list[str]:
    source = wanted.dataset.source
    found = []
    if source.simulated:
        found.append("SIMULATED DATA: these figures say how the software works, not how it does on patients")
    if leaking:
        found.append("LEAKING: slices of one patient are in training and test")
    if any(row.status in SEEN for row in headline):
        found.append("TRAINING CASES INCLUDED: the headline holds cases that the model was trained or tuned on")
    if not source.patients_unknown and len({row.patient for row in headline}) == 1:
        found.append(f"{ONE_PATIENT}: all of these cases are one patient's; another patient may fare quite differently")
    if source.patients_unknown:
        found.append("PATIENTS UNKNOWN: each case counts as a patient of its own; the interval is too narrow")
    if wanted.dataset.settings.mask_threshold is not None:
        found.append(f"masks were thresholded above {wanted.dataset.settings.mask_threshold:g}")
    found += [*operating_point.weaknesses(info), *_other_meaning(info, source)]
    if info.data.get("simulated") and not source.simulated:
        found.append("the model was trained on simulated images only")
    return found


def _other_meaning(info: ModelInfo, source: Source) -> list[str]:
    """Warnings where the model was trained on another sequence, or to outline something else."""
    channel, label = info.data.get("channel"), info.data.get("label")
    found = []
    if channel and source.channel and channel != source.channel:
        found.append(f"OTHER SEQUENCE: the model was trained on {channel}, these pictures are {source.channel}")
    if label and source.label and label != source.label:
        found.append(f"OTHER MEANING: the model was trained to outline {label}, here {source.label} is outlined")
    return [warning.replace("_", " ") for warning in found]


def write(output: Path, rows: Sequence[Row], summary: Mapping[str, Any]) -> None:
    """Write `evaluation.csv` and `summary.json`."""
    scores = [field.name for field in fields(CaseScores)]
    attributes = grouping_attributes(rows)
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
    write_json(output / SUMMARY_NAME, summary)


def read_rows(folder: Path) -> list[Row]:
    """The rows of a folder's `evaluation.csv`; figures that it lacks, from before they were computed, are None."""
    return [_row(record) for record in read_records(folder)]


def read_records(folder: Path) -> list[dict[str, str]]:
    """The rows of a folder's `evaluation.csv` as they are written, each cell held against what it may be."""
    kinds = {field.name: CELLS[field.type] for field in fields(CaseScores)}
    later = {field.name for field in fields(CaseScores) if field.default is not MISSING}
    needed = {name: cell for name, cell in kinds.items() if name not in later}
    columns = {**dict.fromkeys(ID_COLUMNS, any_text), "case": case_name, **needed}
    return read_own_csv(folder / EVALUATION_NAME, columns, EVALUATE_AGAIN, kinds)


def _row(record: Mapping[str, str]) -> Row:
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
