"""Volumes of BraTS, UCSF-PDGM and UPENN-GBM as cases: NIfTI files named by scan and sequence."""

from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tumorline.config import DataConfig
from tumorline.data.case import Case
from tumorline.data.finding import Finding
from tumorline.data.label_convention import find_scheme, labels_for
from tumorline.data.layouts.contents import Contents, Listing
from tumorline.data.layouts.patient_tables import with_patients_of_tables
from tumorline.data.layouts.scan_files import ALL_TRUTHS, ScanFiles, scans_by_name
from tumorline.data.layouts.volume_names import TRUTHS, read_volume_name
from tumorline.data.layouts.volumes import FILE_WORDS, list_scan, wanted_regions, wanted_sequences
from tumorline.data.patients import patients_of_scans
from tumorline.errors import UserError
from tumorline.regions import Labels
from tumorline.wording import numbered

AUTOMATED = ("automated_approx_segm", "glistrboost")


def sequence_in_name(name: str, visits: Collection[str] = ()) -> str:
    """The sequence that the name of a volume states, or 'truth'; empty where it states neither."""
    word = read_volume_name(name, visits).word
    return "truth" if word in TRUTHS else next((key for key, words in FILE_WORDS.items() if word in words), "")


def find_brats(contents: Contents) -> str:
    scans = {name: scan for name, scan in scans_by_name(contents)[0].items() if len(scan.by_word) > 1}
    count = len(set(patients_of_scans(scans).values()))
    return f"{numbered(count, 'patient')} with NIfTI volumes (for example {next(iter(scans))})" if scans else ""


def read_brats(contents: Contents, settings: DataConfig) -> Listing:
    """One case for every scan; one that lacks a file is an error finding.

    Raises UserError where it cannot be told what the labels mean.
    """
    scans, adopted = scans_by_name(contents)
    truths = {scan.truth: scan.by_word.keys() for scan in scans.values() if scan.truth}
    scheme, by_names = find_scheme(truths, settings)
    labels = labels_for(scheme, wanted_regions(settings), by_names)
    patients = patients_of_scans(scans)
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda name: _case_of_names(name, patients[name], scans[name], labels, settings), scans))
    findings = [*adopted, *_automated(scans), *(finding for _, findings in found for finding in findings)]
    cases, notes = with_patients_of_tables(contents, [case for cases, _ in found for case in cases], "the scans")
    return cases, findings + notes


def _automated(scans: Mapping[str, ScanFiles]) -> Iterable[Finding]:
    found = [scan.truth for scan in scans.values() if scan.truth and scan.truth in map(scan.by_word.get, AUTOMATED)]
    if found:
        message = (
            f"{found[0]}: the truth of {len(found)} scans is what a program found (automated), nobody corrected it"
        )
        yield Finding("automated_truth", "warning", message, tuple(map(str, found)))


def _case_of_names(name: str, patient: str, scan: ScanFiles, labels: Labels, settings: DataConfig) -> Listing:
    try:
        if scan.twice:
            raise UserError(f"{scan.twice[0]}: {name} has another file of this name elsewhere; keep one of them")
        channels = wanted_sequences(settings)
        images = tuple(_file_of(name, scan, key, FILE_WORDS[key]) for key in channels)
        mask = _file_of(name, scan, "truth", ALL_TRUTHS)
    except UserError as error:
        return [], [Finding("unreadable", "error", str(error), tuple(map(str, scan.paths)), name)]
    whole = Case(name, images, mask, patient, labels=labels, channels=channels, patient_written=name)
    return list_scan(whole)


def _file_of(name: str, scan: ScanFiles, key: str, words: tuple[str, ...]) -> Path:
    for word in words:
        if word in scan.by_word:
            return scan.by_word[word]
    at = scan.paths[0].parent
    raise UserError(f"{at}: no {key} volume of {name} (a name that ends in {' or '.join(words)})")
