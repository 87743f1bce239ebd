from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import PairFolder, Program, blob, refused_in_one_line
from tests.sources import OF_VOLUMES, WRITERS, brats, save
from tumorline.audit.between import load_pictures
from tumorline.config import DataConfig, load_config
from tumorline.data import cheng
from tumorline.data.dataset import load_dataset
from tumorline.data.source import open_source
from tumorline.errors import UserError


def test_pairs_are_found_by_stem_whatever_the_suffix(pair_folder: PairFolder) -> None:
    folder = pair_folder(patients=2, slices=1)
    Image.open(folder / "images" / "s000.png").save(folder / "images" / "s000.jpg")
    (folder / "images" / "s000.png").unlink()
    cases = open_source(folder).cases
    assert [(case.images[0].name, case.mask and case.mask.name) for case in cases] == [
        ("s000.jpg", "s000.png"),
        ("s001.png", "s001.png"),
    ]
    assert [case.patient for case in cases] == ["P0-00", "P0-01"]


def test_numbered_cases_are_in_numeric_order(pair_folder: PairFolder) -> None:
    picture = Image.fromarray(np.eye(4, dtype=np.uint8))
    for name in ("10", "9", "100"):
        pair_folder.add(name, picture, picture)
    assert [case.id for case in open_source(pair_folder.folder).cases] == ["9", "10", "100"]


def test_rows_without_a_file_are_counted(pair_folder: PairFolder) -> None:
    folder = pair_folder(patients=2, slices=1)
    with (folder / "patients.csv").open("a") as file:
        file.write("ghost,P9,a\n")
    assert [finding.message.split(": ")[1] for finding in open_source(folder).findings] == [
        "1 of 3 rows name no file in images/ and are ignored"
    ]


def test_a_csv_gives_the_same_cases_as_the_folder(pair_folder: PairFolder, tmp_path: Path) -> None:
    folder = pair_folder(patients=3, slices=1)
    table = folder / "cases.csv"
    rows = [f"s{n:03d},P0-{n:02d},images/s{n:03d}.png,masks/s{n:03d}.png" for n in range(3)]
    table.write_text("\n".join(["id,patient,image,mask", *rows]) + "\n")
    by_table, by_folder = open_source(table).cases, open_source(folder).cases
    assert [(case.id, case.patient, case.images) for case in by_table] == [
        (case.id, case.patient, case.images) for case in by_folder
    ]


def test_a_csv_with_two_image_columns_has_two_channels(pair_folder: PairFolder) -> None:
    folder = pair_folder(patients=1, slices=1)
    table = folder / "cases.csv"
    table.write_text("id,image_t1,image_t2,mask\nx,images/s000.png,images/s000.png,masks/s000.png\n")
    dataset = load_dataset(table, DataConfig())
    assert dataset.channels == 2
    assert dataset.read(dataset.cases[0])[0].shape == (2, 32, 32)


def test_a_missing_column_and_a_repeated_id_are_named(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("id,image\na,b.png\n")
    with pytest.raises(UserError, match="column mask is missing; found id, image"):
        open_source(table)
    table.write_text("id,image,mask\na,b.png,c.png\na,d.png,e.png\n")
    with pytest.raises(UserError, match="id 'a' stands in more than one line"):
        open_source(table)


@pytest.mark.parametrize("name", ["", "../../escape", "/root/escape"])
def test_an_id_that_leads_out_of_the_results_is_refused(tmp_path: Path, name: str) -> None:
    table = tmp_path / "t.csv"
    table.write_text(f"id,image,mask\n{name},b.png,c.png\n")
    with pytest.raises(UserError, match="line 2 has the id"):
        open_source(table)


def test_an_unknown_layout_says_what_was_seen(tmp_path: Path) -> None:
    (tmp_path / "scan.xyz").touch()
    with pytest.raises(UserError, match=r"layout not recognised \(seen: 1 \.xyz\); accepted are"):
        open_source(tmp_path)
    with pytest.raises(UserError, match="no such file or folder"):
        open_source(tmp_path / "nowhere")


def test_the_cheng_set_is_recognised_by_its_masks_not_its_names(real_data: Path, tmp_path: Path) -> None:
    names = [path.stem for path in sorted((real_data / "cheng" / "masks").iterdir())[:20]]
    for number, name in enumerate(names):
        for kind, suffix in (("images", "jpg"), ("masks", "png")):
            (tmp_path / kind).mkdir(exist_ok=True)
            picture = Image.open(real_data / "cheng" / kind / f"{name}.{suffix}").convert("L")
            picture.save(tmp_path / kind / f"renamed{number}.png")
    dataset = load_dataset(tmp_path, DataConfig())
    assert dataset.source.known_as == "cheng"
    assert {case.class_name for case in dataset.cases} <= {"meningioma", "glioma", "pituitary"}
    assert not dataset.source.patients_unknown


def test_numeric_names_alone_are_not_the_cheng_set(pair_folder: PairFolder) -> None:
    for number in range(1, 21):
        picture = Image.fromarray(np.eye(8, dtype=np.uint8) * number)
        pair_folder.add(str(number), picture, picture)
    dataset = load_dataset(pair_folder.folder, DataConfig())
    assert dataset.source.known_as == ""
    assert dataset.source.patients_unknown


def test_the_attribution_of_a_part_of_the_cheng_set_counts_the_part() -> None:
    assert "CC BY 4.0: 27 of the 3064 contrast-enhanced T1-weighted slices that it has of 233 " in cheng.attribution(27)


def test_the_packaged_table_has_group_numbers_for_all_slices() -> None:
    assert len(cheng.cheng_table()) == 3064
    assert len(cheng.patient_classes()) == 209
    assert all(entry.patient.isdecimal() for entry in cheng.cheng_table().values())


def test_an_id_that_begins_as_its_source_is_called_is_left_out(tmp_path: Path) -> None:
    for number in range(2):
        save(tmp_path / "a" / "a" / f"{number}.png", blob(32, number)[0])
    for name in ("a/1", "a/a/1"):
        settings = DataConfig(tumour_free=True, leave_out=(name,))
        assert [case.id for case in open_source(tmp_path / "a", settings).cases] == ["a/0"]


def test_as_many_cases_as_one_likes_are_left_out_with_the_source(pair_folder: PairFolder, program: Program) -> None:
    folder = pair_folder(patients=60, slices=1)
    names = ",".join(f"s{number:03d}" for number in range(58))
    assert "2 cases" in program("data", "check", f"{folder},leave_out={names},tumour_free=false").out


def test_cases_that_are_named_are_left_out(pair_folder: PairFolder, program: Program) -> None:
    folder = pair_folder(patients=4, slices=1)
    (folder / "images" / "s002.png").write_bytes(b"no picture")
    source = open_source(folder, DataConfig(leave_out=("s001", "s002")))
    assert [case.id for case in source.cases] == ["s000", "s003"]
    checked = program("data", "check", folder, "--set", "data.leave_out=s001,s002")
    assert checked.status == 0
    assert "2 cases are left out (s001, s002)" in checked.out


@pytest.mark.parametrize(
    ("names", "said"),
    [(["s9"], "leave_out: no case 's9' here"), (["s000", "s001"], "names every case; nothing is left")],
)
def test_what_cannot_be_left_out_is_one_line(pair_folder: PairFolder, names: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        open_source(pair_folder(patients=2, slices=1), DataConfig.model_validate({"leave_out": names}))


def test_a_scan_that_cannot_be_read_can_be_left_out(tmp_path: Path) -> None:
    folder = brats(tmp_path / "brats", 3)
    (folder / "BraTS2021_00001" / "BraTS2021_00001_t1ce.nii.gz").write_bytes(b"cut off")
    assert [finding.code for finding in open_source(folder).findings if finding.severity == "error"] == ["unreadable"]
    source = open_source(folder, DataConfig(leave_out=("BraTS2021_00001",)))
    assert [finding.code for finding in source.findings] == ["left_out"]
    assert len(source.cases) == 2


def test_a_broken_scan_is_left_out_by_its_whole_id_alone(tmp_path: Path) -> None:
    folder = brats(tmp_path / "brats", 4)
    for number, name in enumerate(("P01_1", "P01_2", "P02_1")):
        for file in sorted((folder / f"BraTS2021_{number:05d}").iterdir()):
            file.rename(file.with_name(file.name.replace(f"BraTS2021_{number:05d}", name)))
            if number < 2:
                (folder / f"BraTS2021_{number:05d}" / f"{name}_t1ce.nii.gz").write_bytes(b"cut off")
    for part in ("P01", "BraTS2021_00000", "P01_1_t1ce", "BraTS2021_00000/P01_1"):
        with pytest.raises(UserError, match=f"leave_out: no case '{part}' here"):
            open_source(folder, DataConfig(leave_out=(part,)))
    source = open_source(folder, DataConfig(leave_out=("P01_1",)))
    [broken] = [finding for finding in source.findings if finding.severity == "error"]
    assert "P01_2_t1ce.nii.gz" in broken.message


def test_a_name_that_is_of_no_case_is_shown_with_the_nearest(pair_folder: PairFolder) -> None:
    folder = pair_folder(patients=2, slices=1)
    with pytest.raises(UserError) as refused:
        open_source(folder, DataConfig(leave_out=("s001", "s01", "x")))
    said = "no case 's01' here (did you mean 's001'?); no case 'x' here; tables list the cases by their ids"
    assert str(refused.value) == f"{folder}: leave_out: {said}"


@pytest.mark.parametrize("name", sorted(WRITERS.keys() - {"csv", "coco", "via", "cvat"}))
def test_what_stands_in_the_place_of_a_case_is_left_out_by_its_id_in_every_layout(tmp_path: Path, name: str) -> None:
    folder = WRITERS[name](tmp_path / "source", 3)
    case = open_source(folder).cases[0]
    assert case.mask is not None
    if name in OF_VOLUMES or name in ("figshare", "labelme", "yolo", "supervisely"):
        case.mask.write_bytes(b"broken")
    else:
        case.mask.unlink()
    assert case.id not in {one.id for one in open_source(folder).cases}
    left = open_source(folder, DataConfig(leave_out=(case.id,)))
    assert [finding.message for finding in left.findings if finding.severity == "error"] == []


def test_an_image_without_a_mask_can_be_left_out(pair_folder: PairFolder) -> None:
    folder = pair_folder(patients=3, slices=1)
    (folder / "masks" / "s001.png").unlink()
    source = open_source(folder, DataConfig(leave_out=("s001",)))
    assert not [finding for finding in source.findings if finding.severity == "error"]


@pytest.mark.parametrize("written", ["17", "'17'", "['17']", "17,"])
def test_one_number_is_the_id_of_a_case(written: str) -> None:
    assert load_config(None, [f"data.leave_out={written}"]).data.leave_out == ("17",)


def test_what_is_left_out_stays_out_of_a_model_file() -> None:
    config = load_config(None, ["data.leave_out=Mueller_Anna"])
    assert "Mueller" not in str(config.without_paths())


def test_parts_are_read_of_folders_that_are_in_no_name(tmp_path: Path) -> None:
    brats(tmp_path / "train", 3)
    (tmp_path / "test").mkdir()
    (tmp_path / "train" / "BraTS2021_00002").rename(tmp_path / "test" / "BraTS2021_00002")
    assert [case.part for case in open_source(tmp_path).cases] == ["train", "train", "test"]


def test_names_with_accents_are_one_however_they_are_stored(tmp_path: Path) -> None:
    for number, name in enumerate(("Mu\u0308ller", "b")):
        save(tmp_path / f"{name}.png", blob(32, number)[0])
    assert [case.id for case in open_source(tmp_path, DataConfig(tumour_free=True)).cases] == ["M\u00fcller", "b"]
    for written in ("Mu\u0308ller", "M\u00fcller"):
        settings = DataConfig(tumour_free=True, leave_out=(written,))
        assert [case.id for case in open_source(tmp_path, settings).cases] == ["b"]
    assert [case.id for case in load_pictures(tmp_path, DataConfig()).cases] == ["M\u00fcller", "b"]


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="no such device")
def test_a_device_is_one_line() -> None:
    with refused_in_one_line(r"^/dev/null: a device; expected a regular file$"):
        open_source(Path("/dev/null"))
