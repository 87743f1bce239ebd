"""`data.label_values`: what the values of label maps mean where the user says it, of pictures and of volumes."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.sources import load, save, save_frames, save_volume
from tumorline.config import load_config, parse_config
from tumorline.data.dataset import Dataset
from tumorline.errors import UserError
from tumorline.source_spec import read_spec, with_data

PLANE = np.array([[0, 1, 2, 3]] * 8, np.uint8)
"""A column for each label."""
IMAGE = np.arange(32, dtype=np.uint8).reshape(8, 4) * 8
DECATHLON = {"whole_tumour": [1, 2, 3], "tumour_core": [2, 3], "enhancing_tumour": [3]}
"""1 oedema, 2 what does not enhance, 3 what does."""


def pictures(folder: Path, plane: np.ndarray = PLANE) -> Path:
    for number in range(3):
        save(folder / "images" / f"{number}.png", np.roll(IMAGE, number))
        save(folder / "masks" / f"{number}.png", plane)
    return folder


def scans(folder: Path, plane: np.ndarray = PLANE) -> Path:
    """Scans in names of their own, which say nothing of the labels."""
    for name in ("P1", "P2"):
        for kind in ("flair", "t1", "t1ce", "t2"):
            save_volume(folder / name / f"{name}_{kind}.nii.gz", [IMAGE + np.uint8(1)] * 2)
        save_volume(folder / name / f"{name}_seg.nii.gz", [plane] * 2)
    return folder


def rows(dataset: Dataset) -> list[list[bool]]:
    """Of each region, which labels it is made of."""
    truth = dataset.read(dataset.cases[0]).truth
    return [list(map(bool, region.reshape(-1, 4)[0])) for region in truth]


def refusal(folder: Path, **settings: object) -> str:
    with pytest.raises(UserError) as caught:
        load(folder, **settings)
    return str(caught.value)


def test_labels_of_a_picture_are_one_region(tmp_path: Path) -> None:
    dataset = load(pictures(tmp_path / "in"), label_values={"tumour": [1, 3], "oedema": 2}, regions=["tumour"])
    assert rows(dataset) == [[False, True, False, True]]
    assert (dataset.regions, dataset.source.label) == (("tumour",), "tumour")


def test_labels_of_a_picture_are_several_regions_in_the_order_asked_for(tmp_path: Path) -> None:
    values = {"glioma": [1], "meningioma": [2], "pituitary": [3]}
    dataset = load(pictures(tmp_path / "in"), label_values=values, regions=["pituitary", "glioma"])
    assert rows(dataset) == [[False, False, False, True], [False, True, False, False]]
    others = dataset.read_other_labels(dataset.cases[0])
    assert others is not None
    assert others[0].tolist() == [False, False, True, False]


def test_one_region_that_is_not_chosen_is_the_target(tmp_path: Path) -> None:
    dataset = load(pictures(tmp_path / "in"), label_values={"core": [2, 1, 3]})
    assert rows(dataset) == [[False, True, True, True]]
    assert (dataset.regions, dataset.source.label) == (("tumour",), "core")


def test_scans_of_unknown_labels_are_read_as_they_are_said(tmp_path: Path) -> None:
    dataset = load(scans(tmp_path / "in"), label_values=DECATHLON, regions=[*DECATHLON])
    assert dataset.source.layout == "brats"
    assert rows(dataset) == [[False, True, True, True], [False, False, True, True], [False, False, False, True]]


def test_listed_scans_are_read_as_they_are_said(tmp_path: Path) -> None:
    folder = scans(tmp_path / "in")
    lines = ["id,patient,image,mask", *(f"{n},{n},{n}/{n}_t1ce.nii.gz,{n}/{n}_seg.nii.gz" for n in ("P1", "P2"))]
    (folder / "cases.csv").write_text("\n".join(lines))
    dataset = load(folder / "cases.csv", label_values={"left": 1, "right": [2, 3]}, regions="right,left")
    assert rows(dataset) == [[False, False, True, True], [False, True, False, False]]


def test_a_set_of_nnunet_needs_no_names_for_its_labels(tmp_path: Path) -> None:
    save_frames(tmp_path / "in" / "imagesTr" / "X_1.nii.gz", [[IMAGE + np.uint8(1)] * 2] * 4)
    save_volume(tmp_path / "in" / "labelsTr" / "X_1.nii.gz", [PLANE] * 2)
    legend = {"channel_names": {"0": "FLAIR", "1": "T1w", "2": "T1gd", "3": "T2w"}, "labels": {"a": 1, "b": [2, 3]}}
    (tmp_path / "in" / "dataset.json").write_text(json.dumps(legend))
    assert rows(load(tmp_path / "in", label_values={"cyst": [2, 3], "a": 1}, regions="cyst")) == [[0, 0, 1, 1]]


def test_places_in_a_palette_are_labels_and_greys_of_one_stay(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "in")
    picture = Image.fromarray(PLANE)
    picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 0, 0, 200])
    picture.save(folder / "masks" / "0.png")
    grey = Image.fromarray(PLANE[:, ::-1].copy())
    grey.putpalette([3, 3, 3, 2, 2, 2, 1, 1, 1, 0, 0, 0])
    grey.save(folder / "masks" / "1.png")
    dataset = load(folder, label_values={"b": 2, "a": [1, 3]}, regions="a,b")
    first, second = (dataset.read(dataset.cases[number]).truth for number in range(2))
    assert first.tolist() == second.tolist()
    assert rows(dataset) == [[False, True, False, True], [False, False, True, False]]


def test_a_palette_is_read_alike_whichever_of_its_entries_a_picture_has(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "in", PLANE % 3)
    for number, plane in enumerate((PLANE % 2, PLANE % 3, PLANE * 0)):
        picture = Image.fromarray(plane)
        picture.putpalette([0, 0, 0, 255, 255, 255, 255, 0, 0])
        picture.save(folder / "masks" / f"{number}.png")
    dataset = load(folder, label_values={"a": 1, "b": 2}, regions="a,b")
    truths = [dataset.read(case).truth[:, 0].tolist() for case in dataset.cases]
    assert truths == [
        [[False, True, False, True], [False] * 4],
        [[False, True, False, False], [False, False, True, False]],
        [[False] * 4] * 2,
    ]


def test_a_value_that_is_not_named_is_refused(tmp_path: Path) -> None:
    message = str(load(pictures(tmp_path / "in"), label_values={"tumour": [1, 2]}).facts[0].errors[0][1])
    assert "0.png: holds the labels {0, 1, 2, 3}; data.label_values names 0, 1, 2; name these in" in message


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"label_values": {"a": 1, "b": 2}}, "has several regions; say which are outlined: data.regions=a,b"),
        ({"label_values": {"a": 1}, "regions": ["c"]}, "data.regions names 'c', but data.label_values a"),
    ],
)
def test_which_regions_are_outlined_has_to_be_known(tmp_path: Path, settings: dict[str, object], said: str) -> None:
    assert said in refusal(pictures(tmp_path / "in"), **settings)


def test_several_masks_of_an_image_are_no_label_map(tmp_path: Path) -> None:
    for name in ("x", "x_mask_1", "x_mask_2"):
        save(tmp_path / "in" / f"{name}.png", PLANE)
    assert "case 'x' has 2 masks; leave it out" in refusal(tmp_path / "in", label_values={"tumour": [1, 2, 3]})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("data.label_values={a=0}", "greater than or equal to 1"),
        ("data.label_values={a=[]}", "at least 1 item"),
        ("data.label_values={a=1.5}", "valid integer"),
        ("data.label_values={A=1}", "should match pattern"),
        ("data.label_values=[1]", "valid dictionary"),
    ],
)
def test_values_are_whole_numbers_above_0(text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        load_config(None, [text])


@pytest.mark.parametrize("other", ["label='whole_tumour'", "enhancing_label=3", "mask_threshold=0", "tumour_free=true"])
def test_what_labels_mean_is_said_once(other: str) -> None:
    key = other.partition("=")[0]
    with pytest.raises(UserError, match=rf"data.label_values and data.{key} are both given; keep one of them"):
        load_config(None, ["data.label_values={a=1}", f"data.{other}"])


def test_on_the_command_line_it_stands_behind_the_source(tmp_path: Path) -> None:
    spec = read_spec(f"{tmp_path},label_values={{a=[1,2],b=3}},channel=flair")
    assert spec.settings == ("data.label_values={a=[1,2],b=3}", "data.channel=flair")
    one = f"{pictures(tmp_path / 'one')},label_values={{tumour=[1,2,3]}}"
    other = str(pictures(tmp_path / "other", (PLANE > 0).astype(np.uint8)))
    first, second = with_data(parse_config({}, "test"), [one, other]).data.of_each_source
    assert (first.label_values, second.label_values) == ({"tumour": (1, 2, 3)}, {})


@pytest.mark.parametrize(("values", "told"), [([0, 1, 2], True), ([255, 255, 255], False), ([*range(17)], False)])
def test_a_mask_of_few_values_from_0_on_is_told_of_it(tmp_path: Path, values: list[int], told: bool) -> None:
    plane = np.resize(np.array(values, np.uint8), (8, 4))
    ((_, message),) = load(pictures(tmp_path / "in", plane)).facts[0].errors
    assert message.endswith("; where they are labels, data.label_values says what each means") == told
