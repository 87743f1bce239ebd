"""The app in this process, as a browser or a script on this machine sees it."""

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.conftest import blob
from tests.sources import Array, save_volume
from tests.strange_models import RUN, write_pair, write_properties
from tumorline.model_file import read_info
from tumorline.onnx_file import NETWORK_KEY, hash_network
from tumorline.regions import NESTED

pytest.importorskip("fastapi")
from starlette.testclient import TestClient

from tumorline.app.server import create_app
from tumorline.app.state import AppSettings

FOUR = ("flair", "pre_contrast", "post_contrast", "t2")
HERE = "http://127.0.0.1:8765"


def png(seed: int = 1, size: int = 32) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(blob(size, seed)[0]).save(buffer, format="PNG")
    return buffer.getvalue()


def opened(settings: AppSettings) -> TestClient:
    return TestClient(create_app(settings), base_url=HERE)


def write_model_of_four(folder: Path) -> Path:
    """A model of four channels and BraTS's regions that draws each where a channel of its own is bright."""
    onnx = pytest.importorskip("onnx")

    def change(values: dict[str, Any]) -> None:
        values |= {"schema_version": 2, "regions": list(NESTED), "constant_mask": "", "mean_image": ""}
        values["input"] = {"channels": list(FOUR)}
        values["architecture"] |= {"channels": 4}

    path = write_pair(folder, change)
    weights = np.zeros((3, 4, 1, 1), np.float32)
    weights[[0, 1, 2], [0, 1, 2]] = 4
    side = read_info(path).image_size
    kind = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Conv", ["image", "weights", "bias"], ["logits"])],
        "four",
        [onnx.helper.make_tensor_value_info("image", kind, ["batch", 4, side, side])],
        [onnx.helper.make_tensor_value_info("logits", kind, ["batch", 3, side, side])],
        [
            onnx.numpy_helper.from_array(weights, "weights"),
            onnx.numpy_helper.from_array(np.full(3, -2, np.float32), "bias"),
        ],
    )
    texts = {one.key: one.value for one in onnx.load(path.with_suffix(".onnx")).metadata_props}
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    path.with_suffix(".onnx").write_bytes(model.SerializeToString())
    write_properties(path.with_suffix(".onnx"), texts | {NETWORK_KEY: hash_network(path.with_suffix(".onnx"))})
    return path


def write_scan(folder: Path, slices: int = 5, side: int = 40) -> list[Path]:
    """A scan of four sequences and its truth, named as in BraTS; each sequence is bright in a square of its own."""
    words = ("flair", "t1", "t1ce", "t2", "seg")
    random = np.random.default_rng(0)
    paths = []
    for number, word in enumerate(words):
        planes: list[Array] = []
        for place in range(slices):
            plane = random.integers(10, 40, (side, side)).astype(np.int16)
            plane[10 + number : 30 - 2 * number, 10 : 30 - 2 * number] += np.int16(200 * (0 < place < slices - 1))
            planes.append(plane)
        paths.append(save_volume(folder / f"BraTS2021_00007_{word}.nii.gz", planes, (2, 1, 1)))
    return paths


@pytest.fixture(scope="session")
def four(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model_of_four(tmp_path_factory.mktemp("four"))


@pytest.fixture(scope="session")
def client(four: Path) -> Iterator[TestClient]:
    """With the tiny frozen model of 0.1.0, and one of four channels, beside `builtin`."""
    with opened(AppSettings({"tiny": RUN / "model.safetensors", "four": four}, "tiny")) as made:
        yield made


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder with the frozen run, whose page is a text, and what must not be reached from it."""
    root = tmp_path / "runs"
    shutil.copytree(RUN, root / "frozen")
    (root / "frozen" / "report.html").write_text("<!doctype html><title>A report</title><script>1</script>")
    (root / "frozen" / "pictures").mkdir()
    (root / "frozen" / "pictures" / "0.png").write_bytes(png())
    (tmp_path / "secret.html").write_text("secret")
    (root / "frozen" / "link.html").symlink_to(tmp_path / "secret.html")
    return root
