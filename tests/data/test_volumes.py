"""Volumes as cases: where their voxels lie, what decoding finds, and files of one scan on several grids."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests import sources
from tests.conftest import blob, refused_in_one_line
from tests.sources import load, nib, save_volume
from tumorline.audit.between import compare_sets
from tumorline.audit.check import check
from tumorline.audit.describe import describe
from tumorline.config import SplitConfig
from tumorline.data.case import read_image
from tumorline.data.dataset import Dataset
from tumorline.data.splits.split import split_dataset
from tumorline.errors import UserError
from tumorline.formats import nifti
from tumorline.geometry.grid import grid_of
from tumorline.geometry.resample import resample, share_covered
from tumorline.geometry.upright import upright
from tumorline.inference.given import to_channels
from tumorline.inference.jobs import PredictionJob
from tumorline.inference.volumes import read_scan

REGIONS = ["whole_tumour", "tumour_core", "enhancing_tumour"]


def scan(folder: Path, affine: np.ndarray | None = None, seed: int = 0, **others: np.ndarray) -> Path:
    """Random voxels `(6, 5, 4)` of two sequences, and a truth; the affine of each can be another one."""
    random = np.random.default_rng(seed)
    at = folder / f"BraTS2021_{seed:05d}"
    at.mkdir(parents=True, exist_ok=True)
    for kind in ("t1ce", "flair", "seg"):
        values = random.choice([0, 1, 2, 4], (6, 5, 4)) if kind == "seg" else random.integers(1, 99, (6, 5, 4))
        own = others.get(kind, np.diag([-1.0, -2, 3, 1]) if affine is None else affine)
        nib.save(nib.Nifti1Image(values.astype(np.int16), own), at / f"{at.name}_{kind}.nii.gz")
    return folder


def oblique() -> np.ndarray:
    turn, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = turn * [1.0, 2.0, 3.0], [5, -7, 9]
    return affine


@pytest.mark.parametrize("affine", [np.diag([-1.0, -2, 3, 1]), np.diag([1.0, 2, 3, 1]), oblique()])
def test_every_voxel_lies_where_its_file_says(tmp_path: Path, affine: np.ndarray) -> None:
    dataset = load(scan(tmp_path / "in", affine), channels=["flair", "post_contrast"], regions=REGIONS)
    (case,) = dataset.cases
    image, truth, grid = dataset.read(case)
    assert case.is_volume
    assert (grid.ndim, grid.unit, grid.shape) == (3, "mm", image.shape[1:])
    assert grid.voxel_ml == pytest.approx(0.006)
    file = nib.load(case.images[0])
    stored, labels = np.asarray(file.dataobj), np.asarray(nib.load(case.mask).dataobj)
    back = np.linalg.inv(file.affine) @ np.asarray(grid.affine)
    for place in np.ndindex(*grid.shape):
        where = tuple(np.rint((back @ [*place, 1])[:3]).astype(int))
        assert image[(0, *place)] == stored[where]
        assert truth[(0, *place)] == (labels[where] > 0)
        assert truth[(2, *place)] == (labels[where] == 4)


def test_a_volume_is_its_axial_slices_from_the_feet_up(tmp_path: Path) -> None:
    (case,) = load(scan(tmp_path / "in"), channels=["flair", "post_contrast"]).cases
    image = read_image(case)
    for channel, path in enumerate(case.images):
        voxels = nifti.read_volume(path)
        for number in range(4):
            assert np.array_equal(image[channel, number], voxels[::-1, ::-1, number].T)


def test_what_decoding_shows_of_a_volume(tmp_path: Path) -> None:
    dataset = load(scan(tmp_path / "in"), regions=REGIONS, channels=["flair", "post_contrast"])
    (fact,) = dataset.facts
    truth = dataset.read(dataset.cases[0]).truth
    assert fact.shape == (2, *truth.shape[1:])
    assert (fact.foreground, *fact.foregrounds) == (truth[0].mean(), *(region.mean() for region in truth))
    alone = load(tmp_path / "in", regions=REGIONS, channel="flair").facts[0]
    assert fact.channel_hashes[0] == alone.image_hash
    assert not [finding for finding in check(dataset) if finding.severity == "error"]


@pytest.mark.parametrize("write", [sources.brats, sources.nnunet])
def test_every_volume_is_decoded_once(tmp_path: Path, write: object, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path / "in", 3)  # type: ignore[operator]
    decoded = []
    decode = nifti.decode_volume

    def count(path: Path) -> nifti.Voxels:
        decoded.append(path)
        return decode(path)

    monkeypatch.setattr(nifti, "decode_volume", count)
    dataset = load(folder, channel="all", regions=REGIONS)
    assert (len(dataset.cases), dataset.facts[0].shape) == (3, (4, 2, 32, 32))
    assert len(decoded) == len({*decoded}) == len({file for case in dataset.cases for file in case.files})
    assert dataset.facts[0].foregrounds == (blob_share(),) * 3


def blob_share() -> float:
    return float(np.mean([blob(sources.SIZE, number)[1].mean() for number in range(2)]))


# ---------------------------------------------------------------- files of one scan on several grids


def test_what_lies_on_another_grid_is_resampled_onto_the_first(tmp_path: Path) -> None:
    moved = np.diag([-1.0, -2, 3, 1])
    moved[0, 3] = -1
    dataset = load(scan(tmp_path / "in", flair=moved, seg=moved), channels=["post_contrast", "flair"], regions=REGIONS)
    image, truth, _ = dataset.read(dataset.cases[0])
    stored = upright(nifti.read_volume(dataset.cases[0].images[1]))
    labels = upright(nifti.read_volume(dataset.cases[0].files[2]))
    assert np.array_equal(image[1, ..., 1:], stored[..., :-1])
    assert np.array_equal(truth[0, ..., 1:], labels[..., :-1] > 0)
    assert not truth[..., 0].any()
    found = [finding.message for finding in check(dataset) if finding.code == "resampled"]
    assert "resampled onto the grid of BraTS2021_00000_t1ce.nii.gz (the same voxel lies up to 1 mm apart)" in found[0]


def test_a_finer_grid_is_interpolated() -> None:
    coarse = grid_of((2, 2, 3), np.diag([1.0, 1, 2, 1]))
    fine = grid_of((2, 2, 5), np.diag([1.0, 1, 1, 1]))
    values = np.broadcast_to(np.array([0.0, 2, 4]), (2, 2, 3)).astype(np.float32)
    assert resample(values, coarse, fine, nearest=False)[0, 0].tolist() == [0, 1, 2, 3, 4]
    assert set(resample(values, coarse, fine, nearest=True).ravel()) == {0, 2, 4}
    assert (share_covered(fine, coarse), share_covered(coarse, fine)) == (1, 1)


def test_files_that_lie_elsewhere_are_refused_by_name(tmp_path: Path) -> None:
    far = np.diag([1.0, 2, 3, 1])
    far[0, 3] = 100
    scan(tmp_path / "in", flair=far)
    with pytest.raises(UserError, match=r"flair.nii.gz: lies elsewhere than .*t1ce.nii.gz, of whose room it covers 0%"):
        load(tmp_path / "in", channels=["post_contrast", "flair"])


def cropped(folder: Path, offset: float) -> Dataset:
    """A volume `(12, 10, 8)` whose truth is a block of `(2, 3, 2)` voxels, of which all but one are marked."""
    affine = np.diag([1.0, 2, 3, 1])
    values = np.random.default_rng(0).integers(1, 99, (12, 10, 8)).astype(np.int16)
    marked = np.ones((2, 3, 2), np.uint8)
    marked[0, 0, 0] = 0
    for name, voxels in (("images", values), ("masks", marked)):
        own = affine.copy()
        own[:3, 3] = [4 + offset, 6, 9] if name == "masks" else 0  # voxel (4, 3, 3)
        (folder / name).mkdir(parents=True)
        nib.save(nib.Nifti1Image(voxels, own), folder / name / "P1.nii.gz")
    return load(folder)


def test_a_truth_that_is_cropped_to_what_it_marks_is_background_elsewhere(tmp_path: Path) -> None:
    dataset = cropped(tmp_path / "in", 0)
    image, truth, _ = dataset.read(dataset.cases[0])
    stored = np.zeros((12, 10, 8), bool)
    stored[4:6, 3:6, 3:5] = True
    stored[4, 3, 3] = False
    assert np.array_equal(truth[0], upright(stored))
    assert image.shape[1:] == truth.shape[1:]
    (found,) = [finding for finding in check(dataset) if finding.code == "resampled"]
    assert found.message == (
        f"{tmp_path / 'in' / 'masks' / 'P1.nii.gz'}: resampled onto the grid of images/P1.nii.gz, of which it is a "
        "part; "
        "what lies outside is background"
    )


def test_a_cropped_truth_that_lies_elsewhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"P1\.nii\.gz: lies elsewhere than .*P1\.nii\.gz, of whose room it covers 0%"):
        cropped(tmp_path / "in", 90)


NO_PLACE = np.eye(4)
NO_PLACE[0, 3] = np.nan


@pytest.mark.parametrize(
    ("affine", "problem"),
    [
        (np.zeros((4, 4)), "gives an axis no direction"),
        (np.diag([1.0, 0, 1, 1]), "gives an axis no direction"),
        (np.full((4, 4), np.nan), "holds what is no number"),
        (NO_PLACE, "holds what is no number; expected directions and a place in mm"),
    ],
)
def test_a_broken_affine_is_one_line(tmp_path: Path, affine: np.ndarray, problem: str) -> None:
    scan(tmp_path / "in")
    path = next((tmp_path / "in").rglob("*_t1ce.nii.gz"))
    image = nib.load(path)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), None, image.header), path)
    header = nib.load(path).header.copy()
    header["srow_x"], header["srow_y"], header["srow_z"] = affine[:3]
    header["sform_code"], header["qform_code"] = 1, 0
    save_raw(path, np.asarray(image.dataobj), header)
    with refused_in_one_line(f"t1ce.nii.gz: its affine {problem}"):
        load(tmp_path / "in")


def save_raw(path: Path, voxels: np.ndarray, header: object) -> None:
    """A file with an affine that the library would not write."""
    import gzip

    own = header.copy()  # type: ignore[attr-defined]
    own["vox_offset"], own["magic"] = 352, b"n+1"
    own.set_data_dtype(np.int16)
    content = own.binaryblock + b"\0\0\0\0" + voxels.astype("<i2").tobytes(order="F")
    path.write_bytes(gzip.compress(content))


def test_masks_of_another_size_than_their_volume_lie_elsewhere(tmp_path: Path) -> None:
    folder = sources.brats(tmp_path / "in", 1)
    mask = next(folder.rglob("*_seg.nii.gz"))
    save_volume(mask, [np.zeros((32, 32))] * 3)
    (finding,) = [finding for finding in check(load(folder)) if finding.code == "resampled"]
    assert "32 x 32 x 2 against 32 x 32 x 3" in finding.message


def test_a_set_of_volumes_is_described_and_audited(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for seed in range(3):
        scan(folder, seed=seed)
    dataset = load(folder, regions=REGIONS)
    found = describe(dataset, [case.id for case in dataset.cases])
    assert (found["sizes"], found["spacing_mm"]) == ({"6 x 5 x 4": 3}, [3, 2, 1])
    audit = compare_sets(dataset, load(scan(tmp_path / "other", seed=1)))
    assert [(pair.a.id, pair.kind) for pair in audit.pairs] == [("BraTS2021_00001", "exact")]
    assert dataset.near_pairs == ()


def test_a_region_that_cases_lack_is_counted(tmp_path: Path) -> None:
    folder = sources.brats(tmp_path / "in", 2)
    save_volume(next(folder.rglob("*_seg.nii.gz")), [np.eye(32)] * 2)
    messages = [finding.message for finding in check(load(folder, regions=REGIONS)) if finding.code == "no_region"]
    assert [message.partition(": ")[2] for message in messages] == [
        "1 of 2 cases with a tumour have no enhancing_tumour"
    ]


def test_a_sequence_that_shows_nothing_in_some_scans_is_a_warning(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for seed in range(3):
        scan(folder, seed=seed)
    empty = folder / "BraTS2021_00001" / "BraTS2021_00001_flair.nii.gz"
    save_volume(empty, [np.full((5, 6), 7)] * 4, (2, 1, 3))
    (found,) = [f for f in check(load(folder, channels=["post_contrast", "flair"])) if f.code == "constant_channel"]
    assert found.severity == "warning"
    assert found.message == f"{empty}: every voxel has the same value (flair of 1 of 3 scans); is the sequence missing?"


def test_a_region_that_a_part_lacks_is_a_warning(tmp_path: Path) -> None:
    folder, table = sources.brats(tmp_path / "in", 4), tmp_path / "split.csv"
    for scanned in (0, 1, 2):
        save_volume(folder / f"BraTS2021_0000{scanned}" / f"BraTS2021_0000{scanned}_seg.nii.gz", [np.eye(32)] * 2)
    rows = zip(range(4), ("train", "train", "validation", "test"), strict=True)
    table.write_text("id,split\n" + "".join(f"BraTS2021_0000{number},{part}\n" for number, part in rows))
    dataset = load(folder, regions=REGIONS)
    found = check(dataset, split_dataset(dataset, SplitConfig(file=str(table))))
    said = [finding.message.partition(": ")[2] for finding in found if finding.code == "no_region_in_part"]
    assert said == [
        "none of the 2 training cases shows enhancing_tumour: the network learns to draw none; leave it out of "
        "data.regions, or choose another split.seed",
        "none of the 1 validation cases shows enhancing_tumour: its threshold stays 0.5; choose another split.seed or "
        "more of them",
    ]


def test_sizes_that_differ_are_said_as_they_are_seen(tmp_path: Path) -> None:
    for number, count in enumerate((4, 6)):
        save_volume(tmp_path / "in" / f"P{number}_t1ce.nii.gz", [np.eye(16) * 9] * count)
        save_volume(tmp_path / "in" / f"P{number}_seg.nii.gz", [np.eye(16)] * count)
    for settings, seen in (({}, "scaled with its aspect kept"), ({"window": [8, 8, 8]}, "resampled to one spacing")):
        (said,) = [f.message for f in check(load(tmp_path / "in", **settings)) if f.code == "mixed_sizes"]
        assert said.endswith(f"each is {seen}")


# ---------------------------------------------------------------- pairs and tables of volumes


def pair(folder: Path, image: str, mask: str, labels: tuple[int, ...] = (0, 1)) -> None:
    """A volume of two slices with one bright disc, and its mask, which has the labels from left to right."""
    pictures = [blob(32, number) for number in range(2)]
    save_volume(folder / image, [picture for picture, _ in pictures])
    columns = np.repeat(np.array(labels), 32 // len(labels))
    save_volume(folder / mask, [np.broadcast_to(columns, (32, 32)) if len(labels) > 2 else m for _, m in pictures])


@pytest.mark.parametrize(
    ("image", "mask", "layout"),
    [
        ("images/a.nii.gz", "masks/a.nii.gz", "images/masks of volumes"),
        ("images/a.nii", "labels/a_seg.nii.gz", "images/masks of volumes"),
        ("P1/a.nii.gz", "P1/a_mask.nii.gz", "suffix pairs of volumes"),
        ("a_dwi.nii.gz", "a_dwi_seg.nii", "suffix pairs of volumes"),
    ],
)
def test_pairs_of_volumes_are_read(tmp_path: Path, image: str, mask: str, layout: str) -> None:
    pair(tmp_path / "in", image, mask)
    dataset = load(tmp_path / "in")
    assert (dataset.source.layout, len(dataset.cases), dataset.cases[0].is_volume) == (layout, 1, True)
    assert dataset.facts[0].foreground == pytest.approx(blob_share())
    assert not [finding for finding in check(dataset) if finding.severity == "error"]


def test_a_pair_may_hold_a_label_map(tmp_path: Path) -> None:
    pair(tmp_path / "in", "x.nii.gz", "x_mask.nii.gz", (0, 1, 2, 4))
    assert load(tmp_path / "in", regions=REGIONS, enhancing_label=4).facts[0].foregrounds == (0.75, 0.5, 0.25)
    assert load(tmp_path / "in", label="whole_tumour", enhancing_label=4).facts[0].foreground == 0.75
    (finding,) = [finding for finding in check(load(tmp_path / "in")) if finding.severity == "error"]
    assert "holds the values {0, 1, 2, 4}; accepted are two values at most" in finding.message
    assert finding.message.endswith("where these are the labels of BraTS, set data.label=whole_tumour")
    with pytest.raises(UserError, match=r"data.regions names 'other'; a label map holds whole_tumour"):
        load(tmp_path / "in", regions=["whole_tumour", "other"])


def test_a_table_lists_volumes_by_channel_and_region(tmp_path: Path) -> None:
    pair(tmp_path, "flair.nii.gz", "core.nii.gz")
    pair(tmp_path, "t1c.nii.gz", "map.nii.gz", (0, 1, 2, 4))
    header = "id,patient,image_t1c,image_flair,mask,mask_core\n"
    (tmp_path / "in.csv").write_text(f"{header}1,p,t1c.nii.gz,flair.nii.gz,map.nii.gz,core.nii.gz\n")
    dataset = load(tmp_path / "in.csv", channels=["flair", "post_contrast"], regions=["core"])
    assert (dataset.channel_names, dataset.facts[0].shape) == (("flair", "post_contrast"), (2, 2, 32, 32))
    assert dataset.facts[0].foreground == pytest.approx(blob_share())
    (tmp_path / "map.csv").write_text("id,image,mask\n1,t1c.nii.gz,map.nii.gz\n")
    assert load(tmp_path / "map.csv", label="enhancing_tumour", enhancing_label=4).facts[0].foreground == 0.25
    (tmp_path / "map.csv").write_text("id,image,mask\n1,t1c.nii.gz,gone.nii.gz\n")
    with pytest.raises(UserError, match=r"gone.nii.gz: no such file"):
        load(tmp_path / "map.csv")


def test_what_is_resampled_of_many_scans_is_said_once(tmp_path: Path) -> None:
    moved = np.diag([-1.0, -2, 3, 1])
    moved[0, 3] = -1
    for seed in range(3):
        scan(tmp_path / "in", seed=seed, flair=moved)
    dataset = load(tmp_path / "in", channels=["post_contrast", "flair"])
    (finding,) = [finding for finding in check(dataset) if finding.code == "resampled"]
    assert finding.message.endswith("; 2 more files are resampled")
    assert len(finding.files) == 3


def test_a_volume_that_is_all_but_empty_is_named(tmp_path: Path) -> None:
    folder = sources.brats(tmp_path / "in", 1)
    spot = np.zeros((32, 32))
    spot[4, 5] = 9
    save_volume(next(folder.rglob("*_t1ce.nii.gz")), [spot] * 2)
    (finding,) = [finding for finding in check(load(folder)) if finding.code == "nearly_empty"]
    assert "t1ce.nii.gz: 0.10% of its voxels are not 0" in finding.message


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_a_coarser_grid_is_smoothed_and_not_sampled(order: tuple[int, ...]) -> None:
    """Along the axis whose voxels are long on the coarse grid, the last or the first there."""
    fine = grid_of((8, 8, 16), np.eye(4))
    coarse = grid_of(tuple((8, 8, 4)[axis] for axis in order), np.diag([1.0, 1, 4, 1])[:, [*order, 3]])
    stripes = np.broadcast_to(np.arange(16) % 2, (8, 8, 16)).astype(np.float32)
    found = resample(stripes, fine, coarse, nearest=False)
    assert np.abs(found.transpose(np.argsort(order))[..., 1:] - 0.5).max() < 0.01
    assert set(resample(stripes, fine, coarse, nearest=True).ravel()) <= {0, 1}


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_nothing_is_lost_at_a_face_that_two_grids_share(kind: type) -> None:
    """Both cover 0 to 50 mm, in slices of 5 and of 1 mm: the outermost centres lie 2 mm beyond those of the source."""
    thick = grid_of((10, 4, 4), np.array([[0, 0, 1, 0], [0, 1, 0, 0], [5.0, 0, 0, 2.5], [0, 0, 0, 1]]))
    thin = grid_of((50, 4, 4), np.array([[0, 0, 1, 0], [0, 1, 0, 0], [1.0, 0, 0, 0.5], [0, 0, 0, 1]]))
    values: npt.NDArray[Any] = np.ones(thick.shape, kind)
    values[:, 0, 0] = 0
    found = resample(values, thick, thin, nearest=kind is np.uint8)
    assert (found[:, 2, 2].tolist(), found[:, 0, 0].tolist()) == ([1] * 50, [0] * 50)
    beyond = np.array([[0, 0, 1, 0], [0, 1, 0, 0], [1.0, 0, 0, -1.5], [0, 0, 0, 1]])
    found = resample(values, thick, grid_of((54, 4, 4), beyond), nearest=kind is np.uint8)
    assert found[:, 2, 2].tolist() == [0, 0, *[1] * 50, 0, 0]


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_no_slice_is_lost_to_rounding_on_an_oblique_lattice(kind: type) -> None:
    """The same voxels with one slice fewer, whose coordinates are whole but for 1e-16."""
    random = np.random.default_rng(0)
    values: npt.NDArray[Any] = random.integers(1, 9, (6, 6, 6)).astype(kind)
    values[0, 5, 5] = 0
    for _ in range(50):
        affine = np.eye(4)
        affine[:3, :3] = np.linalg.qr(random.normal(size=(3, 3)))[0] * [1, 0.9, 0.9]
        affine[:3, 3] = random.normal(size=3) * 50
        found = resample(values, grid_of((6, 6, 6), affine), grid_of((5, 6, 6), affine), nearest=kind is np.uint8)
        assert np.allclose(found, values[:5], atol=1e-5)


def test_values_that_float32_cannot_hold_are_damage_and_no_background(tmp_path: Path) -> None:
    scan(tmp_path / "in")
    path = next((tmp_path / "in").rglob("*_t1ce.nii.gz"))
    image = nib.load(path)
    voxels = np.asarray(image.dataobj).astype(np.float64)
    voxels.flat[0] = 1e39
    nib.save(nib.Nifti1Image(voxels, image.affine, dtype=np.float64), path)
    with refused_in_one_line(r"t1ce.nii.gz: holds values beyond 3.4e\+38, which no image has"):
        read_image(load(tmp_path / "in").cases[0])
    with pytest.raises(UserError, match="image: holds values beyond"):
        to_channels(voxels[..., 0], 1)
    voxels.flat[0] = np.inf  # as a gap
    nib.save(nib.Nifti1Image(voxels, image.affine, dtype=np.float64), path)
    assert read_image(load(tmp_path / "in").cases[0]).max() < 100


def test_a_qform_that_leads_elsewhere_than_the_sform_is_said_once_with_the_number_of_scans(tmp_path: Path) -> None:
    for seed in (0, 1, 2):
        scan(tmp_path / "in", seed=seed)
    assert not [finding for finding in check(load(tmp_path / "in")) if finding.code == "two_places"]
    for path in (tmp_path / "in").rglob("*0000[01]_t1ce.nii.gz"):
        image = nib.load(path)
        moved = image.affine.copy()
        moved[0, 3] += 20
        image.set_qform(moved, 1)
        image.set_sform(image.affine, 2)
        nib.save(nib.Nifti1Image(np.array(image.dataobj), None, image.header), path)
    dataset = load(tmp_path / "in")
    (finding,) = (finding for finding in check(dataset) if finding.code == "two_places")
    path = tmp_path / "in" / "BraTS2021_00000" / "BraTS2021_00000_t1ce.nii.gz"
    assert (finding.severity, len(finding.files)) == ("warning", 2)
    said = "its qform leads elsewhere than its sform, which is used: the same voxel lies up to 20 mm apart"
    assert finding.message == f"{path}: {said}; 2 scans have such files"
    (note,) = read_scan(PredictionJob((path,), Path("x"))).notes
    assert note == f"{path}: {said}"


def test_a_volume_that_does_not_say_how_it_lies_is_told(tmp_path: Path) -> None:
    """As scripts write them that know of arrays alone: right and left, and head and feet, are anybody's guess."""
    for seed in (0, 1, 2):
        scan(tmp_path / "in", seed=seed)
    for path in (tmp_path / "in").rglob("*0000[01]_*.nii.gz"):
        image = nib.load(path)
        image.set_sform(None, 0)
        image.set_qform(None, 0)
        nib.save(nib.Nifti1Image(np.array(image.dataobj), None, image.header), path)
    (finding,) = (finding for finding in check(load(tmp_path / "in")) if finding.code == "no_place")
    path = tmp_path / "in" / "BraTS2021_00000" / "BraTS2021_00000_t1ce.nii.gz"
    said = (
        "its header does not say how it lies (no sform, no qform): taken as from right to left, back to front, feet to "
        "head"
    )
    assert finding.severity == "warning"
    assert finding.message == f"{path}: {said} (1 more file of this scan too); 2 scans have such files"
    (note,) = read_scan(PredictionJob((path,), Path("x"))).notes
    assert note == f"{path}: {said}"
