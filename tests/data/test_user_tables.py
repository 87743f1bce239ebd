"""Tables beside the images: what they name, and what of them is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import PairFolder, Program, blob
from tests.sources import save
from tumorline.audit.between import load_pictures
from tumorline.audit.check import check
from tumorline.config import DataConfig, SplitConfig
from tumorline.data.dataset import load_dataset
from tumorline.data.source import Source, open_source
from tumorline.data.splits.parts import Split
from tumorline.data.splits.split import split_dataset
from tumorline.data.user_tables import match_ids
from tumorline.errors import UserError

Named = Callable[..., Path]


@pytest.fixture
def named(pair_folder: PairFolder) -> Named:
    """A folder of pairs with the given names and a `patients.csv` of the given text."""

    def make(names: list[str], table: str) -> Path:
        for number, name in enumerate(names):
            image, mask = blob(32, number)
            pair_folder.add(name, Image.fromarray(image), Image.fromarray(mask))
        (pair_folder.folder / "patients.csv").write_text(table)
        return pair_folder.folder

    return make


def patients_of(source: Source) -> dict[str, str | None]:
    return {case.id: case.patient for case in source.cases}


@pytest.mark.parametrize(
    "table",
    [
        "id,patient\n1.0,a\n2.0,b\n",
        "id,patient\n0001,a\n0002,b\n",
        "id,patient\n0001.png,a\nimages/0002.png,b\n",
        "id,patient\nimages\\0001.png,a\nimages\\0002.png,b\n",
        "ID,Patient\n1,a\n2,b\n",
        "Filename;Subject\n1;a\n2;b\n",
        "id,patient_group,patient\n1,nan,a\n2,b,c\n",
        "id,patient\n1,a\n2,b\n1,a\n",
    ],
)
def test_ids_are_matched_as_spreadsheets_leave_them(named: Named, table: str) -> None:
    assert patients_of(open_source(named(["0001", "0002"], table))) == {"0001": "a", "0002": "b"}


def test_an_id_that_could_mean_two_files_means_none() -> None:
    assert match_ids(["01"], ["1", "0001"]) == {}
    assert match_ids(["1", "01", "0001"], ["1", "0001"]) == {"1": "1", "0001": "0001"}
    assert match_ids(["1", "0001"], ["0001"]) == {"0001": "0001"}
    assert match_ids(["1.0"], ["1", "1.0"]) == {"1.0": "1.0"}
    assert match_ids(["1,00"], ["1", "2"]) == {"1,00": "1"}
    assert match_ids(["IMG_1.JPG", "b/2", "3"], ["img-001", "a/2", "a/3"]) == {"IMG_1.JPG": "img-001", "3": "a/3"}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("x1,a\nx2,b\n", r"0 of its 2 rows mean one of the 3 names in images/; .* for example 'x1', .* example '1'"),
        ("1,a\nx2,b\nx3,c\n", r"1 of its 3 rows mean one of the 3 names in images/"),
        ("1,a\n1.0,b\n2,c\n", r"lines 2 and 3 both mean '1'; the one says patient 'a', the other 'b'"),
        ("001,a\n01.0,b\n2,c\n", r"lines 2 and 3 both mean '1'"),
        ("1,a\n2,b\n1,b\n", r"lines 2 and 4 both mean '1'; the one says patient 'a', the other 'b'"),
        ("1,7\n2,7.0\n3,8\n", r"patients '7' and '7.0' differ only in how they are written"),
        ("1,P7\n2,p7\n3,8\n", r"patients 'P7' and 'p7' differ only"),
        ("1,07\n2,7\n3,8\n", r"patients '07' and '7' differ only"),
    ],
)
def test_tables_that_leave_it_open_are_refused(named: Named, rows: str, message: str) -> None:
    folder = named(["1", "2", "3"], f"id,patient\n{rows}")
    with pytest.raises(UserError, match=rf"patients\.csv: {message}"):
        open_source(folder)


def test_a_table_of_the_whole_set_serves_a_part_of_it_and_a_part_of_the_table_the_whole(named: Named) -> None:
    folder = named(["1", "2"], "id,patient\n" + "".join(f"{n},p{n}\n" for n in range(1, 50)))
    assert patients_of(open_source(folder)) == {"1": "p1", "2": "p2"}
    (folder / "patients.csv").write_text("id,patient\n1,a\n")
    assert patients_of(open_source(folder)) == {"1": "a", "2": None}


def test_a_part_column_is_the_split(named: Named) -> None:
    rows = "1,a,glioma,train\n2,b,glioma,validation\n3,c,glioma,test\n"
    source = open_source(named(["1", "2", "3"], f"case,patient,class_name,part\n{rows}"))
    assert [case.part for case in source.cases] == ["train", "validation", "test"]
    assert [dict(case.attributes) for case in source.cases] == [{}, {}, {}]


def test_a_spacing_that_is_none_names_its_table(named: Named) -> None:
    folder = named(["1", "2"], "id,patient,spacing_mm\n1,a,0.5\n2,b,wide\n")
    with pytest.raises(UserError) as caught:
        open_source(folder)
    assert f"{folder / 'patients.csv'}: case '2': spacing_mm is 'wide'; expected one or two" in str(caught.value)
    (folder / "cases.csv").write_text("id,image,mask,spacing_mm\n1,images/1.png,masks/1.png,wide\n")
    with pytest.raises(UserError) as caught:
        open_source(folder / "cases.csv")
    assert f"{folder / 'cases.csv'}: line 2 (id '1'): spacing_mm is 'wide'" in str(caught.value)


def test_patients_that_a_table_does_not_know_are_unknown(named: Named) -> None:
    folder = named(["1", "2", "3", "4"], "id,patient\n1,nan\n2,NA\n3,\n4,17.0\n")
    assert patients_of(open_source(folder)) == {"1": None, "2": None, "3": None, "4": "17"}


def test_a_table_of_another_kind_or_capitals_is_found_and_two_are_refused(named: Named) -> None:
    folder = named(["1"], "id,patient\n1,a\n")
    (folder / "patients.csv").rename(folder / "Patients.TSV")
    assert patients_of(open_source(folder)) == {"1": "a"}
    (folder / "patients.csv").write_text("id,patient\n1,b\n")
    with pytest.raises(UserError, match=r"holds Patients\.TSV and patients\.csv; keep one"):
        open_source(folder)


def parted(folder: Path, table: str) -> Path:
    """train/ and test/ of one name each, whose `patients.csv` lies at `table`."""
    for number, name in enumerate(["train/images/1", "test/images/1", "test/images/2"]):
        image, mask = blob(32, number)
        save(folder / f"{name}.png", image)
        save(folder / f"{name.replace('images', 'masks')}.png", mask)
    (folder / table).parent.mkdir(exist_ok=True)
    (folder / table).write_text("id,patient\ntrain/1,a\ntest/1,b\n2,a\n")
    return folder


@pytest.mark.parametrize("above", [".", ".."])
@pytest.mark.parametrize("table", ["patients.csv", "about/patients.csv"])
def test_a_table_above_or_beside_the_images_is_that_of_the_source(tmp_path: Path, table: str, above: str) -> None:
    source = open_source(parted(tmp_path / "archive", table) / above)
    assert {case.id.removeprefix("archive/"): case.patient for case in source.cases} == {
        "train/1": "a",
        "test/1": "b",
        "test/2": "a",
    }


def test_a_patient_in_two_parts_is_found_from_the_folder_above(tmp_path: Path, program: Program) -> None:
    parted(tmp_path / "archive", "patients.csv")
    checked = program("data", "check", tmp_path)
    assert checked.status == 2
    assert "patient a is in test and train" in checked.out


@pytest.mark.parametrize("folder", ["images", "masks"])
def test_a_table_among_the_images_or_masks_is_read(named: Named, folder: str) -> None:
    source = named(["1", "2"], "id,patient\n1,a\n2.png,b\n")
    (source / "patients.csv").rename(source / folder / "patients.csv")
    assert patients_of(open_source(source)) == {"1": "a", "2": "b"}


def test_a_table_of_each_part_is_of_that_part(tmp_path: Path) -> None:
    parted(tmp_path, "patients.csv").joinpath("patients.csv").unlink()
    (tmp_path / "train" / "patients.csv").write_text("id,patient\n1,a\n")
    (tmp_path / "test" / "images" / "patients.csv").write_text("id,patient\n1,b\n2,c\n")
    assert patients_of(open_source(tmp_path)) == {"train/1": "a", "test/1": "b", "test/2": "c"}


def test_two_tables_of_the_same_images_are_refused(tmp_path: Path) -> None:
    parted(tmp_path, "old/patients.csv")
    (tmp_path / "patients.tsv").write_text("id\tpatient\ntrain/1\ta\n")
    with pytest.raises(UserError) as refused:
        open_source(tmp_path)
    assert str(refused.value) == f"{tmp_path}: holds old/patients.csv and patients.tsv; keep one of them"


@pytest.mark.parametrize(
    "name", ["patients.xlsx", "Patient.CSV", "patients_list.tsv", "images/patients.ods", "patient ids.xls"]
)
def test_a_table_that_is_not_read_is_named_with_its_cure(named: Named, name: str) -> None:
    folder = named(["1", "2"], "id,patient\n1,a\n2,b\n")
    (folder / "patients.csv").rename(folder / name)
    with pytest.raises(UserError) as refused:
        open_source(folder)
    cure = f"save it as {folder / 'patients.csv'} with the columns id and patient, or move it away"
    assert str(refused.value) == f"{folder / name}: is not read, and the patients of 2 cases are unknown; {cure}"


def test_a_spreadsheet_beside_a_table_or_beside_names_that_say_the_patient_is_left_alone(named: Named) -> None:
    folder = named(["patient_1_2", "patient_1_3"], "id,patient\npatient_1_2,a\npatient_1_3,b\n")
    (folder / "patients.xlsx").touch()
    assert set(patients_of(open_source(folder)).values()) == {"a", "b"}
    (folder / "patients.csv").unlink()
    assert set(patients_of(open_source(folder)).values()) == {"patient_1"}


def test_pictures_without_masks_have_a_table_too(tmp_path: Path) -> None:
    for number in range(2):
        save(tmp_path / "a" / f"{number}.png", blob(32, number)[0])
    (tmp_path / "a" / "patients.csv").write_text("id,patient\n0,x\n1,y\n")
    assert patients_of(open_source(tmp_path, DataConfig(tumour_free=True))) == {"a/0": "x", "a/1": "y"}
    assert patients_of(load_pictures(tmp_path, DataConfig()).source) == {"a/0": "x", "a/1": "y"}


def test_files_that_bear_their_patients_need_no_table(named: Named) -> None:
    folder = named(["BraTS-GLI-00001-000_5", "BraTS-GLI-00001-001_5", "BraTS2021_00002_7"], "id\n")
    (folder / "patients.csv").unlink()
    assert list(patients_of(open_source(folder)).values()) == ["BraTS-GLI-00001"] * 2 + ["BraTS-GLI-00002"]


def test_a_table_that_divides_a_patient_of_a_collection_is_an_error(named: Named) -> None:
    names = ["BraTS-GLI-00001-000_5", "BraTS-GLI-00001-001_5", "BraTS-GLI-00002-000_5"]
    folder = named(names, "id,patient\n" + "".join(f"{name},p{n}\n" for n, name in enumerate(names)))
    errors = [found.message for found in check(load_dataset(folder, DataConfig())) if found.severity == "error"]
    assert len(errors) == 1
    assert "are one patient, but the patients stated are 'p0' and 'p1'" in errors[0]


def listed(folder: Path, columns: str, *rows: str) -> Path:
    for number in range(3):
        image, _ = blob(16, number)
        (folder / "d").mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / "d" / f"{number}.png")
    (folder / "t.csv").write_text("\n".join([columns, *rows]) + "\n")
    return folder / "t.csv"


@pytest.mark.parametrize("column", ["image_quality", "image_width", "imageID", "image_name", "image_url", "image_date"])
def test_what_an_image_is_like_is_no_channel(tmp_path: Path, column: str) -> None:
    values = {"image_name": "0.png", "image_url": "https://x/0.png"}
    path = listed(tmp_path, f"id,image,mask,{column}", f"x,d/0.png,d/1.png,{values.get(column, '0.9')}")
    [case] = open_source(path).cases
    assert [file.name for file in case.images] == ["0.png"]
    assert case.attributes == {column: values.get(column, "0.9")}


def test_a_file_listed_by_any_id_bears_its_patient(tmp_path: Path) -> None:
    path = listed(tmp_path / "UPENN-GBM-00001_21", "id,image,mask", "x,d/0.png,d/1.png")
    assert patients_of(open_source(path)) == {"x": "UPENN-GBM-00001"}


def test_columns_of_files_are_channels_and_one_that_is_missing_is_named(tmp_path: Path) -> None:
    path = listed(tmp_path, "id,image_t1,image_flair,mask", r"x,d\0.png,d/1.png,d/2.png")
    [case] = open_source(path).cases
    assert [file.name for file in case.images] == ["0.png", "1.png"]
    path = listed(tmp_path, "id,image_t1,image_flair,mask", "x,d/0.png,d/1.png,d/2.png", "y,d/0.png,,d/2.png")
    with pytest.raises(UserError, match=r"line 3 \(id 'y'\) names no image_flair"):
        open_source(path)
    path = listed(tmp_path, "id,image,image_flair,mask", "x,d/0.png,e/9.png,d/2.png")
    with pytest.raises(UserError, match=r"column image_flair names 'e/9\.png', and no file that it names is there"):
        open_source(path)


def test_an_id_with_backslashes_does_not_lead_out_either(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="line 2 has the id"):
        open_source(listed(tmp_path, "id,image,mask", r"..\..\x,d/0.png,d/1.png"))


@pytest.mark.parametrize("spacing", ["nan", "inf", "-1", "0 1", "1 2 3"])
def test_a_spacing_that_is_none_is_refused_or_unknown(tmp_path: Path, spacing: str) -> None:
    path = listed(tmp_path, "id,image,mask,spacing_mm", f"x,d/0.png,d/1.png,{spacing}")
    if spacing == "nan":
        assert open_source(path).cases[0].spacing_mm is None
        return
    with pytest.raises(UserError, match="expected one or two positive numbers"):
        open_source(path)


def split_by(folder: Path, text: str) -> Split:
    (folder / "parts.csv").write_text(text)
    return split_dataset(load_dataset(folder, DataConfig()), SplitConfig(file=str(folder / "parts.csv")))


def test_a_split_by_hand_may_be_spelled_as_spreadsheets_do(named: Named) -> None:
    folder = named(["1", "2", "3"], "id,patient\n1,01\n2,02\n3,03\n")
    for text in ["Patient;Split\n1.0;Train\n2.0;VAL\n3.0;test\n", "id,part\n001,train\n002,valid\n003,test\n"]:
        assert split_by(folder, text).parts == {"1": "train", "2": "validation", "3": "test"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "patient,split\nx,train\ny,test\n",
            r"0 of its 2 rows mean one of the 3 .*patient holds for example 'x', .*'p1'",
        ),
        ("patient,split\np1,train\np2,val\np3,test\np1,test\n", "patient 'p1' is in train and in test"),
        ("patient,split\np1_visit1,train\np2,val\np3,test\np1_visit2,test\n", "patient 'p1' is in train and in test"),
        ("id,split\n1,train\n2,val\n3,test\n1,test\n", "id '1' is in train and in test"),
        ("patient,split\np1,train\nP1,test\n", "patients 'p1' and 'P1' differ only in how they are written"),
        ("", "columns are"),
    ],
)
def test_a_split_by_hand_that_leaves_it_open_is_refused(named: Named, text: str, message: str) -> None:
    folder = named(["1", "2", "3"], "id,patient\n1,p1\n2,p2\n3,p3\n")
    with pytest.raises(UserError, match=message):
        split_by(folder, text)


def test_a_split_by_hand_says_whose_patients_are_unknown(named: Named) -> None:
    folder = named(["1", "2", "3", "4"], "id,patient\n1,p1\n2,p2\n3,p3\n")
    by_patient = split_by(folder, "patient,split\np1,train\np2,val\np3,test\n")
    assert by_patient.parts["4"] == "excluded"
    assert by_patient.origin.endswith("(unknown patients: 1 of 4 cases are in no part)")
    by_case = split_by(folder, "id,split\n1,train\n2,val\n3,test\n4,test\n")
    assert by_case.origin.endswith("(unknown patients: 1 of 4 cases may be of patients in two parts)")


def test_visits_in_two_parts_of_a_stated_split_are_an_error(tmp_path: Path) -> None:
    rows = [f"x{n},P1_visit{n},d/{n}.png,d/{n}.png,{part}" for n, part in enumerate(["train", "validation", "test"])]
    path = listed(tmp_path, "id,patient,image,mask,split", *rows)
    for number in range(3):
        Image.fromarray(np.eye(16, k=number, dtype=np.uint8) * 255).save(tmp_path / "d" / f"{number}.png")
    dataset = load_dataset(path, DataConfig())
    found = check(dataset, split_dataset(dataset, SplitConfig()))
    assert "patient P1 is in test and train and validation" in " ".join(finding.message for finding in found)
