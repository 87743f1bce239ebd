"""The scripts that ship a model of nine cases, and that hold simulated volumes against real ones."""

import csv
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

import tumorline
from tests.conftest import Program, blob
from tests.report.evaluated import REGIONS, evaluated
from tumorline.model_file import LISTED, read_content, read_info, save_model
from tumorline.model_info import ModelInfo

pytest.importorskip("torch")
SPACE = (12, 24, 24)
SCRIPTS = Path(__file__).parents[1] / "benchmarks"
CHANGES = """case,processor,"openvino, bfloat16","torch, float32"
a,P,0.000,0.5
b,Q,0.000,0.5
not tried,P,,0.5
c,P,0.003,0.5
"""
"""Of the Dice in other precisions, as benchmarks/runtimes.py keeps them."""


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The benchmark scripts can be imported."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(SCRIPTS))
    yield
    for name in ("ship", "volumes", "sim_to_real", "runtimes"):
        if name not in before:
            sys.modules.pop(name, None)


@pytest.fixture
def ship(scripts: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    import ship

    (tmp_path / "listed").mkdir()
    (tmp_path / "changes.csv").write_text(CHANGES)
    monkeypatch.setattr(ship, "kept_changes", lambda _: tmp_path / "changes.csv")
    monkeypatch.setattr(ship, "LISTED", tmp_path / "listed")
    monkeypatch.setattr("tumorline.model_file.LISTED", tmp_path / "listed")
    assert isinstance(ship, ModuleType)
    return ship


def a_run(folder: Path, trained_on_all: bool = True) -> Path:
    """The model that comes with the package, named as one of whole tumours, stands in for one of BraTS."""
    folder.mkdir(parents=True, exist_ok=True)
    for suffix in (".safetensors", ".onnx"):
        shutil.copyfile(LISTED / f"builtin{suffix}", folder / f"model{suffix}")
    info = read_info(folder / "model.safetensors")
    every = sorted(name for part in info.known_cases.contents.values() for name in part)
    known = {"train": every} if trained_on_all else {"train": every[::2], "test": every[1::2]}
    changes = {"regions": ["whole_tumour"], "known_cases": info.known_cases.model_copy(update={"contents": known})}
    info = info.model_copy(update=changes)
    save_model(folder / "model.safetensors", read_content(folder / "model.safetensors").weights, info)
    return folder


def some_folds(folder: Path, trivial: float = 0.2, lost: int | None = None) -> Path:
    """One finished fold of five artificial volumes, and what trivial answers reach on them."""
    fold = a_run(folder / "fold-0", trained_on_all=False)
    evaluated(fold, SPACE, cases=5, lost=lost)
    shutil.copyfile(fold / "summary.json", folder / "summary.json")
    (fold / "report.html").touch()
    (fold / "config.toml").write_text('[data]\nsource = "/somewhere"\n[model]\nstart_from = "/elsewhere"\n')
    with (fold / "baselines.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["case", "patient", "region", "baseline", "dice"])
        writer.writerows([f"scan{number}", "P", region, "otsu", trivial] for number in range(5) for region in REGIONS)
    return folder


def test_a_model_of_nine_cases_ships_with_the_figures_of_its_folds(
    ship: ModuleType, tmp_path: Path, program: Program
) -> None:
    paths = ship.ship_brats(a_run(tmp_path / "final"), some_folds(tmp_path / "folds"))
    assert [path.name for path in paths] == [f"builtin-brats{end}" for end in (".safetensors", ".onnx", ".md")]
    card = paths[2].read_text()
    assert card.startswith("# Model card: builtin-brats: 9 cases, a demonstration\n")
    for words in (
        "**Choosing between designs on these folds makes them optimistic**",
        "doi 10.7937/jc8x-9874, CC BY 4.0",
        "not a\nmedical device",
        "| case | whole tumour | tumour core | enhancing tumour |",
        "| scan4 | 0.",
        "| none |",
        "| **median** |",
        "| range |",
        "In bfloat16 instead of float32 the Dice changes by +0.0010 in the mean and by 0.003 at most\n  (3 regions",
    ):
        assert words in card
    info = read_info(paths[0])
    headline = info.metrics.headline or {}
    assert (info.name, headline["headline_status"]) == ("builtin-brats", ["out of fold"])
    assert set(headline["regions"]) == set(REGIONS)
    assert "TCIA" in info.licence
    done = program("models")
    assert "builtin-brats" in done.out
    assert "9 cases, a demonstration" in done.out
    Image.fromarray(blob(64, 0)[0]).save(tmp_path / "scan.png")
    (row,) = tumorline.predict(tmp_path / "scan.png", "builtin-brats", tmp_path / "out")
    assert row["error"] is None


def test_one_that_trivial_answers_beat_or_that_misses_tumours_does_not(ship: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"no better than 'otsu' with 0\.990: not to be shipped"):
        ship.ship_brats(a_run(tmp_path / "run"), some_folds(tmp_path / "weak", trivial=0.99))
    with pytest.raises(SystemExit, match=r"whole tumour: median Dice 0\.000, at least 0\.75 is needed"):
        ship.ship_brats(a_run(tmp_path / "run"), some_folds(tmp_path / "blind", trivial=0.0, lost=0))
    assert not list((tmp_path / "listed").iterdir())


def test_one_of_another_kind_or_of_other_cases_does_not(ship: ModuleType, tmp_path: Path) -> None:
    folds, run = some_folds(tmp_path / "folds"), a_run(tmp_path / "run")
    content, info = ship.read_content(run / "model.safetensors"), read_info(run / "model.safetensors")
    more = info.known_cases.model_copy(update={"contents": {"train": ["of another set"]}})
    save_model(run / "model.safetensors", content.weights, info.model_copy(update={"known_cases": more}))
    for other in (run, a_run(tmp_path / "part", trained_on_all=False)):
        with pytest.raises(SystemExit, match="not trained on all cases of"):
            ship.ship_brats(other, folds)
    wider = info.architecture.model_copy(update={"options": {"encoder": "resnet18"}})
    save_model(run / "model.safetensors", content.weights, info.model_copy(update={"architecture": wider}))
    with pytest.raises(SystemExit, match="another network, input, regions or post-processing than those of"):
        ship.ship_brats(run, folds)


def test_one_that_left_out_a_hundredth_of_the_cases_ships_and_one_of_fewer_does_not(
    ship: ModuleType, tmp_path: Path
) -> None:
    folds, info = some_folds(tmp_path / "folds"), read_info(a_run(tmp_path / "run") / "model.safetensors")
    every = info.known_cases.contents["train"]

    def without(count: int) -> ModelInfo:
        known = info.known_cases.model_copy(update={"contents": {"train": every[count:]}})
        return info.model_copy(update={"known_cases": known})

    few = len(every) // 100
    assert few > 1
    ship.refuse_strangers(without(few), [], folds)
    with pytest.raises(SystemExit, match=rf"not trained on all cases of {re.escape(str(folds))}, or on others"):
        ship.refuse_strangers(without(few + 1), [], folds)


def test_what_the_folds_start_from_was_tested_on_is_not_theirs(ship: ModuleType, tmp_path: Path) -> None:
    for fold in ("fold-0", "fold-1"):
        other = "fold-1" if fold == "fold-0" else "fold-0"
        model = a_run(tmp_path / fold) / "model.safetensors"
        parts = {"train": ["simulated", other], "validation": ["chosen"], "test": ["kept apart", fold]}
        info = read_info(model)
        known = info.known_cases.model_copy(update={"contents": parts})
        save_model(model, read_content(model).weights, info.model_copy(update={"known_cases": known}))
    assert ship.cases_of([tmp_path / "fold-0", tmp_path / "fold-1"]) == {"simulated", "fold-0", "fold-1"}


def test_three_trainings_stand_beside_each_other_case_by_case(
    scripts: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sim_to_real

    output, said = tmp_path / "out", list[list[str]]()

    def pretend(*arguments: str) -> None:
        said.append([*arguments])
        if arguments[0] == "evaluate":
            evaluated(output / "on_real", SPACE, cases=5, lost=0)
        elif arguments[0] == "folds":
            some_folds(Path(arguments[arguments.index("--output") + 1]))

    monkeypatch.setattr(sim_to_real, "tumorline", pretend)
    page = tmp_path / "page.md"
    given = ["x", "--real", str(tmp_path), "--output", str(output), "--page", str(page), "--volumes", "40"]
    monkeypatch.setattr(sys, "argv", given)
    sim_to_real.main()
    assert [words[0] for words in said] == ["folds", "data", "train", "evaluate", "folds"]
    assert "data.patches=5" in said[2], "21 of each of seven cases, shared by 32 volumes"
    assert f"model.start_from={output / 'simulated' / 'model.safetensors'}" in said[4]
    assert "train.learning_rate=0.001" in said[4]
    assert not [word for word in said[0] if "start_from" in word]
    assert all("train.precision=bfloat16" in said[number] for number in (0, 2, 4))
    text = page.read_text()
    assert text.count("| case | true ml | simulated only | pre-trained | from scratch |") == 3
    whole = next(line for line in text.splitlines() if line.startswith("| scan0 |"))
    assert whole.split(" | ")[2:] == ["0.000", "1.000", "1.000 |"]
    assert "none; 0." in text
    kept = tmp_path / "results" / "sim_to_real" / "pre-trained" / "fold-0" / "config.toml"
    assert kept.read_text() == "[data]\n[model]\n"
    assert np.isclose(float(next(line for line in text.splitlines() if line.startswith("| median")).split(" | ")[2]), 0)
