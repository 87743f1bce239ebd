from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import PairFolder
from tumorline.config import DataConfig
from tumorline.data import preprocess
from tumorline.data.cache import cache_key, open_cache
from tumorline.data.dataset import Dataset, load_dataset


@pytest.fixture
def dataset(pair_folder: PairFolder, tmp_path: Path) -> Dataset:
    return load_dataset(pair_folder(patients=3, slices=1), DataConfig(image_size=16, cache=str(tmp_path / "cache")))


def folders(dataset: Dataset) -> list[str]:
    return [path.name for path in Path(dataset.settings.cache).iterdir()]


def test_masks_are_zeros_and_ones_at_the_networks_size(dataset: Dataset) -> None:
    cached = open_cache(dataset)
    assert cached.images.shape == (3, 1, 16, 16)
    assert np.unique(cached.masks).tolist() == [0, 1]


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


def test_a_build_that_breaks_off_is_not_trusted(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_off(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(preprocess, "mask_to_network", break_off)
        with pytest.raises(KeyboardInterrupt):
            open_cache(dataset)
    assert folders(dataset) == []
    assert open_cache(dataset).images.shape[0] == 3
