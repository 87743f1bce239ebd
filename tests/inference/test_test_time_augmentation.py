import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

import tumorline
from tests.conftest import PairFolder, Program, blob
from tumorline.arrays import Float32Array
from tumorline.errors import UserError
from tumorline.inference.model import TTA, Model
from tumorline.model_file import BUILTIN, find_model, read_info
from tumorline.runtime import Runtime

SQUARE = np.log(np.array([[1, 3], [7, 1 / 3]], np.float32))
"""Logits of the probabilities 1/2, 3/4, 7/8 and 1/4."""


def model(runtime: Runtime, tta: str, size: int) -> Model:
    info = read_info(find_model(Path(BUILTIN))).model_copy(update={"image_size": size, "temperature": 1.0})
    return Model(Path("none"), info, runtime, tta)


def always_the_same(images: Float32Array) -> Float32Array:
    return np.broadcast_to(SQUARE, (len(images), 1, 2, 2)).astype(np.float32)


def identity(images: Float32Array) -> Float32Array:
    return images


@pytest.mark.parametrize(
    ("tta", "expected"),
    [
        ("none", [[1 / 2, 3 / 4], [7 / 8, 1 / 4]]),
        ("flips", [[19 / 32] * 2] * 2),
        ("all", [[19 / 32] * 2] * 2),
    ],
)
def test_a_network_that_knows_only_places_is_averaged_over_them(tta: str, expected: list[list[float]]) -> None:
    answer = model(always_the_same, tta, 2).probability(np.arange(4.0, dtype=np.float32).reshape(1, 2, 2))
    assert np.allclose(answer[0], expected, atol=1e-6)


def test_the_flips_leave_rows_and_columns_apart() -> None:
    def rows(images: Float32Array) -> Float32Array:
        return np.broadcast_to(np.array([[0], [np.log(3)], [0]], np.float32), (len(images), 1, 3, 3)).copy()

    image = np.arange(9.0, dtype=np.float32).reshape(1, 3, 3)
    flips, everything = (model(rows, tta, 3).probability(image)[0] for tta in ("flips", "all"))
    assert np.allclose(flips, [[0.5] * 3, [0.75] * 3, [0.5] * 3])
    assert np.allclose(everything, [[0.5, 0.625, 0.5], [0.625, 0.75, 0.625], [0.5, 0.625, 0.5]])


@pytest.mark.parametrize("tta", TTA)
def test_a_network_that_ignores_orientation_answers_the_same(tta: str) -> None:
    image = np.random.default_rng(0).normal(size=(1, 20, 30)).astype(np.float32)
    plain = model(identity, "none", 16).probability(image)
    assert np.allclose(model(identity, tta, 16).probability(image), plain, atol=1e-6)


def test_every_copy_is_asked_once() -> None:
    asked: list[npt.NDArray[np.float32]] = []

    def note(images: Float32Array) -> Float32Array:
        asked.append(images)
        return images

    image = np.random.default_rng(0).normal(size=(1, 8, 8)).cumsum(1).cumsum(2).astype(np.float32)
    for tta, copies in (("none", 1), ("flips", 4), ("all", 8)):
        asked.clear()
        model(note, tta, 8).probability(image)
        assert len({copy.tobytes() for batch in asked for copy in batch}) == copies


@pytest.mark.parametrize(("tta", "turns"), [("flips", (0, 2)), ("all", (0, 1, 2, 3))])
def test_a_turned_picture_gives_the_turned_mask(tiny_run: Path, tta: str, turns: tuple[int, ...]) -> None:
    network = tumorline.load(tiny_run, tta=tta)
    image = blob(32, 4)[0][None].astype(np.float32)
    straight = network.probability(image)
    for turn in turns:
        turned = np.rot90(image[..., ::-1], turn, (1, 2))
        assert np.allclose(network.probability(turned), np.rot90(straight[..., ::-1], turn, (1, 2)), atol=1e-5)
        assert np.array_equal(
            network.mask(turned), np.rot90(straight[..., ::-1], turn, (1, 2)) >= network.info.threshold
        )
    plain = tumorline.load(tiny_run)
    assert not np.allclose(plain.probability(image[..., ::-1]), plain.probability(image)[..., ::-1], atol=1e-4)


def test_predictions_and_summary_say_it(tiny_run: Path, tmp_path: Path) -> None:
    Image.fromarray(blob(32, 0)[0]).save(tmp_path / "scan.png")
    tumorline.predict(tmp_path / "scan.png", tiny_run, tmp_path / "out", tta="flips")
    assert json.loads((tmp_path / "out" / "predictions.json").read_text())["tta"] == "flips"
    folder = PairFolder(tmp_path / "new")(patients=2, slices=1, first_seed=900)
    summary = tumorline.evaluate(tiny_run, folder, output=tmp_path / "flips", tta="flips")
    assert summary["operating_point"]["tta"] == "flips"
    said = "probabilities are the mean over 4 copies of the picture (flips), each brought back"
    assert summary["conventions"]["test_time_augmentation"] == said
    assert said in (tmp_path / "flips" / "report.html").read_text()
    plain = tumorline.evaluate(tiny_run, folder, output=tmp_path / "plain")
    assert plain["operating_point"]["tta"] == "none"
    assert "test_time_augmentation" not in plain["conventions"]


def test_a_matrix_takes_it_too(tiny_run: Path, tmp_path: Path) -> None:
    folder = PairFolder(tmp_path / "new")(patients=2, slices=1, first_seed=900)
    tumorline.cross_evaluate([tiny_run, BUILTIN], [str(folder)], output=tmp_path / "matrix", tta="flips")
    cells = [json.loads(path.read_text()) for path in (tmp_path / "matrix").glob("*/summary.json")]
    assert [cell["operating_point"]["tta"] for cell in cells] == ["flips", "flips"]


@pytest.mark.parametrize("command", [("predict", "."), ("evaluate", "builtin", "--data", ".")])
def test_an_unknown_value_is_one_line_and_status_2(program: Program, tmp_path: Path, command: tuple[str, ...]) -> None:
    shown = program(*command, "--tta", "flip", "--output", tmp_path / "out")
    assert shown == (2, "", "error: tta is 'flip'; did you mean 'flips'?\n")
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match="tta is 'zoom'; known: all, flips, none"):
        tumorline.load(BUILTIN, tta="zoom")
