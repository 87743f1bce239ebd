"""The hashes under which a model keeps the patients that it has seen, and those under which it may know one."""

from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256

from tumorline.data import cheng
from tumorline.data.patients.earlier_spellings import earlier_spellings
from tumorline.data.patients.names import patient_perhaps, spelling


def hash_patient(patient: str, namespace: str = "") -> str:
    """The form in which all versions keep a patient; a recognised set has a name space of its own."""
    return sha256(f"patient:{namespace}/{patient}".encode(errors="surrogatepass")).hexdigest()[:16]


def keys_to_keep(patients: Iterable[str]) -> set[str]:
    """One hash for each patient, the same however the name is written."""
    return {hash_patient(spelling(patient)) for patient in patients}


@lru_cache(maxsize=1 << 14)
def keys_to_look_up(patient: str, written: str) -> frozenset[str]:
    """The hash of a patient and those of the names that version 0.1.0 kept, which took each visit for a patient.

    It put the few cases of a recognised set that are not the set's own into the set's name space; no number of
    another source is looked for there.
    """
    names = {spelling(patient), *earlier_spellings(patient, written)}
    if perhaps := patient_perhaps(patient):
        names.add(spelling(perhaps))
    theirs = {name for name in (patient, written) if name and name not in cheng.patient_classes()}
    return frozenset({*map(hash_patient, names), *(hash_patient(name, cheng.NAME) for name in theirs)})
