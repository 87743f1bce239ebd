"""What a model file says of the data, the split and the terms that it comes from."""

from typing import TYPE_CHECKING, Any

from tumorline import environment
from tumorline.audit import describe
from tumorline.config import Config
from tumorline.data import cheng
from tumorline.data import split as splits
from tumorline.data.case_truth import read_truth
from tumorline.data.dataset import Dataset
from tumorline.evaluation import baselines
from tumorline.evaluation.status import SEEN
from tumorline.model_file import Architecture, KnownCases, ModelInfo, read_origin
from tumorline.model_info import InputSpec, one_or_list
from tumorline.network_input.fit import VERSION as PREPROCESSING
from tumorline.network_input.windows import input_of
from tumorline.user_text import written_path

if TYPE_CHECKING:
    from tumorline.training.loop import Task


LICENCES = {
    cheng.NAME: "Weights trained on Cheng et al., figshare 1512427 (CC BY 4.0); name the source when you pass them on",
    "simulated": "Weights trained on simulated images only; free of data terms",
}
ATTRIBUTIONS = {cheng.NAME: cheng.ATTRIBUTION}


def origin_of(config: Config) -> ModelInfo | None:
    """What the model that the training starts from says of itself; None for weights that are not Tumorline's."""
    return read_origin(written_path(config.model.start_from)) if config.model.start_from else None


def model_info(task: "Task") -> ModelInfo:
    """What the model file says of itself."""
    config, source = task.config, task.dataset.source
    known_as = "simulated" if source.simulated else source.known_as
    spec = spec_of(task)
    channels = task.dataset.channels * spec.depth
    return ModelInfo(
        name=config.name,
        architecture=Architecture(name=config.model.name, options=config.network_options, channels=channels),
        regions=list(task.dataset.regions),
        input=spec,
        image_size=config.data.image_size,
        preprocessing=PREPROCESSING,
        constant_mask=one_or_list(_constant_masks(task)),
        mean_image=_mean_image(task),
        data=_data_description(task.dataset),
        split=split_description(task),
        known_cases=_known_cases(task),
        config=config.model_dump(mode="json", exclude={"data": {"source", "cache"}}),
        metrics={"selected_by": "validation Dice by patient"},
        versions=environment.versions(),
        licence=_licence(config, known_as),
    )


def spec_of(task: "Task") -> InputSpec:
    """What the trained network sees, and what it was trained to do without."""
    may_lack = task.config.augment.channel_dropout > 0
    return input_of(task.dataset).model_copy(update={"may_lack_channels": may_lack})


def _licence(config: Config, known_as: str) -> str:
    own = LICENCES.get(known_as, "Subject to the terms of the data it was trained on")
    origin = origin_of(config)
    return f"{own}; started from '{origin.name}': {origin.licence}" if origin else own


def _constant_masks(task: "Task") -> list[str]:
    dataset = task.dataset
    cases = [dataset.cases[dataset.index[name]] for name in task.split.cases("train")]
    truths = (read_truth(case, dataset.settings) for case in cases)
    return [baselines.to_text(mask) for mask in baselines.constant_masks(truths, [case.group for case in cases])]


def _mean_image(task: "Task") -> str:
    positions = [task.dataset.index[name] for name in task.split.cases("train")]
    return describe.to_text(describe.mean_picture([task.dataset.facts[position] for position in positions]))


def _data_description(dataset: Dataset) -> dict[str, Any]:
    source = dataset.source
    return {
        "name": source.name,
        "simulated": source.simulated,
        "cases": len(dataset.cases),
        "channel": source.channel,
        "label": source.label,
        "attribution": ATTRIBUTIONS.get(source.known_as, ""),
    }


def split_description(task: "Task") -> dict[str, Any]:
    """How the data was split, for the summary and the model file."""
    return {
        "by": task.config.split.by,
        "seed": task.config.split.seed,
        "origin": task.split.origin,
        "leaking": task.split.leaking,
        "patients_unknown": task.dataset.source.patients_unknown,
        "parts": {part: len(task.split.cases(part)) for part in splits.PARTS},
    }


def _known_cases(task: "Task") -> KnownCases:
    patients: dict[str, set[str]] = {part: set() for part in splits.PARTS}
    contents: dict[str, set[str]] = {part: set() for part in splits.PARTS}
    for case, facts in zip(task.dataset.cases, task.dataset.facts, strict=True):
        part = task.split.parts[case.id]
        if part in contents:
            contents[part] |= {facts.image_hash, *filter(None, facts.channel_hashes)}
            patients[part] |= task.dataset.patient_keys(case, facts)
    if origin := origin_of(task.config):
        patients["train"] |= {name for part in SEEN for name in origin.known_cases.patients.get(part, [])}
        contents["train"] |= {name for part in SEEN for name in origin.known_cases.contents.get(part, [])}
        patients["validation"] -= patients["train"]
        contents["validation"] -= contents["train"]
    return KnownCases(
        patients={part: sorted(hashes) for part, hashes in patients.items()},
        contents={part: sorted(hashes) for part, hashes in contents.items()},
    )
