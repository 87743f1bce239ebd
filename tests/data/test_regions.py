"""Regions and channels by name: which are read of which source, in which order, and what is said where one lacks."""

from pathlib import Path

import numpy as np
import pytest

from tests import sources
from tests.conftest import blob
from tests.sources import load, save, save_volume
from tumorline.data.dataset import Dataset
from tumorline.data.source import open_picture
from tumorline.errors import UserError

BRATS = ["whole_tumour", "tumour_core", "enhancing_tumour"]
KINDS = {"t1": 10, "t1ce": 20, "t2": 30, "flair": 40}
PLANE = np.array([[0, 1, 2, 4]] * 4, np.uint8)


def scan(folder: Path, name: str = "BraTS2021_00001", leave_out: str = "") -> Path:
    """Four volumes of one grey value each but for one pixel, and a truth with a column for each label."""
    at = folder / name
    for kind, value in KINDS.items():
        if kind != leave_out:
            image = np.full((4, 4), value)
            image[0, 0] = 1
            save_volume(at / f"{name}_{kind}.nii.gz", [image] * 2)
    save_volume(at / f"{name}_seg.nii.gz", [PLANE] * 2)
    return folder


def values(dataset: Dataset) -> list[float]:
    return [float(channel.max()) for channel in dataset.read(dataset.cases[0]).image]


def test_one_label_map_holds_three_nested_regions(tmp_path: Path) -> None:
    dataset = load(scan(tmp_path / "in"), regions=BRATS)
    sample = dataset.read(dataset.cases[0])
    assert dataset.regions == tuple(BRATS)
    assert sample.truth[:, 0, 0].tolist() == [
        [False, True, True, True],
        [False, True, False, True],
        [False, False, False, True],
    ]
    assert (dataset.facts[0].foreground, dataset.facts[0].foregrounds) == (0.75, (0.75, 0.5, 0.25))
    assert dataset.source.label == ", ".join(BRATS)
    assert (sample.grid.shape, sample.grid.unit, sample.grid.ndim) == ((2, 4, 4), "mm", 3)


def test_one_region_by_name_reads_what_the_label_chooses(tmp_path: Path) -> None:
    by_name = load(scan(tmp_path / "in"), regions=["whole_tumour"])
    by_label = load(tmp_path / "in", label="whole_tumour")
    assert by_name.regions == ("whole_tumour",)
    assert by_label.regions == ("tumour",)
    assert by_name.facts[0].mask_hash == by_label.facts[0].mask_hash


def test_channels_are_read_by_name_in_the_order_asked_for(tmp_path: Path) -> None:
    dataset = load(scan(tmp_path / "in"), channels=["flair", "post_contrast", "t2", "pre_contrast"])
    assert values(dataset) == [40, 20, 30, 10]
    assert dataset.channel_names == ("flair", "post_contrast", "t2", "pre_contrast")
    assert values(load(tmp_path / "in", channels=["t2", "flair"])) == [30, 40]


def test_a_channel_that_lacks_is_named(tmp_path: Path) -> None:
    scan(tmp_path / "in", leave_out="t2")
    with pytest.raises(UserError, match=r"no t2 volume of BraTS2021_00001"):
        load(tmp_path / "in", channels=["flair", "t2"])
    with pytest.raises(UserError, match=r"data.channels names 'adc'; this source has post_contrast, pre_contrast"):
        load(tmp_path / "in", channels=["flair", "adc"])


def test_each_channel_has_the_hash_of_its_own_image(tmp_path: Path) -> None:
    both = load(scan(tmp_path / "in"), channels=["flair", "t2"]).facts[0]
    alone = [load(tmp_path / "in", channel=name).facts[0] for name in ("flair", "t2")]
    assert both.channel_hashes == (alone[0].image_hash, alone[1].image_hash)
    assert alone[0].channel_hashes == (alone[0].image_hash,)
    assert both.image_hash not in both.channel_hashes


def test_what_a_set_of_stated_labels_lacks_is_named(tmp_path: Path) -> None:
    folder = sources.nnunet(tmp_path / "in", 1)
    dataset = load(folder, regions=BRATS, channels=["flair", "post_contrast"])
    assert (len(dataset.facts[0].foregrounds), dataset.channel_names) == (3, ("flair", "post_contrast"))
    (folder / "dataset.json").write_text(
        '{"channel_names": {"0": "FLAIR", "1": "T1"}, "labels": {"background": 0, "whole": [1, 2, 3], "TC": [2, 3]}}'
    )
    assert load(folder, regions=BRATS[:2], channel="flair").facts[0].errors == ()
    with pytest.raises(
        UserError, match=r"names no labels of enhancing_tumour; there are whole_tumour, tumour_core, say"
    ):
        load(folder, regions=BRATS, channel="flair")


def table(folder: Path, header: str, cells: str) -> Path:
    image, mask = blob(32, 1)
    save(folder / "a.png", image)
    save(folder / "b.png", image // 2)
    save(folder / "whole.png", mask)
    save(folder / "core.png", mask & (np.arange(32) < 16))
    (folder / "cases.csv").write_text(f"id,{header}\n1,{cells}\n")
    return folder / "cases.csv"


def test_a_table_names_channels_and_regions_by_columns(tmp_path: Path) -> None:
    path = table(tmp_path, "image_t1c,image_T2-FLAIR,mask_WT,mask_core", "a.png,b.png,whole.png,core.png")
    dataset = load(path, regions=["core", "whole_tumour"], channels=["flair", "post_contrast"])
    image, truth, _ = dataset.read(dataset.cases[0])
    assert dataset.channel_names == ("flair", "post_contrast")
    assert image[1].max() > image[0].max()
    assert truth[1].sum() > truth[0].sum() > 0
    assert load(path, regions=["whole_tumour"]).channel_names == ("post_contrast", "flair")
    assert load(path, regions=["whole_tumour"], channel="flair").channel_names == ("flair",)


def test_what_a_table_lacks_is_named(tmp_path: Path) -> None:
    path = table(tmp_path, "image_t1c,image_flair,mask_WT", "a.png,b.png,whole.png")
    with pytest.raises(UserError, match=r"data.channels names 't2'; this source has post_contrast, flair"):
        load(path, regions=["whole_tumour"], channels=["t2"])
    with pytest.raises(UserError, match=r"data.regions names 'core'; this source has whole_tumour"):
        load(path, regions=["whole_tumour", "core"])
    with pytest.raises(UserError, match=r"column mask is missing; .*; say data.regions=whole_tumour to read these"):
        load(path)


def test_masks_of_one_region_may_be_given_any_one_name(tmp_path: Path) -> None:
    path = table(tmp_path, "image,mask", "a.png,whole.png")
    assert load(path, regions=["core"]).regions == ("core",)
    assert load(path).channel_names == ("",)
    with pytest.raises(
        UserError, match=r"core, whole_tumour are asked for \(data.regions, or the model's\), but the masks"
    ):
        load(path, regions=["core", "whole_tumour"])
    with pytest.raises(UserError, match=r"data.channels is 'flair', but pictures of this source are one sequence"):
        load(path, channels=["flair"])


def test_colour_planes_are_read_by_name(tmp_path: Path) -> None:
    colours = np.stack([np.full((8, 8), value, np.uint8) for value in (10, 20, 30)], -1)
    colours[0, 0] = 0
    at = tmp_path / "in" / "TCGA_CS_4941_19960909"
    save(at / "TCGA_CS_4941_19960909_1.tif", colours)
    save(at / "TCGA_CS_4941_19960909_1_mask.tif", np.eye(8, dtype=np.uint8))
    dataset = load(tmp_path / "in", channels=["post_contrast", "pre_contrast"])
    assert values(dataset) == [30, 10]
    picture = open_picture(at / "TCGA_CS_4941_19960909_1.tif", channels=("post_contrast", "pre_contrast"))
    assert (picture.planes, picture.channels) == ((2, 0), ("post_contrast", "pre_contrast"))
    with pytest.raises(UserError, match=r"has no t2; pictures of the LGG set have"):
        open_picture(at / "TCGA_CS_4941_19960909_1.tif", channels=("t2",))


def test_several_regions_of_plain_masks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"whole_tumour, tumour_core, enhancing_tumour are asked for .* have one label"):
        load(sources.folders(tmp_path / "in", 1), regions=BRATS)
