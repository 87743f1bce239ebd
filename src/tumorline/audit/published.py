"""The machine-readable results of `tumorline data check`."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

from tumorline.audit.case_findings import count_patients
from tumorline.data.dataset import Dataset
from tumorline.data.finding import Finding

SCHEMA_VERSION = 1


class PublishedFinding(TypedDict):
    code: str
    severity: str
    files: list[str]
    message: str


class PublishedPair(TypedDict):
    """Two cases of one set that show the same."""

    a: str
    b: str
    kind: str
    """'exact' or 'near'."""
    transform: str
    """How the second lies to the first."""
    correlation: float


class PublishedShared(TypedDict):
    """A case of each of two sets that are one, by name; see `between.Shared`."""

    a: str
    b: str
    kind: str
    transform: str
    correlation: float | None
    cropped: bool
    slice: str


class PublishedSet(TypedDict):
    """One data set."""

    source: str
    layout: str
    known_as: str | None
    simulated: bool
    cases: int
    patients: int | None
    """None where they are unknown."""


class CheckResult(PublishedSet):
    """Of one set by itself."""

    schema_version: int
    findings: list[PublishedFinding]
    pairs: list[PublishedPair]


class AuditResult(PublishedSet):
    """Of one set against another."""

    schema_version: int
    against: PublishedSet
    patients_in_both: int
    counts: Mapping[str, int]
    findings: list[PublishedFinding]
    pairs: list[PublishedShared]


def publish_set(dataset: Dataset) -> PublishedSet:
    source = dataset.source
    return {
        "source": str(source.path),
        "layout": source.layout,
        "known_as": source.known_as or None,
        "simulated": source.simulated,
        "cases": len(dataset.cases),
        "patients": count_patients(dataset),
    }


def publish_findings(findings: Sequence[Finding]) -> list[PublishedFinding]:
    return [
        {"code": finding.code, "severity": finding.severity, "files": [*finding.files], "message": finding.message}
        for finding in findings
    ]
