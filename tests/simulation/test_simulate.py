"""The simulated cohort: reproducible, called simulated, in the Kaggle layout, with a truth that fits its pictures."""

import csv
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tumorline.errors import UserError
from tumorline.simulation import Settings, grow, simulate, simulate_patient
from tumorline.simulation.anatomy import Template
from tumorline.simulation.field import Axes, Noise, grid, positions
from tumorline.simulation.render import T1CE, Scanner
from tumorline.simulation.scene import Patient
from tumorline.simulation.tumour import KINDS

pytest.importorskip("nilearn", reason="the anatomy comes with nilearn, which the base install lacks")

SMALL = Settings(patients=3, slices=2, spacing_mm=4.0)


def make(directory: Path, seed: int = 0, patients: int = 3) -> Path:
    return simulate(directory, patients=patients, slices=2, spacing_mm=4.0, seed=seed)


def contents(directory: Path) -> dict[str, bytes]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in files}


def read(path: Path) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.open(path))


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("cohort") / "simulated")


def test_the_same_seed_gives_identical_files(cohort: Path, tmp_path: Path) -> None:
    assert contents(make(tmp_path / "again")) == contents(cohort)


def test_another_seed_gives_other_pictures(cohort: Path, tmp_path: Path) -> None:
    other = make(tmp_path / "other", seed=1, patients=1)
    first, second = (read(next(iter(sorted((path / "images").iterdir())))) for path in (cohort, other))
    assert not np.array_equal(first, second)


def test_a_patient_does_not_depend_on_the_others(cohort: Path) -> None:
    study = simulate_patient(SMALL, 2)
    np.testing.assert_array_equal(study.images[1], read(cohort / "images" / "simulated-s0-p002-1.png"))


def test_patients_differ(cohort: Path) -> None:
    pictures = [read(cohort / "images" / f"simulated-s0-p{number:03d}-0.png") for number in range(3)]
    differences = [np.abs(pictures[a].astype(int) - pictures[b]).mean() for a, b in ((0, 1), (0, 2), (1, 2))]
    assert min(differences) > 5


def test_files_have_the_kaggle_layout(cohort: Path) -> None:
    with (cohort / "patients.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = {f"{row['id']}.png" for row in rows}
    assert list(rows[0]) == ["id", "patient_group", "class_name", "spacing_mm"]
    assert len(names) == 6
    assert {path.name for path in (cohort / "images").iterdir()} == names
    assert {path.name for path in (cohort / "masks").iterdir()} == names
    assert {row["patient_group"] for row in rows} == {f"simulated-s0-p{number:03d}" for number in range(3)}
    assert len({row["class_name"] for row in rows}) == 3
    assert all(row["class_name"].startswith("simulated ") for row in rows)


def test_masks_are_binary_of_the_images_size_and_never_nearly_empty(cohort: Path) -> None:
    for path in (cohort / "masks").iterdir():
        mask = read(path)
        assert mask.dtype == np.uint8
        assert mask.shape == read(cohort / "images" / path.name).shape == (64, 64)
        assert set(np.unique(mask)) == {0, 255}
        assert (mask > 0).sum() * 4.0**2 >= 80


def test_the_cohort_says_that_it_is_simulated_and_whose_anatomy_it_uses(cohort: Path) -> None:
    description = json.loads((cohort / "simulated.json").read_text())
    assert description["simulated"] is True
    assert description["seed"] == 0
    assert description["spacing_mm"] == 4.0
    assert "Montreal Neurological Institute" in description["anatomy"]["licence"]
    assert "without fee" in description["anatomy"]["licence"]
    assert [truth["patient_group"] for truth in description["truth"]] == [f"simulated-s0-p00{n}" for n in range(3)]


def test_the_true_volume_is_at_least_what_the_slices_show(cohort: Path) -> None:
    for truth in json.loads((cohort / "simulated.json").read_text())["truth"]:
        masks = [read(cohort / "masks" / f"{truth['patient_group']}-{index}.png") for index in range(2)]
        shown_ml = sum((mask > 0).sum() for mask in masks) * 4.0**3 / 1000
        assert shown_ml <= truth["volume_ml"] < 150
        assert 0 <= truth["necrosis_ml"] < truth["volume_ml"]


def test_a_folder_with_something_in_it_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="not an empty folder"):
        make(tmp_path)
    assert contents(tmp_path) == {"mine.txt": b"mine"}


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert (make(tmp_path / "empty", patients=1) / "simulated.json").is_file()


def test_a_run_that_is_cut_off_leaves_nothing(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(tmp_path / "cohort", patients=2, slices=1, spacing_mm=4.0, progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_progress_counts_patients(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    simulate(
        tmp_path / "cohort",
        patients=2,
        slices=1,
        spacing_mm=4.0,
        progress=lambda *counts: seen.append(counts),
    )
    assert seen == [(1, 2), (2, 2)]


@pytest.mark.parametrize(
    "wrong", [{"patients": 0}, {"slices": 0}, {"slices": 21}, {"spacing_mm": 0.0}, {"seed": -1}], ids=str
)
def test_settings_out_of_range_are_refused(wrong: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=next(iter(wrong))):
        simulate(tmp_path / "cohort", **wrong)  # type: ignore[arg-type]


def test_without_nilearn_the_extra_to_install_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Template.load.cache_clear()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'tumorline\[train\]'"):
        make(tmp_path / "cohort")


# ---------------------------------------------------------------- what is in the pictures


@pytest.fixture(scope="module")
def necrotic() -> tuple[Patient, Axes]:
    """A glioma with a necrotic core of more than a few pixels, and the axes of its slices."""
    settings = Settings(slices=2, spacing_mm=4.0)
    patients = (grow(np.random.default_rng(seed), settings, KINDS[1]) for seed in range(20))
    side = grid(4.0)
    candidates = ((patient, (side, side, heights)) for patient, heights in patients)
    return next((patient, axes) for patient, axes in candidates if patient.necrosis(axes).sum() > 10)


def test_the_necrotic_core_is_dark_inside_a_bright_rim(necrotic: tuple[Patient, Axes]) -> None:
    patient, axes = necrotic
    image = Scanner(np.random.default_rng(0), T1CE).acquire(patient.scene(axes, 4.0), axes)
    core = patient.necrosis(axes)
    rim = patient.mask(axes) & ~core
    assert image[core].mean() < image[rim].mean()


def test_the_core_is_a_part_of_the_mask_and_oedema_is_not(necrotic: tuple[Patient, Axes]) -> None:
    patient, axes = necrotic
    mask, oedema = patient.mask(axes), patient.scene(axes, 4.0)["oedema"]
    assert not (patient.necrosis(axes) & ~mask).any()
    assert oedema[~mask].sum() > 5 * oedema[mask].sum()


def test_the_fractions_of_a_scene_add_up_to_one(necrotic: tuple[Patient, Axes]) -> None:
    patient, axes = necrotic
    scene = patient.scene(axes, 4.0)
    assert scene.keys() == T1CE.keys()
    assert all(fraction.min() > -1e-5 for fraction in scene.values())
    np.testing.assert_allclose(sum(scene.values()), 1, atol=1e-5)


def test_a_plane_of_any_direction_cuts_the_same_patient(necrotic: tuple[Patient, Axes]) -> None:
    patient, (x, y, z) = necrotic
    axial = patient.scene((x, y, z), 4.0)
    coronal = patient.scene((x, y[20:21], z), 4.0)
    for name in axial:
        np.testing.assert_allclose(coronal[name][:, 0], axial[name][:, 20], atol=1e-3)


def test_a_tumour_pushes_tissue_away_from_itself_but_not_the_skull(necrotic: tuple[Patient, Axes]) -> None:
    patient, axes = necrotic
    points = positions(axes)
    deep = np.full(points.shape[1:], 50, np.float32)
    push = patient.tumour.push(points, deep)
    outward = points - patient.tumour.lesions[0].centre_mm[:, None, None, None]
    assert ((push * outward).sum(axis=0) >= 0).all()
    assert 2 < np.linalg.norm(push, axis=0).max() < patient.tumour.lesions[0].radius_mm
    assert not patient.tumour.push(points, np.zeros_like(deep)).any()


def test_noise_has_mean_0_and_variance_1_and_the_same_values_on_a_part_of_the_grid() -> None:
    noise, side = Noise.draw(np.random.default_rng(0), 8.0), grid(4.0)
    whole = noise((side, side, side))
    assert abs(whole.mean()) < 0.05
    assert abs(whole.var() - 1) < 0.1
    part = noise((side[10:20], side[5:6], side[40:]))
    np.testing.assert_allclose(part, whole[10:20, 5:6, 40:], atol=1e-5)
