import csv
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

import tumorline
from tests.conftest import TINY
from tumorline.config import load_config
from tumorline.cross_validation import gather, summarise_folds
from tumorline.errors import UserError
from tumorline.evaluation.summary import without_own
from tumorline.evaluation.tables import read_rows
from tumorline.inference.model import load as load_model
from tumorline.model_file import read_content
from tumorline.results import ResultWarning, WarningCode, read_summary

pytest.importorskip("torch")

FROZEN = Path(__file__).parent / "frozen" / "0.1.0" / "run"
FEW = (
    "FEW VALIDATION PATIENTS: 2 patients chose epoch, temperature and threshold; "
    "give validation more patients (split.validation)"
)


def cross_validate(source: Path, output: Path, *more: str, only: tuple[int, ...] = ()) -> Path:
    cache = f"data.cache='{source.parent / 'cache'}'"
    overrides = [*TINY, cache, "split.folds=2", "train.epochs=2", *more]
    return tumorline.cross_validate(data=source, overrides=overrides, output=output, only=only)


def column(path: Path, name: str) -> list[str]:
    with path.open(newline="") as file:
        return [row[name] for row in csv.DictReader(file)]


def test_every_case_is_scored_once_and_by_the_fold_that_did_not_train_on_it(tiny_folds: Path) -> None:
    assert sorted(column(tiny_folds / "evaluation.csv", "case")) == sorted(
        column(tiny_folds / "fold-0/split.csv", "case")
    )
    assert set(column(tiny_folds / "evaluation.csv", "status")) == {"test"}
    assert len(list((tiny_folds / "predictions").glob("*.png"))) == 40
    summary = json.loads((tiny_folds / "summary.json").read_text())
    assert summary["warning_codes"][-2:] == ["one_fold", "one_fold"]
    assert (summary["cases"], summary["patients"]) == (40, 20)
    assert [
        warning.text.partition(":")[0] for warning in without_own(read_summary(tiny_folds / "summary.json").warnings)
    ] == ["fold-0", "fold-1"]
    assert f"fold-1: {FEW}" in summary["warnings"]
    assert summary["split"]["origin"] == "out of fold: 2 of 2 folds, by patient, seed 0"
    assert [fold["patients"] for fold in summary["folds"]] == [10, 10]


def test_baselines_are_over_the_cases_of_all_folds(tiny_folds: Path) -> None:
    summary = json.loads((tiny_folds / "summary.json").read_text())
    assert set(summary["baselines"]) == {"all_background", "constant_mask", "otsu_in_head"}
    folds = [json.loads((tiny_folds / f"fold-{fold}" / "summary.json").read_text()) for fold in (0, 1)]
    otsu = [fold["baselines"]["otsu_in_head"]["tumour"]["dice"] for fold in folds]
    assert summary["baselines"]["otsu_in_head"]["tumour"]["dice"] == pytest.approx(sum(otsu) / 2)
    names = [warning.split(" has ")[0] for warning in summary["warnings"]]
    assert len(names) == len(set(names))


def test_the_mean_over_cases_is_that_of_all_folds_together(tiny_folds: Path) -> None:
    summary = json.loads((tiny_folds / "summary.json").read_text())
    dice = [float(value) for value in column(tiny_folds / "evaluation.csv", "dice")]
    assert summary["regions"]["tumour"]["dice"]["mean_over_cases"] == pytest.approx(sum(dice) / 40)
    assert summary["regions"]["tumour"]["dice"]["ci95"] is not None


def test_finished_folds_are_not_trained_again(tiny_folds: Path, tiny_source: Path) -> None:
    before = (tiny_folds / "fold-1" / "model.safetensors").stat().st_mtime_ns
    summary = (tiny_folds / "summary.json").read_bytes()
    cross_validate(tiny_source, tiny_folds)
    assert (tiny_folds / "fold-1" / "model.safetensors").stat().st_mtime_ns == before
    assert (tiny_folds / "summary.json").read_bytes() == summary


@pytest.mark.slow
def test_a_fold_that_was_stopped_goes_on_and_ends_as_if_it_had_not_been(
    tiny_folds: Path, tiny_source: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_folds, tmp_path / "folds"))
    for name in ("report.html", "model.safetensors", "model.onnx"):
        (folder / "fold-1" / name).unlink()
    cross_validate(tiny_source, folder)
    models = [path / "fold-1" / "model.safetensors" for path in (tiny_folds, folder)]
    assert models[0].read_bytes() == models[1].read_bytes()


@pytest.mark.slow
def test_what_follows_the_training_is_done_anew_without_one(
    tiny_folds: Path, tiny_source: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_folds, tmp_path / "folds"))
    before = load_model(folder / "fold-0").info
    settings = "model.threshold=0.99999", "model.postprocessing.least_relative_peak=0.5"
    cross_validate(tiny_source, folder, *settings, only=(0,))
    warnings = read_summary(folder / "summary.json").warnings
    assert "1 OF 2 FOLDS: the others are not finished" in [warning.text for warning in warnings]
    cross_validate(tiny_source, folder, *settings)
    weights = [read_content(path / "fold-1" / "model.safetensors").weights for path in (tiny_folds, folder)]
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])
    for fold in ("fold-0", "fold-1"):
        info = load_model(folder / fold).info
        assert (info.threshold, info.postprocessing.least_relative_peak) == (0.99999, 0.5)
        assert (folder / fold / "history.csv").read_bytes() == (tiny_folds / fold / "history.csv").read_bytes()
        looks = [len((path / fold / "test_uses.jsonl").read_text().splitlines()) for path in (tiny_folds, folder)]
        assert looks[1] == looks[0] + 1
    assert before.postprocessing.least_relative_peak == 0
    assert column(folder / "evaluation.csv", "predicted_px") != column(tiny_folds / "evaluation.csv", "predicted_px")


def test_folds_keep_what_they_have_where_other_settings_cannot_be_carried_out(
    tiny_folds: Path, tiny_source: Path, tmp_path: Path
) -> None:
    folder, source = (Path(shutil.copytree(path, tmp_path / path.name)) for path in (tiny_folds, tiny_source))
    for config in folder.glob("**/config.toml"):
        config.write_text(config.read_text().replace(str(tiny_source.parent), str(tmp_path)))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "log.txt"}
    source.rename(tmp_path / "gone")
    with pytest.raises(UserError, match="no such file or folder"):
        cross_validate(source, folder, "model.threshold=0.99999")
    assert {path: path.read_bytes() for path in before if path.is_file()} == before


def test_missing_folds_are_said_in_the_summary_and_the_report(tiny_folds: Path, tmp_path: Path) -> None:
    part = shutil.copytree(tiny_folds, tmp_path / "part")
    shutil.rmtree(part / "fold-1")
    said = [f"fold-0: {FEW}", "1 OF 2 FOLDS: the others are not finished"]
    assert [warning.text for warning in without_own(gather(part).warnings)] == said
    assert "1 OF 2 FOLDS" in (part / "report.html").read_text()


def test_folds_of_which_none_was_begun_stand_in_the_way_of_no_others(
    tiny_run: Path, tiny_source: Path, tmp_path: Path
) -> None:
    for seed in (1, 2):
        with pytest.raises(UserError, match="was trained or tuned on"):
            cross_validate(tiny_source, tmp_path / "folds", f"model.start_from='{tiny_run}'", f"seed={seed}")
    assert "seed = 2" in (tmp_path / "folds" / "config.toml").read_text()


def test_another_configuration_is_refused_in_the_same_folder(tiny_folds: Path, tiny_source: Path) -> None:
    with pytest.raises(UserError, match="holds the folds of another configuration; choose another --output"):
        cross_validate(tiny_source, tiny_folds, "seed=1")


def test_folds_that_do_not_exist_are_refused_before_anything_is_written(tiny_source: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--fold 2: expected 0 to 1, there are 2 folds"):
        cross_validate(tiny_source, tmp_path / "new", only=(2,))
    with pytest.raises(UserError, match=r"split.folds is 0; say how many folds with --set split.folds=5"):
        tumorline.cross_validate(data=tiny_source, output=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def fold_of(
    folder: Path, *warnings: ResultWarning, left_out: Mapping[str, int] = MappingProxyType({}), **conventions: str
) -> Path:
    """A finished fold that says this beside what all say."""
    summary = read_summary(FROZEN / "summary.json")
    more = {"warnings": list(warnings), "conventions": {"miss": "counts 0", **conventions}, "left_out": {**left_out}}
    folder.mkdir()
    (folder / "summary.json").write_text(json.dumps(summary.model_copy(update=more).to_json()))
    return folder


def test_warnings_and_conventions_are_those_of_all_folds_in_any_order(tmp_path: Path) -> None:
    corrected = ResultWarning(code=WarningCode.MASKS_CORRECTED, text="MASKS CORRECTED: 1 of 5 cases")
    other = ResultWarning(code=WarningCode.OTHER_SEQUENCE, text="OTHER SEQUENCE: another one")
    folds = [
        fold_of(tmp_path / "fold-0", corrected, postprocessing="below 100 px"),
        fold_of(tmp_path / "fold-1", other, postprocessing="below 5 px", test_time_augmentation="flips"),
    ]
    first, *others = [row for row in read_rows(FROZEN) if row.status == "test"]
    rows = [replace(first, attributes={"truth": "corrected"}), *others]
    config = load_config(None, ["split.folds=2"])
    cases = len({row.case for row in rows})
    for order in (folds, folds[::-1]):
        found = summarise_folds(config, rows, order)
        assert found.conventions == {
            "miss": "counts 0",
            "postprocessing": "in each fold its own",
            "test_time_augmentation": "in each fold its own",
        }
        assert [warning.text.partition(" is ")[0] for warning in found.warnings] == [
            "OTHER SEQUENCE: another one",
            f"MASKS CORRECTED: 1 of {cases} cases",
        ]


def test_without_corrected_masks_among_the_rows_nothing_is_said_of_them(tmp_path: Path) -> None:
    corrected = ResultWarning(code=WarningCode.MASKS_CORRECTED, text="MASKS CORRECTED: 1 of 5 cases")
    rows = [row for row in read_rows(FROZEN) if row.status == "test"]
    found = summarise_folds(load_config(None, ["split.folds=2"]), rows, [fold_of(tmp_path / "fold-0", corrected)])
    assert [warning.code for warning in found.warnings] == [WarningCode.FOLDS_MISSING]
    assert found.conventions == {"miss": "counts 0"}


def test_cases_are_left_out_that_are_in_no_part_of_any_fold(tmp_path: Path) -> None:
    """A smaller share of the training patients leaves out in one fold whom another tests."""
    rows = [row for row in read_rows(FROZEN) if row.status == "test"]
    folds = [fold_of(tmp_path / name, left_out={"in no part of the split": 2}) for name in ("fold-0", "fold-1")]
    parts = [("excluded", "test", "excluded"), ("test", "excluded", "excluded")]
    for fold, of_cases in zip(folds, parts, strict=True):
        lines = [f"c{number},,,{part}" for number, part in enumerate(of_cases)]
        (fold / "split.csv").write_text("\n".join(["case,patient,class_name,part", *lines, ""]))
    config = load_config(None, ["split.folds=2"])
    assert summarise_folds(config, rows, folds).left_out == {"in no part of the split": 1}
    (folds[1] / "split.csv").write_text("case,patient,class_name,part\nc2,,,train\n")
    assert summarise_folds(config, rows, folds).left_out == {}


def without_last_line(text: str) -> str:
    return "".join(text.splitlines(keepends=True)[:-1])


def with_last_line_twice(text: str) -> str:
    return text + text.splitlines(keepends=True)[-1]


@pytest.mark.parametrize("damage", [without_last_line, with_last_line_twice])
@pytest.mark.parametrize("name", ["evaluation.csv", "baselines.csv", "certainty.csv"])
def test_no_figure_comes_from_a_fold_that_lost_or_doubled_a_row(
    tiny_folds: Path, tmp_path: Path, name: str, damage: Callable[[str], str]
) -> None:
    folds = shutil.copytree(tiny_folds, tmp_path / "folds")
    table = folds / "fold-1" / name
    table.write_text(damage(table.read_text()))
    before = (folds / "summary.json").read_bytes()
    with pytest.raises(UserError, match=rf"fold-1/{name}: .*; evaluate again, or restore it from a copy"):
        gather(folds)
    assert (folds / "summary.json").read_bytes() == before


def test_no_figure_comes_from_the_table_of_another_fold(tiny_folds: Path, tmp_path: Path) -> None:
    folds = shutil.copytree(tiny_folds, tmp_path / "folds")
    shutil.copy(folds / "fold-0" / "evaluation.csv", folds / "fold-1" / "evaluation.csv")
    with pytest.raises(
        UserError, match=r"fold-1/evaluation.csv: its rows do not give the \w+ of tumour in its summary"
    ):
        gather(folds)


def test_a_changed_dice_is_no_figure(tiny_folds: Path, tmp_path: Path) -> None:
    folds = shutil.copytree(tiny_folds, tmp_path / "folds")
    table = folds / "evaluation.csv"
    row = table.read_text().splitlines()[1].split(",")
    table.write_text(table.read_text().replace(f"tumour,{row[5]},", "tumour,0.999,", 1))
    with pytest.raises(UserError, match=r"evaluation.csv: its rows do not give the dice of tumour in its summary.json"):
        tumorline.compare([folds, tiny_folds])
