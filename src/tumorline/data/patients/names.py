"""Which patient a name means: the visit of a follow-up, a year of BraTS and a spreadsheet's '.0' left out of it."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice

from tumorline.data.patients.public_collections import collection_patient
from tumorline.data.patients.visits import (
    BIDS,
    COUNTED,
    FILE_VISIT,
    LETTERED,
    NAMED,
    NUMBERED,
    SAYS_PATIENT,
    may_name_somebody,
    split_visit,
)

FEWEST_FOLLOWED = 3
"""Patients who seem to have the same visits, before it is said."""
MOST_COUNTED = 20
"""Numbers or letters that may be visits of each patient; more are patients of a site."""
LEAST_TELLING = 4
"""Characters of a name that is hardly given twice by chance."""
MOST_VISITS = 20
"""Words for visits that are looked at in one name."""

WHOLE_NUMBER = re.compile(r"(\d+)[.,]0+")


def spelling(text: str) -> str:
    """What is left of a name where capitals, leading zeros, '.0', separators and Unicode forms do not count."""
    plain = unicodedata.normalize("NFKC", text).strip().casefold()
    joined = re.sub(r"[-_\s]+", "-", without_decimals(plain))
    return re.sub(r"\d+", lambda match: match[0].lstrip("0") or "0", joined)


def patient_meant(stated: str) -> str:
    """The patient whom a stated name means: `BraTS-GLI-00005-001` is `BraTS-GLI-00005`, `P7_visit2` is `P7`."""
    return without_decimals(without_visits(stated))


def one_name(stated: str) -> str:
    """The patient whom a stated name means, however the name is written and whatever the visit."""
    return spelling(patient_meant(stated))


def without_decimals(text: str) -> str:
    """A whole number as it was before a spreadsheet gave it decimals; any other text as it is."""
    match = WHOLE_NUMBER.fullmatch(text)
    return match[1] if match else text


def without_visits(stated: str) -> str:
    """A stated name without what tells one visit from another."""
    if known := collection_patient(stated):
        return known
    patient = split_visit(stated).patient
    return patient if patient == stated else without_visits(patient)


def patients_in_names(names: Collection[str]) -> dict[str, str]:
    """The patients whom the names of a set's cases bear, without the cases that say nothing of a patient or visit.

    `P7_scan2` bears P7 where the set has more such patients than scans of each.
    """
    sure = {name: patient for name in names if (patient := patient_in_name(name))}
    counted = {name: patient_and_visit for name in names if name not in sure and (patient_and_visit := _counted(name))}
    patients, visits = ({patient_and_visit[index] for patient_and_visit in counted.values()} for index in (0, 1))
    few = len(patients) > 1 and len(visits) <= len(patients)
    return sure | ({name: patient for name, (patient, _) in counted.items()} if few else {})


def patient_in_name(name: str) -> str | None:
    """The patient whom the name of a case or file bears by itself; None where it says nothing of a patient or visit."""
    if known := collection_patient(name):
        return known
    if match := BIDS.search(name) or SAYS_PATIENT.search(name):
        return match[0]
    return next((patient for visit in _visits(FILE_VISIT, name) if (patient := _before(visit))), None)


def _counted(name: str) -> tuple[str, str] | None:
    """Patient and visit, if this is what a name that ends in a count of scans says."""
    pairs = ((patient, visit["number"]) for visit in _visits(COUNTED, name) if (patient := _before(visit)))
    return next(((patient, number.lstrip("0")) for patient, number in pairs), None)


def _visits(pattern: re.Pattern[str], name: str) -> Iterator[re.Match[str]]:
    return islice(pattern.finditer(name), MOST_VISITS)


def _before(visit: re.Match[str]) -> str:
    """What stands before a visit in the last folder there; empty where it is nobody."""
    patient = visit.string[: visit.start()].rsplit("/", 1)[-1]
    return patient if may_name_somebody(patient) else ""


def patients_of_scans(names: Collection[str]) -> dict[str, str]:
    """The patient of each scan of a set.

    `P01_1` and `P01_2`, or `1001A` and `1001B`, are one where the set has more such patients than visits; so are `P01`
    and `P01_2`.
    """
    patient_of = {name: patient_meant(name) for name in names}
    for pattern in (NUMBERED, LETTERED):
        matches = {
            name: match for name in names if patient_of[name] == name and (match := _visit_at_end(pattern, name))
        }
        patients, visits = ({match[group].casefold() for match in matches.values()} for group in ("patient", "visit"))
        followed = len(visits) <= len(patients) < len(matches)
        patient_of |= {
            name: match["patient"] for name, match in matches.items() if followed or match["patient"] in patient_of
        }
    return patient_of


def names_of_one_patient(patients: Iterable[str]) -> list[str]:
    """Names of patients that differ in their endings alone, in few and the same of them: visits perhaps, else none.

    Words are visits of more patients than there are words; numbers and letters are counted, up to some for each.
    """
    names = [*patients]
    words, *counted = (_followed_in(pattern, names) for pattern in (NAMED, NUMBERED, LETTERED))
    if len(words) >= max(FEWEST_FOLLOWED, _endings(words)):
        return _whole_names(words)
    likely = (grouped for grouped in counted if len(grouped) >= FEWEST_FOLLOWED and _endings(grouped) <= MOST_COUNTED)
    return next(map(_whole_names, likely), [])


def _followed_in(pattern: re.Pattern[str], names: Iterable[str]) -> dict[str, list[re.Match[str]]]:
    """Names by the patient who may be in them, where he has several."""
    grouped: dict[str, list[re.Match[str]]] = defaultdict(list)
    for name in names:
        if match := _visit_at_end(pattern, name):
            grouped[match["patient"]].append(match)
    return {patient: found for patient, found in grouped.items() if len({*map(_visit, found)}) > 1}


def _visit(match: re.Match[str]) -> str:
    return match["visit"].casefold()


def _endings(grouped: Mapping[str, Iterable[re.Match[str]]]) -> int:
    return len({_visit(match) for found in grouped.values() for match in found})


def _whole_names(grouped: Mapping[str, Iterable[re.Match[str]]]) -> list[str]:
    return [match[0] for found in grouped.values() for match in found]


def patient_perhaps(name: str) -> str | None:
    """The patient of a name that may end in a visit's number, where what is left of it is long enough to be one."""
    match = _visit_at_end(NUMBERED, name) or _visit_at_end(LETTERED, name)
    return match["patient"] if match and len(match["patient"]) >= LEAST_TELLING else None


def _visit_at_end(pattern: re.Pattern[str], name: str) -> re.Match[str] | None:
    """Patient and visit in a name, if it be so: the number in a folder called `fold1` is of no patient."""
    match = None if collection_patient(name) else pattern.fullmatch(name)
    if match and name[match.end("patient")] == "/" and not may_name_somebody(match["patient"].rsplit("/", 1)[-1]):
        return None
    return match
