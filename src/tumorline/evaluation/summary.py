"""All figures of an evaluation with the conventions they were computed by."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from tumorline.data.corrections import BY_PROGRAM, CORRECTED, TRUTH
from tumorline.data.dataset import Dataset
from tumorline.data.facts import Facts
from tumorline.data.joined import source_names
from tumorline.data.source import Source
from tumorline.evaluation import baselines
from tumorline.evaluation.status import SEEN, Request, copies_among
from tumorline.evaluation.weaknesses import WEAKNESSES, operating_weaknesses
from tumorline.inference.model import TTA, Model
from tumorline.inference.post import describe_postprocessing
from tumorline.metrics.calibration import MARGIN_PX
from tumorline.metrics.figure import LEAST_FOR_INTERVAL
from tumorline.metrics.lesion import DILATION, LESION_RULES
from tumorline.metrics.summary import (
    Row,
    are_mixed,
    are_volumes,
    by_group,
    by_size,
    grouping_attributes,
    of_region,
    summarise_rows,
)
from tumorline.model_info import ModelInfo, point_figures
from tumorline.results import (
    Baseline,
    Metrics,
    OperatingPoint,
    OwnParts,
    RegionSummary,
    ResultWarning,
    SourceDescription,
    SplitDescription,
    Summary,
    WarningCode,
)
from tumorline.wording import in_sentence, in_words, is_or_are, numbered, some_of

OF_THESE_CASES = {
    WarningCode.BASELINE_NOT_BEATEN,
    WarningCode.COPIES,
    WarningCode.ONE_PATIENT,
    WarningCode.MASKS_CORRECTED,
    WarningCode.MASKS_BY_PROGRAM,
    WarningCode.COLOURED,
    *WEAKNESSES,
}
"""Warnings that say nothing of other cases of the same source, or of other models."""
IN_NO_PART = "in no part of the split"
CONVENTIONS = {
    "resolution": "masks are compared at their native size, after the prediction was brought back to it",
    "aggregation": "slice, then mean over a patient's slices, then mean over patients",
    "headline": "Dice, NSD and HD95 are over cases whose truth has a tumour; status {statuses} only",
    "miss": "a missed tumour counts Dice 0, NSD 0 and as HD95 and average surface distance the image diagonal",
    "dice_all": "all cases; where truth and prediction are both empty the Dice is 1 (as BraTS)",
    "surface": "distances between boundary elements weighted by their length, as DeepMind's surface-distance",
    "average_surface_distance": "mean over both boundaries together, each element weighted by its length",
    "signed_offset": "mean distance of the predicted from the true boundary, outside positive; undefined as the ratio",
    "lesions": f"connected over corners, matched within {DILATION} pixels, as BraTS 2023; missed and invented ones "
    "count Dice 0 and as HD95 the image diagonal",
    "interval": f"95 % bootstrap over patients (BCa); below {LEAST_FOR_INTERVAL} patients values and range only",
    "volume_ratio": "predicted over true area; undefined where either is empty, then left out and counted",
    "calibration": f"pixels within {MARGIN_PX} px of the true or predicted tumour; patients count alike",
    "confidence": "soft Dice confidence, the Dice that the probabilities expect; an empty mask has none and ranks last",
    "dice_lost_to_area": "Dice of the most probable pixels, as many as the truth has, minus the Dice of the mask",
    "accuracy": "share of pixels that are right; all background reaches accuracy_background",
}
OF_PROBABILITIES = ("calibration", "confidence", "dice_lost_to_area")
"""Conventions of figures that a mask alone has none of."""
CONVENTIONS_OF_VOLUMES = {
    "resolution": "masks are compared as whole volumes on their own grid, after the slices were put together on it",
    "aggregation": "examination, then mean over a patient's examinations, then mean over patients",
    "miss": "a missed tumour counts Dice 0, NSD 0 and as HD95 and average surface distance the volume's diagonal",
    "lesions": f"connected over corners, matched within {DILATION} voxels, as BraTS 2023; missed and invented ones "
    "count Dice 0 and as HD95 the volume's diagonal",
    "brats2023": "lesions by the rule of BraTS 2023 altogether: true ones up to {dropped_mm3:g} mm3 left out, HD95 "
    "{miss_hd95:g} mm for a missed or an invented one, and a case without any has Dice {dice_of_none:g} and HD95 "
    "{hd95_of_none:g}".format(**vars(LESION_RULES["brats2023"])),
    "surface": "distances between boundary elements weighted by their area, as DeepMind's surface-distance",
    "volume_ratio": "predicted over true volume; undefined where either is empty, then left out and counted",
    "volume_error": "predicted minus true volume in ml, over cases that have the region; what is predicted where it is "
    "missing stands beside it",
    "calibration": f"voxels within {MARGIN_PX} of the true or predicted tumour; patients count alike",
    "dice_lost_to_area": "Dice of the most probable voxels, as many as the truth has, minus the Dice of the mask",
}
FAVOURING = {
    CORRECTED: (
        WarningCode.MASKS_CORRECTED,
        "MASKS CORRECTED: {count} scored against a corrected mask ({some}); masks that were corrected from a model's "
        "own prediction favour that model",
    ),
    BY_PROGRAM: (
        WarningCode.MASKS_BY_PROGRAM,
        "MASKS BY A PROGRAM: {count} scored against a mask that a program has drawn and nobody corrected ({some}), as "
        "its file says; that favours the program",
    ),
}
"""By what is stated of a truth the warning about it."""
SENTENCES = {
    WarningCode.SIMULATED: "SIMULATED DATA: these figures say how the software works, not how it does on patients",
    WarningCode.LEAKING: "LEAKING: slices of one patient are in training and test",
    WarningCode.TRAINING_CASES: "TRAINING CASES INCLUDED: the headline holds cases that the model was trained or tuned "
    "on",
    WarningCode.ONE_PATIENT: "ONE PATIENT: all of these cases are one patient's; another patient may fare quite "
    "differently",
    WarningCode.PATIENTS_UNKNOWN: "PATIENTS UNKNOWN: each case counts as a patient of its own; the interval is too "
    "narrow",
}


def summarise_evaluation(model: Model, request: Request, rows: Sequence[Row], status: Mapping[str, str]) -> Summary:
    info = model.info
    headline = [row for row in rows if row.status in request.headline]
    validation = [row for row in rows if row.status == "validation"]
    split = _describe_split(info, request, headline)
    return Summary(
        schema_version=2,
        model=info.name,
        source=describe_source(request.dataset.source),
        split=split,
        cases=len({row.case for row in headline}),
        patients=len({row.group for row in headline}),
        left_out={IN_NO_PART: len(request.left_out)} if request.left_out else {},
        case_status=dict(Counter(status.values())),
        headline_status=sorted({row.status for row in headline}),
        regions={region: region_figures(of_region(headline, region)) for region in info.regions},
        validation={region: summarise_rows(of_region(validation, region)) for region in info.regions}
        if validation
        else None,
        baselines={},
        operating_points=_describe_points(model),
        conventions=_conventions(rows, request, model),
        warnings=_warnings(info, request, headline, split.leaking, copies_among(info, request.dataset, status)),
    )


def conventions_of_cases(rows: Sequence[Row], request: Request) -> dict[str, str]:
    """Those of figures that need no model."""
    return {name: text for name, text in _of_all_figures(rows, request).items() if name not in OF_PROBABILITIES}


def _of_all_figures(rows: Sequence[Row], request: Request) -> dict[str, str]:
    headline = CONVENTIONS["headline"].format(statuses=in_sentence(request.headline))
    return {**CONVENTIONS, "headline": headline, **_conventions_of_volumes(rows)}


def _conventions(rows: Sequence[Row], request: Request, model: Model) -> dict[str, str]:
    changed = describe_postprocessing(model.info.regions, model.info.postprocessing)
    more = {"postprocessing": changed} if changed else {}
    computed = {"precision": f"the network computed in {model.precision}, by {model.runtime_name}"}
    return {
        **_of_all_figures(rows, request),
        **more,
        **_test_time_augmentation(model.tta),
        **computed,
    }


def _conventions_of_volumes(rows: Sequence[Row]) -> dict[str, str]:
    """Those in which volumes differ; where pictures stand beside them, with those of pictures."""
    if not are_volumes(rows):
        return {}
    if not are_mixed(rows):
        return CONVENTIONS_OF_VOLUMES
    return {
        name: f"pictures: {CONVENTIONS[name]}; volumes: {text}" if name in CONVENTIONS else f"volumes: {text}"
        for name, text in CONVENTIONS_OF_VOLUMES.items()
    }


def describe_source(source: Source) -> SourceDescription:
    return SourceDescription(
        known_as=source.known_as or None,
        layout=source.layout,
        channel=source.channel or None,
        label=source.label or None,
        simulated=source.simulated,
    )


def _describe_split(info: ModelInfo, request: Request, headline: Sequence[Row]) -> SplitDescription:
    leaking = info.split.leaking and any(row.status == "test" for row in headline)
    scored = OwnParts(leaking=leaking, patients_unknown=request.dataset.source.patients_unknown)
    own = OwnParts(leaking=info.split.leaking, patients_unknown=info.split.patients_unknown)
    return SplitDescription.model_validate(
        {
            **info.split.stated(),
            **scored.stated(),
            "training_cases_included": any(row.status in SEEN for row in headline),
            **({} if own == scored else {"own": own}),
        }
    )


def _describe_points(model: Model) -> dict[str, OperatingPoint]:
    info = model.info
    return {
        region: OperatingPoint.model_validate(
            {
                "threshold": threshold,
                "temperature": temperature,
                "tta": model.tta,
                **point_figures(info, region).to_json(),
            }
        )
        for region, threshold, temperature in zip(info.regions, info.thresholds, info.temperatures, strict=True)
    }


def _test_time_augmentation(tta: str) -> dict[str, str]:
    """The convention that it adds; none without it."""
    turns = "flips" if tta == "flips" else "flips and quarter turns"
    text = f"probabilities are the mean over {len(TTA[tta])} copies of the picture ({turns}), each brought back"
    return {} if tta == "none" else {"test_time_augmentation": text}


def region_figures(rows: Sequence[Row]) -> RegionSummary:
    """All figures of one region, by class, by size and by further attributes of the source as well."""
    return RegionSummary(
        **summarise_rows(rows).stated(),
        by_class=by_group(rows, "class_name") if any(row.attributes.get("class_name") for row in rows) else {},
        by_size=by_size(rows),
        by_attribute={name: by_group(rows, name) for name in grouping_attributes(rows)},
    )


def with_baselines(summary: Summary, records: Sequence[baselines.Record]) -> Summary:
    """The summary with what the trivial baselines reach, and a warning for each that the headline does not beat."""
    reached: dict[str, dict[str, Baseline]] = defaultdict(dict)
    warnings = list(summary.warnings)
    for region, figures in summary.regions.items():
        measured = baselines.summarise_baselines(record for record in records if record["region"] == region)
        of = f" ({in_words(region)})" if len(summary.regions) > 1 else ""
        for name, baseline in {"all_background": _all_background(figures), **measured}.items():
            reached[name][region] = baseline
            if text := _not_beaten(figures.dice.mean, name, baseline, of):
                warnings.append(ResultWarning(code=WarningCode.BASELINE_NOT_BEATEN, text=text))
    return summary.model_copy(update={"baselines": dict(reached), "warnings": warnings})


def _not_beaten(dice: float | None, name: str, baseline: Baseline, of: str) -> str:
    """Nothing where the model is better, or there is nothing to compare."""
    if dice is None or baseline.dice is None or dice > baseline.dice:
        return ""
    return f"BASELINE NOT BEATEN{of}: {in_words(name)} has Dice {baseline.dice:.3f}, the model {dice:.3f}"


def without_own(warnings: Sequence[ResultWarning]) -> list[ResultWarning]:
    """The warnings that hold for other cases of the same source, and for other models, as well."""
    return [warning for warning in warnings if warning.code not in OF_THESE_CASES]


def _all_background(figures: Metrics) -> Baseline:
    """What predicting no tumour anywhere reaches on the same cases."""
    return Baseline(
        dice=0.0 if figures.tumour_cases else None,
        ci95=None,
        missed=figures.tumour_cases,
        volume_ratio=None,
        accuracy=figures.accuracy_background.mean,
    )


def _warnings(
    info: ModelInfo, request: Request, headline: Sequence[Row], leaking: bool, copies: Sequence[str]
) -> list[ResultWarning]:
    source = request.dataset.source
    warnings = warnings_of_cases(request, headline, leaking)
    if copies:
        text = (
            f"COPIES: {numbered(len(copies), 'case')} ({some_of(copies)}) of what the model was trained or tuned on, "
            "resized, turned or saved anew by their looks; they count as known to it"
        )
        warnings.append(ResultWarning(code=WarningCode.COPIES, text=text))
    warnings += [*operating_weaknesses(info), *_other_meaning(info, source)]
    if info.data.simulated and not source.simulated:
        text = "the model was trained on simulated images only"
        warnings.append(ResultWarning(code=WarningCode.TRAINED_ON_SIMULATED, text=text))
    return warnings


def warnings_of_cases(request: Request, headline: Sequence[Row], leaking: bool = False) -> list[ResultWarning]:
    """What holds whoever has drawn the masks."""
    return [ResultWarning(code=code, text=text) for code, text in _of_the_cases(request, headline, leaking).items()]


def _of_the_cases(request: Request, headline: Sequence[Row], leaking: bool) -> dict[WarningCode, str]:
    source, threshold = request.dataset.source, request.dataset.settings.mask_threshold
    one_patient = not source.patients_unknown and len({row.patient for row in headline}) == 1
    holds = {
        WarningCode.SIMULATED: source.simulated,
        WarningCode.LEAKING: leaking,
        WarningCode.TRAINING_CASES: any(row.status in SEEN for row in headline),
        WarningCode.ONE_PATIENT: one_patient,
        WarningCode.PATIENTS_UNKNOWN: source.patients_unknown,
    }
    sentences = {code: SENTENCES[code] for code, true in holds.items() if true}
    if source.patients_unknown and request.dataset.members:
        sentences[WarningCode.PATIENTS_UNKNOWN] = _unknown_in(request.dataset)
    facts = _facts_of(request.dataset, headline)
    if threshold is not None:
        sentences[WarningCode.MASKS_THRESHOLDED] = f"masks were thresholded above {threshold:g}"
    elif lossy := sum(fact.lossy_truth for fact in facts):
        saved = f"{lossy} of {numbered(len(facts), 'case')} saved with loss (JPEG)"
        sentences[WarningCode.MASKS_THRESHOLDED] = (
            f"masks were thresholded above half of their brightest value, {saved}"
        )
    if coloured := sum(fact.coloured for fact in facts):
        sentences[WarningCode.COLOURED] = (
            f"IN COLOUR: {coloured} of {numbered(len(facts), 'image')} {is_or_are(coloured)} in colour, which is read "
            "as luminance; outlines drawn into them give tumours away, and sequences laid into colours are mixed"
        )
    return {**sentences, **tell_truths(headline)}


def _facts_of(dataset: Dataset, rows: Sequence[Row]) -> list[Facts]:
    return [dataset.facts[dataset.index[name]] for name in dict.fromkeys(row.case for row in rows)]


def tell_truths(rows: Sequence[Row]) -> dict[WarningCode, str]:
    """Which cases are scored against a mask that a program has drawn or begun, and whom that favours."""
    kind_of = {row.case: row.attributes.get(TRUTH) for row in rows}
    told = {}
    for kind, (code, sentence) in FAVOURING.items():
        if cases := [case for case, own in kind_of.items() if own == kind]:
            count = f"{len(cases)} of {numbered(len(kind_of), 'case')} {is_or_are(len(cases))}"
            told[code] = sentence.format(count=count, some=some_of(cases))
    return told


def _unknown_in(dataset: Dataset) -> str:
    """Which of several sources do not know their patients."""
    named_members = zip(source_names(dataset.settings), dataset.members, strict=True)
    unknown = [name for name, member in named_members if member.source.patients_unknown]
    return f"PATIENTS UNKNOWN in {', '.join(unknown)}: each case there counts as a patient of its own"


def _other_meaning(info: ModelInfo, source: Source) -> list[ResultWarning]:
    """Warnings where the model was trained on another sequence, or to outline something else."""
    channel, label = info.data.channel, info.data.label
    sentences = {}
    if channel and source.channel and channel != source.channel:
        text = f"OTHER SEQUENCE: the model was trained on {channel}, these pictures are {source.channel}"
        sentences[WarningCode.OTHER_SEQUENCE] = text
    if label and source.label and label != source.label:
        text = f"OTHER MEANING: the model was trained to outline {label}, here {source.label} is outlined"
        sentences[WarningCode.OTHER_MEANING] = text
    return [ResultWarning(code=code, text=in_words(text)) for code, text in sentences.items()]
