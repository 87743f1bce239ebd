import errno
import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.conftest import PairFolder
from tests.sources import save_volume
from tumorline.config import DataConfig
from tumorline.data.dataset import Dataset, load_dataset
from tumorline.errors import UserError
from tumorline.network_input import cache, fit
from tumorline.network_input.built_folder import create_array
from tumorline.network_input.cache import cache_key, open_cache
from tumorline.network_input.volume_cache import open_volume_cache, volume_cache_key


@pytest.fixture
def dataset(pair_folder: PairFolder, tmp_path: Path) -> Dataset:
    return load_dataset(pair_folder(patients=3, slices=1), DataConfig(image_size=16, cache=str(tmp_path / "cache")))


def folders(dataset: Dataset) -> list[str]:
    return [path.name for path in Path(dataset.settings.cache).iterdir()]


def test_masks_are_zeros_and_ones_at_the_networks_size(dataset: Dataset) -> None:
    cached = open_cache(dataset)
    assert cached.images.shape == (3, 1, 16, 16)
    assert np.unique(cached.masks).tolist() == [0, 1]


def test_how_far_the_filling_is_is_told_and_nothing_of_what_is_there(dataset: Dataset) -> None:
    told: list[tuple[int, int]] = []
    for _ in range(2):
        open_cache(dataset, lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_the_same_of_volumes(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    open_volume_cache(volumes(tmp_path, (1, 1, 1)), lambda done, total: told.append((done, total)))
    assert told == [(1, 1)]


def test_another_encoding_of_the_masks_shares_the_cache(dataset: Dataset, tmp_path: Path) -> None:
    other = PairFolder(tmp_path / "other")(patients=3, slices=1, encoding="palette")
    assert cache_key(load_dataset(other, dataset.settings)) == cache_key(dataset)


def test_content_and_size_change_the_key(dataset: Dataset, tmp_path: Path) -> None:
    other = PairFolder(tmp_path / "other")(patients=3, slices=1, first_seed=50)
    larger = dataset.settings.model_copy(update={"image_size": 32})
    keys = {cache_key(dataset), cache_key(load_dataset(other, dataset.settings))}
    keys.add(cache_key(load_dataset(dataset.source.path, larger)))
    assert len(keys) == 3


def test_two_builders_at_once_leave_one_whole_cache(dataset: Dataset) -> None:
    with ThreadPoolExecutor(4) as pool:
        caches = list(pool.map(lambda _: open_cache(dataset), range(4)))
    assert folders(dataset) == [cache_key(dataset)]
    assert all(np.array_equal(one.images, caches[0].images) for one in caches)


def test_what_another_process_finishes_meanwhile_is_no_error(dataset: Dataset) -> None:
    folder = Path(dataset.settings.cache)
    folder.mkdir(exist_ok=True)
    (folder / ".building-theirs").symlink_to("renamed since it was listed")
    assert len(open_cache(dataset).images) == 3


def test_a_build_that_breaks_off_is_not_trusted(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_off(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fit, "mask_to_network", break_off)
        with pytest.raises(KeyboardInterrupt):
            open_cache(dataset)
    assert folders(dataset) == []
    assert open_cache(dataset).images.shape[0] == 3


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 0x10
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def other_shape(path: Path) -> None:
    np.save(path, np.zeros((3, 1, 8, 8), np.load(path).dtype))


def other_kind(path: Path) -> None:
    np.save(path, np.load(path).astype(np.float64))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def replace_by_a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("x")


def objects(path: Path) -> None:
    np.save(path, np.array([{"a": 1}], object), allow_pickle=True)


DAMAGE: dict[str, Callable[[Path], None]] = {
    "first value": lambda folder: flip(folder / "images.npy", 128),
    "last value": lambda folder: flip(folder / "images.npy", -1),
    "mask": lambda folder: flip(folder / "masks.npy", -100),
    "header": lambda folder: flip(folder / "masks.npy", 20),
    "checksums": lambda folder: flip(folder / "checksums.json", -5),
    "no checksums": lambda folder: (folder / "checksums.json").unlink(),
    "cut": lambda folder: cut(folder / "images.npy"),
    "empty": lambda folder: empty(folder / "masks.npy"),
    "missing": lambda folder: (folder / "masks.npy").unlink(),
    "shape": lambda folder: other_shape(folder / "images.npy"),
    "kind": lambda folder: other_kind(folder / "images.npy"),
    "objects": lambda folder: objects(folder / "images.npy"),
    "a file": replace_by_a_file,
}
"""As disks, copies and people leave a cache; "no checksums" is how 0.1.0 wrote it."""


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_cache_is_made_again(dataset: Dataset, damage: str) -> None:
    whole = open_cache(dataset)
    images, masks = np.array(whole.images), np.array(whole.masks)
    DAMAGE[damage](Path(dataset.settings.cache) / cache_key(dataset))
    again = open_cache(dataset)
    assert np.array_equal(again.images, images)
    assert np.array_equal(again.masks, masks)
    assert folders(dataset) == [cache_key(dataset)]


def test_a_whole_cache_is_not_made_again(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    open_cache(dataset)
    monkeypatch.setattr(cache, "_fill", lambda *_: pytest.fail("made again"))
    assert open_cache(dataset).images.shape == (3, 1, 16, 16)


def test_a_disk_that_is_full_is_one_line_before_a_case_is_decoded(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    monkeypatch.setattr(fit, "to_network", lambda *_: pytest.fail("decoded"))
    with pytest.raises(UserError, match=r"cannot write the decoded cache \(.*No space left.*\); set data\.cache"):
        open_cache(dataset)
    assert folders(dataset) == []


def test_a_cache_that_is_larger_than_the_disk_is_refused_with_the_numbers(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(UserError, match=r"0\.0 MB are needed for the decoded cache of 3 cases at data\.image_size 16"):
        open_cache(dataset)
    assert folders(dataset) == []


def test_the_room_is_kept_before_anything_is_written(tmp_path: Path) -> None:
    """A sparse file would end the process with SIGBUS where the disk fills."""
    array = create_array(tmp_path / "x.npy", np.uint8, (64, 1024))
    assert (tmp_path / "x.npy").stat().st_blocks * 512 >= array.nbytes
    assert not np.load(tmp_path / "x.npy").any()


def volumes(folder: Path, spacing: tuple[float, float, float]) -> Dataset:
    """One scan of 4 slices of 12 x 8 voxels, whatever its header says of their size."""
    slices = [np.pad(np.full((8, 4), 100 + number), 2) for number in range(4)]
    mask = [np.pad(np.ones((2, 2)), ((5, 5), (3, 3)))] * 4
    save_volume(folder / "images" / "UPENN-GBM-00001.nii.gz", [*slices], spacing)
    save_volume(folder / "masks" / "UPENN-GBM-00001.nii.gz", [*mask], spacing)
    settings = DataConfig(window=(8, 8, 8), voxel_mm=(1, 1, 1), cache=str(folder / "cache"))
    return load_dataset(folder, settings)


def test_volumes_whose_headers_were_corrected_are_decoded_again(tmp_path: Path) -> None:
    sides = []
    for spacing in ((1, 1, 1), (2, 2, 2), (1, 1, 3), (1, 1, 1)):
        (case,) = open_volume_cache(volumes(tmp_path, spacing)).cases
        box = [along.stop - along.start for along in case.placement.box]
        millimetres = [length * side for length, side in zip(box, (spacing[2], *spacing[:2]), strict=True)]
        sides.append((list(case.placement.spaced), millimetres))
    assert [spaced for spaced, _ in sides] == [millimetres for _, millimetres in sides]


def test_the_key_of_volumes_of_1_mm_is_as_it_was(tmp_path: Path) -> None:
    dataset = volumes(tmp_path, (1, 1, 1))
    (fact,) = dataset.facts
    settings = {"voxel_mm": [1.0, 1.0, 1.0], "regions": ["tumour"], "version": [1, fit.VERSION]}
    content = [settings, [[fact.case_id, fact.image_hash, fact.mask_hash]]]
    assert volume_cache_key(dataset) == sha256(json.dumps(content).encode()).hexdigest()[:24]
