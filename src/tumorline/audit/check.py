"""What is wrong with a data set, before anything is trained or measured on it."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from tumorline.audit.case_findings import (
    duplicate_groups,
    files_of_cases,
    find_augmented_copies,
    find_corrections,
    find_listed,
    find_near_duplicates,
    find_patients,
    find_sizes,
    find_suspicious_masks,
    find_unlike_channels,
    find_unusable,
    near_duplicates,
)
from tumorline.audit.duplicates import find_duplicates
from tumorline.audit.published import SCHEMA_VERSION, CheckResult, PublishedPair, publish_findings, publish_set
from tumorline.audit.split_findings import (
    find_brisc_overlap,
    find_copies_crossing,
    find_crossing,
    find_near_crossing,
    find_small_parts,
    find_stated_parts,
    find_without_tumour,
)
from tumorline.data.dataset import Dataset
from tumorline.data.finding import Finding
from tumorline.data.splits.parts import Split
from tumorline.data.splits.split import shared_groups, stated_split
from tumorline.errors import UserError

MOST_SHARED = 3
"""Patients in several sources that are named one by one."""


def check(dataset: Dataset, split: Split | None = None) -> list[Finding]:
    """All findings on a decoded data set, errors first; also what crosses a split: this one, or the source's own."""
    findings = _of_members(dataset) if dataset.members else _of_cases(dataset)
    if split:
        findings += find_small_parts(dataset, split) + find_without_tumour(dataset, split)
    stated = [(member, parts) for member in dataset.members or (dataset,) if (parts := stated_split(member))]
    for member, parts in stated:
        findings += find_stated_parts(member, parts)
    for member, parts in [(dataset, split)] if split else stated:
        findings += find_crossing(member, parts) + find_near_crossing(member, parts)
        findings += find_copies_crossing(member, parts) + find_brisc_overlap(member, parts)
    order = {"error": 0, "warning": 1, "info": 2}
    return sorted(findings, key=lambda finding: order[finding.severity])


def _of_cases(dataset: Dataset) -> list[Finding]:
    """What the cases of one source show, whatever the split."""
    searches = (find_listed, find_unusable, find_corrections, find_suspicious_masks, find_patients, find_sizes)
    of_copies = (find_duplicates, find_near_duplicates, find_augmented_copies)
    return [finding for find in (*searches, *of_copies) for finding in find(dataset)]


def _of_members(dataset: Dataset) -> list[Finding]:
    """What each of several sources shows, and what they share."""
    findings = [finding for member in dataset.members for finding in _of_cases(member)]
    return findings + find_unlike_channels(dataset) + _shared(dataset)


def _shared(dataset: Dataset) -> list[Finding]:
    """What several sources show of the same patients; a split keeps it on one side."""
    findings = []
    for cases in shared_groups(dataset).values():
        first = cases[0]
        second = next(case for case in cases if dataset.member_of(case) != dataset.member_of(first))
        relation = (
            f"patient {first.patient}" if first.patient and first.patient == second.patient else "equal or nearly so"
        )
        message = f"{first.id} and {second.id} are of one patient, or one image ({relation}); they are kept on one side"
        findings.append(Finding("shared_by_sources", "warning", message, files_of_cases(cases)))
    if len(findings) <= MOST_SHARED:
        return findings
    files = tuple(file for finding in findings[MOST_SHARED:] for file in finding.files)
    more = f"{len(findings) - MOST_SHARED} more patients or images are in several sources"
    return [*findings[:MOST_SHARED], Finding("shared_by_sources", "warning", more, files)]


def errors(dataset: Dataset) -> list[Finding]:
    """What makes a decoded data set unusable, without the search for what is merely suspicious."""
    return [finding for finding in (*dataset.source.findings, *find_unusable(dataset)) if finding.severity == "error"]


def stop_on_errors(findings: Sequence[Finding]) -> None:
    """Raise UserError with the first error in one line, and how many more there are."""
    errors = [finding for finding in findings if finding.severity == "error"]
    if not errors:
        return
    more = f" (and {len(errors) - 1} more errors: see 'tumorline data check')" if len(errors) > 1 else ""
    raise UserError(errors[0].message + more)


def as_json(dataset: Dataset, findings: Sequence[Finding]) -> CheckResult:
    """The machine-readable result of `tumorline data check --json`."""
    return {
        "schema_version": SCHEMA_VERSION,
        **publish_set(dataset),
        "findings": publish_findings(findings),
        "pairs": [*_publish_pairs(dataset)],
    }


def _publish_pairs(dataset: Dataset) -> Iterator[PublishedPair]:
    for group in duplicate_groups(dataset):
        for a, b in pairwise(group):
            yield {"a": a.id, "b": b.id, "kind": "exact", "transform": "identity", "correlation": 1.0}
    for a, b, pair in near_duplicates(dataset):
        yield {"a": a.id, "b": b.id, "kind": "near", "transform": pair.transform, "correlation": pair.correlation}
