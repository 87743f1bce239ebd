"""A data set is a source whose files were all decoded once: facts by case, findings, patients."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from pathlib import Path

from tumorline.arrays import MaskArray
from tumorline.config import DataConfig
from tumorline.data import cheng
from tumorline.data.case import Case, read_image
from tumorline.data.case_truth import read_other_labels, read_truth
from tumorline.data.facts import Facts, Look, remembered_scan
from tumorline.data.labels.convention import require_one_convention
from tumorline.data.near.duplicates import NearPair
from tumorline.data.near_pairs import own_pairs, pairs_of_members
from tumorline.data.patients.known import hash_patient, keys_to_keep, keys_to_look_up
from tumorline.data.patients.public_collections import collection_patient, collection_patient_of_file
from tumorline.data.sample import Sample
from tumorline.data.source import Source, open_source
from tumorline.errors import UserError
from tumorline.geometry.grid import Grid
from tumorline.geometry.slices import Pixel, pixel_of, plane_of
from tumorline.given_paths import as_path
from tumorline.progress import Progress
from tumorline.regions import REGION


@dataclass(frozen=True)
class Dataset:
    """Cases and what their decoding showed, of one source or of several (`members`); `read` gives a case its arrays."""

    source: Source
    facts: tuple[Facts, ...]
    settings: DataConfig
    members: tuple["Dataset", ...] = ()
    """Of several sources each as it is by itself; here their cases follow one another, under names of their own."""

    @property
    def cases(self) -> tuple[Case, ...]:
        return self.source.cases

    @cached_property
    def index(self) -> dict[str, int]:
        return {case.id: position for position, case in enumerate(self.cases)}

    def case(self, case_id: str) -> Case:
        return self.cases[self.index[case_id]]

    @property
    def paths(self) -> tuple[Path, ...]:
        """Where the sources lie, and what corrects them."""
        members = self.members or (self,)
        corrections = (Path(dataset.settings.corrections) for dataset in members if dataset.settings.corrections)
        return (*(member.source.path for member in members), *corrections)

    @cached_property
    def begins(self) -> tuple[int, ...]:
        """Position of the first case of each member, and the number of cases."""
        return tuple(accumulate((len(member.cases) for member in self.members), initial=0))

    def member_of(self, case: Case) -> int:
        """Number of the source that a case comes from."""
        return bisect_right(self.begins, self.index[case.id]) - 1

    def whole_part(self, case: Case) -> str:
        """The part that all of the source of a case is in by choice; empty where its patients are split."""
        return self.settings.sources[self.member_of(case)].whole_part if self.members else ""

    def member_and_case(self, case: Case) -> tuple["Dataset", Case]:
        """The source that a case comes from, and the case as it is there."""
        if not self.members:
            return self, case
        number = self.member_of(case)
        return self.members[number], self.members[number].cases[self.index[case.id] - self.begins[number]]

    @cached_property
    def near_pairs(self) -> tuple[NearPair, ...]:
        """Near duplicates among the cases, by position; of cases that are equal pixel for pixel the first stands."""
        return pairs_of_members(self.members, self.begins) if self.members else own_pairs(self.facts, self.settings)

    @property
    def channels(self) -> int:
        return len(self.cases[0].images)

    @property
    def channel_names(self) -> tuple[str, ...]:
        """The sequence of each channel; "" where it is unknown."""
        names = self.cases[0].channels or ((self.source.channel,) if self.channels == 1 else ())
        return names or ("",) * self.channels

    @property
    def regions(self) -> tuple[str, ...]:
        """The names of the target regions, in the order of `Sample.truth`."""
        return self.settings.regions or (REGION,)

    def read(self, case: Case) -> Sample:
        """Image and truth as the files have them. Raises UserError for a file that cannot be read."""
        member, own_case = self.member_and_case(case)
        return read_sample(own_case, member.settings)

    def read_truth(self, case: Case) -> MaskArray:
        """The regions of a case as boolean `(R, *space)`."""
        member, own_case = self.member_and_case(case)
        return read_truth(own_case, member.settings)

    def read_other_labels(self, case: Case) -> MaskArray | None:
        """Where a case's label map `(*space)` holds labels that are of no region; None where it has no such map."""
        return read_other_labels(case)

    def spacing_mm(self, case: Case) -> tuple[float, ...] | None:
        member, own_case = self.member_and_case(case)
        return _spacing_mm(own_case, member.settings)

    def plane_of(self, case: Case) -> str:
        """Which slices of a volume are looked at: those of `data.axis`, or those that it was acquired in."""
        _, own_case = self.member_and_case(case)
        return plane_of(own_case.grid, self.settings.axis) if own_case.grid else self.settings.axis

    def pixel_of(self, case: Case) -> Pixel:
        """Of a picture, or of the slices of a volume that are looked at."""
        _, own_case = self.member_and_case(case)
        return pixel_of(own_case.grid.spacing_mm if own_case.grid else self.spacing_mm(case), self.plane_of(case))

    def patient_keys(self, case: Case, facts: Facts) -> set[str]:
        """The hashes under which a model keeps this case's patient, recognised by its mask as well."""
        member, own_case = self.member_and_case(case)
        return keys_to_keep(member._names(own_case, facts)) | _keys_by_mask(facts)

    def known_patient_keys(self, case: Case, facts: Facts) -> set[str]:
        """All hashes under which a model, of version 0.1.0 also, may know this case's patient."""
        member, own_case = self.member_and_case(case)
        names = member._names(own_case, facts)
        return {key for name in names for key in keys_to_look_up(name, own_case.patient_written)} | _keys_by_mask(facts)

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


def load_dataset(
    path: Path | str,
    settings: DataConfig,
    progress: Progress | None = None,
    look: Look | None = None,
    called: str = "",
) -> Dataset:
    """Open a source, decode every case once and recognise public sets by content.

    What decoding showed is kept in the cache folder for as long as no file and no setting changes.

    Args:
        path: A folder in a supported layout, or a table.
        settings: How it is read: `load_config(None, [...]).data`.
        progress: Called with the number of cases that are decoded and of all.
        look: Is shown the image and truth of each case while they are decoded, which then are in any case.
        called: Its name among several sources, which may stand in the names of corrected masks.

    Returns:
        A `Dataset`: `cases`, their `facts`, `source` (layout, findings, what it was recognised as), `regions`, and
        `read`, which gives `image (C, *space)` in file values, `truth (R, *space)` and `grid` of a case.

    Raises:
        UserError: Where the source is in no supported layout, or in two.

    Example:
        >>> dataset = tumorline.load_dataset("scans", tumorline.load_config(None).data)
        >>> len(dataset.cases), dataset.read(dataset.cases[0]).image.shape
        (40, (1, 32, 32))
    """
    if not isinstance(settings, DataConfig):
        raise UserError(f"settings: a {type(settings).__name__}; give load_config(None, [...]).data")
    source_path = as_path(path, "path")
    source = open_source(source_path, settings, called)
    facts = remembered_scan(source.cases, settings, progress, look)
    require_one_convention(source_path, source.cases, (fact.told_labels for fact in facts))
    return Dataset(_identify(source, facts), facts, settings)


def read_sample(case: Case, settings: DataConfig) -> Sample:
    """Image and truth of a case as the files have them. Raises UserError for a file that cannot be read."""
    image = read_image(case)
    grid = case.grid or Grid(image.shape[1:], _spacing_mm(case, settings))
    return Sample(image, read_truth(case, settings), grid)


def _spacing_mm(case: Case, settings: DataConfig) -> tuple[float, ...] | None:
    set_by_hand = settings.spacing_mm
    return case.spacing_mm or (None if set_by_hand is None else (set_by_hand, set_by_hand))


def _identify(source: Source, facts: Sequence[Facts]) -> Source:
    hashes = [fact.known_mask_hash or fact.mask_hash for fact in facts if fact.mask_hash]
    entries = [_entry(fact) for fact in facts]
    pairs = list(zip(source.cases, entries, strict=True))
    if not cheng.is_cheng(hashes):
        return replace(source, cases=tuple(_with_known_patient(case, entry) for case, entry in pairs))
    cases = [replace(case, patient=e.patient, class_name=e.class_name) if e else case for case, e in pairs]
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
