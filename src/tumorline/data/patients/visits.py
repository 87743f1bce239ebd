"""Patient and visit in one name: what tells one visit from another, and what is no person at all."""

import re
from typing import NamedTuple

_START, _END = r"(?<![^\W_])", r"(?![^\W_])"


def whole_words(text: str) -> re.Pattern[str]:
    """A text in any case that stands between what is no letter or digit."""
    return re.compile(_START + text + _END, re.IGNORECASE)


BIDS = whole_words(r"sub-[a-z0-9]+")
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
NOBODY = whole_words(
    rf"(?:(?:{_PARTS})?[-_ ]?(?:set|split)|{_PARTS}|{_KINDS})s?[-_ ]?\d+|{_SEQUENCES}|{_SIZES}|v[1-9](?:\.\d+)?"
)
"""Parts, kinds and sizes of a set, and sequences: their numbers are of no person."""
TIME = re.compile(r"(?<![-_ ])[-_ ]+t(?P<visit>\d+)$", re.IGNORECASE)
"""A visit at the end of a patient's name; in the name of a file it would be the sequence T1 or T2."""
NUMBERED = re.compile(r"(?P<patient>.*\d)[-_./](?P<visit>\d{1,3})")
"""Patient and visit, or site and patient: the other names of the set tell."""
LETTERED = re.compile(r"(?P<patient>.*\d{4})(?P<visit>[a-z])", re.IGNORECASE)
"""The same of `100101B`."""
NAMED = re.compile(r"(?P<patient>.*\d)[-_. /](?P<visit>[^-_. /]*[^\W\d_][^-_. /]*)")
"""Patient and visit perhaps, where the visit has a name that is not known."""
SAYS_PATIENT = whole_words(r"(?:patient|subject|subj|pat)[-_ ]?(?:id)?[-_ ]?\d+")


class Visit(NamedTuple):
    """A patient's name and where, in the name of one of its visits, the visit's number stands."""

    patient: str
    number: tuple[int, int] | None


def split_visit(stated: str) -> Visit:
    """A stated name as patient and visit; the whole name where it tells of no visit."""
    if subject := BIDS.match(stated):
        match = VISIT.search(stated, subject.end())
        return Visit(subject[0], _number(match) if match else None)
    candidates = (pattern.search(stated) for pattern in (CLEAR_VISIT, VISIT, TIME))
    for match in candidates:
        patient = stated[: match.start()] if match else ""
        if match and patient and (match.re is CLEAR_VISIT or _may_be_somebody(patient, match)):
            return Visit(patient, _number(match))
    return Visit(stated, None)


def _may_be_somebody(patient: str, visit: re.Match[str]) -> bool:
    """Whether what stands before a visit is a person: of the folder in `a1/scan_3` nobody knows."""
    in_folder = "/" in visit[0] and visit.groupdict().get("number")
    return bool(SAYS_PATIENT.search(patient)) if in_folder else may_name_somebody(patient)


def may_name_somebody(text: str) -> bool:
    """Whether a person may be called so: a number is in it that is not of a part or kind of the set."""
    return re.search(r"\d", NOBODY.sub("", text)) is not None


def _number(match: re.Match[str]) -> tuple[int, int] | None:
    return next((match.span(group) for group, text in match.groupdict().items() if text), None)
