"""The simulated cohort as volumes: reproducible, in BraTS's names and labels, with a truth that fits its sequences."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import Program
from tumorline.audit.check import check
from tumorline.config import DataConfig
from tumorline.data.dataset import load_dataset
from tumorline.errors import UserError
from tumorline.simulation import simulate
from tumorline.simulation.volumes import Examination, VolumeSettings, simulate_examination

pytest.importorskip("nilearn", reason="the anatomy comes with nilearn, which the base install lacks")
nib: Any = pytest.importorskip("nibabel")

SETTINGS = VolumeSettings(5, 6.0, 1)
CORE, OEDEMA, ENHANCING = 1, 2, 3


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate(tmp_path_factory.mktemp("cohort") / "scans", volumes=5, spacing_mm=6.0, seed=1)


@pytest.fixture(scope="module")
def large() -> Examination:
    return simulate_examination(SETTINGS, 3)


def test_one_patient_is_the_same_in_every_cohort(cohort: Path, tmp_path: Path) -> None:
    again = simulate(tmp_path / "one", volumes=1, spacing_mm=6.0, seed=1)
    files = sorted(path.relative_to(again) for path in again.rglob("*.nii.gz"))
    assert [path.name[18:] for path in files] == [f"-{end}.nii.gz" for end in ("seg", "t1c", "t1n", "t2f", "t2w")]
    assert all((again / path).read_bytes() == (cohort / path).read_bytes() for path in files)
    other = simulate(tmp_path / "other", volumes=1, spacing_mm=6.0, seed=2)
    assert {path.read_bytes() for path in other.rglob("*.nii.gz")}.isdisjoint(
        path.read_bytes() for path in again.rglob("*.nii.gz")
    )


def test_every_fifth_tumour_does_not_enhance(cohort: Path) -> None:
    described = json.loads((cohort / "simulated.json").read_text())
    assert described["simulated"] is True
    assert [row["enhancing_ml"] > 0 for row in described["truth"]] == [True, True, True, True, False]
    assert all(row["core_ml"] + row["enhancing_ml"] >= 1 for row in described["truth"])
    for row in described["truth"]:
        name = row["patient_group"]
        labels = np.asarray(nib.load(cohort / name / f"{name}-seg.nii.gz").dataobj)
        assert set(np.unique(labels)) <= {0, CORE, OEDEMA, ENHANCING}
        assert round(float((labels == OEDEMA).sum() * 0.216), 3) == row["oedema_ml"]


def test_the_volumes_lie_in_the_room_as_they_say(cohort: Path) -> None:
    path = next(cohort.rglob("*-t1c.nii.gz"))
    image = nib.load(path)
    assert nib.aff2axcodes(image.affine) == ("R", "A", "S")
    assert image.header.get_zooms() == (6, 6, 6)
    assert np.allclose(image.affine[:3, :3] @ np.array(image.shape) + image.affine[:3, 3], [87, 109, 89])


def test_what_each_sequence_shows_bright_is_bright(large: Examination) -> None:
    seen = {ending: volume.astype(float) for ending, volume in large.images.items()}
    brain = (seen["t1n"] > 0) & (large.labels == 0)
    assert np.median(seen["t1c"][large.labels == ENHANCING]) > 1.5 * np.median(seen["t1c"][brain])
    assert np.median(seen["t1n"][large.labels == ENHANCING]) < 1.1 * np.median(seen["t1n"][brain])
    assert np.median(seen["t2f"][large.labels == OEDEMA]) > 1.4 * np.median(seen["t2f"][brain])
    assert not any(volume[large.images["t1n"] == 0].any() for volume in seen.values())
    assert not large.labels[large.images["t1n"] == 0].any()


def test_the_oedema_follows_the_white_matter_and_lies_around_the_tumour(large: Examination) -> None:
    places = np.argwhere(large.labels == OEDEMA).mean(axis=0)
    core = np.argwhere(large.labels == ENHANCING).mean(axis=0)
    assert np.linalg.norm(places - core) < 8
    assert (large.labels == OEDEMA).sum() > 60


def test_the_set_is_read_as_scans_of_its_patients(program: Program, cohort: Path) -> None:
    dataset = load_dataset(cohort, DataConfig(regions=("whole_tumour", "enhancing_tumour"), channels=("flair", "t2")))
    assert dataset.source.simulated
    assert len({case.patient for case in dataset.cases}) == 5
    assert [finding.message for finding in check(dataset) if finding.severity == "error"] == []


@pytest.mark.parametrize("wrong", [{"volumes": 10_000}, {"spacing_mm": 0.5}, {"spacing_mm": 9.0}, {"seed": -1}])
def test_volumes_out_of_range_are_refused(wrong: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"simulated cohort: {next(iter(wrong))} is .*; accepted: "):
        simulate(tmp_path / "x", **{"volumes": 1, **wrong})
    assert not (tmp_path / "x").exists()


def test_the_command_makes_volumes(program: Program, tmp_path: Path) -> None:
    refused = program("data", "simulate", tmp_path / "x", "--volumes", 1, "--patients", 8)
    assert (refused.status, "leave out --patients and --slices" in refused.err) == (2, True)
    outcome = program("data", "simulate", tmp_path / "x", "--volumes", 1, "--spacing-mm", 8)
    assert (outcome.status, outcome.out) == (0, f"{tmp_path / 'x'}\n")
    assert len([*(tmp_path / "x").rglob("*.nii.gz")]) == 5
