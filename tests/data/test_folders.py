"""Folders as people have them: nested, linked, locked, littered, under many names."""

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Program, blob, refused_in_one_line
from tests.sources import save
from tumorline.audit.check import check
from tumorline.config import DataConfig, SplitConfig
from tumorline.data.dataset import load_dataset
from tumorline.data.layouts.contents import Contents
from tumorline.data.layouts.names import match_masks, read_folder_name, stated_part
from tumorline.data.layouts.to_predict.selection import pixels_around, select_images
from tumorline.data.source import open_source
from tumorline.data.splits.split import split_dataset
from tumorline.errors import UserError
from tumorline.formats.decode import read_pixels

IMAGE, MASK = blob(32, 1)


def refusal(path: Path) -> str:
    with refused_in_one_line() as caught:
        open_source(path)
    return str(caught.value)


def write_pairs(
    folder: Path, names: Sequence[str], seed: int = 0, images: str = "images", masks: str = "masks"
) -> Path:
    for number, name in enumerate(names):
        image, mask = blob(32, seed + number)
        save(folder / images / f"{name}.png", image)
        save(folder / masks / f"{name}.png", mask)
    return folder


def found_codes(path: Path) -> dict[str, str]:
    return {finding.code: finding.severity for finding in check(load_dataset(path, DataConfig()))}


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("name", "kind", "key"),
    [
        ("Images", "image", ()),
        ("JPEGImages", "image", ()),
        ("imgs", "image", ()),
        ("train_images", "image", ("train",)),
        ("imagesTr", "image", ("tr",)),
        ("GT", "mask", ()),
        ("Ground Truth", "mask", ()),
        ("groundTruth", "mask", ()),
        ("SegmentationClass", "mask", ()),
        ("test-masks", "mask", ("test",)),
        ("trainannot", None, ()),
        ("mask_images", "mask", ()),
        ("images_and_masks", None, ()),
        ("patient_7", None, ()),
    ],
)
def test_folder_names_say_what_is_in_them(name: str, kind: str | None, key: tuple[str, ...]) -> None:
    found = read_folder_name(name)
    assert (found and found.kind, found.key if found else ()) == (kind, key)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("train/x", "train"),
        ("Training/glioma/x", "train"),
        ("valid/x", "validation"),
        ("a/Testing/x", "test"),
        ("train2017/x", "train"),
        ("test_images/x", "test"),
        ("BraTS20_Training_354/z001", ""),
        ("test", ""),
        ("contest/x", ""),
    ],
)
def test_parts_are_read_from_folders_that_say_nothing_else(name: str, part: str) -> None:
    assert stated_part(name) == part


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("1", "mask_1"),
        ("1", "mask1"),
        ("1", "1mask"),
        ("image_1", "mask_1"),
        ("img1", "mask1"),
        ("x", "x_m"),
        ("x", "x-mask"),
        ("x", "x_segmentation"),
        ("x", "x_groundtruth"),
        ("x", "x_ground_truth"),
        ("x", "x_annotation"),
        ("x", "GT_x"),
        ("scan_1", "scan_mask_1"),
        ("scan_image_1", "scan_mask_1"),
        ("p1/image", "p1/mask"),
        ("a/x", "a/x_Label"),
    ],
)
def test_a_mask_finds_its_image_by_either_name(image: str, mask: str) -> None:
    assert match_masks([image, "other"], [mask]).masks == {image: [mask]}


def test_a_mask_that_may_be_of_two_images_is_of_neither() -> None:
    match = match_masks(["scan", "scan_1"], ["scan_mask_1"])
    assert (match.masks, match.unclear) == ({}, {"scan_mask_1": ["scan", "scan_1"]})


def test_numbered_masks_go_together_and_others_do_not() -> None:
    assert match_masks(["x"], ["x_mask", "x_mask_10", "x_mask_2"]).masks == {"x": ["x_mask", "x_mask_2", "x_mask_10"]}
    assert match_masks(["x"], ["x_1", "x_2"]).masks == {"x": ["x_1", "x_2"]}
    assert match_masks(["x"], ["x/1", "x/2"]).masks == {"x": ["x/1", "x/2"]}
    assert match_masks(["x"], ["x_mask", "x_seg"]).surplus == {"x_seg": "x"}


def test_a_number_is_no_mask_of_another_image_where_images_are_numbered_so() -> None:
    match = match_masks(["x", "y", "y_1"], ["x", "y", "y_1", "x_1"])
    assert match.lonely == ["x_1"]


# ---------------------------------------------------------------- pairs of folders


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("Image", "GT"),
        ("JPEGImages", "SegmentationClass"),
        ("scans", "ground truth"),
        ("train", "train_masks"),
        ("images", "tumor_masks"),
        ("a/images", "a/masks"),
        ("images/images", "masks/masks"),
        ("images/p1", "masks/p1"),
    ],
)
def test_pairs_of_folders_are_found_wherever_they_are(tmp_path: Path, images: str, masks: str) -> None:
    write_pairs(tmp_path, ["1", "2"], images=images, masks=masks)
    source = open_source(tmp_path)
    assert [(case.images[0].name, case.mask and case.mask.name) for case in source.cases] == [
        ("1.png", "1.png"),
        ("2.png", "2.png"),
    ]
    assert source.findings == ()


def test_masks_of_brains_are_not_taken_for_those_of_tumours(tmp_path: Path) -> None:
    write_pairs(tmp_path, ["1"], masks="brain_masks")
    assert "2 pictures, and what may be their truth: brain_masks/1.png" in refusal(tmp_path)


def test_a_test_part_without_masks_is_left_out_with_a_warning(tmp_path: Path) -> None:
    write_pairs(tmp_path / "train", ["1", "2"])
    save(tmp_path / "test" / "images" / "9.png", IMAGE)
    source = open_source(tmp_path)
    assert [case.id for case in source.cases] == ["train/1", "train/2"]
    (finding,) = source.findings
    assert (finding.severity, finding.message) == (
        "warning",
        f"{tmp_path}/test/images: 1 image without a folder of masks beside it is left out",
    )


def test_accents_may_be_stored_in_two_ways(tmp_path: Path) -> None:
    save(tmp_path / "images" / (unicodedata.normalize("NFD", "tête") + ".png"), IMAGE)
    save(tmp_path / "masks" / (unicodedata.normalize("NFC", "tête") + ".PNG"), MASK)
    assert [case.id for case in open_source(tmp_path).cases] == [unicodedata.normalize("NFC", "tête")]


def test_several_masks_of_one_image_are_joined(tmp_path: Path) -> None:
    first, second = blob(32, 1)[1], blob(32, 2)[1]
    save(tmp_path / "benign (1).png", IMAGE)
    save(tmp_path / "benign (1)_mask.png", first)
    save(tmp_path / "benign (1)_mask_1.png", second)
    dataset = load_dataset(tmp_path, DataConfig())
    assert np.array_equal(dataset.read(dataset.cases[0]).truth[0], first | second)
    assert ("masks_joined", "info") in found_codes(tmp_path).items()


def test_masks_of_one_image_that_differ_in_size_are_an_error(tmp_path: Path) -> None:
    save(tmp_path / "x.png", IMAGE)
    save(tmp_path / "x_mask.png", MASK)
    save(tmp_path / "x_mask_1.png", MASK[:16])
    (message,) = [f.message for f in check(load_dataset(tmp_path, DataConfig())) if f.severity == "error"]
    assert "x_mask_1.png: 32 x 16, another mask of the image 32 x 32" in message


# ---------------------------------------------------------------- links, locks, litter


def test_links_are_followed(tmp_path: Path) -> None:
    write_pairs(tmp_path / "real", ["1"])
    (tmp_path / "data").mkdir()
    for folder in ("images", "masks"):
        (tmp_path / "data" / folder).symlink_to(f"../real/{folder}")
    assert [case.id for case in open_source(tmp_path / "data").cases] == ["1"]


def test_links_that_lead_back_end_with_a_note(tmp_path: Path) -> None:
    write_pairs(tmp_path, ["1"])
    (tmp_path / "images" / "again").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    source = open_source(tmp_path)
    assert [case.id for case in source.cases] == ["1"]
    assert [(f.code, f.severity) for f in source.findings] == [("link_loop", "info")]


def test_a_knot_of_links_ends_with_an_error(tmp_path: Path) -> None:
    for level in range(12):
        (tmp_path / f"{level}").mkdir()
        for name in "ab":
            (tmp_path / f"{level}" / name).symlink_to(tmp_path / f"{level + 1}")
    write_pairs(tmp_path, ["1"])
    assert {finding.code: finding.severity for finding in open_source(tmp_path).findings} == {"link_loop": "error"}


def test_a_link_to_nothing_is_an_error_of_that_file(tmp_path: Path) -> None:
    write_pairs(tmp_path, ["1", "2"])
    (tmp_path / "images" / "2.png").unlink()
    (tmp_path / "images" / "2.png").symlink_to("gone.png")
    (message,) = [f.message for f in check(load_dataset(tmp_path, DataConfig())) if f.severity == "error"]
    assert message.startswith(f"{tmp_path}/images/2.png: ")


def lock(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    scan = os.scandir

    def refuse(path: Path) -> object:
        if Path(path) == folder:
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)


def test_a_locked_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pairs(tmp_path, ["1"])
    save(tmp_path / "images" / "more" / "2.png", IMAGE)
    lock(monkeypatch, tmp_path / "images" / "more")
    (finding,) = open_source(tmp_path).findings
    assert (finding.code, finding.severity) == ("locked", "error")
    assert f"{tmp_path}/images/more: this folder cannot be listed (Permission denied)" in finding.message


def test_locked_masks_are_never_taken_for_no_masks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pairs(tmp_path, ["1"])
    lock(monkeypatch, tmp_path / "masks")
    assert refusal(tmp_path).startswith(f"{tmp_path}/masks: this folder cannot be listed")


@pytest.mark.parametrize(
    "name", ["@eaDir", "#recycle", "__MACOSX", ".AppleDouble", "lost+found", "System Volume Information"]
)
def test_folders_of_systems_are_passed_over(tmp_path: Path, name: str) -> None:
    write_pairs(tmp_path, ["1"])
    for folder in (tmp_path / name, tmp_path / "images" / name):
        save(folder / "1.png", IMAGE)
    save(tmp_path / "images" / "thumb.png", IMAGE).rename(tmp_path / "images" / "Thumbs.db")
    assert [len(Contents(tmp_path).files), open_source(tmp_path).findings] == [2, ()]


# ---------------------------------------------------------------- parts


def nested(folder: Path, parts: Sequence[str] = ("train", "test"), patients: bool = False) -> Path:
    rows = ["id,patient"]
    for number, part in enumerate(parts):
        names = [f"{part}{case}" for case in range(6)]
        write_pairs(folder / part, names, seed=100 * number)
        rows += [f"{part}/{name},{part}-{case // 2}" for case, name in enumerate(names)]
    if patients:
        (folder / "patients.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_nested_parts_are_the_split_and_a_missing_one_is_taken_from_train(tmp_path: Path) -> None:
    dataset = load_dataset(nested(tmp_path, patients=True), DataConfig())
    split = split_dataset(dataset, SplitConfig())
    assert {split.parts[case.id] for case in dataset.cases if case.id.startswith("test/")} == {"test"}
    assert len(split.cases("validation")) == 2
    assert len({case.patient for case in dataset.cases if split.parts[case.id] == "validation"}) == 1
    assert split.origin == "the source's own parts, validation taken from its train by patient, seed 0"
    codes = {finding.code: finding.severity for finding in check(dataset, split)}
    assert codes["stated_parts"] == "info"
    assert "error" not in codes.values()


@pytest.mark.parametrize("parts", [("Training", "Testing"), ("train", "valid", "test"), ("train", "val")])
def test_all_names_of_parts_are_read(tmp_path: Path, parts: tuple[str, ...]) -> None:
    dataset = load_dataset(nested(tmp_path, parts, patients=True), DataConfig())
    split = split_dataset(dataset, SplitConfig())
    assert {len(split.cases(part)) > 0 for part in ("train", "validation", "test")} == {True}
    assert "error" not in {finding.severity for finding in check(dataset, split)}


def test_one_part_alone_is_split_as_any_folder(tmp_path: Path) -> None:
    nested(tmp_path, ("train",))
    assert {case.part for case in open_source(tmp_path).cases} == {""}


def test_parts_of_unknown_patients_are_said_to_prove_nothing(tmp_path: Path) -> None:
    assert found_codes(nested(tmp_path)) == {
        "patients_unknown": "warning",
        "stated_parts": "info",
        "stated_parts_unproven": "warning",
    }


def test_a_patient_in_two_stated_parts_is_an_error_with_its_cure(tmp_path: Path, program: Program) -> None:
    nested(tmp_path, patients=True)
    table = tmp_path / "patients.csv"
    table.write_text(table.read_text().replace("test/test0,test-0", "test/test0,train-0"))
    outcome = program("data", "check", tmp_path)
    assert outcome.status == 2
    assert "patient train-0 is in test and train" in outcome.out
    assert "--set split.stated=false splits anew" in outcome.out
    dataset = load_dataset(tmp_path, DataConfig())
    split = split_dataset(dataset, SplitConfig(stated=False))
    assert "patient_crosses" not in {finding.code for finding in check(dataset, split)}


def test_a_copy_in_another_part_is_an_error(tmp_path: Path) -> None:
    nested(tmp_path)
    image, mask = blob(32, 0)
    save(tmp_path / "test" / "images" / "copy.png", image)
    save(tmp_path / "test" / "masks" / "copy.png", mask)
    assert found_codes(tmp_path)["duplicate_crosses"] == "error"


def test_a_turned_copy_in_another_part_is_an_error(tmp_path: Path) -> None:
    nested(tmp_path)
    rows, columns = np.ogrid[:96, :96]
    image = (128 + 60 * np.sin(rows / 5) * np.cos(columns / 9) + 40 * np.sin(rows * columns / 300)).astype(np.uint8)
    mask = (rows - 30) ** 2 + (columns - 40) ** 2 < 100
    for part, turned in (("train", 0), ("test", 1)):
        save(tmp_path / part / "images" / "copy.png", np.rot90(image, turned))
        save(tmp_path / part / "masks" / "copy.png", np.rot90(mask, turned))
    assert found_codes(tmp_path)["near_duplicate_crosses"] == "error"


# ---------------------------------------------------------------- BRISC


def brisc(folder: Path, kind: str = "gl") -> Path:
    for number, part in enumerate(("train", "test")):
        names = [f"brisc2025_{part}_{case:05d}_{kind}_ax_t1" for case in range(4)]
        write_pairs(folder / "segmentation_task" / part, names, seed=50 * number)
    return folder


def test_the_parts_of_brisc_are_refused_by_their_names(tmp_path: Path) -> None:
    assert found_codes(brisc(tmp_path))["brisc_leaks"] == "error"
    dataset = load_dataset(tmp_path, DataConfig())
    for stated, leaks in ((True, True), (False, False)):
        findings = check(dataset, split_dataset(dataset, SplitConfig(stated=stated, train=0.5, validation=0.2)))
        assert ("brisc_leaks" in {finding.code for finding in findings}) is leaks


def test_healthy_heads_of_brisc_are_nobodys_patients(tmp_path: Path) -> None:
    assert "brisc_leaks" not in found_codes(brisc(tmp_path, "no"))


@pytest.mark.slow
def test_no_training_begins_on_the_parts_of_brisc(tmp_path: Path, program: Program) -> None:
    outcome = program("train", "--data", brisc(tmp_path / "data"), "--output", tmp_path / "run")
    assert outcome.status == 2
    assert "the parts of BRISC leak" in outcome.err
    assert not (tmp_path / "run").exists()


def test_a_turned_mask_of_cheng_betrays_its_patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tumorline.data import cheng
    from tumorline.data.masks.read import mask_hash

    known = {mask_hash(blob(32, seed)[1]): cheng.Entry("glioma", "17") for seed in (0, 50)}
    monkeypatch.setattr(cheng, "cheng_table", lambda: known)
    write_pairs(tmp_path / "train", ["a", "b", "c"], seed=0)
    write_pairs(tmp_path / "test", ["d", "e"], seed=60)
    image, mask = blob(32, 50)
    save(tmp_path / "test" / "images" / "f.png", np.rot90(image[:, ::-1]))
    save(tmp_path / "test" / "masks" / "f.png", np.rot90(mask[:, ::-1]))
    findings = check(load_dataset(tmp_path, DataConfig()))
    (message,) = [finding.message for finding in findings if finding.severity == "error"]
    assert "patient cheng-17 is in test and train" in message


# ---------------------------------------------------------------- the advice that nothing shows a tumour


@pytest.mark.parametrize(
    "name",
    [
        *(
            "x.json",
            "x.xml",
            "labels/x.txt",
            "x.txt",
            "boxes.csv",
            "x.mat.bak",
            "x.nrrd",
            "seg.nii.gz",
            "x.npy",
            "x.npz",
        ),
        *("x.h5", "x.mha", "x.roi", "RoiSet.zip", "x.svg", "data.yaml", "x.unknown", "annotations.xlsx", "truth"),
    ],
)
def test_tumour_free_is_never_advised_beside_what_may_be_a_truth(tmp_path: Path, name: str) -> None:
    save(tmp_path / "images" / "x.png", IMAGE)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("{}")
    assert "data.tumour_free" not in refusal(tmp_path)


@pytest.mark.parametrize("name", ["masks/x.png", "x_mask.png", "contours/x.png", "GT/y.png", "glioma/x.png"])
def test_tumour_free_is_never_advised_beside_masks(tmp_path: Path, name: str) -> None:
    save(tmp_path / "a" / "z.png", IMAGE)
    save(tmp_path / name, MASK)
    assert "data.tumour_free" not in refusal(tmp_path)


def test_tumour_free_is_advised_beside_plain_documents(tmp_path: Path) -> None:
    save(tmp_path / "x.png", IMAGE)
    for name in ("README.md", "LICENSE-DATA.txt", "patients.csv", "fetched.json"):
        (tmp_path / name).write_text("{}")
    assert "say --set data.tumour_free=true" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["masks/x.png", "x_mask.png", "labels/x.txt", "x.xml"])
def test_tumour_free_beside_a_truth_is_refused(tmp_path: Path, name: str) -> None:
    save(tmp_path / "images" / "y.png", IMAGE)
    path = save(tmp_path / name.replace("txt", "png").replace("xml", "png"), MASK)
    if path.name != Path(name).name:
        path.unlink()
        (tmp_path / name).write_text("0 .1 .1 .2 .2 .3 .1\n" if name.endswith("txt") else "<annotation></annotation>")
    with pytest.raises(UserError, match=r"data\.tumour_free is set, but there are masks"):
        open_source(tmp_path, DataConfig(tumour_free=True))


def refusal_as_tumour_free(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        open_source(path, DataConfig(tumour_free=True))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["glioma_1.png", "x_tumor.png", "x_edges.png", "x.tif"])
def test_tumour_free_is_never_advised_beside_pictures_that_may_be_a_truth(tmp_path: Path, name: str) -> None:
    save(tmp_path / "x.png", IMAGE)
    save(tmp_path / name, 255 - IMAGE)
    assert f"2 pictures, and what may be their truth: {name}" in refusal(tmp_path)


def classes(folder: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        save(folder / name / f"Tr_{number}.png", blob(32, number)[0])
    return folder


@pytest.mark.parametrize(
    ("names", "named", "cure"),
    [
        (("Training/glioma", "Training/notumor"), "Training/glioma/", "give Training/notumor/, alone"),
        (("yes", "no"), "yes/", "give no/, alone"),
        (("meningioma_tumor",), "meningioma_tumor/", "give a folder of pictures without tumours"),
        (
            ("a/pituitary", "a/healthy", "b/no_tumor"),
            "a/pituitary/",
            "give a/healthy/, b/no_tumor/, each as a source of its own",
        ),
    ],
)
def test_classes_of_tumours_are_no_tumour_free_pictures(
    tmp_path: Path, names: tuple[str, ...], named: str, cure: str
) -> None:
    said = refusal_as_tumour_free(classes(tmp_path, *names))
    assert said == f"{tmp_path}: data.tumour_free is set, but {named} names tumours; {cure}"


def test_a_class_of_tumours_alone_is_none_either(tmp_path: Path) -> None:
    classes(tmp_path, "glioma_tumor")
    assert "glioma_tumor/ names tumours" in refusal_as_tumour_free(tmp_path / "glioma_tumor")


@pytest.mark.parametrize("name", ["Testing/notumor", "no_tumor", "Brain Tumor Data/no", "healthy", "tumor study"])
def test_a_class_without_tumours_may_be_tumour_free(tmp_path: Path, name: str) -> None:
    classes(tmp_path / name, "." if name == "tumor study" else "")
    source = open_source(tmp_path / "tumor study" if name == "tumor study" else tmp_path, DataConfig(tumour_free=True))
    assert len(source.cases) == 1


def test_classes_without_masks_are_told_which_of_them_show_no_tumour(tmp_path: Path) -> None:
    classes(tmp_path, "glioma", "notumor")
    assert "glioma/Tr_0.png; with --set data.tumour_free=true give notumor/, alone" in refusal(tmp_path)
    assert "say --set data.tumour_free=true" in refusal(classes(tmp_path / "Testing", "notumor"))


# ---------------------------------------------------------------- masks whose names say it only with their pixels


@pytest.mark.parametrize("word", ["tumor", "roi", "lesion", "bw", "L", "annotated", "tumour_2"])
def test_a_word_of_tumours_behind_an_image_is_its_mask_where_it_holds_two_values(tmp_path: Path, word: str) -> None:
    for number in range(3):
        image, mask = blob(32, number)
        save(tmp_path / f"{number}.png", image)
        save(tmp_path / f"{number}_{word}.png", mask if number else np.zeros_like(mask))
    dataset = load_dataset(tmp_path, DataConfig())
    assert [(case.id, case.mask and case.mask.name) for case in dataset.cases] == [
        (f"{number}", f"{number}_{word}.png") for number in range(3)
    ]
    assert np.array_equal(dataset.read(dataset.cases[2]).truth[0], blob(32, 2)[1])
    assert "there are masks: 3 pairs by suffix" in refusal_as_tumour_free(tmp_path)
    assert [image.name for image in select_images(Contents(tmp_path)).images] == ["0.png", "1.png", "2.png"]


def test_a_mask_by_a_word_of_tumours_may_be_saved_as_jpeg(tmp_path: Path) -> None:
    for number in range(3):
        image, mask = blob(32, number)
        for name, pixels in ((f"{number}", image), (f"{number}_tumor", mask * np.uint8(255))):
            Image.fromarray(pixels).save(tmp_path / f"{name}.jpg")
    dataset = load_dataset(tmp_path, DataConfig())
    assert [case.id for case in dataset.cases] == ["0", "1", "2"]
    assert np.array_equal(dataset.read(dataset.cases[2]).truth[0], blob(32, 2)[1])


def test_a_word_of_tumours_behind_an_image_is_no_mask_where_it_is_a_picture(tmp_path: Path) -> None:
    save(tmp_path / "x.png", IMAGE)
    save(tmp_path / "x_annotated.png", IMAGE // 2)
    assert "2 pictures, and what may be their truth: x_annotated.png" in refusal(tmp_path)
    assert "there are masks: " in refusal_as_tumour_free(tmp_path)


@pytest.mark.parametrize("suffix", ["jpg", "tif", "bmp"])
def test_a_mask_may_have_the_name_of_its_image_but_for_the_suffix(tmp_path: Path, suffix: str) -> None:
    for number in range(3):
        image, mask = blob(32, number)
        save(tmp_path / f"{number}.{suffix}", image)
        save(tmp_path / f"{number}.png", mask)
    dataset = load_dataset(tmp_path, DataConfig())
    assert [(case.id, case.images[0].suffix, case.mask and case.mask.suffix) for case in dataset.cases] == [
        (f"{number}", f".{suffix}", ".png") for number in range(3)
    ]
    assert "error" not in {finding.severity for finding in check(dataset)}
    assert "there are masks: 3 pairs by suffix" in refusal_as_tumour_free(tmp_path)
    assert len(select_images(Contents(tmp_path)).images) == 3


def test_pictures_of_one_name_of_which_none_is_a_mask_are_images(tmp_path: Path) -> None:
    save(tmp_path / "x.jpg", IMAGE)
    save(tmp_path / "x.png", IMAGE)
    assert "2 pictures, and what may be their truth: x.png" in refusal(tmp_path)
    assert len(select_images(Contents(tmp_path)).images) == 2


def test_words_behind_one_another_are_no_masks_of_masks(tmp_path: Path) -> None:
    for name, pixels in (("x", IMAGE), ("x_tumor", MASK), ("x_tumor_L", MASK)):
        save(tmp_path / f"{name}.png", pixels)
    source = open_source(tmp_path)
    assert [case.id for case in source.cases] == ["x"]
    assert [Path(finding.files[0]).name for finding in source.findings] == ["x_tumor_L.png"]


def test_masks_in_their_folder_may_have_a_word_of_tumours(tmp_path: Path) -> None:
    write_pairs(tmp_path, ["1"])
    (tmp_path / "masks" / "1.png").rename(tmp_path / "masks" / "1_tumor.png")
    assert [case.id for case in open_source(tmp_path).cases] == ["1"]


# ---------------------------------------------------------------- named, not read


@pytest.mark.parametrize("path", ["/none.png", "/images/none.png", "/test/train/none.png", "/dev/null"])
def test_above_the_root_there_is_no_folder_of_the_set(path: str) -> None:
    assert pixels_around([Path(path)]) == {}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("labels/y.txt", "0 .4 .4 .6 .4 .6 .6\n", "labels of YOLO, of which no image has the name"),
        ("labels/x.txt", "1 0.5 0.5 0.25 0.25\n", "labels of YOLO that are boxes (class, centre, width, height)"),
        ("x.txt", "1 0.5 0.5 0.25 0.25 0.9\n", "labels of YOLO that are boxes (class, centre, width, height)"),
        ("x.xml", "<annotation><object>", "XML of Pascal VOC, whose boxes are no outlines, is not read"),
        ("via.json", '{"x.png12": {"regions": []}}', "JSON of another kind than COCO, LabelMe, VIA and Supervisely"),
        ("bad.json", '{"images": [', "no readable JSON"),
        ("deep.json", "[" * 100_000, "no readable JSON"),
        ("a_t1ce.nii.gz", "", "no truth is known for volumes of this name; accepted are X_t1ce.nii.gz beside"),
        ("a.nrrd", "", "volumes of this format are not read; save them as NIfTI"),
    ],
)
def test_what_is_not_read_is_named_in_one_line(tmp_path: Path, name: str, content: str, message: str) -> None:
    save(tmp_path / "images" / "x.png", IMAGE)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(content)
    assert refusal(tmp_path).startswith(f"{tmp_path / name}: ")
    assert message in refusal(tmp_path)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".h5", ".pkl"])
def test_arrays_are_named_with_the_cure(tmp_path: Path, suffix: str) -> None:
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"0{suffix}").write_bytes(b"\x93NUMPY")
    said = f"{tmp_path}/images/0{suffix}: arrays in {suffix} files are not read; save images and masks as PNG or TIFF, "
    assert refusal(tmp_path).startswith(said)
    with pytest.raises(UserError, match=f"arrays in {suffix} files are not read"):
        read_pixels(tmp_path / "images" / f"0{suffix}")


# ---------------------------------------------------------------- images to predict


def test_images_are_told_from_masks_and_everything_else(tmp_path: Path) -> None:
    write_pairs(tmp_path / "a", ["1"])
    write_pairs(tmp_path / "b", ["2"], images="JPEGImages", masks="SegmentationClass")
    for word in ("mask", "seg", "label", "gt", "segmentation", "groundtruth", "m", "overlay", "mask_1"):
        save(tmp_path / "suffix" / f"x_{word}.png", MASK)
    save(tmp_path / "suffix" / "x.png", IMAGE)
    save(tmp_path / "alone_m.png", IMAGE)
    for name in ("notes.txt", "more.txt", "volume.nii.gz", "LICENSE"):
        (tmp_path / name).touch()
    selection = select_images(Contents(tmp_path))
    assert [str(image.relative_to(tmp_path)) for image in selection.images] == [
        "a/images/1.png",
        "alone_m.png",
        "b/JPEGImages/2.png",
        "suffix/x.png",
        "volume.nii.gz",
    ]
    assert selection.remark == (
        "10 masks (for example 1.png), 2 of the kind '.txt' (for example more.txt), 1 overlays of earlier results (for "
        "example x_overlay.png), 1 without a suffix (for example LICENSE)"
    )
