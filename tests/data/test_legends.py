"""Masks whose colours a file beside them explains: CVAT's, Roboflow's, and what Pascal VOC leaves open."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tests.conftest import blob, refused_in_one_line
from tests.sources import save, write
from tumorline.audit.check import check
from tumorline.config import DataConfig
from tumorline.data.dataset import Dataset, load_dataset
from tumorline.data.source import open_source

Array = npt.NDArray[np.uint8]
GLIOMA, OTHER, HEALTHY = (250, 50, 83), (51, 221, 255), (10, 20, 30)
LABELMAP = "# label:color_rgb:parts:actions\nbackground:0,0,0::\nglioma:250,50,83::\nmeningioma:51,221,255::\n"


def load(folder: Path, **changes: float) -> Dataset:
    return load_dataset(folder, DataConfig.model_validate(changes))


def painted(*colours: tuple[int, int, int]) -> Array:
    """Each colour fills two rows of 32 pixels."""
    mask = np.zeros((32, 32, 3), np.uint8)
    for place, colour in enumerate(colours):
        mask[2 * place + 2 : 2 * place + 4] = colour
    return mask


def cvat_masks(folder: Path, *masks: Array, labelmap: str = LABELMAP) -> Path:
    for number, mask in enumerate(masks):
        save(folder / "JPEGImages" / f"{number}.png", blob(32, number)[0])
        save(folder / "SegmentationClass" / f"{number}.png", mask)
        save(folder / "SegmentationObject" / f"{number}.png", mask)
    write(folder / "ImageSets" / "Segmentation" / "default.txt", "0\n1\n")
    write(folder / "labelmap.txt", labelmap)
    return folder


def roboflow_masks(folder: Path, classes: str, *masks: Array) -> Path:
    for number, mask in enumerate(masks):
        save(folder / "train" / f"{number}_jpg.rf.0123456789abcdef01234{number}.jpg", blob(32, number)[0])
        save(folder / "train" / f"{number}_jpg.rf.0123456789abcdef01234{number}_mask.png", mask)
    write(folder / "train" / "_classes.csv", f"Pixel Value, Class\n{classes}")
    return folder


def errors_of(dataset: Dataset) -> list[str]:
    return [finding.message for finding in check(dataset) if finding.severity == "error"]


def pixels_of(dataset: Dataset) -> list[int]:
    return [int(dataset.read(case).truth[0].sum()) for case in dataset.cases]


def refusal(folder: Path) -> str:
    with refused_in_one_line() as caught:
        open_source(folder)
    return str(caught.value)


def test_the_colours_of_tumours_are_the_tumour(tmp_path: Path) -> None:
    dataset = load(cvat_masks(tmp_path, painted(GLIOMA, OTHER), painted(OTHER), painted()))
    assert dataset.source.layout == "images/masks"
    assert pixels_of(dataset) == [128, 64, 0]
    assert errors_of(dataset) == []


def test_a_palette_means_its_colours(tmp_path: Path) -> None:
    cvat_masks(tmp_path, painted(GLIOMA), painted(HEALTHY), labelmap=f"{LABELMAP}no_tumor:10,20,30::\n")
    for number in range(2):
        path = tmp_path / "SegmentationClass" / f"{number}.png"
        Image.open(path).convert("P", palette=Image.Palette.ADAPTIVE).save(path)
    assert pixels_of(load(tmp_path)) == [64, 0]


@pytest.mark.parametrize("name", ["no_tumor", "notumor", "Healthy", "_background_", "normal", "Non-tumour"])
def test_what_is_called_healthy_or_background_is_no_tumour(tmp_path: Path, name: str) -> None:
    labelmap = f"{name}:10,20,30::\ntumor:250,50,83::\n"
    dataset = load(cvat_masks(tmp_path, painted(HEALTHY), painted(GLIOMA, HEALTHY), labelmap=labelmap))
    assert pixels_of(dataset) == [0, 64]
    assert errors_of(dataset) == []


def test_what_is_not_known_as_a_tumour_is_an_error_where_it_is_used(tmp_path: Path) -> None:
    labelmap = "background:0,0,0::\nbrain:10,20,30::\ntumor:250,50,83::\n"
    dataset = load(cvat_masks(tmp_path, painted(GLIOMA), painted(GLIOMA, HEALTHY), labelmap=labelmap))
    (said,) = errors_of(dataset)
    assert said.startswith(f"{tmp_path}/SegmentationClass/1.png: holds the label 'brain' ({tmp_path}/labelmap.txt)")


def test_a_single_label_that_is_no_tumour_is_an_error(tmp_path: Path) -> None:
    dataset = load(cvat_masks(tmp_path, painted(GLIOMA), labelmap="background:0,0,0::\nskull:250,50,83::\n"))
    assert "holds the label 'skull'" in errors_of(dataset)[0]


def test_a_colour_without_a_name_is_an_error(tmp_path: Path) -> None:
    dataset = load(cvat_masks(tmp_path, painted(GLIOMA), painted((1, 2, 3), GLIOMA)))
    assert f"holds colours that {tmp_path}/labelmap.txt does not name (#010203)" in errors_of(dataset)[0]
    assert errors_of(load(tmp_path, mask_threshold=0)) == []


@pytest.mark.parametrize(
    ("labelmap", "message"),
    [
        ("tumor\n", "'tumor' is no label with its colour; expected NAME:RED,GREEN,BLUE::"),
        ("tumor:1,2,300::\n", "is no label with its colour"),
        ("tumor:1,2,3::\nbrain:1,2,3::\n", "gives #010203 to 'tumor' and to 'brain'"),
        ("tumor:0,0,0::\n", "gives black, where nothing is drawn, to 'tumor'"),
    ],
)
def test_a_legend_that_says_nothing_clear_is_refused(tmp_path: Path, labelmap: str, message: str) -> None:
    cvat_masks(tmp_path, painted(GLIOMA), labelmap=labelmap)
    assert refusal(tmp_path).startswith(f"{tmp_path}/labelmap.txt: ")
    assert message in refusal(tmp_path)


# ---------------------------------------------------------------- Roboflow


def grey(*values: int) -> Array:
    return painted(*((value,) * 3 for value in values))[..., 0].copy()


def test_semantic_masks_of_roboflow_are_read(tmp_path: Path) -> None:
    dataset = load(roboflow_masks(tmp_path, "0, background\n1, tumor\n", grey(1), grey()))
    assert dataset.source.layout == "suffix pairs"
    assert pixels_of(dataset) == [64, 0]
    classes = "0, background\n1, glioma\n2, meningioma\n3, no_tumor\n"
    dataset = load(roboflow_masks(tmp_path, classes, grey(1, 2), grey(3)))
    assert pixels_of(dataset) == [128, 0]
    assert errors_of(dataset) == []
    assert "holds colours that" in errors_of(load(roboflow_masks(tmp_path, classes, grey(1, 4))))[0]


def test_one_class_of_tumours_says_nothing_of_values(tmp_path: Path) -> None:
    assert pixels_of(load(roboflow_masks(tmp_path, "0, background\n1, tumor\n", grey(255)))) == [64]


def test_a_table_of_pictures_of_that_name_is_no_legend(tmp_path: Path) -> None:
    roboflow_masks(tmp_path, "", grey(1))
    write(tmp_path / "train" / "_classes.csv", "filename, glioma, no_tumor\n0.jpg, 1, 0\n")
    assert pixels_of(load(tmp_path)) == [64]


# ---------------------------------------------------------------- Pascal VOC


def test_a_palette_of_pascal_voc_is_read(tmp_path: Path) -> None:
    cvat_masks(tmp_path, painted((128, 0, 0)))
    (tmp_path / "labelmap.txt").unlink()
    path = tmp_path / "SegmentationClass" / "0.png"
    Image.open(path).convert("P", palette=Image.Palette.ADAPTIVE).save(path)
    assert pixels_of(load(tmp_path)) == [64]


@pytest.mark.parametrize("mask", [painted((128, 0, 0), (224, 224, 192)), grey(1, 255)])
def test_the_border_of_pascal_voc_is_refused_with_its_reason(tmp_path: Path, mask: Array) -> None:
    cvat_masks(tmp_path, mask)
    (tmp_path / "labelmap.txt").unlink()
    said = (
        "is the border of Pascal VOC, of which nothing says whether it is tumour, fill it with 0 or with the tumour's"
    )
    assert said in errors_of(load(tmp_path))[0]
