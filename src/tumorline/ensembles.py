"""Several finished models, or the folds of a cross-validation, as one model file with its ONNX twin."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from tumorline import environment
from tumorline.config import RUN_NAME, Postprocessing
from tumorline.data.splits.parts import PARTS
from tumorline.data.terms import MARKS
from tumorline.errors import UserError, require_extra
from tumorline.file_names import CONFIG_NAME
from tumorline.files import work_beside
from tumorline.groups import grouped
from tumorline.model_file import Weights, find_model, read_content, read_info, save_model
from tumorline.model_info import (
    Architecture,
    KnownCases,
    Member,
    ModelInfo,
    ModelMetrics,
    TrainingData,
    TrainingSource,
    TrainingSplit,
    describe_points,
    one_or_list,
)
from tumorline.output.place import refuse_taken_file
from tumorline.results import MemberPoint, PointFigures
from tumorline.run_folder import is_finished, read_config


def write_ensemble(
    models: Sequence[Path], output: Path, threshold: float | None = None, overwrite: bool = False
) -> ModelInfo:
    """Write the ensemble of `models` to `output` and its ONNX twin beside it; returns what the file says of itself.

    A model is what `find_model` takes, or a folder of folds, which stands for all of them. The threshold is the mean
    of the members' where none is given. Raises UserError where the members do not fit together or a fold is missing.
    """
    require_extra("torch", "writing an ensemble", "train")
    _check_output(output, overwrite)
    paths = [find_model(path) for model in models for path in _members(model)]
    infos = [read_info(path) for path in paths]
    _check_members(paths, infos)
    info = describe(output.stem, infos, threshold)

    from tumorline.export import export_onnx

    with work_beside(output) as folder:
        draft = folder / output.name
        save_model(draft, _together(paths), info)
        export_onnx(draft, draft.with_suffix(".onnx")).replace(output.with_suffix(".onnx"))
        draft.replace(output)
    return info


def mean_postprocessing(members: Sequence[Postprocessing]) -> Postprocessing:
    """The mean of each limit, where a member without one counts 0."""
    regions = sorted({region for limits in members for region in limits.regions})

    def means(name: str) -> dict[str, float]:
        by_region = {region: fmean(getattr(limits, name).get(region, 0) for limits in members) for region in regions}
        return {region: value for region, value in by_region.items() if value}

    return Postprocessing(
        smallest_ml=means("smallest_ml"),
        smallest_px={region: round(value) for region, value in means("smallest_px").items() if round(value)},
        least_relative_peak=fmean(limits.least_relative_peak for limits in members),
        least_enhancing_ml=fmean(limits.least_enhancing_ml for limits in members),
    )


def describe(name: str, infos: Sequence[ModelInfo], threshold: float | None = None) -> ModelInfo:
    """What an ensemble says of itself, from what its members say. Raises UserError for an impossible threshold."""
    if threshold is not None and not 0 < threshold < 1:
        raise UserError(f"--threshold {threshold:g}: expected a probability between 0 and 1")
    first = infos[0]
    known_cases = _known_cases(infos)
    may_lack = all(info.input.may_lack_channels for info in infos)
    halves = all(info.storage == "float16" for info in infos)
    means = [round(fmean(values), 6) for values in zip(*(info.thresholds for info in infos), strict=True)]
    chosen = "mean of the members" if threshold is None else threshold
    return ModelInfo(
        name=name,
        architecture=Architecture(name="ensemble", options={}, channels=first.architecture.channels),
        members=[Member.model_validate(info.model_dump(include=set(Member.model_fields))) for info in infos],
        regions=first.regions,
        input=first.input.model_copy(update={"may_lack_channels": may_lack}),
        image_size=first.image_size,
        preprocessing=first.preprocessing,
        threshold=one_or_list(means) if threshold is None else threshold,
        postprocessing=mean_postprocessing([info.postprocessing for info in infos]),
        constant_mask=first.constant_mask,
        mean_image=first.mean_image,
        data=_data(infos, known_cases),
        split=_split(infos, known_cases),
        known_cases=known_cases,
        config={"model": {"name": "ensemble", "storage": "float16" if halves else "float32"}},
        metrics=ModelMetrics(**describe_points({region: _point(infos, region, chosen) for region in first.regions})),
        versions=environment.versions(),
        licence=_distinct(info.licence for info in infos),
    )


def _point(infos: Sequence[ModelInfo], region: str, chosen: float | str) -> PointFigures:
    """How a region's threshold was come by, and that of each member."""
    index = infos[0].regions.index(region)
    members = [
        MemberPoint(name=info.name, threshold=info.thresholds[index], temperature=info.temperatures[index])
        for info in infos
    ]
    return PointFigures(chosen=chosen, members=members)


def _members(model: Path) -> list[Path]:
    """The model itself, or the run folders of its folds. Raises UserError for folds that are not finished."""
    if not (model / CONFIG_NAME).is_file() or not any(model.glob("fold-*/")):
        return [model]
    folds = [model / f"fold-{fold}" for fold in range(read_config(model).split.folds)]
    if missing := [fold.name for fold in folds if not is_finished(fold)]:
        raise UserError(
            f"{model}: {', '.join(missing)} of {len(folds)} folds not finished; finish with 'tumorline folds', or name "
            "the run folders of those that are"
        )
    return folds


def _check_output(output: Path, overwrite: bool) -> None:
    from tumorline.export import SUFFIX, is_exported

    if not re.fullmatch(RUN_NAME, output.stem):
        raise UserError(f"{output}: names the model '{output.stem}'; take letters, digits, '.', '_' and '-'")
    refuse_taken_file(output, ".safetensors", overwrite, _is_ensemble)
    twin = output.with_suffix(SUFFIX)
    refuse_taken_file(twin, SUFFIX, overwrite, is_exported)


def _is_ensemble(path: Path) -> bool:
    try:
        return bool(read_info(path).members)
    except UserError:
        return False


def _check_members(paths: Sequence[Path], infos: Sequence[ModelInfo]) -> None:
    """Raise UserError for less than two members, nested ensembles, and members that answer different questions."""
    if len(paths) < 2:
        raise UserError(
            f"{paths[0] if paths else 'no model'}: an ensemble takes two models or more, or a folder of folds"
        )
    for path, info in zip(paths, infos, strict=True):
        if info.members:
            raise UserError(f"{path}: is an ensemble itself; name its members instead")
        for name, value in _agreed(info).items():
            expected = _agreed(infos[0])[name]
            if value != expected:
                raise UserError(
                    f"{path}: its {name} is {value or 'not stated'}, that of {paths[0]} is {expected or 'not stated'}; "
                    "the members of an ensemble must agree in it"
                )


def _agreed(info: ModelInfo) -> dict[str, object]:
    """In what the members of an ensemble must agree, by what it is called."""
    return {
        "number of channels": info.architecture.channels,
        "list of regions": ", ".join(info.regions),
        "list of channels": ", ".join(info.input.channels),
        "number of neighbouring slices": info.input.context,
        "axis of the slices": info.input.axis,
        "number of axes": info.input.dims,
        "normalisation": info.input.normalisation,
        "window": " x ".join(map(str, info.input.window or ())),
        "voxel size in mm": " x ".join(f"{side:g}" for side in info.input.voxel_mm),
        "image size": info.image_size,
        "preprocessing": info.preprocessing,
        "channel (sequence)": info.data.channel,
        "label (what is outlined)": info.data.label,
    }


def _together(paths: Sequence[Path]) -> Weights:
    members = [read_content(path).weights for path in paths]
    return {
        f"members.{position}.{name}": value
        for position, weights in enumerate(members)
        for name, value in weights.items()
    }


def _known_cases(infos: Sequence[ModelInfo]) -> KnownCases:
    known_cases = KnownCases(
        patients=_union([info.known_cases.patients for info in infos]),
        contents=_union([info.known_cases.contents for info in infos]),
    )
    looks = _union([info.known_cases.looks for info in infos])
    return known_cases.model_copy(update={"looks": looks}) if any(looks.values()) else known_cases


def _union(members: Sequence[Mapping[str, Sequence[str]]]) -> dict[str, list[str]]:
    """Each hash in the first of `PARTS` that it has in any member: what one was trained on, all were."""
    taken: set[str] = set()
    union = {}
    for part in PARTS:
        names = {name for member in members for name in member.get(part, [])} - taken
        union[part] = sorted(names)
        taken |= names
    return union


def _data(infos: Sequence[ModelInfo], known_cases: KnownCases) -> TrainingData:
    """What all were trained on: what forbids something of one member, or of one source, forbids it of the whole."""
    data = [info.data for info in infos]
    more: dict[str, object] = {
        **{key: list(dict.fromkeys(name for each in data for name in getattr(each, key))) for key in MARKS},
        "corrected": _count_corrected(data),
        "sources": _sources(infos) if any(each.sources for each in data) else [],
    }
    return data[0].model_copy(
        update={
            "name": _distinct(each.name for each in data),
            "simulated": all(each.simulated for each in data),
            "cases": sum(_count_cases(infos, known_cases).values()),
            "attribution": _distinct(each.attribution for each in data),
            **{key: value for key, value in more.items() if value},
        }
    )


def _count_corrected(data: Sequence[TrainingData]) -> int:
    """The corrected masks of each set, as the member has them that has most of them."""
    by_name = grouped(data, lambda each: each.name)
    return sum(max(each.corrected for each in members) for members in by_name.values())


def _sources(infos: Sequence[ModelInfo]) -> list[TrainingSource]:
    """Of all members, each with its terms once; a member of one source has that."""
    listed = [source for info in infos for source in info.data.sources or [_only_source(info)]]
    alike = grouped(listed, lambda source: (source.name, source.licence, source.attribution)).values()
    return [max(sources, key=lambda source: (source.patients_unknown, source.cases)) for sources in alike]


def _only_source(info: ModelInfo) -> TrainingSource:
    return TrainingSource(
        name=info.data.name,
        licence=info.licence,
        attribution=info.data.attribution,
        cases=info.data.cases,
        patients_unknown=info.split.patients_unknown,
    )


def _split(infos: Sequence[ModelInfo], known_cases: KnownCases) -> TrainingSplit:
    splits = [info.split for info in infos]
    return TrainingSplit(
        by=_distinct(split.by for split in splits),
        seed=splits[0].seed if len({split.seed for split in splits}) == 1 else None,
        origin=f"members: {_distinct(split.origin for split in splits)}",
        leaking=any(split.leaking for split in splits),
        patients_unknown=any(split.patients_unknown for split in splits),
        parts=_count_cases(infos, known_cases),
    )


def _count_cases(infos: Sequence[ModelInfo], known_cases: KnownCases) -> dict[str, int]:
    """Cases of each part; of each the hash of the image is known and, of several channels, those of the channels."""
    hashes = sum(len(names) for info in infos for names in info.known_cases.contents.values())
    each = max(1, round(hashes / max(1, sum(info.data.cases for info in infos))))
    return {part: round(len(names) / each) for part, names in known_cases.contents.items()}


def _distinct(texts: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(text for text in texts if text))
