"""Models by sets: names, settings, what is in-domain, and what is said of a set from elsewhere."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import tumorline
from tests.conftest import PairFolder, blob
from tests.sources import save_volume
from tumorline.audit import describe
from tumorline.cli import app
from tumorline.cross_dataset import _sentence
from tumorline.errors import UserError
from tumorline.files import read_csv
from tumorline.geometry.symmetry import TRANSFORMS, transformed
from tumorline.metrics.figure import UNDEFINED
from tumorline.results import Metrics
from tumorline.results.compared import MatrixCell
from tumorline.source_spec import read_spec


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return PairFolder(tmp_path_factory.mktemp("others") / "others")(patients=3, first_seed=600)


@pytest.fixture(scope="module")
def free(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("free") / "free"
    folder.mkdir()
    for number in range(4):
        Image.fromarray(blob(32, 800 + number)[0]).save(folder / f"h{number}.png")
    return folder


def test_a_matrix_tells_in_domain_from_external(
    tiny_run: Path, tiny_source: Path, others: Path, free: Path, tmp_path: Path
) -> None:
    data = [f"{tiny_source},name=home", str(others), f"{free},tumour_free=true"]
    result = tumorline.cross_evaluate([tiny_run], data, output=tmp_path / "out")
    cells = {cell["set"]: cell for cell in result["cells"]}
    assert {name: cell["domain"] for name, cell in cells.items()} == {
        "home": "in-domain",
        "others": "external",
        "free": "external",
    }
    headline = json.loads((tiny_run / "summary.json").read_text())["regions"]["tumour"]["dice"]["mean"]
    assert cells["home"]["figures"]["dice"]["mean"] == headline
    assert (cells["others"]["figures"]["tumour_cases"], cells["free"]["figures"]["tumour_free_cases"]) == (6, 4)
    assert [sentence.split(":")[0] for sentence in result["sentences"]] == ["run on others", "run on free"]
    assert f"against {headline:.3f} on home" in result["sentences"][0]
    assert "of 4 slices without one" in result["sentences"][1]
    rows = read_csv(tmp_path / "out" / "matrix.csv")
    assert [row["false_positive_rate"] != "" for row in rows] == [False, False, True]
    by_patient = cells["free"]["figures"]["false_positive"]["mean"]
    assert [row["false_positive_by_patient"] for row in rows] == ["", "", str(by_patient)]
    assert 'href="run--others/report.html"' in (tmp_path / "out" / "matrix.html").read_text()
    assert (tmp_path / "out" / "run--others" / "report.html").is_file()


def test_of_scans_the_matrix_counts_slices(tiny_run: Path, tmp_path: Path) -> None:
    """Two scans of four slices, the first of which has no tumour: no scan is tumour-free, a slice of each is."""
    for number in range(2):
        pictures = [blob(32, 700 + 4 * number + place) for place in range(4)]
        pictures[0] = (pictures[0][0], np.zeros_like(pictures[0][1]))
        for kind, slices in zip(("images", "masks"), zip(*pictures, strict=True), strict=True):
            save_volume(tmp_path / "scans" / kind / f"s{number}.nii.gz", list(slices))
    result = tumorline.cross_evaluate([tiny_run], [str(tmp_path / "scans")], output=tmp_path / "out")
    (cell,) = result["cells"]
    assert cell["figures"]["tumour_free_cases"] == 0
    assert (cell["presence"]["free"], cell["presence"]["tumour"]) == (2, 6)
    assert f"a tumour drawn in {cell['presence']['false_positives']} of 2 slices without one" in result["sentences"][0]
    (row,) = read_csv(tmp_path / "out" / "matrix.csv")
    assert (row["images_free"], row["images_tumour"], row["images_found"]) == ("2", "6", str(cell["presence"]["found"]))
    assert f"<b>{row['images_free_drawn']} of 2</b>" in (tmp_path / "out" / "matrix.html").read_text()


@pytest.mark.parametrize("cases", ["volumes", "slices"])
def test_scans_without_a_tumour_are_not_called_slices(cases: str) -> None:
    told = Metrics.model_construct(
        dice=UNDEFINED,
        lesions=None,
        tumour_cases=0,
        tumour_free_cases=4,
        invented=1,
        truth_ml=UNDEFINED if cases == "volumes" else None,
    )
    cell = MatrixCell.model_construct(model="m", set="s", domain="external", figures=told, region="tumour")
    assert f"a tumour drawn in 1 of 4 {cases} without one" in str(_sentence(cell, [cell]))


def test_a_cell_that_cannot_be_evaluated_says_why_and_the_others_go_on(
    tiny_run: Path, tiny_source: Path, others: Path, tmp_path: Path
) -> None:
    names = [row["case"] for row in read_csv(tiny_run / "split.csv") if row["part"] == "train"][:2]
    for kind in ("images", "masks"):
        (tmp_path / "seen" / kind).mkdir(parents=True)
        for name in names:
            (tmp_path / "seen" / kind / f"{name}.png").symlink_to(tiny_source / kind / f"{name}.png")
    out = tmp_path / "out"
    shown = CliRunner().invoke(
        app, ["evaluate", str(tiny_run), "--data", str(tmp_path / "seen"), "--data", str(others), "--output", str(out)]
    )
    assert shown.exit_code == 2
    assert "run on seen: " in shown.output
    assert "every case is known to this model from its training (2 train)" in shown.output
    cells = json.loads((out / "matrix.json").read_text())["cells"]
    assert [bool(cell["error"]) for cell in cells] == [True, False]
    assert "every case is known" in (out / "matrix.html").read_text()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (["{others}", "{others}"], "two sets are called 'others'; give one another name"),
        (["{others}", "{others}/nowhere"], "nowhere: no such file or folder"),
        (["{others}", "{others},colour=red"], "'colour=red' is no setting of a source; expected PATH,key=value"),
        (["{others}", "{others},name=b,slice_step=none"], "slice_step"),
        (["{others}", "{others},name=LGG/FLAIR"], "a set is called 'LGG/FLAIR', as no folder of results can be"),
        (["{others}", "{others},name="], "a set is called ''"),
    ],
)
def test_bad_sets_are_refused_before_anything_is_written(
    tiny_run: Path, others: Path, tmp_path: Path, data: list[str], message: str
) -> None:
    given = [text.replace("{others}", str(others)) for text in data]
    with pytest.raises(UserError, match=message):
        tumorline.cross_evaluate([tiny_run], given, output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_two_models_of_one_name_are_refused(tiny_run: Path, others: Path) -> None:
    with pytest.raises(UserError, match="a second model called 'run'"):
        tumorline.cross_evaluate([tiny_run, tiny_run / "model.safetensors"], [str(others)])


def test_a_path_with_a_comma_is_a_path(tmp_path: Path) -> None:
    (tmp_path / "a,b").mkdir()
    assert read_spec(str(tmp_path / "a,b")).path == tmp_path / "a,b"
    spec = read_spec(f"{tmp_path},channel=flair,name=x")
    assert (spec.name, spec.settings) == ("x", ("data.channel=flair",))


@pytest.mark.parametrize("number", range(8))
def test_the_turn_that_makes_a_set_lie_as_in_training_is_named(number: int) -> None:
    training = np.zeros((64, 64))
    training[5:60, 10:50] = 0.5
    training[8:20, 12:30] = 1
    lying = transformed(training, number)
    name = describe.orientation([training], lying)
    assert np.array_equal(transformed(lying, TRANSFORMS.index(name)), training)
    assert (name == "identity") == (number == 0)


def test_a_set_may_lie_as_any_of_several_sources() -> None:
    first = np.zeros((64, 64))
    first[5:60, 10:50] = 0.5
    first[8:20, 12:30] = 1
    second = transformed(first, 1)
    assert describe.orientation([first, second], second) == "identity"
    assert describe.orientation([first], second) != "identity"
    third = transformed(first, 6)
    name = describe.orientation([first, second], third)
    assert np.array_equal(transformed(third, TRANSFORMS.index(name)), first)


def test_a_set_without_detail_is_not_called_turned() -> None:
    training = np.random.default_rng(0).random((64, 64))
    assert describe.orientation([training], np.zeros((64, 64))) == "identity"
    assert np.abs(describe.from_text(describe.to_text(training)) - training).max() < 1 / 255
