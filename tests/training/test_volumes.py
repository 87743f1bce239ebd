"""Training of networks of three axes: patches of volumes, to the end and back."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import tumorline
from tests.conftest import TINY
from tests.inference.test_predict_scans import GOLDEN
from tests.training.conftest import make_task
from tests.training.test_loop import ONE_THREAD, history, require_equal_after_ten_kills, train
from tumorline import models
from tumorline.config import Config, load_config
from tumorline.data.dataset import load_dataset
from tumorline.formats.nifti import load_nibabel
from tumorline.inference.model import load
from tumorline.model_file import read_info
from tumorline.model_info import InputSpec
from tumorline.network_input.windows import input_of, places_of_channels
from tumorline.run.preparing import check_model, note_other_start
from tumorline.run.provenance import spec_of
from tumorline.training.feed import PatchFeed, open_feed
from tumorline.training.machine import Machine

REGIONS = ("whole_tumour", "tumour_core", "enhancing_tumour")
SPACE = (20, 24, 10)
"""Voxels along right, front and up."""
MACHINE = Machine(torch.device("cpu"), bfloat16=False)


def scan(folder: Path, name: str, seed: int) -> None:
    """A head of two grey values with a bright ball in three shells; bright after contrast, brighter in FLAIR."""
    random = np.random.default_rng(seed)
    centre = np.array([random.uniform(7, 13), random.uniform(8, 16), random.uniform(4, 6)])
    at = np.indices(SPACE)
    away = np.sqrt(((at - centre[:, None, None, None]) ** 2).sum(0))
    head = (
        np.sqrt((((at - np.array(SPACE)[:, None, None, None] / 2) / np.array(SPACE)[:, None, None, None]) ** 2).sum(0))
        < 0.45
    )
    labels = np.select([away < 1.5, away < 2.5, away < 4], [1, 4, 2], 0) * head
    for kind, brightness in {
        "t1": (0, 0, 0),
        "t1ce": (0, 0, 250),
        "t2": (150, 100, 100),
        "flair": (200, 200, 200),
    }.items():
        image = head * (100 + 20 * random.random(SPACE)) + sum(
            (labels == label) * extra for label, extra in zip((1, 2, 4), brightness, strict=True)
        )
        save_nifti(folder / name / f"{name}_{kind}.nii.gz", image.astype(np.int16))
    save_nifti(folder / name / f"{name}_seg.nii.gz", labels.astype(np.uint8))


def save_nifti(path: Path, voxels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    load_nibabel().Nifti1Image(voxels, np.diag([1.0, 1.0, 2.0, 1.0])).to_filename(path)


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("volumes") / "source"
    for patient in range(10):
        scan(folder, f"BraTS2021_{patient:05d}", patient)
    return folder


def configured(volumes: Path, *more: str) -> Config:
    named = [f"data.regions={list(REGIONS)}", 'data.channels=["flair","post_contrast","t2","pre_contrast"]']
    places = [f"data.source='{volumes}'", f"data.cache='{volumes.parent / 'cache'}'"]
    patches = ["data.window=[8,16,16]", "data.voxel_mm=[2.0,1.0,1.0]", "data.patches=4", "model.name=unet"]
    return load_config(None, [*TINY, "train.epochs=2", *named, *places, *patches, *more])


def feed_of(config: Config, run: Path) -> PatchFeed:
    task = make_task(config, run)
    feed = open_feed(config, task.dataset, task.split, MACHINE)
    assert isinstance(feed, PatchFeed)
    return feed


AXES = {"t1": "RAS", "t1ce": "LPS", "t2": "PIL", "flair": "SAR", "seg": "LAS"}
"""How the files of a scan are stored, by the words of their names; some left-handed."""


def stored_otherwise(source: Path, folder: Path, tilt: np.ndarray) -> Path:
    """The same scans, each file with axes of its own, the heads turned by a rotation."""
    nib = load_nibabel()
    for path in source.rglob("*.nii.gz"):
        image = nib.load(path)
        code = AXES[path.name.removesuffix(".nii.gz").rpartition("_")[2]]
        turned = image.as_reoriented(nib.orientations.axcodes2ornt(code))
        (folder / path.parent.name).mkdir(parents=True, exist_ok=True)
        nib.Nifti1Image(turned.dataobj, tilt @ turned.affine).to_filename(folder / path.parent.name / path.name)
    return folder


@pytest.mark.parametrize("degrees", [0, 20])
def test_a_scan_is_seen_alike_however_each_of_its_files_is_stored(
    volumes: Path, tmp_path: Path, degrees: float
) -> None:
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    tilt = np.array([[1, 0, 0, 5], [0, cosine, -sine, 0], [0, sine, cosine, 0], [0, 0, 0, 1.0]])
    other = configured(stored_otherwise(volumes, tmp_path / "other", tilt))
    tasks = [make_task(config, tmp_path) for config in (configured(volumes), other)]
    datasets = [task.dataset for task in tasks]
    assert not datasets[1].source.findings
    first, second = (dataset.read(dataset.cases[0]) for dataset in datasets)
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.truth, second.truth)
    assert first.grid.spacing_mm == pytest.approx(second.grid.spacing_mm)
    feeds = [feed_of(config, tmp_path) for config in (configured(volumes), other)]
    seen, also = (feed.batch(feed.windows.rows[:3].tolist(), epoch=1) for feed in feeds)
    assert all(torch.allclose(one, two, atol=1e-4) for one, two in zip(seen, also, strict=True))


def test_a_patch_depends_on_seed_epoch_and_number_alone(volumes: Path, tmp_path: Path) -> None:
    feed = feed_of(configured(volumes), tmp_path)
    numbers = feed.windows.rows[:3].tolist()
    image, target = feed.batch(numbers, epoch=1)
    assert image.shape == (3, 4, 8, 16, 16)
    assert target.shape == (3, 3, 8, 16, 16)
    assert target.unique().tolist() == [0, 1]
    again, _ = feed_of(configured(volumes), tmp_path).batch(numbers[::-1], epoch=1)
    assert torch.equal(again.flip(0), image)
    assert not torch.equal(feed.batch(numbers, epoch=2)[0], image)
    once_more, _ = feed.batch([number + feed.windows.span for number in numbers], epoch=1)
    assert not torch.equal(once_more, image), "one that comes up again in an epoch is another patch"
    other = feed_of(configured(volumes, "seed=1", "split.seed=0"), tmp_path)
    assert not torch.equal(other.batch(numbers, epoch=1)[0], image)


def test_each_training_volume_gives_its_patches(volumes: Path, tmp_path: Path) -> None:
    config = configured(volumes)
    feed, task = feed_of(config, tmp_path), make_task(config, tmp_path)
    cases = [task.dataset.cases[number // 4].id for number in feed.windows.rows]
    assert sorted(cases) == sorted(4 * task.split.cases("train"))


def test_the_cache_is_decoded_once_and_damage_is_noticed(volumes: Path, tmp_path: Path) -> None:
    config = configured(volumes, f"data.cache='{tmp_path / 'cache'}'")
    before = feed_of(config, tmp_path).batch([0, 1], 0)[0]
    (folder,) = [path for path in (tmp_path / "cache").iterdir() if (path / "cases.json").exists()]
    stamp = (folder / "cases.json").stat().st_mtime_ns
    assert torch.equal(feed_of(config, tmp_path).batch([0, 1], 0)[0], before)
    assert (folder / "cases.json").stat().st_mtime_ns == stamp
    content = bytearray((folder / "000000-image.npy").read_bytes())
    content[-100] ^= 0xFF
    (folder / "000000-image.npy").write_bytes(content)
    assert torch.equal(feed_of(config, tmp_path).batch([0, 1], 0)[0], before)
    assert (folder / "cases.json").stat().st_mtime_ns != stamp


def test_pictures_are_refused_with_the_setting(tiny_source: Path, tmp_path: Path) -> None:
    config = load_config(None, [*TINY, f"data.source='{tiny_source}'", "data.window=[8,16,16]"])
    with pytest.raises(tumorline.UserError, match=r"a picture; .* is for volumes"):
        feed_of(config, tmp_path)


def test_a_network_of_slices_is_refused_with_those_of_volumes(volumes: Path) -> None:
    with pytest.raises(
        tumorline.UserError, match=r"'encoder_unet', a network of slices; data.window needs one of unet"
    ):
        check_model(configured(volumes, "model.name=encoder_unet", "model.options={}"))
    with pytest.raises(tumorline.UserError, match=r"model\.options\.dims is 2; leave data.window out"):
        check_model(configured(volumes, "model.options.dims=2"))


@pytest.mark.parametrize("key", ["voxel_mm=[2.0,1.0,1.0]", "overlap=0.25", "region_share=1", "patches=3"])
def test_settings_of_patches_are_refused_where_slices_would_be_seen(tiny_source: Path, key: str) -> None:
    config = load_config(None, [*TINY, f"data.source='{tiny_source}'", f"data.{key}"])
    name = key.partition("=")[0]
    with pytest.raises(tumorline.UserError, match=rf"^data\.{name} is for patches of volumes; .* data\.window as well"):
        check_model(config)


def test_channels_may_be_absent_where_there_are_several_with_names(volumes: Path, tmp_path: Path) -> None:
    dropout = "augment.channel_dropout=0.3"
    single = configured(volumes, dropout, "data.channels=['flair']")
    with pytest.raises(tumorline.UserError, match=r"channel_dropout is for several channels with names; .* 1 channel:"):
        tumorline.train(single, output=tmp_path / "single")
    assert spec_of(make_task(configured(volumes, dropout), tmp_path)).may_lack_channels
    assert not spec_of(make_task(configured(volumes), tmp_path)).may_lack_channels


def test_a_start_from_other_channels_regions_or_voxels_is_said(volumes: Path, tmp_path: Path) -> None:
    dataset = make_task(configured(volumes), tmp_path).dataset
    golden = read_info(GOLDEN)
    seen = InputSpec(dims=3, channels=["t2", "flair"], window=(8, 8, 8), voxel_mm=(1.0, 1.0, 1.0))
    said: list[str] = []
    note_other_start(golden.model_copy(update={"input": seen, "regions": ["tumour"]}), dataset, said.append)
    assert [line.partition(" has the ")[2].partition(",")[0] for line in said] == [
        "channels t2",
        "regions tumour",
        "voxels (mm) 1.0",
    ]
    by_name = "the weights of its layers that see the image are taken over by name, and new ones begin at zero"
    assert said[0].endswith(f"here they are flair, post_contrast, t2, pre_contrast; {by_name}")
    assert said[1].endswith("enhancing_tumour; its weights are taken over by their place, not by name")
    same = golden.model_copy(update={"input": input_of(dataset), "regions": [*REGIONS]})
    note_other_start(same, dataset, said.append)
    assert len(said) == 3
    turned = input_of(dataset).model_copy(update={"channels": input_of(dataset).channels[::-1]})
    note_other_start(same.model_copy(update={"input": turned}), dataset, said.append)
    assert said[3].endswith(f"pre_contrast; {by_name}")
    strange = input_of(dataset).model_copy(update={"channels": ["swi"]})
    note_other_start(same.model_copy(update={"input": strange}), dataset, said.append)
    assert said.pop().endswith("pre_contrast; its weights are taken over by their place, not by name")
    seven = input_of(dataset).model_copy(update={"context": 3})
    note_other_start(same.model_copy(update={"input": seven}), dataset, said.append)
    assert said[4:] == [
        "warning: model.start_from: 'unet' has the slices seen at once 7, here they are 1; the weights of its layers "
        "that see the image stay around the middle slice, and new ones begin at zero"
    ]


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("own", [("c", "a", "b"), ("b",), ("d", "b", "a", "e", "c")])
def test_a_start_sees_each_channel_by_its_name(own: tuple[str, ...], residual: bool, dims: int) -> None:
    """At first it answers as the other model does without the channels that are gone, and does not heed new ones."""
    before, slices = ("a", "b", "c"), 3 if dims == 2 else 1
    options = {"widths": [4, 8], "residual": residual, "dims": dims}
    old, new = (models.build("unet", channels=len(seen) * slices, regions=1, options=options) for seen in (before, own))
    change = models.InputChange(places_of_channels(before, own), (slices, slices))
    assert models.start_from(new, old.state_dict(), change) == []
    image = {name: torch.randn(1, slices, *[16] * dims) for name in "abcde"}
    seen = torch.stack([image[name] * (name in own) for name in before], dim=2)  # (B, slices, C, *space)
    shown = torch.stack([image[name] for name in own], dim=2)
    with torch.no_grad():
        assert torch.allclose(old.eval()(seen.flatten(1, 2)), new.eval()(shown.flatten(1, 2)), atol=1e-5)


@pytest.mark.parametrize(("before", "now"), [(1, 5), (3, 5), (5, 3), (3, 1)])
def test_a_start_sees_each_slice_where_it_lay(before: int, now: int) -> None:
    """Further ones are not heeded at first; of those that are gone the outermost stands in their place."""
    old, new = (models.build("unet", channels=2 * n, regions=1, options={"widths": [4, 8]}) for n in (before, now))
    models.start_from(new, old.state_dict(), models.InputChange([0, 1], (before, now)))
    image = torch.randn(1, now, 2, 16, 16)  # slice by slice, as `NetworkInput.batch` lays them
    numbers = [min(max(number + now // 2 - before // 2, 0), now - 1) for number in range(before)]
    with torch.no_grad():
        assert torch.allclose(old.eval()(image[:, numbers].flatten(1, 2)), new.eval()(image.flatten(1, 2)), atol=1e-5)


@pytest.mark.parametrize(("residual", "dims"), [(False, 2), (True, 2), (True, 3)])
def test_a_start_from_one_channel_answers_a_copy_of_it_in_several_alike(residual: bool, dims: int) -> None:
    options = {"widths": [4, 8], "residual": residual, "dims": dims}
    old, new = (models.build("unet", channels=channels, regions=1, options=options) for channels in (1, 3))
    assert models.start_from(new, old.state_dict()) == []
    image = torch.randn(1, 1, *[16] * dims)
    with torch.no_grad():
        assert torch.allclose(old.eval()(image), new.eval()(image.repeat(1, 3, *[1] * dims)), atol=1e-5)


def test_whole_volumes_are_validated(volumes: Path, tmp_path: Path) -> None:
    train(configured(volumes), tmp_path / "run")
    row = history(tmp_path / "run")[-1]
    assert {f"validation_dice_{region}" for region in REGIONS} < row.keys()
    assert np.isfinite(float(row["validation_loss"]))


@pytest.mark.slow
def test_a_run_from_volumes_to_report_and_prediction(volumes: Path, tmp_path: Path) -> None:
    run = tumorline.train(configured(volumes, "train.epochs=12"), output=tmp_path / "run")
    summary = json.loads((run / "summary.json").read_text())
    assert list(summary["regions"]) == list(REGIONS)
    assert summary["regions"]["whole_tumour"]["dice"]["mean"] > 0.3
    model = load(run)
    assert (model.info.input.dims, model.info.input.window) == (3, (8, 16, 16))
    dataset = load_dataset(volumes, configured(volumes).data)
    sample = dataset.read(dataset.cases[0])
    masks = model.mask(sample.image, sample.grid)
    assert masks.shape == sample.truth.shape
    with pytest.raises(tumorline.UserError, match="a single picture"):
        model.mask(sample.image[:, 0])
    assert (run / "report.html").is_file()


def exact(volumes: Path, folder: Path, *more: str) -> Path:
    """The configuration of a tiny training with all that is drawn at random, in a file."""
    drawn = ["augment.channel_dropout=0.3", "model.options={widths=[4,4,8],dropout=0.2,deep_supervision=true}"]
    configured(volumes, *drawn, "train.checkpoint_minutes=0.005", *more).save(folder / "config.toml")
    return folder / "config.toml"


@pytest.mark.slow
def test_ten_kills_at_random_moments_of_a_training_on_volumes_do_not_change_the_weights(
    volumes: Path, tmp_path: Path
) -> None:
    require_equal_after_ten_kills(exact(volumes, tmp_path, "train.epochs=14", "data.patches=8"), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_two_processes_on_volumes_give_the_loss_of_one(volumes: Path, tmp_path: Path, norm: str) -> None:
    """At a rate at which the last digits of a step do not grow to the first ones of the next epoch."""
    options = f"model.options={{widths=[4,4,8],norm='{norm}',deep_supervision=true}}"
    config = exact(volumes, tmp_path, options, "train.learning_rate=0.002")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    arguments = ["-m", "tumorline", "train", str(config), "--output"]
    subprocess.run([*torchrun, *arguments, str(tmp_path / "two")], check=True, env=ONE_THREAD)
    subprocess.run([sys.executable, *arguments, str(tmp_path / "one")], check=True, env=ONE_THREAD)
    for one, two in zip(history(tmp_path / "one"), history(tmp_path / "two"), strict=True):
        for column in ("train_loss", "validation_loss"):
            assert float(one[column]) == pytest.approx(float(two[column]), abs=2e-4)
        dice = float(one["validation_dice"])
        assert dice == pytest.approx(float(two["validation_dice"]), abs=0.01), "a voxel at one half may fall either way"
