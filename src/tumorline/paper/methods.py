"""The methods of a study in sentences, with every choice that CLAIM 2024 asks for that its folder knows.

Citations stand in the text as `[@key]`, as Pandoc reads them. What the folder does not know is "not stated".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tumorline.config import Config, SplitConfig
from tumorline.environment import versions
from tumorline.evaluation.status import UNVERIFIED
from tumorline.metrics.case import NSD_TOLERANCE
from tumorline.metrics.figure import LEAST_FOR_INTERVAL, RESAMPLES
from tumorline.paper.augmentation_methods import describe_augmentation
from tumorline.paper.study import Study, count_parts
from tumorline.paper.training_methods import (
    describe_network,
    describe_preprocessing,
    describe_selection,
    describe_training,
)
from tumorline.paper.works import NETWORKS_OF, SETS, SOFTWARE, cite
from tumorline.results import SplitDescription
from tumorline.wording import NOT_STATED, in_words, is_or_are, numbered


@dataclass(frozen=True)
class Paragraph:
    heading: str
    text: str


def describe_methods(study: Study) -> list[Paragraph]:
    """The paragraphs in the order in which papers have them."""
    parts = {
        "Design": _design(study),
        "Data": _data(study),
        "Reference standard": _reference_standard(study),
        "Partitions": _partitions(study),
        "Preprocessing": describe_preprocessing(study),
        "Augmentation": describe_augmentation(study.config.augment if study.config else None),
        "Network": describe_network(study),
        "Training": describe_training(study),
        "Selection": describe_selection(study),
        "Evaluation": _evaluation(study),
        "Statistics": _statistics(),
        "Robustness and calibration": _robustness(study),
        "Software and hardware": _software(study),
        "Availability": _availability(study),
    }
    return [Paragraph(heading, " ".join(filter(None, sentences))) for heading, sentences in parts.items()]


def _design(study: Study) -> list[str]:
    tested_on = "in cross-validation" if study.in_folds else "on held-out cases" if study.config else "on given cases"
    return [
        f"A deep-learning model for the segmentation of brain tumours in MRI was "
        f"{'trained and ' if study.config else ''}tested {tested_on}; this is reported after CLAIM 2024 [@claim2024].",
        f"Prospective or retrospective collection, registration and ethics approval: {NOT_STATED}.",
    ]


def _data(study: Study) -> list[str]:
    source, summary = study.summary.source, study.summary
    name = "simulated" if source.simulated else source.known_as or source.layout
    origin = SETS.get(name, f"a source in the layout '{source.layout}', whose name and origin are {NOT_STATED}")
    total = study.info.data.cases if study.info and study.config else None
    used = f" The model was made from {numbered(int(total), 'case')} in all." if total else ""
    names = study.info.input.channels if study.info and study.config else []
    channels = ", ".join(names) or source.channel
    return [
        f"The images come from {origin}.{used}",
        f"The figures are of {numbered(summary.cases, 'case')} of {numbered(summary.patients, 'patient')}"
        f"{' (patients unknown: each case counts as one)' if summary.split.patients_unknown else ''}.",
        f"MRI sequence: {in_words(channels or NOT_STATED)}.",
        f"Scanner, field strength and acquisition protocol, inclusion and exclusion criteria, demographics and "
        f"de-identification: {NOT_STATED}.",
    ]


def _reference_standard(study: Study) -> list[str]:
    label = study.summary.source.label
    regions = ", ".join(map(in_words, study.summary.regions))
    meaning = f", whose meaning is '{in_words(label)}'" if label else ""
    return [
        f"Reference standard are the masks that come with the images{meaning}; outlined "
        f"{is_or_are(len(study.summary.regions))} {regions}.",
        f"Annotators, their qualification, their tools and the variability within and between them: {NOT_STATED}.",
    ]


def _partitions(study: Study) -> list[str]:
    split, settings = study.summary.split, study.config.split if study.config else None
    unit = "slice" if split.by == "slice" else "patient"
    counted = [
        f"{part} {numbered(patients, 'patient')} with {numbered(cases, 'case')}"
        for part, (patients, cases) in count_parts(study.split).items()
    ]
    return [
        f"How the cases were assigned to the parts: {split.origin or NOT_STATED}.",
        _wanted_parts(split, settings, unit) if settings else "",
        f"Found were {'; '.join(counted)}." if counted else "",
        _disjoint_by(unit, split, is_run=settings is not None),
        f"Calculation of the sample size: {NOT_STATED}.",
    ]


def _wanted_parts(split: SplitDescription, settings: SplitConfig, unit: str) -> str:
    if settings.folds:
        return f"There were {settings.folds} folds, each the test part of one model."
    if not split.drawn:
        return ""
    test_share = 1 - settings.train - settings.validation
    shares = f"{settings.train:.0%} training, {settings.validation:.0%} validation, {test_share:.0%} test"
    of = f"{unit}s" if split.drawn == "all" else f"{unit}s that were drawn"
    return f"Wanted shares of the {of}: {shares}, within each class."


def _disjoint_by(unit: str, split: SplitDescription, is_run: bool) -> str:
    """Whether the parts are, or why not; of an evaluation by itself what is wrong alone."""
    if split.own_parts.leaking:
        return "THE SPLIT LEAKS: slices of one patient are in several parts."
    if split.own_parts.patients_unknown:
        return "Patients are unknown, so that slices of one patient may lie in several parts."
    searched = (
        f"The parts are disjoint by {unit}; images that are equal or near duplicates (turned, mirrored, resized, "
        "cropped) were searched for and kept in one part."
    )
    return searched if is_run else ""


def _evaluation(study: Study) -> list[str]:
    summary = study.summary
    unit = next(iter(summary.regions.values())).hd95.unit or "px, of cases whose pixel size is known mm,"
    inside = {
        "test": "internal (the test part of the same source)",
        "unseen": "of cases that the model has not seen",
        UNVERIFIED: f"of masks that a program has drawn; which cases that was trained on: {NOT_STATED}",
    }
    kinds = " and ".join(inside.get(status, status) for status in summary.headline_status)
    external = "" if "unseen" in summary.headline_status else f"A test on external data: {NOT_STATED}."
    conventions = [f"{in_words(name)}: {text}" for name, text in summary.conventions.items() if name in TOLD]
    return [
        f"Figures are the Dice coefficient [@dice1945], the normalised surface Dice at {NSD_TOLERANCE:g} {unit} "
        f"[@nikolov2021], the 95th percentile of the Hausdorff distance (HD95), missed and false lesions, and "
        f"predicted over true size, chosen after [@maierhein2024].",
        f"Conventions: {'; '.join(conventions)}.",
        f"The test is {kinds}. {external}",
    ]


TOLD = ("resolution", "aggregation", "headline", "miss", "surface", "lesions", "volume_ratio", "test_time_augmentation")
"""Conventions that a methods section has to state."""


def _statistics() -> list[str]:
    return [
        f"Values are averaged over a patient's cases, then over patients; 95 % intervals are bootstrapped over "
        f"patients (BCa, {RESAMPLES} resamples [@efron1987]), and from {LEAST_FOR_INTERVAL} patients on; below, the "
        "range is given.",
        "The interval covers the choice of patients, not of training seed, split or annotator.",
    ]


def _robustness(study: Study) -> list[str]:
    summary = study.summary
    changes = sorted({in_words(name) for figures in summary.robustness.values() for name in figures.changes})
    tested = (
        f"The same cases were scored again under {', '.join(changes)}." if changes else "Robustness was not measured."
    )
    errors = [
        f"{in_words(region)} {figures.expected_calibration_error:.3f}"
        for region, figures in summary.calibration.items()
        if figures.expected_calibration_error is not None
    ]
    calibrated = f"Expected calibration error near tumours: {', '.join(errors)}." if errors else ""
    baselines = ", ".join(in_words(name) for name in summary.baselines)
    return [
        tested,
        calibrated,
        f"The same cases were given to trivial answers ({baselines})." if baselines else "",
        "No method of explanation was used.",
    ]


def _software(study: Study) -> list[str]:
    version_of: Mapping[str, str] = study.environment.get("versions") or (study.info.versions if study.info else {})
    network = study.info.architecture.name if study.info else ""
    listed = [
        f"{name} {version_of[package]}{cite(key)}"
        for package, (name, key) in SOFTWARE.items()
        if package in version_of and network in NETWORKS_OF.get(package, (network,))
    ]
    own_version = version_of.get("tumorline", "")
    made = (
        f"Tumorline {own_version} [@tumorline] on Python {version_of['python']}"
        if own_version and "python" in version_of
        else ""
    )
    return [
        f"Trained and evaluated with {made or f'software that is {NOT_STATED}'}{', with ' if listed else ''}"
        f"{', '.join(listed)}.",
        "" if UNVERIFIED in study.summary.headline_status else "Evaluation runs on the exported ONNX model.",
        f"These figures and tables were written by Tumorline "
        f"{versions()['tumorline']}{'' if made else ' [@tumorline]'}.",
        f"Hardware: {_hardware(study.environment)}.",
    ]


def _hardware(environment: Mapping[str, Any]) -> str:
    if not environment:
        return NOT_STATED
    machine = environment.get("machine", {})
    processes = int(environment.get("processes", 1))
    several = f", {processes} processes" if processes > 1 else ""
    return (
        f"{machine.get('processor') or NOT_STATED}, {machine.get('cores', NOT_STATED)} cores, "
        f"{machine.get('system', NOT_STATED)}; device {environment['device']}{several}"
    )


def _availability(study: Study) -> list[str]:
    licence = study.info.licence if study.info else NOT_STATED
    return [
        f"Terms of the weights: {licence}.",
        f"Availability of code, model and data, protocol and funding: {NOT_STATED}.",
    ]


def settings_of(config: Config) -> list[dict[str, str]]:
    """Every setting of a run but for paths, as rows of `section.key` and value."""
    values = config.without_paths(exclude_none=True)
    del values["split"]["file"]
    return list(_settings_below(values, ""))


def _settings_below(values: Mapping[str, Any], prefix: str) -> Iterable[dict[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _settings_below(value, f"{prefix}{key}.")
        elif value not in ("", [], {}):
            yield {"setting": f"{prefix}{key}", "value": str(value)}
