"""Labels of YOLO as truth, and what is refused of them."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import blob, refused_in_one_line
from tests.sources import save, write
from tumorline.audit.check import check
from tumorline.config import DataConfig
from tumorline.data.dataset import Dataset, load_dataset
from tumorline.data.layouts.contents import Contents
from tumorline.data.layouts.to_predict.selection import select_images
from tumorline.data.source import open_source
from tumorline.errors import UserError

IMAGE, _ = blob(32, 1)
HOUSE = "0 .125 .125 .25 .125 .25 .25 .1875 .3 .125 .25"
"""In 32 pixels a square from 4 to 8 with a roof of two pixels below it: 18 in all."""


def load(folder: Path) -> Dataset:
    return load_dataset(folder, DataConfig())


def add(folder: Path, name: str, labels: str | None = HOUSE) -> None:
    """An image and its labels; none where they are None."""
    save(folder / "images" / f"{name}.png", blob(32, sum(name.encode()))[0])
    if labels is not None:
        write(folder / "labels" / f"{name}.txt", labels)


def findings_of(folder: Path, severity: str) -> list[str]:
    try:
        dataset = load(folder)
    except UserError as error:
        return [str(error)]
    return [finding.message for finding in check(dataset) if finding.severity == severity]


def errors_of(folder: Path) -> list[str]:
    return findings_of(folder, "error")


def refusal(folder: Path) -> str:
    with refused_in_one_line() as caught:
        open_source(folder)
    return str(caught.value)


# ---------------------------------------------------------------- layouts


@pytest.mark.parametrize(
    ("image", "labels"),
    [
        ("images/train/x.png", "labels/train/x.txt"),
        ("train/images/x.png", "train/labels/x.txt"),
        ("images/x.png", "labels/x.txt"),
        ("obj_train_data/x.png", "obj_train_data/x.txt"),
        ("x.png", "x.txt"),
        ("images/x.png", "images/x.txt"),
        ("mri/x.png", "mri/x.txt"),
        ("Segmentation/x.png", "Segmentation/x.txt"),
        ("train/x.png", "train/labels/x.txt"),
        ("IMAGES/x.PNG", "Labels/x.TXT"),
    ],
)
def test_labels_are_found_by_the_name_of_the_image(tmp_path: Path, image: str, labels: str) -> None:
    save(tmp_path / image, IMAGE)
    write(tmp_path / labels, HOUSE)
    dataset = load(tmp_path)
    assert dataset.source.layout == "yolo"
    assert errors_of(tmp_path) == []
    assert dataset.read(dataset.cases[0]).truth[0].sum() == 18


def test_folders_state_the_split(tmp_path: Path) -> None:
    for part in ("train", "valid", "test"):
        add(tmp_path / part, part[0])
    cases = {case.id: case.part for case in open_source(tmp_path).cases}
    assert cases == {"train/t": "train", "valid/v": "validation", "test/t": "test"}


def test_outlines_are_shares_of_width_and_height(tmp_path: Path) -> None:
    save(tmp_path / "images" / "x.png", np.arange(32 * 64, dtype=np.uint16).reshape(32, 64) // 9)
    write(tmp_path / "labels" / "x.txt", "0 0.25 0.25 0.5 0.25 0.5 0.5 0.3 0.5 0.25 0.5\n")
    dataset = load(tmp_path)
    rows, columns = np.nonzero(dataset.read(dataset.cases[0]).truth[0])
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (8, 15, 16, 31)


def test_several_outlines_are_one_tumour(tmp_path: Path) -> None:
    add(tmp_path, "x", f"{HOUSE}\n{HOUSE}\n0 .5 .5 .625 .5 .625 .625 .55 .625 .5 .625\r\n\n")
    dataset = load(tmp_path)
    assert dataset.read(dataset.cases[0]).truth[0].sum() == 18 + 16


def test_an_outline_is_cut_at_the_border_of_the_image(tmp_path: Path) -> None:
    add(tmp_path, "x", "0 -.1 -.1 .125 -.1 .125 .125 .1 .125 -.1 .125\n")
    dataset = load(tmp_path)
    assert dataset.read(dataset.cases[0]).truth[0].sum() == 16


# ---------------------------------------------------------------- images without outlines


def test_an_empty_file_is_no_tumour_and_a_missing_one_as_well_with_a_warning(tmp_path: Path) -> None:
    add(tmp_path, "a")
    add(tmp_path, "b", "")
    add(tmp_path, "c", None)
    dataset = load(tmp_path)
    assert [int(dataset.read(case).truth[0].sum()) for case in dataset.cases] == [18, 0, 0]
    assert errors_of(tmp_path) == []
    said = f"{tmp_path}: 1 image without a file of labels is taken as showing no tumour, as Ultralytics does"
    assert any(message.startswith(said) for message in findings_of(tmp_path, "warning"))
    add(tmp_path, "c", HOUSE)
    assert load(tmp_path).read(load(tmp_path).cases[2]).truth[0].sum() == 18


def test_images_of_a_folder_without_any_labels_are_left_out_with_a_warning(tmp_path: Path) -> None:
    add(tmp_path / "train", "a")
    add(tmp_path / "test", "b", None)
    assert [case.id for case in open_source(tmp_path).cases] == ["train/a"]
    said = f"{tmp_path}: 1 image in folders without any labels is left out; for example b.png"
    assert said in findings_of(tmp_path, "warning")


def test_labels_without_an_image_are_an_error(tmp_path: Path) -> None:
    add(tmp_path, "a")
    write(tmp_path / "labels" / "b.txt", HOUSE)
    assert errors_of(tmp_path) == [f"{tmp_path}/labels/b.txt: labels of YOLO without an image of their name"]


def test_labels_of_two_images_are_an_error(tmp_path: Path) -> None:
    add(tmp_path, "a")
    add(tmp_path, "b")
    save(tmp_path / "images" / "b.bmp", IMAGE)
    assert "b.txt: may be the labels of b.bmp or of b.png; keep one of them" in errors_of(tmp_path)[0]


def test_images_of_one_name_are_an_error(tmp_path: Path) -> None:
    add(tmp_path, "a")
    for suffix in ("png", "bmp"):
        save(tmp_path / "images" / f"b.{suffix}", IMAGE)
    assert "b.png: same name as" in errors_of(tmp_path)[0]


# ---------------------------------------------------------------- classes


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("data.yaml", "nc: 2\nnames: ['glioma', \"no_tumor\"]\n"),
        ("data.yaml", "names: [ glioma , no_tumor ]  # two\nnc: 2"),
        ("data.yaml", "names: [\n  'glioma',  # one\n  'no_tumor'\n]\n"),
        ("data.yaml", "names:\n- glioma\n- no_tumor\nnc: 2\n"),
        ("data.yml", "path: .\r\nnames:\r\n  0: glioma\r\n  1: no_tumor\r\n"),
        ("brain.yaml", "names:\n\n  # classes\n  1: 'no_tumor'\n  0: glioma # first\nroboflow:\n  license: x\n"),
        ("data.yaml", "names: {0: glioma, 1: no_tumor}"),
        ("labels/classes.txt", "glioma\nno_tumor\n"),
        ("obj.names", "glioma\nno_tumor\n"),
    ],
)
def test_what_is_named_no_tumour_never_becomes_one(tmp_path: Path, file: str, text: str) -> None:
    add(tmp_path, "a")
    write(tmp_path / file, text)
    assert errors_of(tmp_path) == []
    add(tmp_path, "b", "1" + HOUSE[1:])
    assert "outlines of glioma, no_tumor; 'no_tumor' is not known as a tumour" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["no_tumor", "notumor", "No Tumor", "healthy", "background", "brain", "negative"])
def test_a_single_class_of_something_else_is_refused(tmp_path: Path, name: str) -> None:
    add(tmp_path, "a")
    write(tmp_path / "data.yaml", f"names: ['{name}']\n")
    assert f"outlines of {name}; '{name}' is not known as a tumour" in refusal(tmp_path)


def test_several_classes_need_names_and_one_does_not(tmp_path: Path) -> None:
    add(tmp_path, "a")
    assert errors_of(tmp_path) == []
    add(tmp_path, "b", "1" + HOUSE[1:])
    assert "2 classes, of which 0, 1 have no name; give a data.yaml with names" in refusal(tmp_path)
    write(tmp_path / "data.yaml", "names: [glioma]\n")
    assert "2 classes, of which 1 have no name" in refusal(tmp_path)
    write(tmp_path / "data.yaml", "names: [glioma, meningioma]\n")
    assert errors_of(tmp_path) == []


def test_names_are_those_of_the_nearest_file_and_two_that_differ_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a" / "data.yaml", "names: [glioma]")
    write(tmp_path / "b" / "data.yaml", "names: [meningioma]")
    add(tmp_path / "a", "1")
    add(tmp_path / "b", "2")
    assert errors_of(tmp_path) == []
    write(tmp_path / "b" / "classes.txt", "skull\n")
    assert "names classes otherwise than another file beside it" in refusal(tmp_path)


# ---------------------------------------------------------------- what is no outline


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 .5 .5 .25 .25", "(line 2): a box without an outline; export the set for segmentation"),
        ("0 .5 .5 .25", "an outline is no list of three corners or more"),
        ("0 .1 .1 .2 .1 .2 .2 .9", "an outline is no list of three corners or more"),
        ("0 .1 .1 nan .1 .2 .2", "an outline is no list of three corners or more"),
        ("0 .1 .1 inf .1 .2 .2", "an outline is no list of three corners or more"),
        ("0 .1 .1 1e300 .1 .2 .2", "an outline is no list of three corners or more"),
        ("0 .1 .1 x .1 .2 .2", "an outline is no list of three corners or more"),
        ("0 10 10 20 10 20 20", "a corner at 10; expected shares of width and height, from 0 to 1"),
        ("tumor .1 .1 .2 .1 .2 .2", "begins with 'tumor', which is no number of a class"),
        ("-1 .1 .1 .2 .1 .2 .2", "begins with '-1', which is no number of a class"),
        ("0", "an outline is no list of three corners or more"),
        ("0 " + "0.1 0.2 " * 300_000, "an outline of 300000 corners; at most 200000 are read"),
        ("0 .1 .1 .2 .1 .2 .2\0", "holds a NUL byte"),
    ],
)
def test_what_is_no_outline_is_one_error_of_that_image(tmp_path: Path, line: str, message: str) -> None:
    add(tmp_path, "a")
    add(tmp_path, "b", f"{HOUSE}\n{line}\n")
    (said,) = errors_of(tmp_path)
    assert said.startswith(f"{tmp_path}/labels/b.txt")
    assert message in said
    assert len(open_source(tmp_path, DataConfig(leave_out=("b",))).findings) == 1


def test_a_huge_file_of_labels_is_an_error(tmp_path: Path) -> None:
    add(tmp_path, "a")
    add(tmp_path, "b", f"{HOUSE}\n" * 200_000)
    assert "b.txt: larger than 8 MB" in errors_of(tmp_path)[0]


def test_boxes_alone_are_refused_in_one_line(tmp_path: Path) -> None:
    add(tmp_path, "a", "0 .5 .5 .25 .25\n")
    add(tmp_path, "b", "")
    assert refusal(tmp_path).startswith(f"{tmp_path}/labels/a.txt: labels of YOLO that are boxes")


def test_boxes_beside_masks_are_no_second_truth(tmp_path: Path) -> None:
    add(tmp_path, "a", "0 .5 .5 .25 .25\n")
    save(tmp_path / "masks" / "a.png", blob(32, 1)[1])
    assert open_source(tmp_path).layout == "images/masks"
    write(tmp_path / "labels" / "a.txt", HOUSE)
    assert "more than one layout" in refusal(tmp_path)


TURNED = "0 .3 .2 .4 .3 .3 .4 .2 .3\n"
FOUR = "0 .3 .2 .4 .3 .3 .5 .2 .35\n"


def test_four_corners_everywhere_may_be_turned_boxes(tmp_path: Path) -> None:
    for number in range(3):
        add(tmp_path, str(number), TURNED)
    said = "all outlines of YOLO (3) have four corners, as turned boxes (OBB) have"
    assert any(said in message for message in findings_of(tmp_path, "warning"))
    for number in range(3, 12):
        add(tmp_path, str(number), TURNED)
    assert "all outlines of YOLO (12) have four corners and are rectangles: boxes" in refusal(tmp_path)
    add(tmp_path, "12", FOUR)
    assert any("(13) have four corners, as turned" in message for message in findings_of(tmp_path, "warning"))
    add(tmp_path, "13", HOUSE)
    assert not any("four corners" in message for message in findings_of(tmp_path, "warning"))


# ---------------------------------------------------------------- images to predict


def test_labels_are_no_pictures_and_named_once(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        add(tmp_path, name)
    write(tmp_path / "data.yaml", "names: [tumor]\n")
    selection = select_images(Contents(tmp_path))
    assert len(selection.images) == 3
    assert selection.remark == (
        "3 of the kind '.txt' (for example a.txt), 1 of the kind '.yaml' (for example data.yaml)"
    )


# ---------------------------------------------------------------- whatever stands in them


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    labels=st.lists(
        st.sampled_from([HOUSE, TURNED, "0 .5 .5 .1 .1", "", " ", "0"]) | st.text(max_size=20), max_size=3
    ).map("\n".join)
    | st.binary(max_size=30).map(lambda raw: raw.decode("latin-1")),
    names=st.text(max_size=30)
    | st.sampled_from(["[", "names: [", "names:\n- a", "names: {0: 'a", "names:\n 0: b\n 0: c"]),
)
def test_whatever_stands_in_labels_gives_masks_or_one_line(labels: str, names: str) -> None:
    with TemporaryDirectory() as place:
        folder = Path(place)
        add(folder, "a")
        add(folder, "b", None)
        for file, text in (("labels/b.txt", labels), ("data.yaml", names)):
            (folder / file).write_bytes(text.encode("utf-8", "surrogatepass"))
        for message in errors_of(folder):
            assert message.startswith(place)
            assert "\n" not in message
