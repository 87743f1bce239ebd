"""From a NIfTI volume to a label map that lies on it, by a model of slices."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tumorline
from tests import sources
from tests.conftest import Program, blob
from tests.sources import nib, save_frames, save_volume
from tests.write.test_nifti import AFFINES
from tumorline.files import read_csv
from tumorline.formats.grey import to_grey
from tumorline.formats.nifti import open_volume, read_volume
from tumorline.geometry.upright import upright
from tumorline.write.images import PREDICTED_RGB, write_three_planes
from tumorline.write.nifti import write_label_map


def positions(path: Path) -> set[tuple[float, ...]]:
    """Where nibabel sees voxels that are not 0, in mm."""
    image = nib.load(path)
    indices = np.argwhere(np.asarray(image.dataobj).reshape(image.shape[:3]))
    return {tuple(point) for point in nib.affines.apply_affine(image.affine, indices).round(3)}


@pytest.mark.parametrize("name", AFFINES)
@pytest.mark.parametrize("shape", [(5, 4, 3), (5, 4, 3, 1)])
def test_every_labelled_voxel_lies_where_it_was_seen(tmp_path: Path, name: str, shape: tuple[int, ...]) -> None:
    voxels = np.random.default_rng(0).random(shape) > 0.7
    image = nib.Nifti1Image(voxels.astype(np.int16), None)
    image.set_sform(AFFINES[name], 3)
    image.set_qform(np.diag([2.0, 1, 1, 1]), 2)
    image.header["descrip"] = b"of a scanner"
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"JANE DOE"))
    nib.save(image, tmp_path / "a.nii.gz")
    seen = read_volume(tmp_path / "a.nii.gz") > 0
    write_label_map(tmp_path / "b.nii.gz", upright(seen), open_volume(tmp_path / "a.nii.gz"))
    assert positions(tmp_path / "b.nii.gz") == positions(tmp_path / "a.nii.gz")
    one, other = (nib.load(tmp_path / file) for file in ("a.nii.gz", "b.nii.gz"))
    assert (other.shape, other.get_data_dtype()) == (shape, np.uint8)
    assert np.unique(np.asarray(other.dataobj)).tolist() == [0, 1]
    assert not other.header.extensions
    for key in (
        "sform_code",
        "qform_code",
        "srow_x",
        "srow_y",
        "srow_z",
        "quatern_b",
        "pixdim",
        "descrip",
        "xyzt_units",
    ):
        assert np.array_equal(one.header[key], other.header[key]), key


def test_a_coronal_series_is_seen_in_its_own_slices(tiny_run: Path, tmp_path: Path) -> None:
    """Slices 6 mm apart from front to back: axial ones would be strips of three rows."""
    slices = [blob(32, number)[0] for number in (1, 2, 3)]
    voxels = np.stack([plane[::-1].T for plane in slices], 1).astype(np.int16)  # (left, back, head)
    nib.save(nib.Nifti1Image(voxels, np.diag([-1.0, -6.0, 1.0, 1.0])), tmp_path / "case_t1ce.nii.gz")
    (row,) = tumorline.predict(tmp_path / "case_t1ce.nii.gz", tiny_run, tmp_path / "out")
    model = tumorline.load(tiny_run)
    expected = [model.mask(to_grey(np.asarray(plane, np.int16))[None])[0] for plane in slices]
    found = np.asarray(nib.load(row["mask"]).dataobj)
    assert [found[:, number].T[::-1].tolist() for number in range(3)] == [mask.tolist() for mask in expected]
    assert np.any(expected)
    assert row["note"] == "seen in coronal slices, as it was acquired"


def test_one_sagittal_slice_is_seen_as_it_is_however_thin(tiny_run: Path, tmp_path: Path) -> None:
    """A millimetre thick, with pixels of a millimetre: axial slices of it would be lines."""
    plane = blob(32, 1)[0]
    voxels = plane[::-1, ::-1].T[None].astype(np.int16)  # (right, front, head)
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), tmp_path / "case_t1ce.nii.gz")
    (row,) = tumorline.predict(tmp_path / "case_t1ce.nii.gz", tiny_run, tmp_path / "out")
    expected = tumorline.load(tiny_run).mask(plane)[0]
    assert expected.any()
    assert np.array_equal(np.asarray(nib.load(row["mask"]).dataobj)[0].T[::-1, ::-1], expected)
    assert row["note"] == "seen in sagittal slices, as it was acquired"


def test_a_scan_acquired_in_other_slices_is_seen_in_its_proportions(tiny_run: Path, tmp_path: Path) -> None:
    """Sagittal slices of 2 mm, seen as axial ones: half the columns, for the same width in mm."""
    model, whole = tumorline.load(tiny_run), np.repeat(np.repeat(blob(32, 1)[0], 2, 0), 2, 1)
    path = save_volume(tmp_path / "case_t1ce.nii.gz", [whole[:, ::2]], (1, 2, 2))
    mask, expected = model.mask(path)[0, 0], model.mask(whole)[0][:, ::2]
    assert mask.shape == (64, 32)
    assert expected.any()
    assert np.count_nonzero(mask != expected) < 0.1 * np.count_nonzero(expected)


def test_a_volume_is_its_slices_side_by_side(tiny_run: Path, tmp_path: Path) -> None:
    slices: list[sources.Array] = [blob(32, 1)[0], np.zeros((32, 32)), blob(32, 2)[0]]
    path = save_volume(tmp_path / "in" / "case_t1ce.nii.gz", slices, (1, 1, 6))
    (row,) = tumorline.predict(path, tiny_run, tmp_path / "out")
    model = tumorline.load(tiny_run)
    expected = [model.mask(to_grey(np.asarray(plane, np.int16))[None])[0] for plane in slices]
    found = read_volume(Path(row["mask"]))
    assert upright(found).tolist() == [mask.tolist() for mask in expected]
    assert Path(row["mask"]).name == "case_t1ce_mask.nii.gz"
    assert expected[0].any()
    assert not expected[1].any()
    assert row["tumour_px"] == sum(mask.sum() for mask in expected)
    assert row["tumour_ml"] == pytest.approx(row["tumour_px"] * 6 / 1000)
    assert Image.open(row["overlay"]).size == (32 + 32 + 32, 32)
    for record in (read_csv(tmp_path / "out" / "predictions.csv")[0], _json(tmp_path / "out")):
        assert float(record["tumour_ml"]) == row["tumour_ml"]


def _json(folder: Path) -> dict[str, float]:
    record: dict[str, float] = json.loads((folder / "predictions.json").read_text())["predictions"][0]
    return record


def test_a_blank_volume_is_empty_and_says_so(tiny_run: Path, tmp_path: Path) -> None:
    path = save_volume(tmp_path / "a.nii.gz", [np.zeros((32, 32))] * 3)
    (row,) = tumorline.predict(path, tiny_run, tmp_path / "out")
    assert (row["tumour_px"], row["tumour_ml"], row["error"]) == (0, 0, None)
    assert "blank" in row["note"]


def test_a_picture_has_no_volume(tiny_run: Path, tmp_path: Path) -> None:
    Image.fromarray(blob(32, 1)[0]).save(tmp_path / "a.png")
    (row,) = tumorline.predict(tmp_path / "a.png", tiny_run, tmp_path / "out")
    assert row["tumour_ml"] is None


def test_of_a_folder_masks_are_left_out_and_a_bad_volume_costs_only_itself(
    tiny_run: Path, tmp_path: Path, program: Program
) -> None:
    for number in range(2):
        save_volume(tmp_path / "in" / "a" / f"{number}.nii", [blob(32, number)[0]] * 2)
    save_volume(tmp_path / "in" / "a" / "0_seg.nii", [blob(32, 1)[0]] * 2)
    save_volume(tmp_path / "in" / "labelsTr" / "0.nii", [blob(32, 1)[0]] * 2)
    save_frames(tmp_path / "in" / "frames.nii.gz", [[blob(32, 1)[0]]] * 2)
    (tmp_path / "in" / "bad.nii.gz").write_bytes(b"no volume")
    outcome = program("predict", tmp_path / "in", "--model", tiny_run, "--output", tmp_path / "out", "--json")
    assert outcome.status == 2
    rows = {Path(row["input"]).name: row for row in json.loads(outcome.out)}
    assert set(rows) == {"0.nii", "1.nii", "frames.nii.gz", "bad.nii.gz"}
    assert [row["error"] is None for row in rows.values()].count(True) == 2
    assert "frames.nii.gz: holds 2 frames; expected one volume" in rows["frames.nii.gz"]["error"]
    assert "2 masks" in outcome.err
    assert (tmp_path / "out" / "a" / "0_mask.nii.gz").is_file()


@pytest.mark.slow
def test_of_a_folder_the_models_own_sequence_is_predicted(tmp_path: Path, program: Program) -> None:
    folder = sources.brats(tmp_path / "in", 1)
    outcome = program("predict", folder, "--output", tmp_path / "out", "--json")
    assert [Path(row["input"]).name for row in json.loads(outcome.out)] == ["BraTS2021_00000_t1ce.nii.gz"]
    assert "3 volumes of another sequence than the model's" in outcome.err
    assert "'builtin-brats' takes them together" in outcome.err
    flair = folder / "BraTS2021_00000" / "BraTS2021_00000_flair.nii.gz"
    (row,) = tumorline.predict(flair, output=tmp_path / "out2")
    assert "its name states flair, it is taken for post_contrast" in row["note"]


def test_three_planes_go_through_the_largest_lesion(tmp_path: Path) -> None:
    mask = np.zeros((12, 16, 20), bool)
    mask[2, 12, 16] = True
    mask[7:10, 7:11, 4:10] = True
    write_three_planes(tmp_path / "a.png", np.ones(mask.shape), mask[None], (2, 1, 1))
    picture = np.asarray(Image.open(tmp_path / "a.png"))
    assert picture.shape == (24, 20 + 20 + 16, 3)
    orange = (picture == PREDICTED_RGB).all(-1)
    assert [bool(orange[:, start:end].any()) for start, end in ((0, 20), (20, 40), (40, 56))] == [True] * 3
    columns, rows = (np.flatnonzero(orange[:, 20:40].any(axis)) for axis in (0, 1))
    assert (columns.min(), columns.max()) == (4, 9)
    assert (rows.min(), rows.max()) == (24 - 20, 24 - 15)
    write_three_planes(tmp_path / "b.png", np.ones(mask.shape), np.zeros_like(mask)[None], (2, 1, 1))
