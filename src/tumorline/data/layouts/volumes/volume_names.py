"""What the name of a volume states: its scan, and the word of its sequence or truth.

T1 and what is said of contrast beside it are one word: `A_postGd_T1` is T1 after contrast of the scan `A`, not T1 of a
scan `A_postGd`.
"""

import re
from collections.abc import Collection, Iterable
from typing import NamedTuple

from tumorline.data.layouts.names import GAP
from tumorline.data.layouts.volumes.scan_case import FILE_WORDS
from tumorline.formats.nifti import SUFFIXES, without_volume_suffix

TRUTHS = (
    *(
        "seg",
        "tumor_segmentation",
        "tumour_segmentation",
        "segm",
        "tumor_mask",
        "tumour_mask",
        "tumormask",
        "tumourmask",
    ),
    *("gtv", "glistrboost_manuallycorrected", "glistrboost", "automated_approx_segm"),
)
"""The first that is there is read."""
PLAIN_TRUTHS = ("mask", "masks", "label", "labels", "segmentation", "segmentations", "dseg")
"""What masks of anything are called: they count where a set has no truth of the other names."""
BY_LENGTH = sorted((word for words in (*FILE_WORDS.values(), TRUTHS) for word in words), key=len, reverse=True)
_WORDS = "|".join(BY_LENGTH)
NAME = re.compile(rf"(.+?)[-_]({_WORDS})\.nii(?:\.gz)?", re.IGNORECASE)
BARE = re.compile(rf"({_WORDS})\.nii(?:\.gz)?", re.IGNORECASE)
PLAIN_MASK = re.compile(rf"(?:(?P<scan>.+?)[-_])?(?P<word>{'|'.join(PLAIN_TRUTHS)})\.nii(?:\.gz)?", re.IGNORECASE)
WITH_CONTRAST, WITHOUT_CONTRAST = "t1c", "t1"
"""Words that are of no convention of labels."""

_SCAN = rf"(?:(?P<scan>.+?){GAP})??"
_T1 = rf"t1w?(?:{GAP}?flair)?"
_AGENT = "gado(?:linium)?|gad|gd|ce|km|contrast|enhanced"
_WITHOUT = rf"(?:pre|non?|un|without|wo){GAP}?(?:{_AGENT})|pre|native"
_WITH = rf"(?:(?:post|with){GAP}?)?(?:{_AGENT})|post"
WITHOUT = re.compile(_WITHOUT, re.IGNORECASE)
BEFORE_T1 = re.compile(rf"{_SCAN}(?P<contrast>{_WITHOUT}|{_WITH}|c(?=t1)){GAP}?{_T1}", re.IGNORECASE)
AFTER_T1 = re.compile(rf"{_SCAN}{_T1}(?:{GAP}|(?!ce|gd))(?P<contrast>{_WITHOUT}|{_WITH})", re.IGNORECASE)
BIDS = re.compile(r"(.+?)_ce-(?!no)[a-z0-9]+((?:_[a-z]+-[a-z0-9]+)*)_t1w?", re.IGNORECASE)
VISIT = re.compile(rf"((?:.+?{GAP})?(?:pre|post)){GAP}(?!t1w?(?![a-z0-9])).+", re.IGNORECASE)


class Stated(NamedTuple):
    """What a name states; empty where it is no name of this kind."""

    scan: str = ""
    word: str = ""
    """In lower case."""


def visits_among(names: Iterable[str]) -> frozenset[str]:
    """Beginnings such as `A_post` that name a visit, as volumes of other sequences than T1 have them too."""
    return frozenset(match[1].casefold() for name in names if (match := VISIT.fullmatch(name)))


def read_volume_name(name: str, visits: Collection[str] = ()) -> Stated:
    """Scan and word of a name of BraTS or of a T1 with a word on contrast; `A_post_t1` of a visit `A_post` is T1.

    A name that is a word alone is of no scan.
    """
    if stated := _read_contrast(name, visits):
        return stated
    if bare := BARE.fullmatch(name):
        return Stated(word=bare[1].lower())
    match = NAME.fullmatch(name)
    return Stated(match[1], match[2].lower()) if match else Stated()


def _read_contrast(name: str, visits: Collection[str]) -> Stated | None:
    if not name.lower().endswith(SUFFIXES):
        return None
    stem = without_volume_suffix(name)
    if bids := BIDS.fullmatch(stem):
        return Stated(bids[1] + bids[2], WITH_CONTRAST)
    match = BEFORE_T1.fullmatch(stem) or AFTER_T1.fullmatch(stem)
    if not match or stem[: match.end("contrast")].casefold() in visits:
        return None
    word = WITHOUT_CONTRAST if WITHOUT.fullmatch(match["contrast"]) else WITH_CONTRAST
    return Stated(match["scan"] or "", word)
