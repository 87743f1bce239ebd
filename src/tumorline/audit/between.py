"""What two sources share: the same pictures, whatever was done to them, the same masks, the same patients."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import NamedTuple

from tumorline.audit.case_findings import count_patients, pairs_with_facts
from tumorline.audit.published import SCHEMA_VERSION, AuditResult, PublishedShared, publish_findings, publish_set
from tumorline.config import DataConfig, load_config
from tumorline.data.case import Case
from tumorline.data.dataset import Dataset, load_dataset
from tumorline.data.facts import Facts, distinct_images, scan, search_near_pairs
from tumorline.data.finding import Finding, Severity
from tumorline.data.known_layouts import LAYOUTS
from tumorline.data.layouts.contents import Contents
from tumorline.data.layouts.names import name_below
from tumorline.data.layouts.patient_tables import with_patients_of_tables
from tumorline.data.left_out import leave_out
from tumorline.data.near.duplicates import NearPair
from tumorline.data.near_pairs import slices_among
from tumorline.data.patients.public_collections import collection_patient
from tumorline.data.source import Source, open_picture, with_patients
from tumorline.geometry.symmetry import inverse_name
from tumorline.progress import Progress
from tumorline.source_spec import read_spec
from tumorline.wording import numbered

PICTURES_ONLY = "pictures only"
SHOWN = 10
NEAR_KINDS = ("turned", "mirrored", "cropped")
"""Counted among the near pairs."""


class Shared(NamedTuple):
    """A case of each set that are one: `transform` of picture `a` looks like picture `b`."""

    a: Case
    b: Case
    kind: str
    """`exact` (pictures equal pixel for pixel), `near`, or `mask` (masks equal, not empty; pictures are not alike)."""
    transform: str = "identity"
    correlation: float | None = 1.0
    cropped: bool = False
    slice: str = ""
    """Which slice of the volume it is, where one of the two is a picture and the other a volume."""

    def turned_round(self) -> "Shared":
        """The same seen from the other set."""
        return self._replace(a=self.b, b=self.a, transform=inverse_name(self.transform))


@dataclass(frozen=True)
class Audit:
    sets: tuple[Dataset, Dataset]
    same_source: bool
    pairs: tuple[Shared, ...]
    patients: int
    """Patients that occur in both sets."""
    findings: tuple[Finding, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Pairs by kind; a near pair may be turned or mirrored, and cropped as well."""
        near_ones = [pair for pair in self.pairs if pair.kind == "near"]
        return {
            "exact image": sum(pair.kind == "exact" for pair in self.pairs),
            "exact mask": sum(pair.kind == "mask" for pair in self.pairs),
            "near": len(near_ones),
            "turned": sum(pair.transform.startswith("rotate") for pair in near_ones),
            "mirrored": sum(pair.transform.startswith("mirror") for pair in near_ones),
            "cropped": sum(pair.cropped for pair in near_ones),
        }


def load_pictures(path: Path, settings: DataConfig, progress: Progress | None = None) -> Dataset:
    """A source in any layout; a folder without one is a set of pictures without masks. Raises UserError."""
    contents = Contents(path)
    if not contents.pictures or any(layout.find(contents) for layout in LAYOUTS.values()):
        return load_dataset(path, settings, progress)
    pictures, notes = with_patients_of_tables(
        contents, [_picture(file, path) for file in contents.pictures], "this folder"
    )
    cases, findings = leave_out(path, with_patients(pictures), notes, settings.leave_out)
    return Dataset(Source(path, PICTURES_ONLY, cases, findings), scan(cases, settings, progress), settings)


def open_side(given: Path | str, overrides: Iterable[str] = (), progress: Progress | None = None) -> Dataset:
    """The same of `PATH` or `PATH,key=value,...`, whose settings are its own."""
    spec = read_spec(str(given))
    return load_pictures(spec.path, load_config(None, [*overrides, *spec.settings]).data, progress)


def compare_sets(first: Dataset, second: Dataset) -> Audit:
    """Exact, near, turned and mirrored duplicates between two sets, equal masks, and common patients."""
    sets = (first, second)
    same = first.source.path.resolve() == second.source.path.resolve()
    pairs = () if same else _shared(first, second)
    patients = _count_common_patients(first, second)
    findings = [*_uncompared(first), *([] if same else _uncompared(second)), *_overlap(sets, same, pairs)]
    if patients and not same:
        findings.append(_common_patients(sets, patients))
    return Audit(sets, same, pairs, patients, tuple(findings))


def as_json(audit: Audit) -> AuditResult:
    """The machine-readable result of `tumorline data check A --against B --json`."""
    first, second = (publish_set(dataset) for dataset in audit.sets)
    return {
        "schema_version": SCHEMA_VERSION,
        **first,
        "against": second,
        "patients_in_both": audit.patients,
        "counts": audit.counts,
        "findings": publish_findings(audit.findings),
        "pairs": [_publish_shared(pair) for pair in audit.pairs],
    }


def _publish_shared(pair: Shared) -> PublishedShared:
    return {
        "a": pair.a.id,
        "b": pair.b.id,
        "kind": pair.kind,
        "transform": pair.transform,
        "correlation": pair.correlation,
        "cropped": pair.cropped,
        "slice": pair.slice,
    }


# ---------------------------------------------------------------- the search


def _picture(file: Path, folder: Path) -> Case:
    case = open_picture(file)
    return Case(name_below(file, folder), case.images, planes=case.planes)


def _shared(first: Dataset, second: Dataset) -> tuple[Shared, ...]:
    exact = list(_equal(first, second, "image"))
    pairs = [Shared(first.cases[a], second.cases[b], "exact") for a, b in exact]
    positions = set(exact)
    for pair in _near(first, second):
        if (pair.a, pair.b) not in positions:
            cases = first.cases[pair.a], second.cases[pair.b]
            pairs.append(Shared(*cases, "near", pair.transform, pair.correlation, pair.cropped))
            positions.add((pair.a, pair.b))
    pairs += [*_slices(first, second), *(pair.turned_round() for pair in _slices(second, first))]
    masks = [pair for pair in _equal(first, second, "mask") if pair not in positions]
    return (*pairs, *(Shared(first.cases[a], second.cases[b], "mask", correlation=None) for a, b in masks))


def _equal(first: Dataset, second: Dataset, image_or_mask: str) -> Iterator[tuple[int, int]]:
    """Positions of cases whose pictures, or masks, are equal; constant ones say nothing and are left out."""
    positions: dict[str, list[int]] = defaultdict(list)
    for position, fact in enumerate(second.facts):
        positions[_content(fact, image_or_mask)].append(position)
    for position, fact in enumerate(first.facts):
        content = _content(fact, image_or_mask)
        yield from product([position], positions[content] if content else [])


def _content(fact: Facts, image_or_mask: str) -> str:
    if image_or_mask == "image":
        return fact.content
    return fact.mask_hash if fact.foreground else ""


def _near(first: Dataset, second: Dataset) -> list[NearPair]:
    of_first, of_second = distinct_images(first.facts), distinct_images(second.facts)
    pairs = search_near_pairs([first.facts[n] for n in of_first], [second.facts[n] for n in of_second])
    return [pair._replace(a=of_first[pair.a], b=of_second[pair.b]) for pair in pairs]


def _slices(volumes: Dataset, pictures: Dataset) -> Iterator[Shared]:
    """Pictures of one set that are slices of the other's volumes."""
    distinct = distinct_images(pictures.facts)
    for near, place in slices_among(volumes.cases, volumes.facts, [pictures.facts[n] for n in distinct]):
        cases = volumes.cases[near.a], pictures.cases[distinct[near.b]]
        yield Shared(*cases, "near", near.transform, near.correlation, near.cropped, str(place))


def _count_common_patients(first: Dataset, second: Dataset) -> int:
    """Patients of the first set whom the second holds under any of their names; one recognised by its mask is one."""
    keys_of_second = {key for keys in _patient_keys(second) for key in keys}
    return len({min(keys) for keys in _patient_keys(first) if keys & keys_of_second})


def _patient_keys(dataset: Dataset) -> list[set[str]]:
    return [dataset.patient_keys(case, fact) for case, fact in pairs_with_facts(dataset)]


# ---------------------------------------------------------------- what it says


def _uncompared(dataset: Dataset) -> list[Finding]:
    """Files that could not be compared: those of the source's own errors, and pictures that cannot be read."""
    findings = [finding for finding in dataset.source.findings if finding.severity == "error"]
    for case, fact in pairs_with_facts(dataset):
        if not fact.image_hash:
            findings += [Finding(code, "error", text, (str(case.images[0]),)) for code, text in fact.errors[:1]]
    return findings


def _overlap(sets: tuple[Dataset, Dataset], same: bool, pairs: tuple[Shared, ...]) -> list[Finding]:
    a, b = (dataset.source.path for dataset in sets)
    if same:
        message = f"{a}: compared with itself, every case is its own duplicate; leave --against out to look within it"
        return [Finding("same_source", "error", message)]
    pictures = [pair for pair in pairs if pair.kind != "mask"]
    masks = [pair for pair in pairs if pair.kind == "mask"]
    findings = []
    if pictures:
        message = f"{b}: holds {_count(p.a for p in pictures)} of {a}, as {_count(p.b for p in pictures)} there"
        findings.append(Finding("overlap", "error", message, _files(pictures)))
    if masks:
        message = f"{b}: holds the masks of {_count(p.a for p in masks)} of {a} too, though the pictures are not alike"
        findings.append(Finding("same_mask", "warning", message, _files(masks)))
    return findings


def _common_patients(sets: tuple[Dataset, Dataset], count: int) -> Finding:
    """Patients of a recognised set or a public collection are the same people; other names may agree by chance."""
    a, b = (dataset.source for dataset in sets)
    known_as = a.known_as if a.known_as == b.known_as else ""
    severity: Severity = "error" if known_as or _collection_patients(a) & _collection_patients(b) else "warning"
    described = f"patients of '{known_as}'" if known_as else "patients, by their names or their masks,"
    return Finding("same_patients", severity, f"{count} {described} are in both {a.path} and {b.path}")


def _collection_patients(source: Source) -> set[str]:
    return {name for case in source.cases if case.patient and (name := collection_patient(case.patient))}


def _count(cases: Iterable[Case]) -> str:
    return numbered(len({case.id for case in cases}), "case")


def _files(pairs: list[Shared]) -> tuple[str, ...]:
    return tuple({str(case.images[0]): None for pair in pairs for case in (pair.a, pair.b)})


def as_lines(audit: Audit) -> Iterator[str]:
    """Sets, counts by kind, the first pairs, and the findings."""
    for dataset in audit.sets:
        patients = count_patients(dataset)
        recognised = f", recognised as '{dataset.source.known_as}'" if dataset.source.known_as else ""
        counted = "unknown patients" if patients is None else numbered(patients, "patient")
        yield f"{dataset.source.path}: {numbered(len(dataset.cases), 'case')}, {counted}{recognised}"
    if not audit.same_source:
        rows = {**audit.counts, "patients in both": audit.patients}
        yield from (f"{'  ' * (kind in NEAR_KINDS) + kind:<16}{count:>6}" for kind, count in rows.items())
    yield from (_line(pair) for pair in audit.pairs[:SHOWN])
    if len(audit.pairs) > SHOWN:
        yield f"  and {len(audit.pairs) - SHOWN} more, see 'pairs' of --json"
    yield from (f"{finding.severity} [{finding.code}] {finding.message}" for finding in audit.findings)
    if not audit.findings:
        yield "nothing is in both"


def _line(pair: Shared) -> str:
    relation = [pair.kind, *([] if pair.transform == "identity" else [pair.transform]), *(["cropped"] * pair.cropped)]
    closeness = "" if pair.correlation is None else f" (correlation {pair.correlation:.3f})"
    slice_note = f" ({pair.slice})" * bool(pair.slice)
    return f"  {pair.a.id} = {pair.b.id}{slice_note}: {', '.join(relation)}{closeness}"
