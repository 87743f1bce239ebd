"""XML of CVAT as truth, and what is refused of it."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import blob, refused_in_one_line
from tests.sources import cvat, errors_of, save, write
from tumorline.config import DataConfig
from tumorline.data.dataset import Dataset, load_dataset
from tumorline.data.source import open_source

SQUARE = '<polygon label="tumor" points="4.0,4.0;8.0,4.0;8.0,8.0;4.0,8.0" z_order="0"></polygon>'
BOMB = "<!DOCTYPE a [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;'>]>"
FRAME = 'width="32" height="32"'


def load(folder: Path) -> Dataset:
    return load_dataset(folder, DataConfig())


def add(folder: Path, *shapes: str, image: str = FRAME, before: str = "") -> Path:
    """As many images as there are texts of shapes, in one file."""
    images = []
    for number, shape in enumerate(shapes):
        save(folder / "images" / f"{number}.png", blob(32, number)[0])
        images.append(f'<image id="{number}" name="{number}.png" {image}>{shape}</image>')
    content = f"<version>1.1</version><meta><task/></meta>{''.join(images)}"
    head = '<?xml version="1.0" encoding="utf-8"?>'
    return write(folder / "annotations.xml", f"{head}\n{before}<annotations>{content}</annotations>")


def refusal(folder: Path) -> str:
    with refused_in_one_line() as caught:
        open_source(folder)
    return str(caught.value)


def pixels_of(folder: Path) -> list[int]:
    dataset = load(folder)
    return [int(dataset.read(case).truth[0].sum()) for case in dataset.cases]


@pytest.mark.parametrize(
    ("shape", "pixels"),
    [
        (SQUARE, 16),
        ('<ellipse label="tumor" cx="10" cy="10" rx="3" ry="3"/>', 32),
        ('<ellipse label="tumor" cx="16" cy="16" rx="0.6" ry="8" rotation="90"/>', 16),
        ('<mask label="tumor" rle="0, 2, 1, 1" left="3" top="5" width="2" height="2"/>', 3),
        ('<mask label="tumor" rle="0,100" left="27" top="-5" width="10" height="10"/>', 25),
        (f"{SQUARE}<tag label='brain'/>", 16),
        (f"{SQUARE}{SQUARE}", 16),
        ("", 0),
    ],
)
def test_shapes_with_an_inside_are_read(tmp_path: Path, shape: str, pixels: int) -> None:
    add(tmp_path, shape, SQUARE)
    assert load(tmp_path).source.layout == "cvat"
    assert pixels_of(tmp_path) == [pixels, 16]
    assert errors_of(tmp_path) == []


def test_the_runs_of_a_mask_go_along_its_rows(tmp_path: Path) -> None:
    add(tmp_path, '<mask label="tumor" rle="1, 2, 3" left="3" top="5" width="3" height="2"/>')
    dataset = load(tmp_path)
    (truth,) = dataset.read(dataset.cases[0]).truth
    assert [(int(row), int(column)) for row, column in zip(*truth.nonzero(), strict=True)] == [(5, 4), (5, 5)]


def test_subsets_state_the_split(tmp_path: Path) -> None:
    for number, part in enumerate(("Train", "Validation", "Test")):
        save(tmp_path / "images" / part / f"{number}.png", blob(32, number)[0])
    parts = enumerate(("Train", "Validation", "Test"))
    images = [f'<image name="{part}/{n}.png" subset="{part}" {FRAME}>{SQUARE}</image>' for n, part in parts]
    write(tmp_path / "annotations.xml", f"<annotations>{''.join(images)}</annotations>")
    assert {case.id: case.part for case in open_source(tmp_path).cases} == {
        "Train/0": "train",
        "Validation/1": "validation",
        "Test/2": "test",
    }


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ('<box label="tumor" xtl="1" ytl="1" xbr="9" ybr="9"/>', "a box without an outline; accepted are polygon"),
        ('<polyline label="tumor" points="1,1;2,2;3,3"/>', "a shape of the kind 'polyline'"),
        ('<points label="tumor" points="1,1"/>', "a shape of the kind 'points'"),
        ('<polygon label="tumor" points="1,1;2,2"/>', "an outline is no list of three corners or more"),
        ('<polygon label="tumor" points="1,1;nan,2;3,3"/>', "an outline is no list of three corners or more"),
        ('<polygon label="tumor" points="1,1;1e99,2;3,3"/>', "an outline is no list of three corners or more"),
        ('<polygon label="tumor"/>', "an outline is no list of three corners or more"),
        (f'<polygon label="tumor" points="{"1,1;" * 300_000}2,2"/>', "an outline of 300001 corners"),
        ('<ellipse label="tumor" cx="1" cy="x"/>', "a shape whose place and size are not 5 finite numbers"),
        (
            '<mask label="tumor" rle="0,5" left="0" top="0" width="2" height="2"/>',
            "runs of 5 pixels for a patch of 2 x 2",
        ),
        ('<mask label="tumor" rle="0,-4" left="0" top="0" width="2" height="2"/>', "runs that are no whole numbers"),
        ('<mask label="tumor" rle="0,4" left="0" top="0" width="2"/>', "height is ''; expected a whole number"),
        ('<mask label="tumor" rle="0,4" left="0" top="0" width="900000000" height="900000000"/>', "pixels are read"),
        ('<mask label="tumor" rle="0,4" left="0" top="0" width="2" height="99999999999"/>', "expected a whole number"),
        ('<mask label="tumor" left="0" top="0" width="2" height="2"/>', "runs that are no whole numbers"),
    ],
)
def test_what_is_no_outline_is_one_error_of_that_image(tmp_path: Path, shape: str, message: str) -> None:
    add(tmp_path, SQUARE, shape)
    (said,) = errors_of(tmp_path)
    assert said.startswith(f"{tmp_path}/annotations.xml")
    assert message in said


@pytest.mark.parametrize(
    "frame", ['width="-1" height="3"', 'width="x" height="3"', 'width="3"', 'width="9e9" height="1"']
)
def test_an_image_of_no_size_is_an_error(tmp_path: Path, frame: str) -> None:
    add(tmp_path, SQUARE, image=frame)
    assert f"{tmp_path}/annotations.xml (0.png)" in errors_of(tmp_path)[0]


def test_outlines_for_another_size_are_an_error(tmp_path: Path) -> None:
    add(tmp_path, SQUARE, image='width="64" height="64"')
    assert "image 32 x 32, mask 64 x 64; a pair must have one size" in errors_of(tmp_path)[0]


@pytest.mark.parametrize("label", ["no_tumor", "healthy", "background", "brain"])
def test_outlines_of_other_things_than_tumours_are_refused(tmp_path: Path, label: str) -> None:
    add(tmp_path, SQUARE.replace("tumor", label))
    assert f"'{label}' is not known as a tumour" in refusal(tmp_path)


def test_images_that_are_not_there_and_those_not_listed_are_errors(tmp_path: Path) -> None:
    add(tmp_path, SQUARE, SQUARE)
    (tmp_path / "images" / "1.png").rename(tmp_path / "images" / "2.png")
    assert errors_of(tmp_path) == [
        f"{tmp_path}/annotations.xml: names the image '1.png'; there is no such image in this folder",
        f"{tmp_path}/images/2.png: image without annotations in a file of CVAT",
    ]


@pytest.mark.parametrize("declared", [BOMB, '<!DOCTYPE a SYSTEM "file:///etc/passwd">', "<!DOCTYPE annotations>"])
def test_a_doctype_is_refused_before_it_is_read(tmp_path: Path, declared: str) -> None:
    path = add(tmp_path, SQUARE, before=declared)
    assert f"{path}: XML with a DOCTYPE, which no annotation tool writes; it is not read" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotations><image", "no readable XML (ParseError)"),
        ("<annotations>&b;</annotations>", "no readable XML (ParseError)"),
        ("<?xml version='1.0' encoding='nothing'?><annotations/>", "no readable XML (LookupError)"),
        ("<annotations><track id='0'/></annotations>", "lists no image; export it from CVAT as 'CVAT for images 1.1'"),
        ("<annotations><image/></annotations>", "lists an image without a name"),
        ("<annotations>" + "<a>" * 200_000, "no readable XML (ParseError)"),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    save(tmp_path / "x.png", blob(32, 1)[0])
    path = write(tmp_path / "a.xml", text)
    assert f"{path}: {message}" in refusal(tmp_path)


PIECES = ("polygon", "mask", "ellipse", "box", "label", "points", "rle", "4", "-1", "1e9", "nan", ",", ";", "left")


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    places=st.lists(st.tuples(st.integers(0, 400), st.sampled_from(PIECES) | st.text(max_size=3)), max_size=3),
)
def test_whatever_stands_in_it_gives_masks_or_one_line(places: list[tuple[int, str]]) -> None:
    with TemporaryDirectory() as place:
        path = cvat(Path(place), 1) / "annotations.xml"
        text = path.read_text()
        for at, piece in places:
            at %= len(text)
            text = text[:at] + piece + text[at + len(piece) :]
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        for message in errors_of(Path(place)):
            assert message.startswith(place)
            assert "\n" not in message
