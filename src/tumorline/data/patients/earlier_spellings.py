"""Names under which Tumorline 0.1.0, which knew nothing of visits, may have kept a patient."""

from collections.abc import Iterable
from itertools import product

from tumorline.data.patients.public_collections import SAME_PEOPLE, collection_patient
from tumorline.data.patients.visits import NUMBERED, split_visit

VISITS = range(200)
"""Numbers of follow-ups that are looked for."""


def earlier_spellings(patient: str, written: str) -> Iterable[str]:
    """Names under which Tumorline 0.1.0, which knew nothing of visits, may have kept this patient."""
    yield from (patient, written, patient.upper(), patient.lower())
    if patient.isdecimal():
        yield from (f"{int(patient)}.0", *(patient.lstrip("0").zfill(width) for width in range(1, 7)))
    if patient != written:
        yield from _other_visits(written)
    if collection_patient(patient) == patient:
        yield from _collection_spellings(patient)


def _other_visits(written: str) -> Iterable[str]:
    numbered = NUMBERED.fullmatch(written)
    number = split_visit(written).number or (numbered and numbered.span("visit"))
    if number:
        start, end = number
        yield from (f"{written[:start]}{visit:0{end - start}d}{written[end:]}" for visit in VISITS)


def _collection_spellings(patient: str) -> Iterable[str]:
    collection, _, number = patient.rpartition("-")
    if collection == "BraTS-GLI":
        same = [int(number), *(other for other, first in SAME_PEOPLE.items() if first == int(number))]
        yield from (f"BraTS2021_{same_number:05d}" for same_number in same)
        yield from (f"{collection}-{same_number:05d}-{visit:03d}" for same_number in same for visit in VISITS)
    elif collection in ("BraTS-CBICA", "BraTS-2013", "BraTS-TMC", "BraTS-TCIA", "BraTS-WASHU"):
        yield from _institution_spellings(collection.removeprefix("BraTS-"), number)
    elif collection.startswith("BraTS-") and number.isdecimal():
        yield from (f"{collection}-{number}-{visit:03d}" for visit in VISITS)
        yield from (f"{collection}-{int(number):04d}-{visit}" for visit in range(10))
    elif collection == "UPENN-GBM":
        yield from (f"{patient}_{visit}" for visit in (11, 21))
    elif patient.startswith("TCGA_"):
        yield patient.replace("_", "-")


def _institution_spellings(institution: str, number: str) -> Iterable[str]:
    """The years gave the same people the same names but for the number of their collection."""
    copies = [institution, *(f"TCIA{copy:02d}" for copy in range(1, 14) if institution == "TCIA")]
    numbers = {number, number.zfill(3), number.zfill(5)}
    for challenge, copy, padded in product(("Brats17", "Brats18", "BraTS18", "BraTS19"), copies, sorted(numbers)):
        yield from (f"{challenge}_{copy}_{padded}_{visit}" for visit in (1, 2, 3))
