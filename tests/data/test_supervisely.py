"""JSON of Supervisely as truth, and what is refused of it."""

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import blob
from tests.sources import errors_of, packed_png, save, write
from tumorline.config import DataConfig
from tumorline.data.dataset import load_dataset
from tumorline.data.source import open_source

EXTERIOR = [[4, 4], [12, 4], [12, 12], [4, 12]]
HOLES = [[[5, 5], [7, 5], [7, 7], [5, 7]], [[9, 9], [11, 9], [11, 11], [9, 11]]]
SOLID = np.ones((3, 2), bool)


def polygon(exterior: Any = None, interior: Any = ()) -> dict[str, Any]:
    points = {"exterior": EXTERIOR if exterior is None else exterior, "interior": interior}
    return {"classTitle": "tumor", "geometryType": "polygon", "points": points}


def bitmap(data: Any, origin: Any = (7, 9)) -> dict[str, Any]:
    return {"classTitle": "tumor", "geometryType": "bitmap", "bitmap": {"data": data, "origin": origin}}


def add(folder: Path, *objects: Any) -> Path:
    """As many images as there are objects."""
    for number, one in enumerate(objects):
        save(folder / "img" / f"{number}.png", blob(32, number)[0])
        document = {"description": "", "size": {"height": 32, "width": 32}, "objects": [one] if one else []}
        write(folder / "ann" / f"{number}.png.json", json.dumps(document))
    return folder


def test_holes_are_left_out_and_bitmaps_lie_at_their_origin(tmp_path: Path) -> None:
    add(tmp_path, polygon(), polygon(interior=HOLES), bitmap(packed_png(SOLID)), None)
    dataset = load_dataset(tmp_path, DataConfig())
    truths = [dataset.read(case).truth[0] for case in dataset.cases]
    assert [int(truth.sum()) for truth in truths] == [64, 64 - 4 - 4, 6, 0]
    assert truths[1][4, 4]
    assert not truths[1][6, 6]
    assert truths[2][9:12, 7:9].all()
    assert errors_of(tmp_path) == []


def test_images_of_one_name_belong_to_the_folder_of_their_data_set(tmp_path: Path) -> None:
    add(tmp_path / "train", polygon())
    add(tmp_path / "val", None)
    write(tmp_path / "meta.json", json.dumps({"classes": [], "tags": []}))
    cases = open_source(tmp_path).cases
    assert [(case.id, case.part) for case in cases] == [("train/0", "train"), ("val/0", "validation")]
    assert [case.images[0] for case in cases] == [tmp_path / "train/img/0.png", tmp_path / "val/img/0.png"]


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (polygon([[1, 1], [2, 2]]), "an outline is no list of three corners or more"),
        (polygon(interior=[[[1, 1]]]), "an outline is no list of three corners or more"),
        ({**polygon(), "points": None}, "an outline is no list of three corners or more"),
        (
            {**polygon(), "geometryType": "rectangle"},
            "an object of the kind 'rectangle'; accepted are polygon and bitmap",
        ),
        (bitmap("!"), "a bitmap whose data are no text in base64"),
        (bitmap(None), "a bitmap whose data are no text in base64"),
        (bitmap(base64.b64encode(b"x").decode()), "unreadable or truncated"),
        (bitmap(base64.b64encode(zlib.compress(b"x")).decode()), "unreadable or truncated"),
        (bitmap(base64.b64encode(zlib.compress(bytes(101_000_000))).decode()), "a bitmap that unzips to more than"),
        (bitmap(packed_png(SOLID), [1]), "a bitmap without its origin"),
        (bitmap(packed_png(SOLID), [1, 1e400]), "a bitmap without its origin"),
        (bitmap(packed_png(SOLID), None), "a bitmap without its origin"),
    ],
)
def test_what_is_no_outline_is_one_error_of_that_image(tmp_path: Path, one: Any, message: str) -> None:
    add(tmp_path, polygon(), one)
    (said,) = errors_of(tmp_path)
    assert said.startswith(f"{tmp_path}/ann/1.png.json: ")
    assert message in said


def test_objects_of_other_things_than_tumours_are_refused(tmp_path: Path) -> None:
    add(tmp_path, {**polygon(), "classTitle": "no_tumor"})
    assert "'no_tumor' is not known as a tumour" in errors_of(tmp_path)[0]
