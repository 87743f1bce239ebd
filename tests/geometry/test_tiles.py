"""Windows over an image: the blend of MONAI's sliding window, held slab by slab."""

import numpy as np
import pytest

from tests.inference.test_predict_scans import GOLDEN
from tumorline.geometry.grid import Grid
from tumorline.geometry.symmetry import INVERSE, transformed
from tumorline.geometry.tiles import Slab, Tiling, answer_tiles, slide
from tumorline.inference.model import TTA, Model
from tumorline.model_file import read_info
from tumorline.model_info import Architecture, InputSpec
from tumorline.network_input.normalise import normalise_volume


def network(windows: np.ndarray) -> np.ndarray:
    """Two regions; what is said of a voxel depends on where in its window it lies, so that the blend shows."""
    ramp = np.arange(windows[0, 0].size, dtype=np.float32).reshape(windows.shape[2:]) / windows[0, 0].size
    return np.stack([windows[:, 0] * ramp, windows.sum(axis=1) - ramp], axis=1)


def picture(space: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).random((2, *space), np.float32)


@pytest.mark.parametrize(
    ("space", "window", "overlap"),
    [
        ((13, 9), (8, 4), 0.5),
        ((13, 9, 10), (8, 4, 5), 0.25),
        ((8, 8, 8), (8, 4, 4), 0.5),
        ((7, 12, 9), (4, 4, 4), 0.625),
        ((20, 6, 6), (4, 6, 6), 0.0),
        ((9, 10, 11), (6, 6, 6), 0.75),
        ((5, 12, 3), (8, 6, 6), 0.5),
        ((3, 3, 4), (8, 6, 6), 0.25),
    ],
)
@pytest.mark.parametrize("batch", [1, 3])
def test_the_blend_is_monais(space: tuple[int, ...], window: tuple[int, ...], overlap: float, batch: int) -> None:
    torch = pytest.importorskip("torch")
    inferers = pytest.importorskip("monai.inferers")
    image = picture(space)
    image[:, 0, 0] = 0  # the lowest of both channels, with which ours is padded
    reference = inferers.SlidingWindowInferer(window, overlap=overlap, mode="gaussian", cval=0.0)
    expected = reference(torch.from_numpy(image[None]), lambda batch: torch.from_numpy(network(batch.numpy())))
    found = answer_tiles(network, image, Tiling(space, window, overlap, batch))
    assert found.shape == (2, *space)
    assert np.allclose(found, expected[0].numpy(), atol=1e-6)


def test_an_image_smaller_than_the_window_is_padded_with_its_lowest_value() -> None:
    image = picture((5, 9)) + 3
    seen = []

    def look(windows: np.ndarray) -> np.ndarray:
        seen.append(windows.copy())
        return windows[:, :1]

    found = answer_tiles(look, image, Tiling((5, 9), (8, 8)))
    assert np.allclose(found[0], image[0], atol=1e-6)
    assert np.allclose(seen[0][0, 0, 0], image[0].min())


def test_slabs_follow_one_another_and_none_is_deeper_than_a_window() -> None:
    space = (23, 6, 6)
    slabs = [Slab(slab.rows, slab.logits.copy()) for slab in slide(network, picture(space), Tiling(space, (8, 4, 4)))]
    assert [slab.rows.start for slab in slabs] == [0, *(slab.rows.stop for slab in slabs[:-1])]
    assert slabs[-1].rows.stop == 23
    assert max(slab.logits.shape[1] for slab in slabs) <= 8
    assert len(slabs) > 3


@pytest.mark.parametrize("tta", ["none", "flips", "all"])
def test_a_volume_and_its_turned_copies_are_answered_as_monai_would(tta: str) -> None:
    torch = pytest.importorskip("torch")
    inferers = pytest.importorskip("monai.inferers")
    space, window = (17, 13, 13), (8, 8, 8)
    info = read_info(GOLDEN).model_copy(
        update={
            "architecture": Architecture(name="unet", options={"dims": 3}, channels=2),
            "input": InputSpec(dims=3, window=window, normalisation="volume", overlap=0.5),
            "regions": ["whole_tumour", "tumour_core"],
            "temperature": [1.0, 2.0],
        }
    )
    image = 1 + picture(space)
    model = Model(GOLDEN, info, network, tta)
    found = model.probability(image, Grid(space, (1.0, 1.0, 1.0), tuple(map(tuple, np.eye(4)))))
    planes = np.stack([normalise_volume(channel) for channel in image])
    reference = inferers.SlidingWindowInferer(window, overlap=0.5, mode="gaussian")
    answers = []
    for copy in TTA[tta]:
        turned = torch.from_numpy(np.ascontiguousarray(transformed(planes, copy)))[None]
        logits = reference(turned, lambda batch: torch.from_numpy(network(batch.numpy())))[0].numpy()
        logits[1] /= 2
        answers.append(transformed(1 / (1 + np.exp(-logits)), int(INVERSE[copy])))
    assert np.allclose(found, np.mean(answers, axis=0), atol=1e-5)


def test_windows_that_threads_share_are_blended_as_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    image, tiling = picture((13, 9, 10)), Tiling((13, 9, 10), (8, 4, 5), 0.5, batch=2)
    alone = answer_tiles(network, image, tiling)
    monkeypatch.setattr("tumorline.geometry.tiles.LARGE", 1)
    monkeypatch.setattr("tumorline.geometry.tiles.count_cores", lambda: 3)
    assert np.array_equal(answer_tiles(network, image, tiling), alone)
    slabs = [slab.logits.copy() for slab in slide(network, image, tiling)]
    assert np.array_equal(np.concatenate(slabs, axis=1), alone)
