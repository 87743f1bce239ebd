"""From a model and a source to an evaluation with its report; the use of the test part is noted."""

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TypedDict

from tumorline.audit import check as checks
from tumorline.config import DataConfig, load_config
from tumorline.data.dataset import Dataset, load_dataset, read_sample
from tumorline.data.joined import load_sources
from tumorline.data.sample import Sample, SampleReader
from tumorline.data.source import channel_names, open_source, source_path
from tumorline.errors import UserError
from tumorline.evaluation import robustness as stresses
from tumorline.evaluation import scoring
from tumorline.evaluation.status import Request
from tumorline.evaluation.tables import read_rows, write_evaluation
from tumorline.file_names import CONFIG_NAME, STRESS_NAME, SUMMARY_NAME, TEST_USES_NAME
from tumorline.files import append_line, refuse_links_outside, write_csv
from tumorline.given_paths import as_path, as_path_or_none, as_texts
from tumorline.inference.model import Model
from tumorline.model_file import find_model, model_name
from tumorline.output.folder import OutputFolder, amended, open_output
from tumorline.output.place import refuse_in_data
from tumorline.output.purpose import Purpose
from tumorline.progress import Progress
from tumorline.regions import REGION
from tumorline.report import write_report
from tumorline.results import Summary, read_summary
from tumorline.source_spec import read_spec
from tumorline.trust import local_only
from tumorline.trusted_paths import read_local_config


class Chosen(TypedDict, total=False):
    """What is read of a source where the user chooses nothing else: keys of `DataConfig`."""

    channel: str
    channels: tuple[str, ...]
    regions: tuple[str, ...]


def open_evaluation(
    output: Path | str | None, purpose: Purpose, overwrite: bool, datasets: Iterable[Dataset]
) -> AbstractContextManager[OutputFolder]:
    """`open_output`, outside of the data."""
    for dataset in datasets if output else ():
        for path in dataset.paths:
            refuse_in_data(as_path(output, "output"), path)
    return open_output(as_path_or_none(output, "output"), purpose, overwrite)


def evaluate_and_report(
    model: Model, request: Request, progress: Progress | None, known: Collection[str] | None = None
) -> Summary:
    """The evaluation with its report; a look at test cases is noted in the run folder of the model.

    `known` are the hashes of the images that may be shown; None stands for all, a blank one always may.
    """
    summary = scoring.evaluate(model, request, progress)
    write_report(request.output, known_reader(request.dataset, known))
    if summary.case_status.get("test") and (model.path.parent / CONFIG_NAME).is_file():
        use = {"by": "evaluate", "tta": model.tta, "precision": model.precision, "cases": summary.case_status}
        refuse_links_outside(model.path.parent)
        append_line(model.path.parent / TEST_USES_NAME, use)
    return summary


def load_named(models: Sequence[Path], load_model: Callable[[Path], Model]) -> dict[str, Model]:
    """The models by the name of their run folder, file or listing. Raises UserError where two are called the same."""
    by_name: dict[str, Model] = {}
    for model in models:
        path = find_model(model).resolve()
        name = model_name(path)
        if name in by_name:
            raise UserError(f"{model}: a second model called '{name}'; rename its folder or file")
        by_name[name] = load_model(path)
    return by_name


def add_stress(model: Model, request: Request, summary: Summary, progress: Progress | None) -> Summary:
    rows = read_rows(request.output)
    case_ids = list(dict.fromkeys(row.case for row in rows if row.status in request.headline))
    records = stresses.measure_robustness(model, request.dataset, case_ids, request.memory, progress)
    summary = summary.model_copy(update={"robustness": stresses.summarise_robustness(records)})
    write_csv(request.output / STRESS_NAME, stresses.COLUMNS, records)
    write_evaluation(request.output, rows, summary)
    return summary


def known_reader(dataset: Dataset, known: Collection[str] | None) -> SampleReader:
    """Reads a case by its id, where its image is one of those that are `known` (None: all)."""

    def read(name: str) -> Sample:
        position = dataset.index[name]
        content = dataset.facts[position].content
        if known is not None and content and content not in known:
            raise UserError(f"{dataset.cases[position].images[0]}: not one of the run's own images")
        return dataset.read(dataset.cases[position])

    return SampleReader({case.id: case for case in dataset.cases}, read)


def show_evaluation(folder: Path, data: str) -> Path:
    """Write `report.html` of an evaluation again, with the images of the source `PATH,key=value,...` that it is of.

    Sequences and regions are those that were evaluated, where no others are chosen. Raises UserError for a source that
    holds none of its cases.
    """
    refuse_links_outside(folder)
    spec, summary = read_spec(data), read_summary(folder / SUMMARY_NAME)
    settings = load_config(None, spec.settings).data
    if not settings.tumour_free:
        settings = settings.model_copy(update=_as_evaluated(summary, settings, spec.path))
    cases = {case.id: case for case in open_source(spec.path, settings).cases}
    if not any(row.case in cases for row in read_rows(folder)):
        raise UserError(f"{data}: holds none of the cases of {folder}; give the source that was evaluated")
    with amended(folder):
        return write_report(folder, SampleReader(cases, lambda name: read_sample(cases[name], settings)))


def _as_evaluated(summary: Summary, settings: DataConfig, source: Path) -> Chosen:
    """What was read of the source, where nothing else is chosen."""
    names = tuple((summary.source.channel or "").split(", "))
    data_channels = channel_names(source)
    chosen: Chosen = {}
    if not settings.channel and not settings.channels and {*names} <= {*data_channels}:
        chosen = {"channels": names} if len(names) > 1 else {"channel": names[0]}
    if not settings.label and not settings.regions and [*summary.regions] != [REGION]:
        chosen["regions"] = tuple(summary.regions)
    return chosen


def images_to_show(model: Model, data: Path | str | None) -> Collection[str] | None:
    """Those that the model knows, where its run folder says which data they are; None stands for all."""
    contents = model.info.known_cases.contents
    return {content for part in contents.values() for content in part} if data is None else None


def evaluation_data(model: Model, data: Path | str | None, overrides: Iterable[str]) -> tuple[DataConfig, Path]:
    """Settings and source: of the run's own data, or of other data, whose masks are read by their own rules.

    Of a run of several sources the settings name them.
    Raises UserError for overrides of other sections, which would change nothing.
    Where the other data have several sequences or regions, those that the model was trained on are the default.
    """
    if data is None:
        if not (model.path.parent / CONFIG_NAME).is_file():
            raise UserError("the model lies in no run folder, so it has no test part at hand; give --data SOURCE")
        config = read_local_config(model.path.parent, _of_data(overrides))
        return config.data, Path() if config.data.sources else source_path(config)
    source, settings = as_path(data, "data"), data_settings(overrides)
    if settings.tumour_free:
        return settings, source
    chosen = {**_channels_of(model, settings, source), **_regions_of(model, settings)}
    return settings.model_copy(update=chosen), source


def data_settings(overrides: Iterable[str]) -> DataConfig:
    """How a source is read. Raises UserError for overrides of other sections, which would change nothing."""
    return load_config(None, _of_data(overrides)).data


def _of_data(overrides: Iterable[str]) -> list[str]:
    texts = as_texts(overrides, "overrides")
    load_config(None, texts)  # which names the key that was meant
    if others := [text for text in texts if not text.startswith("data.")]:
        raise UserError(
            f"--set {others[0]}: changes nothing here; an evaluation takes keys of [data] alone, and all else from the "
            "model (another threshold: tumorline train --resume RUN --set model.threshold=VALUE)"
        )
    return texts


def _channels_of(model: Model, settings: DataConfig, data: Path) -> Chosen:
    """The model's channels, where none are chosen and the data have names for theirs."""
    if settings.channel or settings.channels or not (data_channels := channel_names(data)):
        return {}
    names = tuple(model.info.input.channels)
    if model.info.input.may_lack_channels:
        return {"channels": tuple(name for name in names if name in data_channels) or names}
    if len(names) > 1:
        return {"channels": names}
    return {"channel": model.channel} if model.channel in data_channels else {}


def _regions_of(model: Model, settings: DataConfig) -> Chosen:
    """The model's regions, where none are chosen and they have names of their own."""
    if settings.label or settings.regions or model.info.regions == [REGION]:
        return {}
    return {"regions": tuple(model.info.regions)}


def open_wanted(
    model: Model, data: Path | str | None, overrides: Iterable[str], progress: Progress | None = None
) -> Dataset:
    """`evaluation_data`, opened; what a run folder names lies on this machine."""
    with nullcontext() if data else local_only():
        return open_usable(*evaluation_data(model, data, overrides), progress)


def open_usable(settings: DataConfig, source: Path, progress: Progress | None = None) -> Dataset:
    """The data set, or UserError with its first error."""
    dataset = load_sources(settings, progress) if settings.sources else load_dataset(source, settings, progress)
    checks.stop_on_errors(checks.errors(dataset))
    return dataset
