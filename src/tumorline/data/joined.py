"""Several sources as one data set: opened one by one, held to one meaning, their cases under names of their own."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from tumorline.config import Config, DataConfig, SourceConfig
from tumorline.data.case import Case, image_hash, is_constant
from tumorline.data.corrections import CORRECTION
from tumorline.data.dataset import Dataset, load_dataset, read_sample
from tumorline.data.facts import Look
from tumorline.data.masks_by_case import stranger_findings
from tumorline.data.sample import Sample, SampleReader
from tumorline.data.source import Source, open_source, source_path, with_first_spellings
from tumorline.errors import UserError
from tumorline.escaping import for_shell
from tumorline.progress import Progress
from tumorline.regions import REGION
from tumorline.user_text import written_path

SOURCE = "source"
"""The attribute of a case that says which of several sources it comes from."""


def load_data(config: Config, progress: Progress | None = None, look: Look | None = None) -> Dataset:
    """The one source that a configuration names, or its several sources as one data set. Raises UserError.

    Who wants to `look` is shown each image as it is decoded, with its case as it is called here.
    """
    if not config.data.sources:
        return load_dataset(source_path(config), config.data, progress, look)
    return load_sources(config.data, progress, look)


def load_sources(settings: DataConfig, progress: Progress | None = None, look: Look | None = None) -> Dataset:
    """The several sources that `data.sources` names as one data set. Raises UserError."""
    names = source_names(settings)
    for source in settings.sources:
        if not written_path(source.path).exists():
            raise UserError(f"{source.path}: no such file or folder (data.sources)")
    members = [
        load_dataset(written_path(own.source), own, progress, _look_below(name, look) if look else None, name)
        for name, own in zip(names, settings.of_each_source, strict=True)
    ]
    return join_datasets(dict(zip(names, _with_strangers(members), strict=True)), settings)


def _with_strangers(members: Sequence[Dataset]) -> list[Dataset]:
    """The data sets, the first of which names the corrected masks that are of no case of any."""
    strangers = Counter(file for member in members for file in member.source.strangers)
    readers = Counter(member.settings.corrections for member in members)
    unclaimed = [
        file
        for member in members
        for file in member.source.strangers
        if strangers[file] == readers[member.settings.corrections]
    ]
    findings = stranger_findings(dict.fromkeys(unclaimed), "any of the sources", CORRECTION)
    first, *others = members
    return [replace(first, source=replace(first.source, findings=(*first.source.findings, *findings))), *others]


def _look_below(name: str, look: Look) -> Look:
    """The same for the cases of one source, which are called otherwise by themselves."""
    return lambda case, image, truth: look(replace(case, id=f"{name}/{case.id}"), image, truth)


def source_names(settings: DataConfig) -> list[str]:
    """What each of several sources is called. Raises UserError where two are called the same."""
    names = [source.name or written_path(source.path).resolve().stem for source in settings.sources]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UserError(f"two sources are called '{twice[0]}'; give one another name: --data PATH,name=OTHER")
    return names


def join_datasets(members: dict[str, Dataset], settings: DataConfig) -> Dataset:
    """Data sets as one, in their order; the cases of each bear its name. Raises UserError where they do not fit."""
    datasets = list(members.values())
    _require_same_images(members)
    channel = _common_meaning(members, settings.sources, "channel")
    label = _common_meaning(members, settings.sources, "label")
    cases = with_first_spellings(
        [_renamed(name, dataset, case) for name, dataset in members.items() for case in dataset.cases]
    )
    own_facts = [fact for dataset in datasets for fact in dataset.facts]
    facts = [replace(fact, case_id=case.id) for case, fact in zip(cases, own_facts, strict=True)]
    source = Source(
        Path(" + ".join(members)),
        " + ".join(dict.fromkeys(dataset.source.layout for dataset in datasets)),
        tuple(cases),
        tuple(finding for dataset in datasets for finding in dataset.source.findings),
        simulated=any(dataset.source.simulated for dataset in datasets),
        channel=channel,
        label=label,
    )
    return Dataset(source, tuple(facts), settings, tuple(datasets))


def _renamed(name: str, dataset: Dataset, case: Case) -> Case:
    """A case as it is called beside those of other sources.

    The patients of a recognised set are numbers, which mean nothing elsewhere. Other names mean one patient wherever
    they stand: that two sets call two people alike keeps them on one side, which costs nothing.
    """
    known_as = dataset.source.known_as
    patient = f"{known_as}-{case.patient}" if known_as and case.patient else case.patient
    return replace(case, id=f"{name}/{case.id}", patient=patient, attributes={**case.attributes, SOURCE: name})


def _require_same_images(members: dict[str, Dataset]) -> None:
    (first, reference), *others = members.items()
    for name, dataset in others:
        if dataset.channels != reference.channels:
            raise UserError(
                f"{first} has {reference.channels} channels and {name} {dataset.channels}; sources that train together "
                "need the same ones (channel=, channels=)"
            )


def _common_meaning(members: dict[str, Dataset], sources: Sequence[SourceConfig], field: str) -> str:
    """The one sequence, or what is outlined, of all sources; empty where none knows.

    Raises UserError where two differ and nothing says that one counts as the other.
    """
    mapped = [getattr(source, f"{field}_as") for source in sources]
    own_meanings = [getattr(dataset.source, field) for dataset in members.values()]
    meanings = {name: counts_as or known for name, counts_as, known in zip(members, mapped, own_meanings, strict=True)}
    known = {name: meaning for name, meaning in meanings.items() if meaning and (field, meaning) != ("label", REGION)}
    for name, meaning in known.items():
        first = next(iter(known))
        if meaning != known[first]:
            verb = "holds" if field == "channel" else "outlines"
            raise UserError(
                f"{first} {verb} {known[first].replace('_', ' ')}, {name} {meaning.replace('_', ' ')}; choose alike "
                f"({field}=), or say that the one counts as the other: --data "
                f"{for_shell(f'{members[name].source.path},{field}_as={known[first]}')}"
            )
    return next(iter(known.values()), "")


def case_reader(config: Config, known: Collection[str]) -> SampleReader | None:
    """Reads a case by its id; None where the source is not where it was.

    `known` are the hashes of the images that may be shown, beside blank ones: a run folder of a stranger may name any
    folder as its data.
    """
    try:
        cases = _readable_cases(config)
    except UserError:
        return None

    def read(case_id: str) -> Sample:
        case, settings = cases[case_id]
        sample = read_sample(case, settings)
        if image_hash(sample.image) not in known and not all(map(is_constant, sample.image)):
            raise UserError(f"{case.images[0]}: not the image that the run knows under this name")
        return sample

    return SampleReader({name: case for name, (case, _) in cases.items()}, read)


def _readable_cases(config: Config) -> dict[str, tuple[Case, DataConfig]]:
    """Each case by its name in the run, with the settings of its source; nothing is decoded."""
    settings = config.data
    if not settings.sources:
        return {case.id: (case, settings) for case in open_source(source_path(config), settings).cases}
    opened = zip(source_names(settings), settings.of_each_source, strict=True)
    return {
        f"{name}/{case.id}": (case, source_settings)
        for name, source_settings in opened
        for case in open_source(written_path(source_settings.source), source_settings, name).cases
    }
