"""Every library that runs networks gives the same answer, to several threads, and says in a line what it cannot do."""

import json
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tumorline
from tests.conftest import Program
from tumorline.config import DataConfig
from tumorline.data.dataset import load_dataset
from tumorline.errors import UserError
from tumorline.evaluation.precision import chosen_cases, describe_changes, measure_changes
from tumorline.inference.model import AUTO, Model, fastest_verified, load
from tumorline.model_info import PrecisionChange
from tumorline.runtime import PRECISIONS, RUNTIMES, RuntimeOptions, can_compute, compiled, open_runtime

pytestmark = pytest.mark.filterwarnings("ignore::tumorline.errors.UserNotice")
DOCUMENT = Path(__file__).parents[2] / "docs" / "python.md"
GOLDEN = Path(__file__).parents[1] / "golden" / "model.safetensors"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(params=RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> str:
    pytest.importorskip(RUNTIMES[request.param].needs)
    return str(request.param)


def images(count: int) -> np.ndarray:
    info = load(GOLDEN).info
    shape = (count, info.architecture.channels, *info.network_size)
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_the_answer_is_that_of_openvino_for_any_batch(runtime: str) -> None:
    expected = load(GOLDEN).runtime(images(5))
    model = load(GOLDEN, runtime=runtime)
    assert np.allclose(model.runtime(images(5)), expected, atol=1e-4)
    assert np.allclose(model.runtime(images(5)[:1]), expected[:1], atol=1e-4)
    assert model.runtime(images(1)).dtype == np.float32


def test_several_threads_may_ask_at_a_time(runtime: str) -> None:
    model = load(GOLDEN, runtime=runtime, requests=2)
    batch = images(8)
    expected = model.runtime(batch)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(model.runtime, [batch[[number]] for number in range(8)] * 3))
    assert np.allclose(np.concatenate(found[:8]), expected, atol=1e-5)
    assert np.allclose(np.concatenate(found[16:]), expected, atol=1e-5)


def test_a_reduced_precision_computes_another_way_and_nearly_the_same(runtime: str) -> None:
    exact = load(GOLDEN, runtime=runtime).runtime(images(2))
    reduced = [name for name in PRECISIONS[1:] if can_compute(name, runtime)]
    for name in reduced:
        found = load(GOLDEN, precision=name, runtime=runtime).runtime(images(2))
        assert 0 < np.abs(found - exact).max() < 0.05 * np.abs(exact).max()
    for name in {*PRECISIONS} - {*reduced, "float32"}:
        with pytest.raises(UserError, match=f"precision is {name}, in which {runtime} does not compute on this"):
            load(GOLDEN, precision=name, runtime=runtime)


def test_a_missing_file_is_one_line(runtime: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"x\.(onnx|safetensors)"):
        open_runtime(tmp_path / "x.safetensors", name=runtime)


def test_what_is_no_runtime_or_no_precision_is_one_line(program: Program, tmp_path: Path) -> None:
    for option, said in (("--runtime=openvin", "did you mean 'openvino'"), ("--precision=bfloat", "did you mean 'bfl")):
        result = program("predict", GOLDEN, "--model", GOLDEN, option)
        assert (result.status, said in result.err) == (2, True), result.err


def verified(model: Model, **mean: float) -> Model:
    changes = {
        name: PrecisionChange(cases=9, mean=value, largest=0.02, runtime="openvino") for name, value in mean.items()
    }
    return Model(model.path, model.info.with_metrics(precisions=changes), model.runtime)


@pytest.mark.parametrize(
    ("changes", "is_verified"),
    [
        ([0.0] * 9 + [0.0999], False),  # a mean of 0.00999
        ([0.0] * 99 + [0.0999], True),
        ([0.0] * 99 + [-0.1001], False),  # one of a hundred
        ([0.0] * 999 + [-0.1001], True),  # one of a thousand
        ([0.0] * 1998 + [-0.2, 0.2, 0.2], False),
        ([0.0] * 9999 + [None], False),
        ([None], False),
    ],
)
def test_a_precision_is_verified_by_the_share_of_cases_that_change_much(
    changes: list[float | None], is_verified: bool
) -> None:
    assert PrecisionChange.of(changes, "openvino", "").verified == is_verified


def test_a_precision_that_does_not_hold_the_numbers_of_a_network_is_not_verified(
    tiny_run: Path, tiny_source: Path
) -> None:
    model = load(tiny_run)
    overflowing = replace(model, runtime=lambda squares: np.full_like(model.runtime(squares), np.inf))
    dataset = load_dataset(tiny_source, DataConfig(image_size=32))
    changes = measure_changes(
        model, {"float16": overflowing, "bfloat16": model}, dataset, [case.id for case in dataset.cases[:3]]
    )
    assert (changes["float16"].unanswered, changes["float16"].verified) == (changes["float16"].cases, False)
    assert (changes["bfloat16"].unanswered, changes["bfloat16"].verified) == (0, True)
    [of_float16, _] = describe_changes(changes)
    assert "; 3 have no finite answer (" in of_float16
    assert of_float16.endswith("not verified, so that auto leaves it out")


def test_of_a_file_that_does_not_count_large_changes_one_is_too_many() -> None:
    assert PrecisionChange(cases=2000, mean=0, largest=0.1).verified
    assert not PrecisionChange(cases=2000, mean=0, largest=0.1001).verified


def test_auto_takes_what_was_verified_and_the_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    model = load(GOLDEN, precision=AUTO)
    assert model.precision == "float32"  # nothing was verified
    able = {"bfloat16"}
    monkeypatch.setattr("tumorline.inference.model.can_compute", lambda name, _: name in able)
    assert fastest_verified(verified(model, bfloat16=0.001, float16=0.001).info) == "bfloat16"
    assert fastest_verified(verified(model, bfloat16=-0.02).info) == "float32"
    able = {"bfloat16", "float16"}
    assert fastest_verified(verified(model, bfloat16=0.001, float16=0.001).info) == "float16"
    able = set()
    assert fastest_verified(verified(model, bfloat16=0.001).info) == "float32"


def kept(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache" / "tumorline" / compiled.FOLDER).glob("*"))


def test_a_compiled_network_is_kept_for_each_precision_and_taken_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load(GOLDEN).runtime(images(2))
    (path,) = kept(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("tumorline.runtime.openvino.read_network", lambda _: pytest.fail("compiled again"))
        assert np.array_equal(load(GOLDEN).runtime(images(2)), first)
    load(GOLDEN, requests=2)
    assert len(kept(tmp_path)) == 2
    assert path in kept(tmp_path)


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "folder", "strange"])
def test_a_damaged_one_is_made_again(tmp_path: Path, damage: str) -> None:
    first = load(GOLDEN).runtime(images(2))
    (path,) = kept(tmp_path)
    whole = path.read_bytes()
    middle = len(whole) // 2
    if damage == "folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(
            {
                "cut": whole[:middle],
                "changed": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
                "empty": b"",
                "strange": b"{}\n" + compiled._checksum(b"{}", b"x").encode() + b"\nx",
            }[damage]
        )
    assert np.array_equal(load(GOLDEN).runtime(images(2)), first)
    assert path.is_dir() or compiled.KeptNetwork(path).read() is not None


def test_another_file_another_version_and_another_processor_are_compiled_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx = GOLDEN.with_suffix(".onnx")
    names = [compiled.find_compiled(onnx, {"A": "1"}).path, compiled.find_compiled(onnx, {"A": "2"}).path]
    monkeypatch.setattr(compiled, "machine", lambda: {"processor": "another"})
    names.append(compiled.find_compiled(onnx, {"A": "1"}).path)
    monkeypatch.setattr("tumorline.runtime.compiled.metadata.version", lambda _: "0")
    names.append(compiled.find_compiled(onnx, {"A": "1"}).path)
    other = Path(tumorline.__file__).parent / "weights" / "builtin.onnx"
    names.append(compiled.find_compiled(other, {"A": "1"}).path)
    assert len(set(names)) == 5


def test_a_cache_that_cannot_be_written_and_old_networks_cost_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "MOST", 2)
    for requests in (1, 2, 3):
        open_runtime(GOLDEN, RuntimeOptions(requests=requests))
    assert len(kept(tmp_path)) == 2
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert load(GOLDEN).runtime(images(1)).shape[0] == 1


def test_a_training_measures_what_a_reduced_precision_costs_and_the_card_says_it(tiny_run: Path) -> None:
    able = [name for name in PRECISIONS[1:] if can_compute(name)]
    changes = load(tiny_run).info.metrics.precisions
    assert list(changes) == able
    for name, change in changes.items():
        assert change.largest >= abs(change.mean)
        assert change.cases > 0
        assert f"In {name} instead of float32 the Dice changes by" in (tiny_run / "MODEL_CARD.md").read_text()
    assert load(tiny_run, precision=AUTO).precision in {"float32", *able}


def test_of_pictures_beside_volumes_both_are_looked_at() -> None:
    """A volume has many slices, a picture one: 5 of the one and 200 of the other."""
    cases = [SimpleNamespace(is_volume=number < 9) for number in range(300)]
    names = [str(number) for number in range(300)]
    dataset = SimpleNamespace(case=lambda name: cases[int(name)])
    found = [cases[int(name)].is_volume for name in chosen_cases(dataset, names)]  # type: ignore[arg-type]
    assert (found.count(False), found.count(True)) == (200, 5)


def test_every_output_says_in_which_precision_it_was_computed(
    tiny_run: Path, tiny_source: Path, tmp_path: Path, program: Program
) -> None:
    images = tiny_source / "images"
    assert program("evaluate", tiny_run, "--output", tmp_path / "e").status == 0
    summary = json.loads((tmp_path / "e" / "summary.json").read_text())
    assert summary["conventions"]["precision"] == "the network computed in float32, by openvino"
    assert program("predict", images, "--model", tiny_run, "--output", tmp_path / "p", "--no-overlay").status == 0
    told = json.loads((tmp_path / "p" / "predictions.json").read_text())
    assert (told["precision"], told["runtime"]) == (load(tiny_run, precision=AUTO).precision, "openvino")
    assert "overlay" not in told["predictions"][0]
    assert not list((tmp_path / "p").rglob("*_overlay.png"))
    if can_compute("bfloat16"):
        result = program("evaluate", tiny_run, "--output", tmp_path / "b", "--precision", "bfloat16", "--json")
        assert json.loads(result.out)["conventions"]["precision"] == "the network computed in bfloat16, by openvino"


FIRST_ANSWERS = """
import sys
from threading import Barrier, Thread
import numpy as np
from tumorline.inference.model import load
model = load(sys.argv[1], requests=4)
image = np.zeros((1, 1, *model.info.network_size), np.float32)
ready = Barrier(4)
sys.setswitchinterval(1e-6)
threads = [Thread(target=lambda: (ready.wait(), model.runtime(image))) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


@pytest.mark.slow
def test_threads_that_ask_for_the_first_answer_at_once_do_not_wait_for_one_another_for_ever() -> None:
    """One process in four did, before the first answer was asked for by one thread alone."""
    for _ in range(12):
        subprocess.run([sys.executable, "-c", FIRST_ANSWERS, str(GOLDEN)], check=True, timeout=60)


def test_the_example_with_the_onnx_file_alone_gives_the_mask_of_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    (example,) = (code for code in blocks_of(DOCUMENT) if "InferenceSession" in code)
    monkeypatch.chdir(tmp_path)
    model = load("builtin")
    shutil.copy(model.path.with_suffix(".onnx"), "model.onnx")
    grey = np.asarray(Image.open(GOLDEN.with_name("builtin") / "slice.png"))[:, 40:]
    Image.fromarray(grey).save("slice.png")
    found: dict[str, Any] = {}
    exec(example, found)
    expected = model.mask(grey)[0]
    assert found["mask"].shape == (128, 88)
    assert np.count_nonzero(expected) > 100
    assert np.abs(found["native"] - model.probability(grey[None].astype(np.float32))[0]).max() < 1e-3
    assert np.count_nonzero(found["mask"] != expected) < 10


def blocks_of(document: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL)
