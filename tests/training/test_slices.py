"""Training on the slices of volumes, with their neighbours."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import TINY, blob
from tests.sources import Array, nib, save_volume
from tests.training.conftest import make_task
from tests.training.test_loop import history, same, train
from tumorline import progress
from tumorline.config import Config, load_config
from tumorline.data.dataset import Dataset, load_dataset
from tumorline.ensembles import write_ensemble
from tumorline.errors import Interrupted
from tumorline.export import export_onnx
from tumorline.geometry.slices import plane_of
from tumorline.inference.model import load
from tumorline.metrics.overlap import count_overlap, dice
from tumorline.model_file import save_model
from tumorline.network_input.cache import cache_key, open_cache
from tumorline.network_input.windows import input_of, prepare_input
from tumorline.run.provenance import model_info
from tumorline.training import loop
from tumorline.training.feed import open_feed
from tumorline.training.machine import Machine
from tumorline.training.weights import read_best
from tumorline.training.windows import training_windows

REGIONS = ["whole_tumour", "tumour_core", "enhancing_tumour"]
SLICES, SIZE = 5, 24
BLANK = 4


@pytest.fixture
def volumes_config(tmp_path: Path) -> Config:
    """Six scans of two sequences whose last slice is blank; oedema above the core, with a rim that enhances."""
    for patient in range(6):
        name = f"BraTS2021_{patient:05d}"
        pictures = [blob(SIZE, 10 * patient + number) for number in range(SLICES - 1)]
        nothing = np.zeros((SIZE, SIZE), np.uint8)
        images: list[Array] = [*(image for image, _ in pictures), nothing]
        truth = [mask * np.uint8(label) for (_, mask), label in zip(pictures, (0, 1, 4, 2), strict=True)]
        for kind in ("flair", "t1ce"):
            save_volume(tmp_path / "source" / name / f"{name}_{kind}.nii.gz", images)
        save_volume(tmp_path / "source" / name / f"{name}_seg.nii.gz", [*truth, nothing])
    data = ["channels=['flair','post_contrast']", f"regions={REGIONS}", "context=1", "normalisation=volume"]
    places = [f"source='{tmp_path / 'source'}'", f"cache='{tmp_path / 'cache'}'"]
    return load_config(None, [*TINY, "train.epochs=2", *(f"data.{one}" for one in (*data, *places))])


def changed(config: Config, **data: object) -> Config:
    return config.model_copy(update={"data": config.data.model_copy(update=data)})


def dataset_of(config: Config) -> Dataset:
    return load_dataset(Path(config.data.source), config.data)


def test_the_cache_has_a_row_for_each_slice(volumes_config: Config) -> None:
    dataset = dataset_of(volumes_config)
    cache = open_cache(dataset)
    assert cache.images.shape == (6 * SLICES, 2, 32, 32)
    assert cache.masks.shape == (6 * SLICES, 3, 32, 32)
    assert cache.rows_of(2) == range(10, 15)
    assert cache.shown[10:15].tolist() == [True, True, True, True, False]
    assert cache.marked[10:15].tolist() == [False, True, True, True, False]
    seen = prepare_input(dataset.read(dataset.cases[2]).image, 32, input_of(dataset))
    assert np.array_equal(cache.images[10:15], seen.planes.swapaxes(0, 1).astype(np.float16))
    assert cache.masks[10:15].any((2, 3)).tolist() == [
        [False, False, False],
        [True, True, False],
        [True, True, True],
        [True, False, False],
        [False, False, False],
    ]


def test_what_shapes_the_slices_is_in_the_key_of_the_cache(volumes_config: Config) -> None:
    changes: list[dict[str, object]] = [{}, {"axis": "coronal"}, {"normalisation": "picture"}]
    datasets = [dataset_of(changed(volumes_config, **change)) for change in changes]
    assert len({cache_key(dataset) for dataset in datasets}) == 3
    assert cache_key(dataset_of(changed(volumes_config, context=2))) == cache_key(datasets[0])


def test_slices_that_show_nothing_do_not_train_and_others_by_their_stride(volumes_config: Config) -> None:
    dataset = dataset_of(volumes_config)
    cache, names = open_cache(dataset), [dataset.cases[1].id, dataset.cases[3].id]
    assert training_windows(dataset, cache, names, 0.0).rows.tolist() == [5, 6, 7, 8, 15, 16, 17, 18]
    apart = dataset_of(changed(volumes_config, slice_step=2))
    assert training_windows(apart, cache, names, 0.0).rows.tolist() == [5, 7, 15, 17]
    without = dataset_of(changed(volumes_config, tumour_free_share=0.0))
    assert training_windows(without, cache, names, 0.0).rows.tolist() == [6, 7, 8, 16, 17, 18]


@pytest.mark.parametrize("axis", ["coronal", "sagittal"])
def test_other_axes_train_as_well(volumes_config: Config, tmp_path: Path, axis: str) -> None:
    config = changed(volumes_config, axis=axis)
    assert open_cache(dataset_of(config)).images.shape[0] == 6 * SIZE
    train(config, tmp_path / "run")
    assert len(history(tmp_path / "run")) == 2


def test_a_scan_whose_slices_lie_far_apart_is_cut_as_it_was_acquired(volumes_config: Config, tmp_path: Path) -> None:
    """The second of six scans was acquired in coronal slices, 6 mm from one to the next."""
    scan = tmp_path / "source" / "BraTS2021_00001"
    for path in scan.iterdir():
        image = nib.load(path)
        nib.save(nib.Nifti1Image(np.asarray(image.dataobj), np.diag([-1.0, -6.0, 1.0, 1.0])), path)
    dataset = dataset_of(volumes_config)
    assert [dataset.plane_of(case) for case in dataset.cases] == ["axial", "coronal", *["axial"] * 4]
    cache = open_cache(dataset)
    assert [len(cache.rows_of(number)) for number in range(6)] == [SLICES, SIZE, *[SLICES] * 4]
    image, _, grid = dataset.read(dataset.cases[1])
    plane = plane_of(grid, dataset.settings.axis)
    seen = prepare_input(image, 32, input_of(dataset).cut(plane))
    assert np.array_equal(cache.images[SLICES : SLICES + SIZE], seen.planes.swapaxes(0, 1).astype(np.float16))
    train(volumes_config, tmp_path / "run")
    assert len(history(tmp_path / "run")) == 2


def test_a_training_sees_long_pixels_in_their_proportions(volumes_config: Config, tmp_path: Path) -> None:
    """The second of six scans has pixels half as long again from front to back."""
    scan = tmp_path / "source" / "BraTS2021_00001"
    before = cache_key(dataset_of(volumes_config))
    for path in scan.iterdir():
        nib.save(nib.Nifti1Image(np.asarray(nib.load(path).dataobj), np.diag([-1.0, -1.5, 1.0, 1.0])), path)
    dataset = dataset_of(volumes_config)
    assert cache_key(dataset) != before
    assert [dataset.pixel_of(case) for case in dataset.cases] == [(1, 1), (1.5, 1), *[(1, 1)] * 4]
    image, truth, grid = dataset.read(dataset.cases[1])
    seen = prepare_input(image, 32, input_of(dataset), grid.spacing_mm)
    rows, columns = seen.placement.window
    assert (rows, columns) == (slice(0, 32), slice(5, 26))
    cache = open_cache(dataset)
    place = cache.rows_of(1)
    assert np.array_equal(cache.images[place.start : place.stop], seen.planes.swapaxes(0, 1).astype(np.float16))
    assert np.array_equal(cache.masks[place.start : place.stop], seen.truth(truth))
    train(volumes_config, tmp_path / "run")
    assert len(history(tmp_path / "run")) == 2


def test_a_training_on_volumes_is_resumed_to_equal_weights(
    volumes_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = changed(volumes_config, tumour_free_share=0.2)
    train(config, tmp_path / "whole")
    original, steps = loop.Loop.train_step, iter(range(100))

    def stop_at_the_third(self: loop.Loop) -> torch.Tensor:
        self.stop_asked = next(steps) == 2
        return original(self)

    with monkeypatch.context() as patch:
        patch.setattr(loop.Loop, "train_step", stop_at_the_third)
        with pytest.raises(Interrupted):
            train(config, tmp_path / "stopped")
    train(config, tmp_path / "stopped")
    assert same(tmp_path / "whole", tmp_path / "stopped")
    assert history(tmp_path / "whole") == history(tmp_path / "stopped")


@pytest.mark.slow
def test_validation_finds_what_the_finished_model_draws(volumes_config: Config, tmp_path: Path) -> None:
    """The Dice by which an epoch was chosen is that of the exported file, stitched onto the volume."""
    train(volumes_config, tmp_path)
    task = make_task(volumes_config, tmp_path)
    info = model_info(task)
    assert (info.regions, info.input.channels, info.input.context) == (REGIONS, ["flair", "post_contrast"], 1)
    save_model(tmp_path / "model.safetensors", {name: one.numpy() for name, one in read_best(task).items()}, info)
    export_onnx(tmp_path / "model.safetensors", tmp_path / "model.onnx")
    model = load(tmp_path)
    (name,) = task.split.cases("validation")
    sample = task.dataset.read(task.dataset.case(name))
    drawn = model.mask(sample.image)
    best = max(history(tmp_path), key=lambda row: float(row["validation_dice"]))
    for region, mask, truth in zip(REGIONS, drawn, sample.truth, strict=True):
        assert dice(count_overlap(truth, mask)) == pytest.approx(float(best[f"validation_dice_{region}"]), abs=1e-3)


@pytest.mark.slow
def test_an_ensemble_of_models_of_volumes_answers_with_each_regions_temperature(
    volumes_config: Config, tmp_path: Path
) -> None:
    train(volumes_config, tmp_path)
    task = make_task(volumes_config, tmp_path)
    info = model_info(task).model_copy(update={"temperature": [1.0, 2.0, 3.0]})
    path = tmp_path / "model.safetensors"
    save_model(path, {name: one.numpy() for name, one in read_best(task).items()}, info)
    export_onnx(path, tmp_path / "model.onnx")
    together = write_ensemble([path, path], tmp_path / "twice.safetensors")
    assert (together.input, together.image_channels) == (info.input, 2)
    image = task.dataset.read(task.dataset.cases[0]).image
    once, twice = (load(model).probability(image) for model in (path, tmp_path / "twice.safetensors"))
    assert np.allclose(once, twice, atol=1e-5)


@pytest.mark.slow
def test_two_processes_give_the_loss_of_one_on_volumes(volumes_config: Config, tmp_path: Path) -> None:
    volumes_config.save(tmp_path / "config.toml")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    arguments = ["-m", "tumorline", "train", "--no-test", str(tmp_path / "config.toml"), "--output"]
    subprocess.run([*torchrun, *arguments, str(tmp_path / "two")], check=True, env=environment)
    subprocess.run([sys.executable, *arguments, str(tmp_path / "one")], check=True, env=environment)
    columns = ["train_loss", "validation_loss", *(f"validation_dice_{region}" for region in REGIONS)]
    for one, two in zip(history(tmp_path / "one"), history(tmp_path / "two"), strict=True):
        for column in columns:
            assert float(one[column]) == pytest.approx(float(two[column]), abs=2e-4)


def test_a_training_says_how_far_its_data_are_prepared(
    volumes_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line a minute, and here at once."""
    monkeypatch.setattr(progress, "LINE_SECONDS", 0)
    task, said = make_task(volumes_config, tmp_path / "run"), list[str]()
    machine = Machine(torch.device("cpu"), bfloat16=False)
    open_feed(volumes_config, task.dataset, task.split, machine, said.append)
    assert said == [f"preparing {done}/6, about a minute left" for done in range(1, 6)]
