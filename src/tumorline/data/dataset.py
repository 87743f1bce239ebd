"""A data set is a source whose files were all decoded once: facts by case, findings, patients."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from tumorline.config import Config, DataConfig
from tumorline.data import cheng, near_duplicates
from tumorline.data.case import Case, image_hash, read_image
from tumorline.data.case_truth import read_truth
from tumorline.data.facts import (
    VERSION,
    Facts,
    Progress,
    distinct_images,
    memory_of,
    remembered_scan,
    search_near_pairs,
)
from tumorline.data.known_patients import hash_patient, keys_to_keep, keys_to_look_up
from tumorline.data.label_convention import require_one_convention
from tumorline.data.memory import remember
from tumorline.data.patients import collection_patient, collection_patient_of_file
from tumorline.data.sample import Sample
from tumorline.data.source import Source, open_source, source_path
from tumorline.errors import UserError
from tumorline.geometry.grid import Grid
from tumorline.regions import REGION


@dataclass(frozen=True)
class Dataset:
    source: Source
    facts: tuple[Facts, ...]
    settings: DataConfig

    @property
    def cases(self) -> tuple[Case, ...]:
        return self.source.cases

    @cached_property
    def index(self) -> dict[str, int]:
        return {case.id: position for position, case in enumerate(self.cases)}

    @cached_property
    def near_pairs(self) -> tuple[near_duplicates.NearPair, ...]:
        """Near duplicates among the cases, by position; of cases that are equal pixel for pixel the first stands."""
        positions = distinct_images(self.facts)

        def search() -> list[near_duplicates.NearPair]:
            return search_near_pairs([self.facts[position] for position in positions])

        def understand(found: list[Any]) -> tuple[near_duplicates.NearPair, ...]:
            pairs = [near_duplicates.NearPair(*values) for values in found]
            return tuple(pair._replace(a=positions[pair.a], b=positions[pair.b]) for pair in pairs)

        key = [VERSION, [self.facts[position].image_hash for position in positions]]
        return remember(memory_of(self.settings), "pairs", key, search, understand)

    @property
    def channels(self) -> int:
        return len(self.cases[0].images)

    @property
    def channel_names(self) -> tuple[str, ...]:
        """The sequence of each channel; "" where it is unknown."""
        known = self.cases[0].channels or ((self.source.channel,) if self.channels == 1 else ())
        return known or ("",) * self.channels

    @property
    def regions(self) -> tuple[str, ...]:
        """The names of the target regions, in the order of `Sample.truth`."""
        return self.settings.regions or (REGION,)

    def read(self, case: Case) -> Sample:
        """Image and truth as the files have them. Raises UserError for a file that cannot be read."""
        return _read_sample(case, self.settings)

    def spacing_mm(self, case: Case) -> tuple[float, ...] | None:
        return _spacing_mm(case, self.settings)

    def patient_keys(self, case: Case, facts: Facts) -> set[str]:
        """The hashes under which a model keeps this case's patient, recognised by its mask as well."""
        return keys_to_keep(self._names(case, facts)) | _keys_by_mask(facts)

    def known_patient_keys(self, case: Case, facts: Facts) -> set[str]:
        """All hashes under which a model, of version 0.1.0 also, may know this case's patient."""
        names = self._names(case, facts)
        return {key for name in names for key in keys_to_look_up(name, case.patient_written)} | _keys_by_mask(facts)

    def _names(self, case: Case, facts: Facts) -> set[str]:
        """The patient and, where the files bear it, its name in a public collection.

        The patients of a recognised set are numbers, which mean nothing elsewhere: those its masks tell.
        """
        entry = _entry(facts)
        if entry and (self.source.known_as or case.patient == f"{cheng.NAME}-{entry.patient}"):
            return set()
        borne = collection_patient(case.id) or collection_patient_of_file(case.images[0])
        return {name for name in (case.patient, borne) if name}


def _keys_by_mask(facts: Facts) -> set[str]:
    entry = _entry(facts)
    return {hash_patient(entry.patient, cheng.NAME)} if entry else set()


def _entry(facts: Facts) -> cheng.Entry | None:
    """What is known of a case by its mask."""
    return cheng.cheng_table().get(facts.known_mask_hash or facts.mask_hash)


def load_dataset(path: Path, settings: DataConfig, progress: Progress | None = None) -> Dataset:
    """Open a source, decode every case once and recognise public sets by content.

    What decoding showed is kept in the cache folder for as long as no file and no setting changes.
    """
    source = open_source(path, settings)
    facts = remembered_scan(source.cases, settings, progress)
    require_one_convention(path, source.cases, (fact.told_labels for fact in facts))
    return Dataset(_identify(source, facts), facts, settings)


def _read_sample(case: Case, settings: DataConfig) -> Sample:
    image = read_image(case)
    grid = case.grid or Grid(image.shape[1:], _spacing_mm(case, settings))
    return Sample(image, read_truth(case, settings), grid)


def _spacing_mm(case: Case, settings: DataConfig) -> tuple[float, ...] | None:
    set_by_hand = settings.spacing_mm
    return case.spacing_mm or (None if set_by_hand is None else (set_by_hand, set_by_hand))


def _identify(source: Source, facts: Sequence[Facts]) -> Source:
    hashes = [fact.known_mask_hash or fact.mask_hash for fact in facts if fact.mask_hash]
    entries = [_entry(fact) for fact in facts]
    both = list(zip(source.cases, entries, strict=True))
    if not cheng.is_cheng(hashes):
        return replace(source, cases=tuple(_with_known_patient(case, entry) for case, entry in both))
    cases = [replace(case, patient=e.patient, class_name=e.class_name) if e else case for case, e in both]
    return replace(
        source,
        cases=tuple(cases),
        known_as=cheng.NAME,
        patient_classes=cheng.patient_classes(),
        channel=cheng.CHANNEL,
        label=cheng.LABEL,
    )


def _with_known_patient(case: Case, entry: cheng.Entry | None) -> Case:
    """The case with the patient that its mask betrays, where its source does not know him."""
    if entry is None or case.patient is not None:
        return case
    return replace(case, patient=f"{cheng.NAME}-{entry.patient}", class_name=case.class_name or entry.class_name)


def case_reader(config: Config, known: Collection[str]) -> Callable[[str], Sample] | None:
    """Reads a case by its id; None where the source is not where it was.

    `known` are the hashes of the images that may be shown: a run folder of a stranger may name any folder as its data.
    """
    try:
        cases = {case.id: case for case in open_source(source_path(config), config.data).cases}
    except UserError:
        return None

    def read(case_id: str) -> Sample:
        sample = _read_sample(cases[case_id], config.data)
        if image_hash(sample.image) not in known:
            raise UserError(f"{cases[case_id].images[0]}: not the image that the run knows under this name")
        return sample

    return read
