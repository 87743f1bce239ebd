"""The model of scans that comes with the package: four sequences or any part of them, three regions, nine cases."""

from pathlib import Path

import pytest

from tests.conftest import Program
from tumorline.files import read_csv
from tumorline.model_file import BUILTIN_OF_SCANS as NAME
from tumorline.model_file import LISTED, find_model, read_info
from tumorline.regions import NESTED


@pytest.fixture
def scan(tmp_path: Path, program: Program) -> Path:
    """A simulated scan at 3 mm, with its labels."""
    assert program("data", "simulate", tmp_path / "cohort", "--volumes", 1, "--spacing-mm", 3, "--seed", 7).status == 0
    (folder,) = (tmp_path / "cohort").glob("simulated-*")
    return folder


def test_it_says_what_it_is() -> None:
    card = (LISTED / f"{NAME}.md").read_text(encoding="utf-8")
    assert card.startswith(f"# Model card: {NAME}: 9 cases, a demonstration")
    for words in (
        "doi 10.7937/jc8x-9874, CC BY 4.0",
        "Weights trained on simulated images only",
        "not a\nmedical device",
    ):
        assert words in card
    info = read_info(find_model(Path(NAME)))
    assert info.split.trains_on_all
    assert tuple((info.metrics.headline or {})["regions"]) == tuple(info.regions) == NESTED


def test_a_scan_is_outlined_and_scored_and_a_part_of_it_is_answered(
    scan: Path, tmp_path: Path, program: Program
) -> None:
    scored = program("evaluate", NAME, "--data", scan.parent, "--output", tmp_path / "scored")
    assert scored.status == 0
    dice = {row["region"]: float(row["dice"] or 0) for row in read_csv(tmp_path / "scored" / "evaluation.csv")}
    assert dice["whole_tumour"] > 0.5
    assert dice["tumour_core"] > 0.7
    for sequence, lacking in (("t1c", "flair, t2, pre_contrast"), ("t2f", "post_contrast, t2, pre_contrast")):
        (image,) = scan.glob(f"*-{sequence}.nii.gz")
        out = tmp_path / sequence
        assert program("predict", image, "--model", NAME, "--output", out).status == 0
        (row,) = read_csv(out / "predictions.csv")
        assert row["note"] == f"answered without {lacking}"
        assert int(row["whole_tumour_px"]) > 0
