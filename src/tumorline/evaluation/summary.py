"""All figures of an evaluation with the conventions they were computed by."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tumorline.data.source import Source
from tumorline.evaluation import baselines, operating_point
from tumorline.evaluation.status import SEEN, Request
from tumorline.inference.model import TTA, Model
from tumorline.metrics.summary import Row, by_group, by_size, grouping_attributes, summarise_rows
from tumorline.model_file import ModelInfo

SCHEMA_VERSION = 1
NOT_BEATEN = "BASELINE NOT BEATEN"
ONE_PATIENT = "ONE PATIENT"
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


def summarise_evaluation(
    model: Model, wanted: Request, rows: Sequence[Row], status: Mapping[str, str]
) -> dict[str, Any]:
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
        "validation": {region: summarise_rows(validation) for region in info.regions} if validation else None,
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
    return {**summarise_rows(rows), "by_class": by_class, "by_size": by_size(rows), "by_attribute": by_attribute}


def with_baselines(summary: Mapping[str, Any], records: Sequence[baselines.Record]) -> dict[str, Any]:
    """The summary with what the trivial baselines reach, and a warning for each that the headline does not beat."""
    ((region, figures),) = summary["regions"].items()
    found = {"all_background": _all_background(figures), **baselines.summarise_baselines(records)}
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
