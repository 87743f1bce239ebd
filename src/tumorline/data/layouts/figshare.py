"""The original files of Cheng et al. (figshare 1512427): `N.mat`, also nested, and `cvind.mat` with their folds."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tumorline.config import DataConfig
from tumorline.data import cheng
from tumorline.data.case import Case
from tumorline.data.finding import Finding, unreadable
from tumorline.data.layouts.contents import Contents, Listing
from tumorline.data.layouts.patient_tables import with_patients_of_tables
from tumorline.data.masks.read import mask_hash
from tumorline.errors import UserError
from tumorline.formats.cjdata import read_folds, read_patient, read_plane
from tumorline.formats.decode import MATLAB_SUFFIX
from tumorline.user_text import says_nothing

SPACING_MM = (0.49, 0.49)
"""As the record states it."""
LOOKED_AT = 20
"""Files that decide on the orientation."""


def find_figshare(contents: Contents) -> str:
    files = contents.matlab_files
    return f"{len(files)} .mat (for example {files[0].name})" if files else ""


def read_figshare(contents: Contents, _settings: DataConfig) -> Listing:
    """Cases named after their files, with the patient, class and fold that the set states."""
    folds = _folds(contents.files)
    cases: dict[str, Case] = {}
    findings = []
    for file in contents.matlab_files:
        try:
            case = _case(file, folds)
        except UserError as error:
            findings.append(unreadable(error, file, stands_for=file.stem))
            continue
        if case.id in cases:
            message = f"{file}: same name as {cases[case.id].images[0]}; keep one of them"
            findings.append(Finding("ambiguous", "error", message, (str(file),), case.id))
        cases.setdefault(case.id, case)
    transposed = is_transposed([case.images[0] for case in cases.values()])
    turned = [replace(case, transposed=transposed) for case in cases.values()]
    cases_with_patients, notes = with_patients_of_tables(contents, turned, "the .mat files")
    return cases_with_patients, findings + notes


def is_figshare_picture(path: Path) -> bool:
    return path.suffix.lower() == MATLAB_SUFFIX


def figshare_case(path: Path) -> Case:
    """The case of one file by itself."""
    return Case(path.stem, (path,), transposed=is_transposed([path]))


def is_transposed(files: Sequence[Path]) -> bool:
    """Whether the set's known masks are found with rows and columns swapped, and not as h5py shows them."""
    as_stored = swapped = 0
    for file in files[:: max(1, len(files) // LOOKED_AT)]:
        try:
            mask = read_plane(file, "mask") != 0
        except UserError:  # reported where every file is decoded
            continue
        as_stored += mask_hash(mask) in cheng.cheng_table()
        swapped += mask_hash(mask.T) in cheng.cheng_table()
    return swapped > as_stored


def _case(file: Path, folds: Sequence[int]) -> Case:
    patient, class_name = read_patient(file)
    number = int(file.stem) if file.stem.isdecimal() else 0
    fold = str(folds[number - 1]) if 0 < number <= len(folds) else ""
    return Case(
        file.stem,
        (file,),
        file,
        None if says_nothing(patient) else patient,
        class_name,
        fold=fold,
        spacing_mm=SPACING_MM,
    )


def _folds(files: Sequence[Path]) -> Sequence[int]:
    tables = [file for file in files if file.name.lower() == f"cvind{MATLAB_SUFFIX}"]
    return read_folds(tables[0]) if tables else ()
