"""What is wrong with a data set, before anything is trained or measured on it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from tumorline.data import brisc
from tumorline.data.case import Case
from tumorline.data.dataset import Dataset
from tumorline.data.facts import Facts
from tumorline.data.near_duplicates import NearPair
from tumorline.data.patients import conflicting_collections
from tumorline.data.source import Finding, Severity
from tumorline.data.split import PARTS, Split, shared_groups, stated_split
from tumorline.errors import UserError
from tumorline.wording import is_or_are, numbered, some_of

SCHEMA_VERSION = 1
LEAST_FILLED = 0.01
"""Share of the voxels of a volume that are not 0: a head in a wide field of view fills more."""
SPLIT_ANEW = "--set split.stated=false splits anew, by patient"
MOST_SHARED = 3
"""Patients in several sources that are named one by one."""
FEWEST_PATIENTS = {"validation": 5, "test": 2}
"""Of a part that has any; fewer are warned of."""


def check(dataset: Dataset, split: Split | None = None) -> list[Finding]:
    """All findings on a decoded data set, errors first; also what crosses a split: this one, or the source's own."""
    findings = _of_cases(dataset) if not dataset.members else _of_members(dataset)
    findings += [*_small_parts(dataset, split), *_without_tumour(dataset, split)] if split else []
    sides = [(dataset, split)] if split else [(one, own) for one in _alone(dataset) if (own := stated_split(one))]
    for one in _alone(dataset):
        findings += _stated_parts(one)
    for one, parts in sides:
        findings += [*_crossing(one, parts), *_near_crossing(one, parts), *_of_brisc(one, parts)]
    order = {"error": 0, "warning": 1, "info": 2}
    return sorted(findings, key=lambda finding: order[finding.severity])


def _alone(dataset: Dataset) -> tuple[Dataset, ...]:
    """Each source by itself."""
    return dataset.members or (dataset,)


def _of_cases(dataset: Dataset) -> list[Finding]:
    """What the cases of one source show, whatever the split."""
    findings = [*dataset.source.findings, *_unusable(dataset), *_corrections(dataset), *_suspicious_masks(dataset)]
    findings += _patients(dataset)
    return findings + _sizes(dataset) + _duplicates(dataset) + _near_duplicates(dataset)


def _of_members(dataset: Dataset) -> list[Finding]:
    """What each of several sources shows, and what they share."""
    findings = [finding for member in dataset.members for finding in _of_cases(member)]
    return findings + _unlike_channels(dataset) + _shared(dataset)


def _shared(dataset: Dataset) -> list[Finding]:
    """What several sources show of the same patients; a split keeps it on one side."""
    found = []
    for cases in shared_groups(dataset).values():
        first = cases[0]
        other = next(case for case in cases if dataset.member_of(case) != dataset.member_of(first))
        named = f"patient {first.patient}" if first.patient and first.patient == other.patient else "equal or nearly so"
        message = f"{first.id} and {other.id} are of one patient, or one image ({named}); they are kept on one side"
        found.append(Finding("shared_by_sources", "warning", message, _files(cases)))
    if len(found) <= MOST_SHARED:
        return found
    rest = tuple(file for finding in found[MOST_SHARED:] for file in finding.files)
    more = f"{len(found) - MOST_SHARED} more patients or images are in several sources"
    return [*found[:MOST_SHARED], Finding("shared_by_sources", "warning", more, rest)]


def errors(dataset: Dataset) -> list[Finding]:
    """What makes a decoded data set unusable, without the search for what is merely suspicious."""
    return [finding for finding in (*dataset.source.findings, *_unusable(dataset)) if finding.severity == "error"]


def stop_on_errors(findings: Sequence[Finding]) -> None:
    """Raise UserError with the first error in one line, and how many more there are."""
    errors = [finding for finding in findings if finding.severity == "error"]
    if not errors:
        return
    more = f" (and {len(errors) - 1} more errors: see 'tumorline data check')" if len(errors) > 1 else ""
    raise UserError(errors[0].message + more)


def as_json(dataset: Dataset, findings: Sequence[Finding]) -> dict[str, Any]:
    """The machine-readable result of `tumorline data check --json`."""
    return {
        "schema_version": SCHEMA_VERSION,
        "source": str(dataset.source.path),
        "layout": dataset.source.layout,
        "known_as": dataset.source.known_as or None,
        "simulated": dataset.source.simulated,
        "cases": len(dataset.cases),
        "patients": count_patients(dataset),
        "findings": [
            {"code": f.code, "severity": f.severity, "files": list(f.files), "message": f.message} for f in findings
        ],
        "pairs": [
            {"a": a.id, "b": b.id, "kind": "exact", "transform": "identity", "correlation": 1.0}
            for group in duplicate_groups(dataset)
            for a, b in pairwise(group)
        ]
        + [
            {"a": a.id, "b": b.id, "kind": "near", "transform": pair.transform, "correlation": pair.correlation}
            for a, b, pair in near_duplicates(dataset)
        ],
    }


def count_patients(dataset: Dataset) -> int | None:
    """Number of patients, or None where they are unknown."""
    if dataset.source.patients_unknown:
        return None
    return len({case.patient for case in dataset.cases})


def duplicate_groups(dataset: Dataset) -> list[list[Case]]:
    """Cases whose images are equal pixel for pixel, in groups of two and more."""
    groups: dict[str, list[Case]] = defaultdict(list)
    for case, fact in _pairs(dataset):
        if fact.image_hash:
            groups[fact.image_hash].append(case)
    return [group for group in groups.values() if len(group) > 1]


def near_duplicates(dataset: Dataset) -> list[tuple[Case, Case, NearPair]]:
    """Cases that show the same picture, though not pixel for pixel: its transform turns the first into the second."""
    return [(dataset.cases[pair.a], dataset.cases[pair.b], pair) for pair in dataset.near_pairs]


def _pairs(dataset: Dataset) -> Iterable[tuple[Case, Facts]]:
    return zip(dataset.cases, dataset.facts, strict=True)


def _files(cases: Iterable[Case]) -> tuple[str, ...]:
    return tuple(str(case.images[0]) for case in cases)


def _unusable(dataset: Dataset) -> list[Finding]:
    findings = []
    said = set()
    for case, fact in _pairs(dataset):
        for code, message in fact.errors:
            if message in said:  # the slices of one volume
                continue
            said.add(message)
            file = case.images[0] if code == "unreadable" and str(case.images[0]) in message else case.truth_file
            findings.append(Finding(code, "error", message, (str(file),)))
    return findings + _unlike_channels(dataset)


def _unlike_channels(dataset: Dataset) -> list[Finding]:
    channels = {len(case.images) for case in dataset.cases}
    if len(channels) < 2:
        return []
    message = f"{dataset.source.path}: cases have {sorted(channels)} channels; all must have the same number"
    return [Finding("channels", "error", message)]


def _corrections(dataset: Dataset) -> list[Finding]:
    """Corrected masks that change nothing, and those that lack a region which the mask that they stand for has."""
    findings, equal = [], []
    for case, fact in _pairs(dataset):
        if case.correction is None or not fact.given_hash or fact.errors:
            continue
        if fact.given_hash == fact.mask_hash:
            equal.append(case)
        both = zip(dataset.regions, fact.given_foregrounds, fact.foregrounds, strict=True)
        if lost := [region for region, before, after in both if before and not after]:
            message = f"{case.correction}: marks no {' and no '.join(lost)}, which the mask that it corrects does"
            findings.append(Finding("correction_takes_out", "warning", message, (str(case.correction),)))
    if equal:
        names = some_of([case.id for case in equal])
        message = f"{numbered(len(equal), 'corrected mask')} as the source has them, unchanged: {names}"
        findings.append(Finding("correction_equal", "info", message, tuple(str(case.correction) for case in equal)))
    return findings


def _suspicious_masks(dataset: Dataset) -> list[Finding]:
    findings = []
    for case, fact in _pairs(dataset):
        if fact.errors:
            continue
        if fact.constant:
            message = f"{case.images[0]}: constant image, every pixel has the same value"
            findings.append(Finding("constant", "warning", message, _files([case])))
        elif case.is_volume and fact.filled < LEAST_FILLED:
            message = f"{case.images[0]}: {fact.filled:.2%} of its voxels are not 0; is this a head?"
            findings.append(Finding("nearly_empty", "warning", message, _files([case])))
        if fact.foreground > 0.5:
            message = f"{case.truth_file}: {fact.foreground:.0%} of the image is foreground; are the values inverted?"
            findings.append(Finding("over_half", "warning", message, (str(case.truth_file),)))
    return findings + _empty_masks(dataset) + _absent_regions(dataset)


def _absent_regions(dataset: Dataset) -> list[Finding]:
    """Regions that some cases lack, of several: each such case counts as free of it; that all lack one is a warning."""
    findings = []
    shares = [fact.foregrounds for fact in dataset.facts if len(fact.foregrounds) > 1 and fact.foreground]
    for region, values in zip(dataset.regions, zip(*shares, strict=True), strict=False):
        lacking = sum(not value for value in values)
        if lacking:
            message = f"{dataset.source.path}: {lacking} of {len(values)} cases with a tumour have no {region}"
            findings.append(Finding("no_region", "warning" if lacking == len(values) else "info", message))
    return findings


def _empty_masks(dataset: Dataset) -> list[Finding]:
    empty = [case for case, fact in _pairs(dataset) if not fact.errors and fact.foreground == 0]
    if not empty or dataset.settings.tumour_free:
        return []
    kind = "volumes" if empty[0].is_volume else "slices"
    message = f"{_example(empty)}: {len(empty)} of {len(dataset.cases)} masks are empty (tumour-free {kind})"
    return [Finding("empty", "warning", message, tuple(str(case.truth_file) for case in empty))]


def _patients(dataset: Dataset) -> list[Finding]:
    return _unknown_patients(dataset) + _conflicting_patients(dataset)


def _conflicting_patients(dataset: Dataset) -> list[Finding]:
    """Names of one patient of a public collection under which the source states different patients."""
    conflict = conflicting_collections({case.id: case.patient for case in dataset.cases if case.patient})
    if conflict is None:
        return []
    first, second = (dataset.cases[dataset.index[name]] for name in conflict)
    message = (
        f"{dataset.source.path}: by their names '{first.id}' and '{second.id}' are one patient, but the patients "
        f"stated are '{first.shown_patient}' and '{second.shown_patient}'; state one patient, or rename the files"
    )
    return [Finding("patient_conflict", "error", message, _files([first, second]))]


def _unknown_patients(dataset: Dataset) -> list[Finding]:
    unknown = [case for case in dataset.cases if case.patient is None]
    if not unknown:
        return []
    kind = "scans" if unknown[0].is_volume else "slices"
    message = (
        f"{dataset.source.path}: patients unknown for {len(unknown)} of {len(dataset.cases)} cases; {kind} of one "
        "patient may lie on both sides of the split. Put a patients.csv (id, patient) into this folder"
    )
    return [Finding("patients_unknown", "warning", message)]


def _stated_parts(dataset: Dataset) -> list[Finding]:
    """What the source says of train and test; whether to trust it, the other findings say."""
    split = stated_split(dataset)
    if split is None:
        return []
    counted = ", ".join(f"{len(split.cases(part))} {part}" for part in PARTS)
    path, left_out = dataset.source.path, len(split.cases("excluded"))
    findings = [Finding("stated_parts", "info", f"{path}: the source states the parts {counted}; {SPLIT_ANEW}")]
    if dataset.source.patients_unknown:
        message = f"{path}: whether the parts that the source states share patients cannot be known"
        findings.append(Finding("stated_parts_unproven", "warning", message))
    if left_out:
        message = f"{path}: {left_out} of {len(dataset.cases)} cases are in none of the stated parts and are left out"
        findings.append(Finding("part_unknown", "warning", message))
    return findings


def _of_brisc(dataset: Dataset, split: Split) -> list[Finding]:
    """BRISC's own test part, recognised by its names, is no test of anything."""
    tests = [case for case in dataset.cases if brisc.shows_tumour(case.id) and case.part == "test"]
    trains = [case for case in dataset.cases if brisc.shows_tumour(case.id) and case.part == "train"]
    own = trains and tests and all(split.parts[case.id] == "test" for case in tests)
    if not own:
        return []
    message = f"{dataset.source.path}: the parts of BRISC leak, {brisc.LEAK}; {SPLIT_ANEW}"
    return [Finding("brisc_leaks", "warning" if split.leaking else "error", message, _files(tests))]


def _sizes(dataset: Dataset) -> list[Finding]:
    sizes: dict[tuple[int, ...], int] = defaultdict(int)
    for fact in dataset.facts:
        if fact.shape:
            sizes[fact.shape[1:]] += 1
    if len(sizes) < 2:
        return []
    common = sorted(sizes.items(), key=lambda item: -item[1])
    listed = ", ".join(f"{count} of {' x '.join(map(str, sides[::-1]))}" for sides, count in common[:4])
    message = f"{dataset.source.path}: images of {len(sizes)} sizes ({listed}); each is scaled with its aspect kept"
    return [Finding("mixed_sizes", "info", message)]


def _duplicates(dataset: Dataset) -> list[Finding]:
    findings = []
    for group in duplicate_groups(dataset):
        patients = {case.patient for case in group}
        across = " under different patients" if len(patients - {None}) > 1 else ""
        message = f"{_example(group)}: exact duplicate of {_names(group[1:])}{across}"
        findings.append(Finding("duplicate", "warning", message, _files(group)))
    return findings


def _near_duplicates(dataset: Dataset) -> list[Finding]:
    found = near_duplicates(dataset)
    if not found:
        return []
    message = f"{_looks_like(*found[0])}; {_count_pairs(found)} of near duplicates, see 'pairs' of --json"
    return [Finding("near_duplicate", "warning", message, _files_of(found))]


def _near_crossing(dataset: Dataset, split: Split) -> list[Finding]:
    """Near duplicates on both sides of a split: an error, unless slices were split on purpose."""
    crossing = []
    for a, b, pair in near_duplicates(dataset):
        parts = {split.parts[a.id], split.parts[b.id]} - {"excluded"}
        if len(parts) > 1:
            crossing.append((a, b, pair))
    if not crossing:
        return []
    a, b, _ = crossing[0]
    message = (
        f"{_looks_like(*crossing[0])}, but they are in {_join({split.parts[a.id], split.parts[b.id]})}; "
        f"{_count_pairs(crossing)} of near duplicates lie{'s' if len(crossing) == 1 else ''} on two sides of the split"
    )
    return [Finding("near_duplicate_crosses", "warning" if split.leaking else "error", message, _files_of(crossing))]


def _looks_like(a: Case, b: Case, pair: NearPair) -> str:
    how = "" if pair.transform == "identity" else f" after {pair.transform}"
    return f"{a.images[0]}: looks like {b.images[0].name}{how} (correlation {pair.correlation:.3f})"


def _count_pairs(found: Sequence[tuple[Case, Case, NearPair]]) -> str:
    return numbered(len(found), "pair")


def _files_of(found: Iterable[tuple[Case, Case, NearPair]]) -> tuple[str, ...]:
    return _files({case.id: case for a, b, _ in found for case in (a, b)}.values())


def _crossing(dataset: Dataset, split: Split) -> list[Finding]:
    """Patients and equal images on both sides of a split: an error, unless slices were split on purpose."""
    severity: Severity = "warning" if split.leaking else "error"
    found = _parts_by(split.parts, ((case.shown_patient, case.id) for case in dataset.cases))
    torn = {patient: parts for patient, parts in found.items() if patient is not None and len(parts) > 1}
    findings = []
    if torn:
        first, parts = next(iter(torn.items()))
        others = len(torn) - 1
        more = f", and {numbered(others, 'more patient')} {is_or_are(others)} in several parts" if others else ""
        message = f"{split.origin}: patient {first} is in {_join(parts)}{more}; a patient belongs to one part"
        if split.parts_are_stated:
            message += f"; {SPLIT_ANEW}"
        findings.append(Finding("patient_crosses", severity, message))
    for group in duplicate_groups(dataset):
        parts = {split.parts[case.id] for case in group} - {"excluded"}
        if len(parts) > 1:
            message = f"{_example(group)}: equal to {_names(group[1:])}, but they are in {_join(parts)}"
            findings.append(Finding("duplicate_crosses", severity, message, _files(group)))
    return findings


def _small_parts(dataset: Dataset, split: Split) -> list[Finding]:
    """Parts of few patients: what validation chooses, and what a test says, then holds for these."""
    found = []
    for part, fewest in FEWEST_PATIENTS.items():
        names = set(split.cases(part))
        patients = len({case.group for case in dataset.cases if case.id in names})
        if 0 < patients < fewest:
            who = "one patient" if patients == 1 else numbered(patients, "patient")
            message = f"{split.origin}: the {part} part is {who}; give it more (split.train, split.validation)"
            found.append(Finding("few_patients", "warning", message))
    return found


def _without_tumour(dataset: Dataset, split: Split) -> list[Finding]:
    """Training cases that show nothing to learn are an error, validation cases that show nothing to find a warning."""
    tumours = {case.id for case, fact in _pairs(dataset) if fact.foreground > 0}
    train, validation = split.cases("train"), split.cases("validation")
    if not tumours & {*train}:
        message = (
            f"{dataset.source.path}: none of the {len(train)} training cases shows a tumour, so that there is "
            "nothing to learn; check the masks, data.label and data.mask_threshold"
        )
        return [Finding("no_tumour_to_learn", "error", message)]
    if validation and not tumours & {*validation}:
        message = (
            f"{dataset.source.path}: none of the {len(validation)} validation cases shows a tumour: the epoch is "
            "chosen by the validation loss alone and the threshold stays 0.5; choose another split.seed or more of them"
        )
        return [Finding("no_tumour_to_find", "warning", message)]
    return []


def _parts_by(parts: Mapping[str, str], pairs: Iterable[tuple[str | None, str]]) -> dict[str | None, set[str]]:
    found: dict[str | None, set[str]] = defaultdict(set)
    for patient, case_id in pairs:
        if parts[case_id] != "excluded":
            found[patient].add(parts[case_id])
    return found


def _join(parts: Iterable[str]) -> str:
    return " and ".join(sorted(parts))


def _example(cases: Sequence[Case]) -> str:
    return str(cases[0].images[0])


def _names(cases: Sequence[Case]) -> str:
    shown = ", ".join(case.images[0].name for case in cases[:3])
    return shown + (f" and {len(cases) - 3} more" if len(cases) > 3 else "")
