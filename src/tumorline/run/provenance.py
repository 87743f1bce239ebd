"""What a model file says of the data, the split and the terms that it comes from."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tumorline import environment
from tumorline.audit import describe
from tumorline.config import Config, with_bare_weights
from tumorline.data import cheng
from tumorline.data.dataset import Dataset
from tumorline.data.facts import Facts
from tumorline.data.joined import source_names
from tumorline.data.near.looks import MOST_LOOKS, looks_of
from tumorline.data.splits.donors import donor_names
from tumorline.data.splits.parts import PARTS
from tumorline.data.splits.split import patient_groups
from tumorline.data.terms import MARKS, Terms, terms_of
from tumorline.evaluation import baselines
from tumorline.evaluation.status import SEEN
from tumorline.model_file import find_model, read_info, read_origin
from tumorline.model_info import (
    VALIDATION_DICE,
    Architecture,
    InputSpec,
    KnownCases,
    ModelInfo,
    ModelMetrics,
    TrainingData,
    TrainingSource,
    TrainingSplit,
    one_or_list,
)
from tumorline.network_input.fit import VERSION as PREPROCESSING
from tumorline.network_input.windows import input_of
from tumorline.spread import spread_evenly
from tumorline.user_text import written_path

if TYPE_CHECKING:
    from tumorline.training.task import Task


LICENCES = {
    cheng.NAME: "Weights trained on Cheng et al., figshare 1512427 (CC BY 4.0); name the source when you pass them on",
    "simulated": "Weights trained on simulated images only; free of data terms",
}


def origin_of(config: Config) -> ModelInfo | None:
    """What the model that the training starts from says of itself; None for weights that are not Tumorline's."""
    return read_origin(written_path(config.model.start_from)) if config.model.start_from else None


def teacher_of(config: Config) -> ModelInfo | None:
    """What the model whose answers are learnt says of itself."""
    return read_info(find_model(written_path(config.loss.teacher))) if config.loss.teacher else None


def _published_options(config: Config) -> dict[str, Any]:
    """What the network is built with again; one from outside may read its weights itself, the others do without."""
    is_from_outside = ":" in config.model.name
    return dict(config.network_options) if is_from_outside else with_bare_weights(config.network_options)


def model_info(task: "Task") -> ModelInfo:
    """What the model file says of itself."""
    config = task.config
    spec = spec_of(task)
    channels = task.dataset.channels * spec.depth
    return ModelInfo(
        name=config.name,
        architecture=Architecture(name=config.model.name, options=_published_options(config), channels=channels),
        regions=list(task.dataset.regions),
        input=spec,
        image_size=config.data.image_size,
        preprocessing=PREPROCESSING,
        constant_mask=one_or_list(_constant_masks(task)),
        mean_image=one_or_list(_mean_images(task)),
        data=_training_data(task.dataset),
        split=describe_split(task),
        known_cases=_known_cases(task),
        config=config.without_paths(),
        metrics=ModelMetrics(selected_by=VALIDATION_DICE if config.split.validates else "being the last"),
        versions=environment.versions(),
        licence=_licence(config, task.dataset),
    )


def spec_of(task: "Task") -> InputSpec:
    """What the trained network sees, and what it was trained to do without."""
    may_lack = task.config.augment.channel_dropout > 0
    return input_of(task.dataset).model_copy(update={"may_lack_channels": may_lack})


def _licence(config: Config, dataset: Dataset) -> str:
    """The terms of the weights, with a mark in front where those of a source forbid something."""
    licence = _licence_of_data(dataset)
    for how, model in (("started from", origin_of(config)), ("taught by", teacher_of(config))):
        licence += f"; {how} '{model.name}': {model.licence}" if model else ""
    return licence


def _licence_of_data(dataset: Dataset) -> str:
    source, terms = dataset.source, terms_of_sources(dataset)
    known_as = "simulated" if source.simulated and not dataset.members else source.known_as
    mark = "".join(f"{words}: " for key, words in MARKS.items() if _forbidding(terms, key))
    if known_as in LICENCES:
        return mark + LICENCES[known_as]
    if len(terms) == 1 and not terms[0].licence:
        return "Subject to the terms of the data it was trained on"
    named = "; ".join(f"{source_terms.name} ({source_terms.licence or 'terms not stated'})" for source_terms in terms)
    return f"{mark}Weights trained on {named}. Name the sources where you pass them on"


def terms_of_sources(dataset: Dataset) -> list[Terms]:
    if not dataset.members:
        return [terms_of(dataset.source.name, dataset)]
    named = zip(source_names(dataset.settings), dataset.members, dataset.settings.sources, strict=True)
    return [terms_of(*source) for source in named]


def _forbidding(terms: Sequence[Terms], key: str) -> list[str]:
    """The sources whose terms forbid it."""
    return [source_terms.name for source_terms in terms if getattr(source_terms, key)]


def _constant_masks(task: "Task") -> list[str]:
    dataset = task.dataset
    cases = [dataset.case(name) for name in task.split.cases("train")]
    truths = map(dataset.read_truth, cases)
    return [baselines.to_text(mask) for mask in baselines.constant_masks(truths, [case.group for case in cases])]


def _mean_images(task: "Task") -> list[str]:
    """Of the training cases of each source; empty for one that none of them comes from."""
    dataset = task.dataset
    facts: list[list[Facts]] = [[] for _ in dataset.members or (dataset,)]
    for name in task.split.cases("train"):
        position = dataset.index[name]
        facts[dataset.member_of(dataset.cases[position])].append(dataset.facts[position])
    return [describe.to_text(describe.mean_picture(source_facts)) if source_facts else "" for source_facts in facts]


def _training_data(dataset: Dataset) -> TrainingData:
    """The data with the terms of each source, and what they forbid; of several also what each has given."""
    source, terms = dataset.source, terms_of_sources(dataset)
    described = TrainingData(
        name=source.name,
        simulated=source.simulated,
        cases=len(dataset.cases),
        channel=source.channel,
        label=source.label,
        attribution=cheng.attribution(len(dataset.cases)) if source.known_as == cheng.NAME else "",
    )
    more: dict[str, object] = {key: names for key in MARKS if (names := _forbidding(terms, key))}
    if corrected := sum(case.correction is not None for case in dataset.cases):
        more["corrected"] = corrected
    if dataset.members:
        more["attribution"] = " ".join(
            f"{source_terms.name}: {source_terms.attribution}" for source_terms in terms if source_terms.attribution
        )
        more["sources"] = [_training_source(*pair) for pair in zip(terms, dataset.members, strict=True)]
    return described.model_copy(update=more)


def _training_source(terms: Terms, member: Dataset) -> TrainingSource:
    return TrainingSource.model_validate(
        {**terms.to_json(), "cases": len(member.cases), "patients_unknown": member.source.patients_unknown}
    )


def describe_split(task: "Task") -> TrainingSplit:
    """How the data was split, for the summary and the model file."""
    described = TrainingSplit(
        by=task.config.split.by,
        seed=task.config.split.seed,
        origin=task.split.origin,
        leaking=task.split.leaking,
        patients_unknown=task.dataset.source.patients_unknown,
        parts={part: len(task.split.cases(part)) for part in PARTS},
    )
    return described.model_copy(update={"trains_on_all": True}) if task.config.split.trains_on_all else described


def _take_over(known: dict[str, set[str]], other: Mapping[str, Collection[str]]) -> None:
    """What another model has seen counts as seen in training; what only tuned both still does."""
    tuned = (known["validation"] & {*other.get("validation", ())}) - {*other.get("train", ())}
    known["train"] |= {name for part in SEEN for name in other.get(part, ())} - tuned
    known["validation"] -= known["train"]


def _parts_seen(task: "Task") -> dict[str, str]:
    """Part of each case. One that was left out is in that of whatever shows the same patient or image, if anything."""
    split = task.split
    parts = {**split.parts, **dict.fromkeys(donor_names(task.config.augment, task.dataset, split), "train")}
    left_out = [name for name, part in parts.items() if part not in PARTS]
    if split.leaking or not left_out:
        return parts
    groups = patient_groups(task.dataset)
    of_group = {groups[name]: part for part in reversed(PARTS) for name in split.cases(part)}
    return parts | {name: of_group[groups[name]] for name in left_out if groups[name] in of_group}


def _known_cases(task: "Task") -> KnownCases:
    dataset, parts = task.dataset, _parts_seen(task)
    kept = [(parts[case.id], case, facts) for case, facts in zip(dataset.cases, dataset.facts, strict=True)]
    seen = [one for one in kept if one[0] in PARTS]
    patients: dict[str, set[str]] = {part: set() for part in PARTS}
    contents: dict[str, set[str]] = {part: set() for part in PARTS}
    for part, case, facts in seen:
        contents[part] |= facts.contents
        patients[part] |= dataset.patient_keys(case, facts)
    looks = _looks([(part, facts) for part, _, facts in seen])
    for model in filter(None, (origin_of(task.config), teacher_of(task.config))):
        _take_over(patients, model.known_cases.patients)
        _take_over(contents, model.known_cases.contents)
        _take_over(looks, model.known_cases.looks)
    return KnownCases(patients=_in_order(patients), contents=_in_order(contents), looks=_in_order(looks))


def _looks(seen: Sequence[tuple[str, Facts]]) -> dict[str, set[str]]:
    """What the images of each part look like, of at most so many as a model keeps."""
    some = spread_evenly(seen, MOST_LOOKS)
    looks: dict[str, set[str]] = {part: set() for part in PARTS}
    for (part, _), look in zip(some, looks_of([facts.thumbnail for _, facts in some]), strict=True):
        looks[part] |= {look} - {""}
    return looks


def _in_order(known: Mapping[str, Collection[str]]) -> dict[str, list[str]]:
    return {part: sorted(keys) for part, keys in known.items()}
