"""COCO and LabelMe files as truth, and what is refused of them."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import sources
from tests.conftest import blob, refused_in_one_line
from tests.sources import errors_of, save
from tumorline.config import DataConfig
from tumorline.data.dataset import load_dataset
from tumorline.data.source import open_source

IMAGE, _ = blob(32, 1)
SQUARE = [4, 4, 8, 4, 8, 8, 4, 8]


def write_coco(path: Path, names: list[str], **changes: Any) -> Path:
    images = [{"id": n, "file_name": name, "height": 32, "width": 32} for n, name in enumerate(names)]
    annotations = [{"image_id": n, "category_id": 1, "segmentation": [SQUARE]} for n in range(len(names))]
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "tumor"}], **changes}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def test_a_file_for_each_part_states_the_split(tmp_path: Path) -> None:
    for number, part in enumerate(("train", "valid", "test")):
        save(tmp_path / part / f"{number}.jpg", blob(32, number)[0])
        write_coco(tmp_path / part / "_annotations.coco.json", [f"{number}.jpg"])
    dataset = load_dataset(tmp_path, DataConfig())
    assert [(case.id, case.part) for case in dataset.cases] == [
        ("test/2", "test"),
        ("train/0", "train"),
        ("valid/1", "validation"),
    ]
    assert {dataset.read(case).truth[0].sum() for case in dataset.cases} == {16}


def test_the_layout_of_the_authors_of_coco_is_read(tmp_path: Path) -> None:
    for number, part in enumerate(("train2017", "val2017")):
        save(tmp_path / part / f"{number}.png", blob(32, number)[0])
        write_coco(tmp_path / "annotations" / f"instances_{part}.json", [f"{number}.png"])
    assert {case.part for case in open_source(tmp_path).cases} == {"train", "validation"}
    assert errors_of(tmp_path) == []


def test_an_image_without_annotations_shows_no_tumour_and_an_unlisted_one_is_an_error(tmp_path: Path) -> None:
    for number in range(3):
        save(tmp_path / f"{number}.png", blob(32, number)[0])
    write_coco(tmp_path / "a.json", ["0.png", "1.png"], annotations=[])
    dataset = load_dataset(tmp_path, DataConfig())
    assert not dataset.read(dataset.cases[0]).truth[0].any()
    assert errors_of(tmp_path) == [f"{tmp_path}/2.png: image without annotations in a COCO file"]


@pytest.mark.parametrize(
    ("names", "accepted"),
    [
        (["tumor"], True),
        (["0"], True),
        (["glioma", "meningioma", "pituitary"], True),
        (["brain"], False),
        (["tumor", "no tumor"], False),
        (["tumor", "ventricle"], False),
        (["normal"], False),
        (["Brain Tumor"], True),
        (["brain-tumor", "skull_base_meningioma"], True),
        (["enhancing tumor", "non-enhancing tumor"], True),
        (["tumor", "brain"], False),
        (["tumor", "non-tumor"], False),
        (["normal brain", "brain tumor"], False),
        (["brain without tumor"], False),
    ],
)
def test_outlines_of_other_things_than_tumours_are_refused(tmp_path: Path, names: list[str], accepted: bool) -> None:
    save(tmp_path / "0.png", IMAGE)
    categories = [{"id": number, "name": name} for number, name in enumerate(names)]
    annotations = [{"image_id": 0, "category_id": number, "segmentation": [SQUARE]} for number in range(len(names))]
    write_coco(tmp_path / "a.json", ["0.png"], categories=categories, annotations=annotations)
    assert (errors_of(tmp_path) == []) is accepted


@pytest.mark.parametrize(
    ("image_ids", "used", "message"),
    [
        ((1, 2), ("im1", 2), "1 of 2 annotations is of no image that it lists: image_id im1, where ids of images are"),
        ((0, 1), (1, 2), "1 of 2 annotations is of no image that it lists: image_id 2"),
        ((1, 2), (1, None), "image_id None"),
        ((1, 2), (1.5, 2), "image_id 1.5"),
        ((1, 1.0), (1, 1), "lists 2 images with the id 1; give each an id of its own"),
    ],
)
def test_annotations_of_no_image_or_of_one_of_two_are_refused(
    tmp_path: Path, image_ids: tuple[object, ...], used: tuple[object, ...], message: str
) -> None:
    with refused_in_one_line() as caught:
        open_source(with_ids(tmp_path, image_ids, used))
    assert f"{tmp_path / 'a.json'}: " in str(caught.value)
    assert message in str(caught.value)


def with_ids(folder: Path, image_ids: tuple[object, ...], used: tuple[object, ...]) -> Path:
    images = [{"id": name, "file_name": f"{n}.png", "height": 32, "width": 32} for n, name in enumerate(image_ids)]
    for number in range(len(images)):
        save(folder / f"{number}.png", blob(32, number)[0])
    annotations = [{"image_id": name, "category_id": 1.0, "segmentation": [SQUARE]} for name in used]
    write_coco(folder / "a.json", [], images=images, annotations=annotations)
    return folder


def test_ids_that_are_whole_numbers_are_compared_as_numbers(tmp_path: Path) -> None:
    dataset = load_dataset(with_ids(tmp_path, (1, 2), (1.0, "2")), DataConfig())
    assert [dataset.read(case).truth.sum() for case in dataset.cases] == [16, 16]


@pytest.mark.parametrize("categories", [1, True, {"1": "tumor"}])
def test_categories_that_are_no_list_name_nothing(tmp_path: Path, categories: object) -> None:
    save(tmp_path / "0.png", IMAGE)
    write_coco(tmp_path / "a.json", ["0.png"], categories=categories)
    assert errors_of(tmp_path) == []


def test_a_size_that_is_no_number_is_one_line(tmp_path: Path) -> None:
    save(tmp_path / "x.png", IMAGE)
    (tmp_path / "x.json").write_text(json.dumps({"shapes": [], "imageHeight": True, "imageWidth": True}))
    with refused_in_one_line() as caught:
        open_source(tmp_path)
    assert f"{tmp_path / 'x.json'}: an image of the size True x True" in str(caught.value)


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ([], "a box without an outline"),
        (None, "a box without an outline"),
        ([[1, 2, 3, 4]], "an outline is no list of three corners or more"),
        ([3], "an outline is no list of three corners or more"),
        ({"size": [99, 99], "counts": [1]}, "neither polygons nor runs of the image's size"),
        ({"size": [32, 32], "counts": [5, 5]}, "runs of 10 pixels for an image of 32 x 32"),
        ({"size": [32, 32], "counts": "\x07"}, "not the compressed runs of COCO"),
        ("x", "neither polygons nor runs"),
    ],
)
def test_what_is_no_outline_is_an_error_of_that_image(tmp_path: Path, segmentation: object, message: str) -> None:
    for number in range(2):
        save(tmp_path / f"{number}.png", blob(32, number)[0])
    annotations = [
        {"image_id": 0, "category_id": 1, "segmentation": [SQUARE]},
        {"image_id": 1, "category_id": 1, "segmentation": segmentation},
    ]
    write_coco(tmp_path / "a.json", ["0.png", "1.png"], annotations=annotations)
    assert message in errors_of(tmp_path)[0]


@pytest.mark.parametrize(
    "entry",
    [
        None,
        3,
        {},
        {"file_name": 3},
        {"file_name": "../../etc/passwd"},
        {"file_name": "0.png", "height": -1, "width": 3},
    ],
)
def test_a_listed_image_that_is_none_is_an_error(tmp_path: Path, entry: object) -> None:
    save(tmp_path / "0.png", IMAGE)
    write_coco(tmp_path / "a.json", [], images=[entry])
    (message, *_) = errors_of(tmp_path)
    assert "a.json" in message


def test_an_outline_may_be_one_flat_list_as_via_writes_it(tmp_path: Path) -> None:
    save(tmp_path / "0.png", IMAGE)
    write_coco(tmp_path / "a.json", ["0.png"], annotations=[{"image_id": 0, "category_id": 1, "segmentation": SQUARE}])
    dataset = load_dataset(tmp_path, DataConfig())
    assert dataset.read(dataset.cases[0]).truth[0].sum() == 16


def test_outlines_for_another_size_are_an_error(tmp_path: Path) -> None:
    save(tmp_path / "0.png", IMAGE)
    write_coco(tmp_path / "a.json", [], images=[{"id": 0, "file_name": "0.png", "height": 64, "width": 64}])
    assert "image 32 x 32, mask 64 x 64; a pair must have one size" in errors_of(tmp_path)[0]


def test_an_image_in_two_files_is_an_error(tmp_path: Path) -> None:
    save(tmp_path / "0.png", IMAGE)
    write_coco(tmp_path / "a.json", ["0.png"])
    write_coco(tmp_path / "b.json", ["0.png"], annotations=[])
    assert "annotated twice" in errors_of(tmp_path)[0]


def test_a_file_of_all_parts_beside_those_of_each_says_nothing_new(tmp_path: Path) -> None:
    for number, part in enumerate(("train", "val")):
        save(tmp_path / part / f"{number}.png", blob(32, number)[0])
        write_coco(tmp_path / f"{part}.json", [f"{number}.png"])
    write_coco(tmp_path / "all.json", ["0.png", "1.png"])
    assert errors_of(tmp_path) == []
    assert [case.part for case in open_source(tmp_path).cases] == ["train", "validation"]
    write_coco(tmp_path / "test.json", ["1.png"])
    assert "1.png: annotated twice" in errors_of(tmp_path)[0]


# ---------------------------------------------------------------- LabelMe


def write_labelme(path: Path, *shapes: dict[str, Any], **changes: Any) -> Path:
    path.write_text(json.dumps({"shapes": [{"label": "tumor", **shape} for shape in shapes], **changes}))
    return path


@pytest.mark.parametrize(
    ("shape", "pixels"),
    [
        ({"points": [[4, 4], [8, 4], [8, 8], [4, 8]]}, 16),
        ({"points": [[4, 4], [8, 8]], "shape_type": "rectangle"}, 16),
        ({"points": [[4, 4], [8, 4], [8, 8], [4, 8]], "shape_type": "rectangle"}, 16),
        ({"points": [[10, 10], [10, 13]], "shape_type": "circle"}, 32),
    ],
)
def test_shapes_with_an_inside_are_read(tmp_path: Path, shape: dict[str, Any], pixels: int) -> None:
    save(tmp_path / "x.png", IMAGE)
    write_labelme(tmp_path / "x.json", shape, imageData="A" * 100)
    dataset = load_dataset(tmp_path, DataConfig())
    assert dataset.read(dataset.cases[0]).truth[0].sum() == pixels


@pytest.mark.parametrize("kind", ["line", "point", "linestrip", "mask", 7])
def test_shapes_without_an_inside_are_an_error(tmp_path: Path, kind: object) -> None:
    save(tmp_path / "x.png", IMAGE)
    write_labelme(tmp_path / "x.json", {"points": [[4, 4], [8, 8]], "shape_type": kind})
    assert f"a shape of the type '{kind}'" in errors_of(tmp_path)[0]


@pytest.mark.parametrize("points", [[[4, 4]], [[4, 4], [8, 4], [8, 8]], [[4, 4], [8, "x"]], None, 3])
def test_a_rectangle_has_two_corners_or_four(tmp_path: Path, points: object) -> None:
    save(tmp_path / "x.png", IMAGE)
    write_labelme(tmp_path / "x.json", {"points": points, "shape_type": "rectangle"})
    assert errors_of(tmp_path)[0].endswith(
        f"{tmp_path / 'x.json'}: a shape whose place and size are not 4 finite numbers"
    )


def test_images_are_found_by_the_path_that_labelme_wrote(tmp_path: Path) -> None:
    save(tmp_path / "images" / "x.png", IMAGE)
    (tmp_path / "json").mkdir()
    write_labelme(tmp_path / "json" / "other.json", {"points": [[4, 4], [8, 4], [8, 8]]}, imagePath="..\\images\\x.png")
    assert [case.images[0].name for case in open_source(tmp_path).cases] == ["x.png"]


def test_one_broken_file_costs_only_itself(tmp_path: Path) -> None:
    folder = sources.labelme(tmp_path, 2)
    (folder / "0.json").write_text("{")
    messages = errors_of(folder)
    assert len(open_source(folder).cases) == 3
    assert {message.split(": ")[0] for message in messages} == {f"{folder}/0.json", f"{folder}/0.png"}


# ---------------------------------------------------------------- VIA

CORNERS = {"name": "polygon", "all_points_x": [4, 8, 8, 4], "all_points_y": [4, 4, 8, 8]}


def via_image(name: str, *shapes: dict[str, Any], **attributes: Any) -> dict[str, Any]:
    regions = [{"shape_attributes": shape, "region_attributes": attributes} for shape in shapes]
    return {"filename": name, "size": 99, "regions": regions, "file_attributes": {}}


def write_via(path: Path, *images: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({f"{image['filename']}99": image for image in images}))
    return path


@pytest.mark.parametrize(
    ("shape", "pixels"),
    [
        (CORNERS, 16),
        ({**CORNERS, "name": "polyline"}, 16),
        ({"name": "rect", "x": 4, "y": 4, "width": 6, "height": 2}, 12),
        ({"name": "circle", "cx": 10, "cy": 10, "r": 3}, 32),
        ({"name": "ellipse", "cx": 10, "cy": 10, "rx": 3, "ry": 3}, 32),
        ({"name": "ellipse", "cx": 16, "cy": 16, "rx": 8, "ry": 0.6, "theta": 0}, 16),
        ({"name": "ellipse", "cx": 16, "cy": 16, "rx": 0.6, "ry": 8, "theta": 1.5707963}, 16),
    ],
)
def test_shapes_of_via_are_read(tmp_path: Path, shape: dict[str, Any], pixels: int) -> None:
    save(tmp_path / "x.png", IMAGE)
    write_via(tmp_path / "a.json", via_image("x.png", shape))
    dataset = load_dataset(tmp_path, DataConfig())
    assert dataset.source.layout == "via"
    assert dataset.read(dataset.cases[0]).truth[0].sum() == pixels


def test_an_ellipse_of_via_is_turned_clockwise(tmp_path: Path) -> None:
    save(tmp_path / "x.png", IMAGE)
    shape = {"name": "ellipse", "cx": 16, "cy": 16, "rx": 10, "ry": 2, "theta": 0.7853981}
    write_via(tmp_path / "a.json", via_image("x.png", shape))
    dataset = load_dataset(tmp_path, DataConfig())
    (truth,) = dataset.read(dataset.cases[0]).truth
    assert (truth[21, 21], truth[10, 21]) == (True, False)


@pytest.mark.parametrize(
    "shape",
    [
        {"name": "point", "cx": 3, "cy": 3},
        {},
        None,
        {"name": "rect", "x": 4},
        {"name": "polygon", "all_points_x": [1, 2, 3]},
    ],
)
def test_what_has_no_inside_in_via_is_an_error_of_that_image(tmp_path: Path, shape: Any) -> None:
    for number in range(2):
        save(tmp_path / f"{number}.png", blob(32, number)[0])
    write_via(tmp_path / "a.json", via_image("0.png", CORNERS), via_image("1.png", shape))
    assert errors_of(tmp_path)[0].startswith(f"{tmp_path}/a.json (1.png): ")


def test_br35h_is_read_with_its_file_of_all_parts(tmp_path: Path) -> None:
    entries = [via_image(f"y{number}.jpg", CORNERS) for number in range(3)]
    for number, (entry, part) in enumerate(zip(entries, ("TRAIN", "VAL", "TEST"), strict=True)):
        save(tmp_path / part / entry["filename"], blob(32, number)[0])
        write_via(tmp_path / part / f"annotations_{part.lower()}.json", entry)
    write_via(tmp_path / "annotations_all.json", *entries)
    assert errors_of(tmp_path) == []
    cases = {case.id: case.part for case in open_source(tmp_path).cases}
    assert cases == {"TRAIN/y0": "train", "VAL/y1": "validation", "TEST/y2": "test"}


def test_a_project_of_via_and_the_numbered_regions_of_version_1_are_read(tmp_path: Path) -> None:
    save(tmp_path / "x.png", IMAGE)
    entry = via_image("x.png", CORNERS)
    entry["regions"] = {"0": entry["regions"][0]}
    (tmp_path / "a.json").write_text(json.dumps({"_via_settings": {}, "_via_img_metadata": {"x.png99": entry}}))
    dataset = load_dataset(tmp_path, DataConfig())
    assert dataset.read(dataset.cases[0]).truth[0].sum() == 16


@pytest.mark.parametrize("hash_mark", ["", "#"])
def test_a_table_of_via_is_read(tmp_path: Path, hash_mark: str) -> None:
    for number in range(2):
        save(tmp_path / f"{number}.png", blob(32, number)[0])
    rows = [
        f"{hash_mark}filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes",
        '0.png,9,"{}",1,0,"{""name"":""rect"",""x"":4,""y"":4,""width"":4,""height"":4}","{""kind"":""tumor""}"',
        '1.png,9,"{}",0,0,"{}","{}"',
    ]
    (tmp_path / "via.csv").write_text("\n".join(rows) + "\n")
    dataset = load_dataset(tmp_path, DataConfig())
    assert [dataset.read(case).truth[0].sum() for case in dataset.cases] == [16, 0]


def test_outlines_of_other_things_in_via_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "x.png", IMAGE)
    write_via(tmp_path / "a.json", via_image("x.png", CORNERS, kind={"skull": True, "tumor": False}))
    assert "outlines of skull; 'skull' is not known as a tumour" in errors_of(tmp_path)[0]


# ---------------------------------------------------------------- whatever stands in them

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    name=st.sampled_from(["image", "annotation", "category", "shape", "region", "corners"]),
    key=st.integers(0, 4),
    value=VALUES,
)
def test_whatever_stands_in_annotations_gives_masks_or_one_line(name: str, key: int, value: object) -> None:
    entries: dict[str, dict[str, Any]] = {
        "image": {"id": 0, "file_name": "x.png", "height": 32, "width": 32},
        "annotation": {"image_id": 0, "category_id": 1, "segmentation": [SQUARE], "iscrowd": 0},
        "category": {"id": 1, "name": "tumor", "supercategory": "none"},
        "shape": {"label": "tumor", "points": [[4, 4], [8, 8], [4, 8]], "shape_type": "polygon"},
        "region": via_image("x.png", CORNERS),
        "corners": {**CORNERS},
    }
    chosen = sorted(entries[name])[key % len(entries[name])]
    entries[name][chosen] = value
    coco = {"images": [entries["image"]], "annotations": [entries["annotation"]], "categories": [entries["category"]]}
    via = {"x": entries["region"] if name == "region" else via_image("x.png", entries["corners"])}
    shapes = {"shapes": [entries["shape"]], "imageHeight": 32, "imageWidth": 32}
    document = {"shape": shapes, "region": via, "corners": via}.get(name, coco)
    with TemporaryDirectory() as folder:
        save(Path(folder) / "x.png", IMAGE)
        (Path(folder) / "x.json").write_text(json.dumps(document))
        for message in errors_of(Path(folder)):
            assert message.startswith(folder)
