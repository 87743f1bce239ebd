"""What DICOM headers say of people and places stays in them, unless it is asked for."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from tests.conftest import Outcome, Program
from tests.inference.test_predict_series import draw
from tests.sources import save_dicom

INVENTED = {
    "PatientName": "Quillfeather^Zebulon",
    "PatientID": "MRN-7731-ZQ",
    "OtherPatientIDs": "OLD-4410-ZQ",
    "PatientBirthDate": "19371103",
    "PatientBirthName": "Marchbanks",
    "PatientAddress": "Nettlewick Lane 9",
    "PatientTelephoneNumbers": "0555-667788",
    "PatientComments": "sister of Ottoline",
    "PatientAge": "087Y",
    "EthnicGroup": "Ruritanian",
    "Occupation": "lighthouse keeper",
    "AccessionNumber": "ACC-90210-ZQ",
    "StudyID": "STU-88",
    "StudyDate": "20210317",
    "StudyDescription": "post fall at Grimsditch farm",
    "SeriesDescription": "T1 post Quillfeather",
    "ProtocolName": "t1 for Dr Umberslade",
    "InstitutionName": "Saint Polycarp Infirmary",
    "InstitutionAddress": "Hollow Hill",
    "InstitutionalDepartmentName": "Neuro Seven",
    "ReferringPhysicianName": "Umberslade^Ichabod",
    "PerformingPhysicianName": "Fotheringay^Maud",
    "OperatorsName": "Lobelia Tranter",
    "StationName": "POLYMR3",
    "DeviceSerialNumber": "SN-334455",
    "RequestedProcedureDescription": "exclude Wexcombe disease",
    "AdmittingDiagnosesDescription": "Wexcombe disease",
    "StudyInstanceUID": "1.2.77.31.5",
    "SeriesInstanceUID": "1.2.77.31.6",
}
WORDS = {
    *("quillfeather", "zebulon", "mrn-7731", "old-4410", "19371103", "marchbanks", "nettlewick", "0555-66", "ottoline"),
    *("087y", "ruritanian", "lighthouse", "acc-90210", "stu-88", "20210317", "grimsditch", "umberslade", "polycarp"),
    *("hollow hill", "neuro seven", "ichabod", "fotheringay", "lobelia", "polymr3", "sn-334455", "wexcombe"),
    *("1.2.77.31.5", "1.2.77.31.6"),
}
REQUIRED = {
    *("quillfeather", "zebulon", "mrn-7731", "19371103", "acc-90210", "stu-88", "20210317", "umberslade", "ichabod"),
    *("1.2.77.31.5", "1.2.77.31.6"),
}
"""What the standard wants of a source in a segmentation of it."""


def held(text: str) -> set[str]:
    lower = text.lower()
    return {word for word in WORDS if word in lower}


def written(*folders: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(path for folder in folders for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
        yield path, f"{path} {content.decode('latin-1')}"


def said(outcome: Outcome) -> str:
    return outcome.out + outcome.err


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of all these tests: the network is compiled once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def own_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))


@pytest.fixture
def series(tmp_path: Path) -> Path:
    folder = draw(tmp_path / "in", lambda _, elements: elements.update(INVENTED))
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.private_block(0x0029, "QUILLFEATHER INC", create=True).add_new(0x10, "LO", "Zebulon again")
        item = pydicom.Dataset()
        item.InstitutionName, item.OperatorsName = INVENTED["InstitutionName"], INVENTED["OperatorsName"]
        dataset.ContributingEquipmentSequence = [item]
        dataset.save_as(path)
    return folder


def test_nothing_that_predict_writes_or_prints_of_a_series_holds_an_identifier(
    series: Path, tmp_path: Path, cache: Path, program: Program
) -> None:
    pytest.importorskip("highdicom")
    for more in ([], ["--json"]):
        outcome = program("--debug", "predict", series, "--output", tmp_path / "out" / f"p{len(more)}", *more)
        assert outcome.status == 0
        assert held(said(outcome)) == set()
    assert "keep the headers of patient and study that the standard requires" in outcome.err
    segmentations = 0
    for path, text in written(tmp_path / "out", cache):
        segmentations += path.suffix == ".dcm"
        assert held(text) == (REQUIRED if path.suffix == ".dcm" else set()), path
    assert segmentations == 2


@pytest.mark.parametrize("trouble", ["cut", "colours", "position", "spacing"])
def test_what_is_said_of_a_damaged_slice_holds_no_identifier(
    series: Path, tmp_path: Path, program: Program, trouble: str
) -> None:
    path = min(series.iterdir())
    dataset = pydicom.dcmread(path)
    if trouble == "cut":
        path.write_bytes(path.read_bytes()[:-200])
    else:
        changed = {
            "colours": ("PhotometricInterpretation", "RGB"),
            "position": ("ImagePositionPatient", [1, 2]),
            "spacing": ("PixelSpacing", ["0", "0"]),
        }[trouble]
        setattr(dataset, *changed)
        dataset.save_as(path)
    outcome = program("--debug", "predict", series, "--output", tmp_path / "out" / "bad", "--json")
    assert outcome.status == 2
    assert path.name in outcome.err
    assert held(said(outcome)) == set()


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for number in range(6):
        own = {
            **INVENTED,
            "PatientID": f"{INVENTED['PatientID']}-{number // 2}",
            "SeriesInstanceUID": f"1.2.9.{number}",
        }
        image, mask = random.integers(0, 900, (32, 32)), np.zeros((32, 32), np.uint8)
        mask[8:14, 8:16], image[8:14, 8:16] = 255, 2000
        save_dicom(tmp_path / "pairs" / "images" / f"s{number}.dcm", image.astype(np.uint16), **own)
        (tmp_path / "pairs" / "masks").mkdir(exist_ok=True)
        Image.fromarray(mask).save(tmp_path / "pairs" / "masks" / f"s{number}.png")
    return tmp_path / "pairs"


def test_checks_splits_evaluations_and_predictions_of_pictures_hold_no_identifier(
    pairs: Path, tmp_path: Path, cache: Path, program: Program
) -> None:
    out = tmp_path / "out"
    outcomes = [
        program("data", "check", pairs, "--json"),
        program("data", "check", pairs, "--against", pairs / "images", "--json"),
        program("data", "split", pairs),
        program("evaluate", "--data", pairs, "--output", out / "e"),
        program("predict", pairs / "images", "--output", out / "p"),
    ]
    assert [held(said(outcome)) for outcome in outcomes] == [set()] * 5
    assert [outcome.status for outcome in outcomes[2:]] == [0, 0, 0]
    for path, text in written(out, cache):
        assert held(text) == set(), path
    patients = {row.split(",")[1] for row in (out / "p" / "predictions.csv").read_text().splitlines()[1:]}
    assert len(patients) == 3
    assert all(patient.startswith("dicom-") for patient in patients)
    assert patients <= set((out / "e" / "evaluation.csv").read_text().replace("\n", ",").split(","))


def test_identifiers_are_kept_where_that_is_asked_for(pairs: Path, tmp_path: Path, program: Program) -> None:
    out, keep = tmp_path / "out", "--keep-identifiers"
    assert program("evaluate", "--data", pairs, "--output", out / "e", keep).status == 0
    assert program("predict", pairs / "images", "--output", out / "p", keep).status == 0
    for table in (out / "e" / "evaluation.csv", out / "e" / "certainty.csv", out / "p" / "predictions.csv"):
        assert "MRN-7731-ZQ-0" in table.read_text()
        assert "dicom-" not in table.read_text()
    assert "1.2.9.3" in (out / "p" / "predictions.csv").read_text()
    assert "MRN-7731-ZQ-1" in program("data", "split", pairs, keep).out


def test_the_same_patients_are_split_whether_identifiers_are_kept_or_not(pairs: Path, program: Program) -> None:
    parts = [
        [(row.split("\t")[0], row.split("\t")[-1]) for row in program("data", "split", pairs, *more).out.splitlines()]
        for more in ([], ["--keep-identifiers"])
    ]
    assert parts[0] == parts[1]
