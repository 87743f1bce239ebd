"""A network rounded to int8 is a file of its own, which only its own model takes, and nearly answers as before."""

import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("nncf")
pytest.importorskip("onnxruntime")

from tests.conftest import Program
from tumorline import api
from tumorline.errors import UserError
from tumorline.inference.model import load
from tumorline.model_info import PrecisionChange

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]


@pytest.fixture
def own_run(tiny_run: Path, tmp_path: Path) -> Path:
    """A copy of the run, beside whose model a rounded network may be put."""
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


def test_a_rounded_network_is_used_beside_its_own_model_only(
    own_run: Path, tiny_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: Program
) -> None:
    monkeypatch.setattr("tumorline.quantise.IMAGES", 4)
    monkeypatch.setattr("tumorline.quantise.CHECKED", 4)
    beside = own_run / "model.int8.onnx"
    missing = program("predict", tiny_source, "--model", own_run, "--precision", "int8")
    assert (missing.status, "model.int8.onnx: not there; write it with: tumorline export" in missing.err) == (2, True)

    monkeypatch.setattr(PrecisionChange, "of", lambda values, *_: ACCEPTED if values else pytest.fail("asked"))
    written, said = api.export_rounded(own_run, beside, data=tiny_source)
    assert written == beside
    assert said[0].startswith("int8: the Dice changes by +0.0010 in the mean and by 0.010 at most")

    exact, rounded = load(own_run), load(own_run, precision="int8")
    image = np.random.default_rng(0).normal(size=(2, 1, *exact.info.network_size)).astype(np.float32)
    answers = [exact.runtime(image), rounded.runtime(image)]
    apart = np.abs(answers[0] - answers[1]).mean()
    assert 0 < apart < 0.3 * answers[0].std()
    other = load(own_run, precision="int8", runtime="onnxruntime").runtime(image)
    assert np.abs(other - answers[1]).mean() < apart
    assert rounded.fingerprint != exact.fingerprint
    with pytest.raises(UserError, match="in which torch does not compute"):
        load(own_run, precision="int8", runtime="torch")

    beside.write_bytes(beside.read_bytes().replace(b"tumorline_network", b"tumorline_netwerk"))
    with pytest.raises(UserError, match="was changed after it was written, or belongs to another"):
        load(own_run, precision="int8")


ACCEPTED = PrecisionChange(cases=4, mean=0.001, largest=0.01, runtime="openvino", processor="of a test")
REFUSED = ACCEPTED.model_copy(update={"mean": -0.05})


def test_a_network_that_rounding_changes_too_much_is_not_written(
    own_run: Path, tiny_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tumorline.quantise.IMAGES", 2)
    monkeypatch.setattr("tumorline.quantise.CHECKED", 2)
    monkeypatch.setattr(PrecisionChange, "of", lambda *_: REFUSED)
    with pytest.raises(UserError, match="nothing is written"):
        api.export_rounded(own_run, tmp_path / "x.onnx", data=tiny_source)
    assert not (tmp_path / "x.onnx").exists()
    with pytest.raises(UserError, match="only an ONNX network is rounded"):
        api.export_rounded(own_run, tmp_path / "x.xml", format="openvino")
