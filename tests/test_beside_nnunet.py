"""What benchmarks/nnunet.py prepares, times and tells; the trainings themselves are a matter of hours."""

import importlib
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import nibabel
import numpy as np
import pytest

from tumorline.config import load_config
from tumorline.data.joined import load_data

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


Scripts = Callable[[str], ModuleType]


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripts]:
    """Modules of benchmarks/, by name."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module
    for name in {path.stem for path in BENCHMARKS.glob("*.py")} - before:
        sys.modules.pop(name, None)


def opened(path: Path) -> Any:
    return nibabel.load(path)


def save(path: Path, voxels: np.ndarray, affine: np.ndarray) -> None:
    nibabel.save(nibabel.Nifti1Image(voxels, affine), path)  # type: ignore[no-untyped-call]


@pytest.fixture
def case(scripts: Scripts, tmp_path: Path) -> Path:
    """One examination of 6 x 6 x 5 voxels of 1 mm, stored from right to left, with a tumour of 4 x 4 x 4."""
    affine = np.diag([-1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = 10, 20, 30
    labels = np.zeros((6, 6, 5), np.uint8)
    labels[:4, :4, :4] = 2
    labels[:2, :2, :2] = 1
    labels[2:4, :2, :2] = 4
    folder = tmp_path / "brats" / "BraTS2021_00001"
    folder.mkdir(parents=True)
    for number, word in enumerate(scripts("nnunet_data").CHANNELS.values()):
        image = np.arange(180, dtype=np.int16).reshape(6, 6, 5) + 1000 * number
        save(folder / f"{folder.name}_{word}.nii.gz", image, affine)
    save(folder / f"{folder.name}_seg.nii.gz", labels, affine)
    return folder.parent


def test_volumes_are_halved_in_place_and_labels_by_the_half_of_a_block(scripts: Scripts) -> None:
    assert scripts("nnunet_data").halve(np.arange(8, dtype=np.float32).reshape(2, 2, 2)).tolist() == [[[3.5]]]
    assert scripts("nnunet_data").halve(np.ones((3, 2, 5), np.float32)).shape == (2, 1, 3)
    block = np.zeros((2, 2, 2), np.uint8)
    block[0] = 1
    assert scripts("nnunet_data").halve_labels(block).tolist() == [[[1]]]
    block[0, 0, 0] = 0
    assert scripts("nnunet_data").halve_labels(block).tolist() == [[[0]]], "less than half"
    block[:] = [[[1, 2], [2, 3]], [[3, 3], [1, 0]]]
    assert scripts("nnunet_data").halve_labels(block).tolist() == [[[2]]], (
        "seven in the whole, five in the core, three enhance"
    )


def test_a_fold_is_a_folder_that_both_sides_read(scripts: Scripts, case: Path, tmp_path: Path) -> None:
    target = tmp_path / "Dataset300_BraTS3d"
    scripts("nnunet_data").write_dataset(case, target, {"BraTS2021_00001": "Ts"}, halved=True)
    written = opened(target / "labelsTs" / "BraTS2021_00001.nii.gz")
    assert written.shape == (3, 3, 3)
    assert written.header.get_zooms() == (2.0, 2.0, 2.0)
    assert (written.affine @ [0, 0, 0, 1]).tolist() == [9.5, 20.5, 30.5, 1], "the middle of its eight voxels"
    assert np.asarray(written.dataobj)[0, 0, 0] == 2
    assert np.asarray(written.dataobj)[1, 0, 0] == 3
    assert opened(target / "imagesTs" / "BraTS2021_00001_0002.nii.gz").get_fdata().min() >= 2000
    regions = ["whole_tumour", "tumour_core", "enhancing_tumour"]
    settings = [f"data.regions={regions}", "data.channels=['flair','post_contrast']", f"data.source='{target}'"]
    dataset = load_data(load_config(None, [*settings, f"data.cache='{tmp_path / 'cache'}'"]))
    truth = dataset.read(dataset.cases[0]).truth
    assert [case.part for case in dataset.cases] == ["test"]
    assert truth.sum((1, 2, 3)).tolist() == [8, 2, 1]


def test_what_an_epoch_takes_is_read_off_the_log(scripts: Scripts, tmp_path: Path) -> None:
    stamps = {
        "00:00": "$ tumorline train",
        "01:10": "epoch   1/3  loss",
        "02:00": "epoch   2/3",
        "02:52": "epoch   3/3",
    }
    (tmp_path / "log.txt").write_text("".join(f"2026-11-29 01:{at} {text}\n" for at, text in stamps.items()))
    assert scripts("nnunet_train").epoch_seconds(tmp_path) == {"epoch_s": 51.0, "before_s": 19.0}
    assert scripts("nnunet_train").stamp_of("Traceback") == 0


def test_sides_are_paired_by_case_and_region(scripts: Scripts) -> None:
    def row(side: str, case: str, dice: float | None) -> dict[str, object]:
        return {
            "side": side,
            "way": "plain",
            "case": case,
            "region": "tumour_core",
            "dice": dice,
            "truth_ml": 1.0,
            "predicted_ml": 2.0,
        }

    rows = [row("nnunet_3d", "a", 0.5), row("nnunet_3d", "b", 0.7), row("nnunet_3d", "c", None)]
    rows += [row("tumorline_3d_float32", "a", 0.75), row("tumorline_3d_float32", "b", 0.6)]
    text = scripts("nnunet_page").region_table(rows, "tumour_core")
    assert (
        "tumorline_3d_float32 minus nnunet_3d (plain): -0.100 to +0.250, median +0.075; at least as good in 1 of 2"
        in text
    )
    assert "| c | 1.00 | none; 2.00 ml drawn | - |" in text
    assert "| median Dice |  | 0.600 | 0.675 |" in text


def test_hours_are_those_of_what_is_left(scripts: Scripts, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = Namespace(output=tmp_path, side=["nnunet_3d", "monai_3d"], fold=[0, 1], minutes=90.0)
    scripts("nnunet_folds").Fold(given, "monai_3d", 1).keep("training", {"minutes": 90.0})
    scripts("nnunet").count_hours(given)
    assert "3 of 4 trainings of 90 minutes are to come: 4.5 hours" in capsys.readouterr().out


def test_a_fold_that_was_kept_is_finished_on_another_machine(
    scripts: Scripts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scripts("nnunet_page"), "KEPT", tmp_path / "kept")
    here, there = (
        scripts("nnunet_folds").Fold(Namespace(output=tmp_path / name), "nnunet_2d", 0) for name in ("here", "there")
    )
    for name in ("preprocessing", "training", "plain"):
        here.keep(name, {"seconds": 60.0})
    assert not here.is_finished, "not predicted with mirroring"
    here.keep("mirrored", {"rows": []})
    scripts("nnunet_page").keep([here])
    scripts("nnunet_page").restore(there.given)
    assert there.is_finished
    assert there.note("preprocessing") == {"seconds": 60.0}
    scripts("nnunet_train").train(there)  # does nothing: there is nothing to train on
