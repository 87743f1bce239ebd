"""What crosses a split, or leaves a part of it with too little."""

from collections import defaultdict
from collections.abc import Iterable

from tumorline.audit.case_findings import (
    duplicate_groups,
    example_of,
    files_of_cases,
    files_of_pairs,
    looks_like,
    names_of,
    near_duplicates,
    pairs_with_facts,
)
from tumorline.data import brisc
from tumorline.data.case import Case
from tumorline.data.dataset import Dataset
from tumorline.data.finding import Finding, Severity
from tumorline.data.splits.augmented_copies import copy_groups
from tumorline.data.splits.parts import PARTS, Split
from tumorline.wording import is_or_are, numbered

SPLIT_ANEW = "--set split.stated=false splits anew, by patient"
FEWEST_PATIENTS = {"validation": 5, "test": 2}
"""Of a part that has any; fewer are warned of."""


def find_stated_parts(dataset: Dataset, split: Split) -> list[Finding]:
    """What the source says of train and test; whether to trust it, the other findings say."""
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


def find_brisc_overlap(dataset: Dataset, split: Split) -> list[Finding]:
    """BRISC's own test part, recognised by its names, is no test of anything."""
    tests = [case for case in dataset.cases if brisc.shows_tumour(case.id) and case.part == "test"]
    trains = [case for case in dataset.cases if brisc.shows_tumour(case.id) and case.part == "train"]
    keeps_its_parts = trains and tests and all(split.parts[case.id] == "test" for case in tests)
    if not keeps_its_parts:
        return []
    message = f"{dataset.source.path}: the parts of BRISC leak, {brisc.LEAK}; {SPLIT_ANEW}"
    return [Finding("brisc_leaks", _severity(split), message, files_of_cases(tests))]


def find_near_crossing(dataset: Dataset, split: Split) -> list[Finding]:
    """Near duplicates on both sides of a split: an error, unless slices were split on purpose."""
    crossing = [(a, b, pair) for a, b, pair in near_duplicates(dataset) if len(_parts_of((a, b), split)) > 1]
    if not crossing:
        return []
    message = (
        f"{looks_like(*crossing[0])}, but they are in {_listed_parts(_parts_of(crossing[0][:2], split))}; "
        f"{numbered(len(crossing), 'pair')} of near duplicates lie{'s' if len(crossing) == 1 else ''} on two sides of "
        "the split"
    )
    return [Finding("near_duplicate_crosses", _severity(split), message, files_of_pairs(crossing))]


def find_copies_crossing(dataset: Dataset, split: Split) -> list[Finding]:
    """Augmented copies of one picture on both sides of a split: an error, unless slices were split on purpose."""
    crossing = [group for group in copy_groups(dataset.cases) if len(_parts_of(group, split)) > 1]
    if not crossing:
        return []
    first, *others = [case for case in crossing[0] if split.parts[case.id] != "excluded"]
    second = next(case for case in others if split.parts[case.id] != split.parts[first.id])
    message = (
        f"{split.origin}: by their names {first.id} and {second.id} are augmented copies of one picture, but are in "
        f"{_listed_parts({split.parts[first.id], split.parts[second.id]})}; the copies of "
        f"{numbered(len(crossing), 'picture')} lie on two sides of the split"
    )
    if split.parts_are_stated:
        message += f"; {SPLIT_ANEW}"
    files = files_of_cases([case for group in crossing for case in group])
    return [Finding("augmented_copies_cross", _severity(split), message, files)]


def find_crossing(dataset: Dataset, split: Split) -> list[Finding]:
    """Patients and equal images on both sides of a split: an error, unless slices were split on purpose."""
    findings = []
    if torn := _torn_patients(dataset, split):
        first, parts = next(iter(torn.items()))
        others = len(torn) - 1
        more = f", and {numbered(others, 'more patient')} {is_or_are(others)} in several parts" if others else ""
        message = f"{split.origin}: patient {first} is in {_listed_parts(parts)}{more}; a patient belongs to one part"
        if split.parts_are_stated:
            message += f"; {SPLIT_ANEW}"
        findings.append(Finding("patient_crosses", _severity(split), message))
    return findings + _equal_crossing(dataset, split)


def _equal_crossing(dataset: Dataset, split: Split) -> list[Finding]:
    parts = [(group, _parts_of(group, split)) for group in duplicate_groups(dataset)]
    crossing = [(group, group_parts) for group, group_parts in parts if len(group_parts) > 1]
    if not crossing:
        return []
    group, group_parts = crossing[0]
    message = f"{example_of(group)}: equal to {names_of(group)}, but they are in {_listed_parts(group_parts)}"
    if len(crossing) > 1:
        message += f"; {len(crossing)} groups of equal images lie on two sides of the split"
    files = files_of_cases(case for group, _ in crossing for case in group)
    return [Finding("duplicate_crosses", _severity(split), message, files)]


def find_small_parts(dataset: Dataset, split: Split) -> list[Finding]:
    """Parts of few patients: what validation chooses, and what a test says, then holds for these."""
    findings = []
    for part, fewest in FEWEST_PATIENTS.items():
        names = set(split.cases(part))
        patients = len({case.group for case in dataset.cases if case.id in names})
        if 0 < patients < fewest:
            counted = "one patient" if patients == 1 else numbered(patients, "patient")
            message = f"{split.origin}: the {part} part is {counted}; give it more (split.train, split.validation)"
            findings.append(Finding("few_patients", "warning", message))
    return findings


def find_without_tumour(dataset: Dataset, split: Split) -> list[Finding]:
    """Training cases that show nothing to learn are an error, validation cases that show nothing to find a warning."""
    tumours = {case.id for case, fact in pairs_with_facts(dataset) if fact.foreground > 0}
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
    return _without_region(dataset, split)


OF_NO_REGION = {
    "train": "the network learns to draw none; leave it out of data.regions, or choose another split.seed",
    "validation": "its threshold stays 0.5; choose another split.seed or more of them",
}
"""What follows where no case of a part shows a region that others show."""


def _without_region(dataset: Dataset, split: Split) -> list[Finding]:
    findings = []
    for number, region in enumerate(dataset.regions if len(dataset.regions) > 1 else ()):
        showing = {case.id for case, fact in pairs_with_facts(dataset) if any(fact.foregrounds[number : number + 1])}
        for part, consequence in OF_NO_REGION.items():
            cases = split.cases(part)
            if showing and cases and not showing & {*cases}:
                none = f"none of the {len(cases)} {'training' if part == 'train' else part} cases shows {region}"
                message = f"{dataset.source.path}: {none}: {consequence}"
                findings.append(Finding("no_region_in_part", "warning", message))
    return findings


def _severity(split: Split) -> Severity:
    """Of what crosses a split: an error, unless slices were split on purpose."""
    return "warning" if split.leaking else "error"


def _torn_patients(dataset: Dataset, split: Split) -> dict[str, set[str]]:
    """The parts of each patient who is in several."""
    parts: dict[str, set[str]] = defaultdict(set)
    for case in dataset.cases:
        if case.shown_patient is not None and split.parts[case.id] != "excluded":
            parts[case.shown_patient].add(split.parts[case.id])
    return {patient: own_parts for patient, own_parts in parts.items() if len(own_parts) > 1}


def _parts_of(cases: Iterable[Case], split: Split) -> set[str]:
    return {split.parts[case.id] for case in cases} - {"excluded"}


def _listed_parts(parts: Iterable[str]) -> str:
    return " and ".join(sorted(parts))
