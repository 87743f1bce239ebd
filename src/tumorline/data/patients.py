"""Which patient a name means: the visit of a follow-up, a year of BraTS and a spreadsheet's '.0' left out of it.

Names of a public collection mean the same person in every set. Where numbers were given twice, two people count as one.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import islice, product
from pathlib import Path
from typing import NamedTuple

SAME_PEOPLE = {758: 626, 639: 557}
"""Numbers of BraTS 2021 (also those of its successors) of one patient each."""
LEAST_TELLING = 4
"""Characters of a name that is hardly given twice by chance."""
VISITS = range(200)
"""Numbers of follow-ups that are looked for."""
MOST_VISITS = 20
"""Words for visits that are looked at in one name."""

_START, _END = r"(?<![^\W_])", r"(?![^\W_])"
_EARLY = r"(?:[-_]?(?:20)?1\d)?[-_]"
_SUCCESSOR = r"(?:[-_]?(?:20)?2\d)?[-_]"
_COHORT = r"(men[-_]rt|men|mets?|peds?|ssa|goat)"
_NUMBER = r"(0\d{2,4}|\d{5})"
"""As these sets write it; what stands in `brats2021_256/` and `BraTS_GLI_2023/` is a size and a year."""
_ANY_WIDTH = r"(\d{1,30})"


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(_START + text + _END, re.IGNORECASE)


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
    (_pattern(rf"(?:brats[-_]?(?:20)?2[12]|brats{_SUCCESSOR}gli|fets[-_]?2022)[-_]{_NUMBER}"), _glioma),
    (
        _pattern(r"brats[-_]?(?:20)?20[-_](training|validation|test)(?:ing)?[-_](\d{1,5})"),
        lambda found: f"BraTS20_{found[1].capitalize()}_{int(found[2]):03d}",
    ),
    (_pattern(rf"bratsreg[-_]{_ANY_WIDTH}"), lambda found: f"BraTSReg_{int(found[1]):03d}"),
    (_pattern(rf"brats{_EARLY}(cbica|tmc|washu|2013)[-_]([a-z0-9]+)"), _institution),
    (_pattern(rf"brats{_EARLY}(tcia)(?:\d\d)?[-_]([a-z0-9]+)"), _institution),
    (_pattern(rf"brats{_SUCCESSOR}{_COHORT}[-_]{_NUMBER}"), _cohort),
    (_pattern(rf"ucsf[-_]pdgm[-_]{_ANY_WIDTH}"), lambda found: f"UCSF-PDGM-{int(found[1]):04d}"),
    (_pattern(rf"upenn[-_]gbm[-_]{_ANY_WIDTH}"), lambda found: f"UPENN-GBM-{int(found[1]):05d}"),
    (_pattern(rf"rhuh[-_]{_ANY_WIDTH}"), lambda found: f"RHUH-{int(found[1]):04d}"),
    (
        _pattern(r"tcga[-_]([a-z0-9]{2})[-_]([a-z0-9]{4})"),
        lambda found: f"TCGA_{found[1].upper()}_{found[2].upper()}",
    ),
)
"""Public collections: how their names are written, and the one spelling of the patient."""

BIDS = _pattern(r"sub-[a-z0-9]+")
_OPERATED = r"(?:early[-_ ]?|late[-_ ]?)?(?:pra?e|intra|post)[-_ ]?op(?:erative)?"
_CLEARLY = (
    r"(?:ses(?:sion)?|visit|time[-_ ]?point|tp|fu|follow[-_ ]?up)[-_ ]?(?P<visit>\d+)[a-z]?|ses-[a-z0-9]+|baseline|bl"
    rf"|{_OPERATED}"
    r"|follow[-_ ]?up|(?:19|20)\d{6}|(?:19|20)\d\d[-_.]\d\d?[-_.]\d\d?"
)
_MEASURED = r"(?:week|wk|mo(?:nth)?|day)[-_ ]?(?P<passed>\d+)[a-z]?|mr[-_]d\d+"
_COUNTED = r"(?:time|scan|exam|study|mr|v)[-_ ]?(?P<number>\d+)[a-z]?"
_COURSE = (
    r"(?:pre|post)(?:[-_ ]?(?:[cs]?rt|rx|tx|tmz|chemo|radi(?:o|ation)|(?:(?:chemo|radio)[-_ ]?)*therapy|treatment"
    r"|surg(?:ery|ical)|resection|biopsy))?|relapse\d?|recurr?en(?:ce|t)\d?|progress(?:ion)?\d?|initial|nadir|screening"
    r"|diagnosis|[mw]\d{1,3}|\d{1,3}(?:mo(?:nths?)?|wks?|weeks?|yrs?|years?)"
)
_GAP = r"(?<![-_. /])[-_. /]+"
CLEAR_VISIT = re.compile(rf"{_GAP}(?:{_CLEARLY}){_END}", re.IGNORECASE)
VISIT = re.compile(rf"{_GAP}(?:{_CLEARLY}|{_MEASURED}|{_COUNTED}|{_COURSE}){_END}", re.IGNORECASE)
"""Of `P7_week3` P7 is the patient; of `glioma_scan_3` no one: only after a number are words like these visits."""
FILE_VISIT = re.compile(rf"{_GAP}(?:{_CLEARLY}|{_MEASURED}){_END}", re.IGNORECASE)
"""In the name of a file, of which `Br35H_scan_3` says nobody and `P7_week3` P7."""
COUNTED = re.compile(rf"(?<![-_. /])[-_. ]+(?:{_COUNTED}){_END}", re.IGNORECASE)
"""A visit or a running number of pictures: the other names of the set tell."""
_PARTS = "train(?:ing)?|val(?:id(?:ation)?)?|test(?:ing)?|data"
_KINDS = (
    "stage|grade|fold|batch|class|cat(?:egory)?|part|task|group|folder|site|cent(?:er|re)|scanner|type|level|run|round"
    "|seed|exp(?:eriment)?|version|ver|size"
)
_SEQUENCES, _SIZES = r"t[12](?:wi?|ce?|gd|n|f|[-_ ]?flair)?", r"\d+x\d+(?:x\d+)?|\d+(?:px|d|t)"
NOBODY = _pattern(
    rf"(?:(?:{_PARTS})?[-_ ]?(?:set|split)|{_PARTS}|{_KINDS})s?[-_ ]?\d+|{_SEQUENCES}|{_SIZES}|v[1-9](?:\.\d+)?"
)
"""Parts, kinds and sizes of a set, and sequences: their numbers are of no person."""
TIME = re.compile(r"(?<![-_ ])[-_ ]+t(?P<visit>\d+)$", re.IGNORECASE)
"""A visit at the end of a patient's name; in the name of a file it would be the sequence T1 or T2."""
NUMBERED = re.compile(r"(?P<patient>.*\d)[-_.](?P<visit>\d{1,3})")
"""Patient and visit, or site and patient: the other names of the set tell."""
NAMED = re.compile(r"(?P<patient>.*\d)[-_. ](?P<visit>[^-_. ]*[^\W\d_][^-_. ]*)")
"""Patient and visit perhaps, where the visit has a name that is not known."""
FEWEST_FOLLOWED = 3
"""Patients who seem to have the same visits, before it is said."""
SAYS_PATIENT = _pattern(r"(?:patient|subject|subj|pat)[-_ ]?(?:id)?[-_ ]?\d+")
WHOLE_NUMBER = re.compile(r"(\d+)[.,]0+")


class Visit(NamedTuple):
    """A patient's name and where, in the name of one of its visits, the visit's number stands."""

    patient: str
    number: tuple[int, int] | None


def spelling(text: str) -> str:
    """What is left of a name where capitals, leading zeros, '.0', separators and Unicode forms do not count."""
    plain = unicodedata.normalize("NFKC", text).strip().casefold()
    joined = re.sub(r"[-_\s]+", "-", without_decimals(plain))
    return re.sub(r"\d+", lambda found: found[0].lstrip("0") or "0", joined)


def collection_patient(text: str) -> str | None:
    """The patient of a public collection whose name a text bears."""
    for pattern, name in COLLECTIONS:
        if found := pattern.search(text):
            return name(found)
    return None


def collection_patient_of_file(path: Path) -> str | None:
    """The patient of a public collection whose name a file, its folder or the one above bears."""
    return collection_patient("/".join(path.parts[-3:]))


def patient_meant(stated: str) -> str:
    """The patient whom a stated name means: `BraTS-GLI-00005-001` is `BraTS-GLI-00005`, `P7_visit2` is `P7`."""
    return without_decimals(without_visits(stated))


def without_decimals(text: str) -> str:
    """A whole number as it was before a spreadsheet gave it decimals; any other text as it is."""
    whole = WHOLE_NUMBER.fullmatch(text)
    return whole[1] if whole else text


def without_visits(stated: str) -> str:
    """A stated name without what tells one visit from another."""
    if known := collection_patient(stated):
        return known
    patient = split_visit(stated).patient
    return patient if patient == stated else without_visits(patient)


def split_visit(stated: str) -> Visit:
    """A stated name as patient and visit; the whole name where it tells of no visit."""
    if subject := BIDS.match(stated):
        found = VISIT.search(stated, subject.end())
        return Visit(subject[0], _number(found) if found else None)
    candidates = (pattern.search(stated) for pattern in (CLEAR_VISIT, VISIT, TIME))
    for found in candidates:
        patient = stated[: found.start()] if found else ""
        if found and patient and (found.re is CLEAR_VISIT or _may_be_somebody(patient, found)):
            return Visit(patient, _number(found))
    return Visit(stated, None)


def _may_be_somebody(patient: str, visit: re.Match[str]) -> bool:
    """Whether what stands before a visit is a person: of the folder in `a1/scan_3` nobody knows."""
    in_folder = "/" in visit[0] and visit.groupdict().get("number")
    return bool(SAYS_PATIENT.search(patient)) if in_folder else _has_number(patient)


def _has_number(text: str) -> bool:
    """Whether a person may be called so: a number is in it that is not of a part or kind of the set."""
    return re.search(r"\d", NOBODY.sub("", text)) is not None


def _number(match: re.Match[str]) -> tuple[int, int] | None:
    return next((match.span(group) for group, text in match.groupdict().items() if text), None)


def patients_in_names(names: Collection[str]) -> dict[str, str]:
    """The patients whom the names of a set's cases bear, without the cases that say nothing of a patient or visit.

    `P7_scan2` bears P7 where the set has more such patients than scans of each.
    """
    sure = {name: patient for name in names if (patient := patient_in_name(name))}
    counted = {name: found for name in names if name not in sure and (found := _counted(name))}
    patients, visits = ({found[place] for found in counted.values()} for place in (0, 1))
    few = len(patients) > 1 and len(visits) <= len(patients)
    return sure | ({name: patient for name, (patient, _) in counted.items()} if few else {})


def patient_in_name(name: str) -> str | None:
    """The patient whom the name of a case or file bears by itself; None where it says nothing of a patient or visit."""
    if known := collection_patient(name):
        return known
    if found := BIDS.search(name) or SAYS_PATIENT.search(name):
        return found[0]
    return next((patient for visit in _visits(FILE_VISIT, name) if (patient := _before(visit))), None)


def _counted(name: str) -> tuple[str, str] | None:
    """Patient and visit, if this is what a name that ends in a count of scans says."""
    found = ((patient, visit["number"]) for visit in _visits(COUNTED, name) if (patient := _before(visit)))
    return next(((patient, number.lstrip("0")) for patient, number in found), None)


def _visits(pattern: re.Pattern[str], name: str) -> Iterator[re.Match[str]]:
    return islice(pattern.finditer(name), MOST_VISITS)


def _before(visit: re.Match[str]) -> str:
    """What stands before a visit in the last folder there; empty where it is nobody."""
    patient = visit.string[: visit.start()].rsplit("/", 1)[-1]
    return patient if _has_number(patient) else ""


def patients_of_scans(names: Collection[str]) -> dict[str, str]:
    """The patient of each scan of a set; `P01_1` and `P01_2` are one where the set has more such `P` than visits."""
    meant = {name: patient_meant(name) for name in names}
    rest = {name: found for name in names if meant[name] == name and (found := _numbered(name))}
    patients, visits = ({found[group] for found in rest.values()} for group in ("patient", "visit"))
    if len(visits) <= len(patients) < len(rest):
        meant |= {name: found["patient"] for name, found in rest.items()}
    return meant


def names_of_one_patient(patients: Iterable[str]) -> list[str]:
    """Names of patients that differ in their endings alone, in few and the same of them: visits perhaps, else none."""
    found = [match for name in patients if not collection_patient(name) and (match := NAMED.fullmatch(name))]
    visits: dict[str, set[str]] = defaultdict(set)
    for one in found:
        visits[one["patient"]].add(one["visit"].casefold())
    followed = [patient for patient, ends in visits.items() if len(ends) > 1]
    endings = {end for patient in followed for end in visits[patient]}
    if len(followed) < max(FEWEST_FOLLOWED, len(endings)):
        return []
    return [one[0] for one in found if one["patient"] in followed]


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


def patient_perhaps(name: str) -> str | None:
    """The patient of a name that may end in a visit's number, where what is left of it is long enough to be one."""
    found = _numbered(name)
    return found["patient"] if found and len(found["patient"]) >= LEAST_TELLING else None


def _numbered(name: str) -> re.Match[str] | None:
    return None if collection_patient(name) else NUMBERED.fullmatch(name)


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
        yield from (f"BraTS2021_{one:05d}" for one in same)
        yield from (f"{collection}-{one:05d}-{visit:03d}" for one in same for visit in VISITS)
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
    for challenge, copy, one in product(("Brats17", "Brats18", "BraTS18", "BraTS19"), copies, sorted(numbers)):
        yield from (f"{challenge}_{copy}_{one}_{visit}" for visit in (1, 2, 3))
