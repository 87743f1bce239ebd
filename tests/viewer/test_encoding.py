import base64
import io
import json
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tumorline.errors import UserError
from tumorline.geometry.grid import Grid
from tumorline.regions import NESTED
from tumorline.viewer.assets import content_policy, inline_module, script_data
from tumorline.viewer.encoding import EncodedImage, EncodedMasks, ViewedCase, default_labels, encode_case, encode_masks


def bits_of(array: EncodedMasks, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    raw = zlib.decompress(base64.b64decode(array["data"]))
    return np.frombuffer(raw, np.dtype(array["dtype"]).newbyteorder("<")).reshape(shape)


def mosaic_of(image: EncodedImage) -> npt.NDArray[Any]:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(image["data"]))))


@pytest.mark.parametrize(("regions", "kind"), [(1, "uint8"), (8, "uint8"), (9, "uint16"), (17, "uint32")])
def test_masks_are_kept_exactly_as_bits_of_regions(regions: int, kind: str) -> None:
    masks = np.random.default_rng(0).random((regions, 3, 5, 7)) < 0.5
    found = encode_masks(masks)
    bits = bits_of(found, (3, 5, 7))
    assert found["dtype"] == kind
    assert all(((bits >> number & 1).astype(bool) == mask).all() for number, mask in enumerate(masks))


def test_the_slices_of_a_volume_stand_beside_one_another() -> None:
    image = np.arange(5, dtype=np.float32)[None, :, None, None] * np.ones((1, 5, 4, 6), np.float32)
    case = encode_case(ViewedCase("a", image, Grid((5, 4, 6), (3.0, 2.0, 0.5)), ["tumour"]), lossless=True)
    (shown,) = case["images"]
    assert (shown["shape"], shown["columns"], shown["range"]) == ([5, 4, 6], 3, [0.0, 4.0])
    assert shown["window"] == [0, 255]
    mosaic = mosaic_of(shown)
    assert mosaic.shape == (8, 18)
    assert [mosaic[4 * (number // 3), 6 * (number % 3)] for number in range(5)] == [0, 64, 128, 191, 255]
    assert case["affine"] == [[0, 0, -0.5, 0], [0, -2, 0, 0], [3, 0, 0, 0], [0, 0, 0, 1]], "as the patient is seen"


def test_a_large_picture_is_shown_coarser_and_its_masks_are_not() -> None:
    truth = np.zeros((1, 2048, 1024), bool)
    truth[0, 1000, 17] = True
    case = encode_case(ViewedCase("a", truth.astype(np.float32), Grid((2048, 1024)), ["tumour"], truth=truth))
    assert case["images"][0]["shape"] == [512, 256]
    assert case["truth"] is not None
    assert np.argwhere(bits_of(case["truth"], (2048, 1024))).tolist() == [[1000, 17]]


def test_bright_values_are_kept_beyond_the_window_that_is_shown_at_first() -> None:
    image = np.linspace(0, 1000, 10_000, dtype=np.float32).reshape(1, 100, 100)
    (shown,) = encode_case(ViewedCase("a", image, Grid((100, 100)), ["tumour"]))["images"]
    assert shown["range"] == pytest.approx([0.2, 999.8], abs=0.1)
    assert shown["window"] == pytest.approx([1.2, 253.8], abs=0.1)


def test_a_flat_image_is_dark_and_masks_of_another_size_are_refused() -> None:
    image = np.ones((1, 4, 4), np.float32)
    case = encode_case(ViewedCase("a", image, Grid((4, 4)), ["tumour"]), lossless=True)
    assert mosaic_of(case["images"][0]).max() == 0
    with pytest.raises(UserError, match=r"a: truth is .*expected"):
        encode_case(ViewedCase("a", image, Grid((4, 4)), ["tumour"], truth=np.ones((1, 5, 4), bool)))


def test_what_a_brush_paints_is_what_files_of_these_regions_hold() -> None:
    assert [label.value for label in default_labels(["tumour"], is_volume=False)] == [255]
    assert [label.value for label in default_labels(["tumour"], is_volume=True)] == [1]
    turned = [NESTED[2], NESTED[0], NESTED[1]]
    assert {label.name: (label.value, label.bits) for label in default_labels(turned, True)} == {
        "whole_tumour": (2, 0b010),
        "tumour_core": (1, 0b110),
        "enhancing_tumour": (4, 0b111),
    }
    assert [(label.value, label.bits) for label in default_labels(["a", "b"], True)] == [(1, 1), (2, 2)]


def test_nothing_in_data_ends_a_script_and_policies_name_what_may_run() -> None:
    text = script_data({"</script><script>": "\u2028&"})
    assert not {"<", ">", "&", "\u2028"} & set(text)
    policy = content_policy(["alert(1)"])
    assert "default-src 'none'" in policy
    assert "'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI='" in policy
    assert "unsafe-inline" not in policy.split("style-src")[0]
    assert "'none'" in content_policy([]).split("script-src")[1]


def test_modules_are_put_together_as_one_script() -> None:
    script = inline_module("viewer.js")
    assert "class Viewer" in script
    assert "export " not in script
    assert "innerHTML" not in script


@pytest.mark.parametrize("gap", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_dark_and_cost_no_others(gap: float) -> None:
    image = np.linspace(100, 200, 900, dtype=np.float32).reshape(1, 30, 30)
    image[0, :3, :3] = gap
    case = encode_case(ViewedCase("a", image, Grid((30, 30)), ["tumour"]), lossless=True)
    assert "NaN" not in json.dumps(case, allow_nan=False)
    mosaic = mosaic_of(case["images"][0])
    assert (mosaic[:3, :3].max(), mosaic.max()) == (0, 255)
