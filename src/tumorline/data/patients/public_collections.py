"""Public collections: how their names are written, and the one spelling of each patient.

Names of a public collection mean the same person in every set. Where numbers were given twice, two people count as one.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from tumorline.data.patients.visits import whole_words

SAME_PEOPLE = {758: 626, 639: 557}
"""Numbers of BraTS 2021 (also those of its successors) of one patient each."""

_EARLY = r"(?:[-_]?(?:20)?1\d)?[-_]"
_SUCCESSOR = r"(?:[-_]?(?:20)?2\d)?[-_]"
_COHORT = r"(men[-_]rt|men|mets?|peds?|ssa|goat)"
_NUMBER = r"(0\d{2,4}|\d{5})"
"""As these sets write it; what stands in `brats2021_256/` and `BraTS_GLI_2023/` is a size and a year."""
_ANY_WIDTH = r"(0\d{1,29}|\d{1,30}(?![^/]*/))"
"""As people write the others; of a folder's name with zeros before it: what stands in `upenn_gbm_256/` is a size."""


def _glioma(match: re.Match[str]) -> str:
    number = int(match[1])
    return f"BraTS-GLI-{SAME_PEOPLE.get(number, number):05d}"


def _cohort(match: re.Match[str]) -> str:
    name = {"METS": "MET", "PEDS": "PED"}.get(match[1].upper(), match[1].upper())
    return f"BraTS-{name.replace('_', '-')}-{int(match[2]):05d}"


def _institution(match: re.Match[str]) -> str:
    number = match[2].removeprefix("pat")
    return f"BraTS-{match[1].upper()}-{int(number) if number.isdecimal() else number.upper()}"


COLLECTIONS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (whole_words(rf"(?:brats[-_]?(?:20)?2[12]|brats{_SUCCESSOR}gli|fets[-_]?2022)[-_]{_NUMBER}"), _glioma),
    (
        whole_words(r"brats[-_]?(?:20)?20[-_](training|validation|test)(?:ing)?[-_](\d{1,5})"),
        lambda found: f"BraTS20_{found[1].capitalize()}_{int(found[2]):03d}",
    ),
    (whole_words(rf"bratsreg[-_]{_ANY_WIDTH}"), lambda found: f"BraTSReg_{int(found[1]):03d}"),
    (whole_words(rf"brats{_EARLY}(cbica|tmc|washu|2013)[-_]([a-z0-9]+)"), _institution),
    (whole_words(rf"brats{_EARLY}(tcia)(?:\d\d)?[-_]([a-z0-9]+)"), _institution),
    (whole_words(rf"brats{_SUCCESSOR}{_COHORT}[-_]{_NUMBER}"), _cohort),
    (whole_words(rf"ucsf[-_]pdgm[-_]{_ANY_WIDTH}"), lambda found: f"UCSF-PDGM-{int(found[1]):04d}"),
    (whole_words(rf"upenn[-_]gbm[-_]{_ANY_WIDTH}"), lambda found: f"UPENN-GBM-{int(found[1]):05d}"),
    (whole_words(rf"rhuh[-_]{_ANY_WIDTH}"), lambda found: f"RHUH-{int(found[1]):04d}"),
    (
        whole_words(r"tcga[-_]([a-z0-9]{2})[-_]([a-z0-9]{4})"),
        lambda found: f"TCGA_{found[1].upper()}_{found[2].upper()}",
    ),
)


def collection_patient(text: str) -> str | None:
    """The patient of a public collection whose name a text bears."""
    for pattern, name in COLLECTIONS:
        if match := pattern.search(text):
            return name(match)
    return None


def collection_patient_of_file(path: Path) -> str | None:
    """The patient of a public collection whose name a file, its folder or the one above bears."""
    return collection_patient("/".join(path.parts[-3:]))


def conflicting_collections(patients: Mapping[str, str]) -> tuple[str, str] | None:
    """Two names of one patient of a public collection to whom different patients are given; None where there are none.

    `patients` are those given, by name.
    """
    first_with: dict[str, str] = {}
    for name, patient in patients.items():
        if known := collection_patient(name):
            first = first_with.setdefault(known, name)
            if patients[first] != patient:
                return first, name
    return None
