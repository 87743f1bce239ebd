import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tests.conftest import PairFolder, Program
from tumorline.errors import Interrupted


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "tumorline", *arguments], capture_output=True, text=True, check=False)


def modules_of(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(' '.join(sys.modules))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_help_lists_the_commands_and_imports_nothing_heavy() -> None:
    shown = run("--help")
    assert shown.returncode == 0
    assert all(name in shown.stdout for name in ("train", "evaluate", "predict", "report", "data"))
    heavy = {"torch", "numpy", "pydantic", "openvino", "matplotlib", "scipy", "httpx2"}
    assert not heavy & modules_of("import tumorline.cli")
    assert not heavy & modules_of("import tumorline")
    assert "torch" not in modules_of("from tumorline.listing import list_networks; list_networks()")


def test_the_base_commands_do_not_import_torch() -> None:
    loaded = modules_of(
        "import tumorline.api, tumorline.run, tumorline.inference.predict, tumorline.evaluation.scoring"
    )
    assert "torch" not in loaded
    assert "tumorline.inference.predict" in loaded


def test_readers_of_seldom_formats_are_imported_where_there_are_such_files() -> None:
    loaded = modules_of("import tumorline.audit.check, tumorline.inference.predict")
    assert not {"nibabel", "h5py", "pydicom", "tifffile"} & loaded


def test_a_users_error_is_one_line_and_status_2(tmp_path: Path) -> None:
    result = run("data", "check", str(tmp_path / "nowhere"))
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1


def test_check_exits_0_for_warnings_and_2_for_errors(pair_folder: PairFolder, program: Program) -> None:
    folder = pair_folder(with_patients=False)
    result = program("data", "check", folder)
    assert (result.status, "warning [patients_unknown]" in result.out) == (0, True)
    (folder / "masks" / "s001.png").unlink()
    assert program("data", "check", folder, "--json").status == 2


def test_models_and_losses_are_listed(program: Program) -> None:
    trained, networks = program("models").out.split("\n\n")
    assert [line.split("\t")[0] for line in trained.splitlines()] == ["model", "builtin", "builtin-brats"]
    rows = {line.split("\t")[0]: line.split("\t") for line in networks.splitlines()}
    assert rows["model"] == ["model", "parameters", "multiply-adds", "dims", "pretrained weights", "what"]
    assert {"unet", "attention_unet", "swin_unet", "deeplabv3", "fcn", "lraspp", "encoder_unet"} < rows.keys()
    assert rows["unet"][1:5] == ["1.9 M", "3.0 G", "2, 3", "none"]
    assert rows["swin_unet"][1] == "27.2 M"
    assert "dice_ce\tDice loss plus binary cross-entropy" in program("losses").out


def test_split_prints_every_case_with_its_part(pair_folder: PairFolder, program: Program) -> None:
    shown = program("data", "split", pair_folder(patients=10, slices=1)).out
    lines = [line.split("\t") for line in shown.splitlines()]
    assert sum(line[0].startswith("s") and line[-1] == "test" for line in lines) == 2


@pytest.mark.parametrize(
    ("mask", "found"),
    [
        (np.resize([0, 100, 200], (32, 32)), "{0, 100, 200}"),
        (np.resize([1, 2], (32, 32)), "{1, 2}"),
        (np.eye(30), "mask 30 x 30"),
    ],
)
def test_bad_masks_stop_before_training_and_leave_nothing(
    pair_folder: PairFolder, program: Program, tmp_path: Path, mask: npt.NDArray[np.generic], found: str
) -> None:
    folder = pair_folder()
    Image.fromarray(mask.astype(np.uint8)).save(folder / "masks" / "s004.png")
    status, _, said = program("train", "--data", folder, "--output", tmp_path / "run")
    assert status == 2
    assert found in said
    assert "s004.png" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "run").exists()


def _saved(_table: object) -> None:
    raise Interrupted("stopped and saved; the same command goes on")


@pytest.mark.parametrize(
    ("stopped", "said"),
    [
        (lambda _: os.kill(os.getpid(), signal.SIGINT), "stopped"),
        (lambda _: os.kill(os.getpid(), signal.SIGTERM), "stopped"),
        (_saved, "stopped and saved; the same command goes on"),
    ],
    ids=["Ctrl-C", "SIGTERM", "a training"],
)
def test_a_command_that_is_stopped_says_how_it_goes_on(
    stopped: Callable[[object], None], said: str, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tumorline.cli.models.print_table", stopped)
    assert program("losses") == (130, "", f"{said}\n")
