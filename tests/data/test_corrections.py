"""Corrected masks (`data.corrections`): read in place of a set's own, counted and named, never taken for another's."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image

from tests.conftest import TINY, PairFolder, Program
from tests.data.test_joined import configured, pairs
from tests.sources import SIZE, Array, brats, save, save_volume, slices
from tumorline.audit.check import check, errors
from tumorline.config import load_config
from tumorline.data.corrections import CORRECTED, TRUTH
from tumorline.data.dataset import Dataset, load_dataset
from tumorline.data.finding import Finding
from tumorline.data.joined import load_data
from tumorline.errors import UserError
from tumorline.evaluation.provenance import hash_dataset

nib: Any = nibabel
SQUARE = np.zeros((SIZE, SIZE), np.uint8)
SQUARE[4:9, 5:12] = 255
Load = Callable[..., Dataset]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def read(source: Path, *overrides: str) -> Dataset:
        places = (f"data.cache='{tmp_path / 'cache'}'", f"data.corrections='{tmp_path / 'fixed'}'")
        return load_dataset(source, load_config(None, [*places, *overrides]).data)

    return read


def found(findings: list[Finding], code: str) -> list[str]:
    return [finding.message for finding in findings if finding.code == code]


def truth_of(dataset: Dataset, name: str) -> Array:
    return dataset.read(dataset.case(name)).truth


def test_a_case_that_is_left_out_takes_what_is_wrong_with_its_correction_along(load: Load, tmp_path: Path) -> None:
    for name in ("s000_mask.png", "s000.png"):
        save(tmp_path / "fixed" / name, SQUARE)
    source = pairs(tmp_path / "source")
    assert len(errors(load(source))) == 1
    assert errors(load(source, "data.leave_out=s000")) == []


@pytest.mark.parametrize(
    "name", ["s000_mask.png", "s000.png", "s000_mask (1).png", "deeper/s000-seg.tif", "source_s000_mask.png"]
)
def test_a_corrected_picture_is_read_in_place_of_its_mask_which_stays(load: Load, tmp_path: Path, name: str) -> None:
    source = pairs(tmp_path / "source")
    before = {path: path.read_bytes() for path in source.rglob("*.png")}
    save(tmp_path / "fixed" / name, SQUARE)
    dataset = load(source)
    assert (truth_of(dataset, "s000")[0] == (SQUARE > 0)).all()
    assert [case.id for case in dataset.cases if case.attributes[TRUTH] == CORRECTED] == ["s000"]
    findings = check(dataset)
    assert found(findings, "corrected") == [f"{tmp_path / 'fixed'}: 1 of 12 masks is read as corrected here (s000)"]
    assert errors(dataset) == []
    assert before == {path: path.read_bytes() for path in source.rglob("*.png")}


@pytest.mark.parametrize("name", ["s000 (1)_mask.png", "s000_1__mask.png", "s000 (1)_mask (1).png"])
def test_a_number_in_brackets_may_be_of_the_name_of_a_case(load: Load, tmp_path: Path, name: str) -> None:
    source = pairs(tmp_path / "source")
    for kind in ("images", "masks"):
        (source / kind / "s001.png").rename(source / kind / "s000 (1).png")
    save(tmp_path / "fixed" / name, SQUARE)
    dataset = load(source)
    assert errors(dataset) == []
    assert [case.id for case in dataset.cases if case.attributes[TRUTH] == CORRECTED] == ["s000 (1)"]


def test_a_correction_stands_in_the_fingerprint_by_what_it_marks(load: Load, tmp_path: Path) -> None:
    source = pairs(tmp_path / "source")
    save(tmp_path / "fixed" / "s000_mask.png", SQUARE)
    first, again = hash_dataset(load(source)), hash_dataset(load(source))
    save(tmp_path / "fixed" / "s000_mask.png", SQUARE.T)
    plain = load_dataset(source, load_config(None, [f"data.cache='{tmp_path / 'cache'}'"]).data)
    assert len({first, hash_dataset(load(source)), hash_dataset(plain)}) == 3
    assert first == again


def test_volumes_are_corrected_by_labels_and_resampled_where_they_lie_otherwise(load: Load, tmp_path: Path) -> None:
    source = brats(tmp_path / "scans", patients=2)
    plane = (SQUARE > 0).astype(np.uint8)
    save_volume(tmp_path / "fixed" / "BraTS2021_00000_seg.nii.gz", [plane * 2, plane * 4])
    moved = nib.Nifti1Image(
        np.stack([plane.T * 1] * 2, -1), np.diag([-1.0, -1.0, 1.0, 1.0]) + np.array([[0, 0, 0, 3.0]] + [[0] * 4] * 3)
    )
    nib.save(moved, tmp_path / "fixed" / "BraTS2021_00001_seg.nii.gz")
    dataset = load(source, "data.regions=whole_tumour,tumour_core,enhancing_tumour")
    whole, core, enhancing = truth_of(dataset, "BraTS2021_00000")
    assert (whole == np.stack([plane > 0] * 2)).all()
    assert not core[0].any()
    assert (enhancing[1] == (plane > 0)).all()
    findings = check(dataset)
    assert "lies up to 3 mm apart" in found(findings, "resampled")[0]
    assert (
        "marks no enhancing_tumour, which the mask that it corrects does" in found(findings, "correction_takes_out")[0]
    )


def noted(path: Path, values: list[Array], note: str) -> None:
    """A volume as the viewer saves it, with what it outlined."""
    image = nib.load(save_volume(path, values))
    image.header["descrip"] = note
    nib.save(image, path)


def test_a_volume_corrected_in_one_region_does_not_stand_for_three(load: Load, tmp_path: Path) -> None:
    source = brats(tmp_path / "scans", patients=2)
    plane = (SQUARE > 0).astype(np.uint8)
    noted(tmp_path / "fixed" / "BraTS2021_00000_seg.nii.gz", [plane, plane], "tumorline 1,4")
    one = load(source)
    assert errors(one) == []
    assert (truth_of(one, "BraTS2021_00000")[0, 0] == (plane > 0)).all()
    (error,) = errors(load(source, "data.regions=whole_tumour,tumour_core,enhancing_tumour"))
    assert "does not tell that of 1,2,4" in error.message


def test_labels_of_another_convention_are_not_taken_for_a_cavity(load: Load, tmp_path: Path) -> None:
    source = tmp_path / "scans"
    for patient in range(2):
        name = f"BraTS-GLI-{patient:05d}-000"
        _, _, image, mask = next(slices(1, patient))
        for kind in ("t1c", "t1n", "t2w", "t2f"):
            save_volume(source / name / f"{name}-{kind}.nii.gz", [image, image])
        save_volume(source / name / f"{name}-seg.nii.gz", [mask.astype(np.uint8) * np.uint8(3)] * 2)
    fixed = save_volume(tmp_path / "fixed" / "BraTS-GLI-00000-000_seg.nii.gz", [(SQUARE > 0) * np.uint8(4)] * 2)
    with pytest.raises(UserError, match=f"marks enhancing tumour by 3, {fixed} by 4"):
        load(source)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"s999_mask.png": SQUARE}, "the correction of no case of"),
        (
            {"s000_mask.png": SQUARE, "s000_mask (1).png": SQUARE},
            "of the same case as s000_mask (1).png, s000; keep",
        ),
        ({"s000_mask.png": SQUARE[:20]}, "image 32 x 32, mask 32 x 20; a pair must have one size"),
        ({"s000_mask.png": np.arange(SIZE * SIZE, dtype=np.uint8).reshape(SIZE, SIZE)}, "two values at most"),
    ],
)
def test_what_is_no_correction_of_a_case_is_an_error_that_names_the_file(
    load: Load, tmp_path: Path, files: dict[str, Array], message: str
) -> None:
    for name, values in files.items():
        save(tmp_path / "fixed" / name, values)
    (error,) = errors(load(pairs(tmp_path / "source")))
    assert message in error.message
    assert str(tmp_path / "fixed") in error.message


def test_a_volume_is_no_correction_of_a_picture(load: Load, tmp_path: Path) -> None:
    save_volume(tmp_path / "fixed" / "s000_seg.nii.gz", [SQUARE])
    (tmp_path / "fixed" / "notes.txt").write_text("checked by A")
    dataset = load(pairs(tmp_path / "source"))
    (error,) = errors(dataset)
    assert "a volume, but s000, whose correction it is, is a picture" in error.message
    assert "1 file of" in found(check(dataset), "correction_left_out")[0]


def test_the_folder_has_to_be_one_of_masks_outside_the_set(load: Load, tmp_path: Path) -> None:
    source = pairs(tmp_path / "source")
    with pytest.raises(UserError, match=r"no such folder \(data.corrections\)"):
        load(source)
    (tmp_path / "fixed").mkdir()
    with pytest.raises(UserError, match="holds no mask"):
        load(source)
    with pytest.raises(UserError, match="lies in the set that its masks are of"):
        load(source, f"data.corrections='{source / 'masks'}'")
    with pytest.raises(UserError, match="exclude one another"):
        load(source, "data.tumour_free=true")


def test_a_correction_of_nothing_is_said_to_be_one(load: Load, tmp_path: Path) -> None:
    source = pairs(tmp_path / "source")
    (tmp_path / "fixed").mkdir()
    (tmp_path / "fixed" / "s000_mask.png").write_bytes((source / "masks" / "s000.png").read_bytes())
    save(tmp_path / "fixed" / "s001_mask.png", np.zeros_like(SQUARE))
    findings = check(load(source))
    assert found(findings, "correction_equal") == ["1 corrected mask as the source has them, unchanged: s000"]
    assert "marks no tumour, which the mask that it corrects does" in found(findings, "correction_takes_out")[0]


def test_regions_that_are_masks_of_their_own_are_corrected_by_number(load: Load, tmp_path: Path) -> None:
    rows = ["id,patient,image,mask_core,mask_halo"]
    for number, patient, image, mask in slices(2):
        save(tmp_path / "set" / f"{number}.png", image)
        save(tmp_path / "set" / f"{number}_c.png", mask)
        save(tmp_path / "set" / f"{number}_h.png", mask)
        rows.append(f"s{number},P{patient},{number}.png,{number}_c.png,{number}_h.png")
    (tmp_path / "set" / "cases.csv").write_text("\n".join(rows) + "\n")
    save(tmp_path / "fixed" / "s1_mask.png", (SQUARE > 0) * np.uint8(2))
    dataset = load(tmp_path / "set" / "cases.csv", "data.regions=core,halo")
    assert errors(dataset) == []
    core, halo = truth_of(dataset, "s1")
    assert not core.any()
    assert (halo == (SQUARE > 0)).all()


def test_several_sources_may_share_a_folder_of_corrections(tmp_path: Path) -> None:
    first, second = pairs(tmp_path / "a"), pairs(tmp_path / "b", first_seed=100)
    for name in ("a_s000_mask.png", "s101_mask.png", "lost_mask.png"):
        save(tmp_path / "fixed" / name, SQUARE)
    dataset = load_data(configured(tmp_path, first, second, corrections=f"'{tmp_path / 'fixed'}'"))
    assert [case.id for case in dataset.cases if case.attributes[TRUTH] == CORRECTED] == ["a/s000", "b/s101"]
    assert [finding.files for finding in errors(dataset)] == [(str(tmp_path / "fixed" / "lost_mask.png"),)]
    own = load_data(configured(tmp_path, f"{first},corrections={tmp_path / 'fixed'}", second))
    assert {file for finding in errors(own) for file in finding.files} == {
        str(tmp_path / "fixed" / name) for name in ("s101_mask.png", "lost_mask.png")
    }


def test_a_public_set_is_recognised_by_the_masks_that_were_corrected(
    load: Load, tmp_path: Path, real_data: Path
) -> None:
    pictures = sorted((real_data / "cheng_png" / "images").iterdir())[:6]
    for image in pictures:
        for kind in ("images", "masks"):
            (tmp_path / "set" / kind).mkdir(parents=True, exist_ok=True)
            (tmp_path / "set" / kind / image.name).write_bytes(
                (real_data / "cheng_png" / kind / image.name).read_bytes()
            )
        size = Image.open(image).size
        save(tmp_path / "fixed" / f"{image.stem}_mask.png", np.array(Image.fromarray(SQUARE).resize(size, 0)))
    dataset = load(tmp_path / "set")
    assert dataset.source.known_as
    assert not dataset.source.patients_unknown


@pytest.mark.slow
def test_a_run_and_its_page_say_which_masks_were_corrected(program: Program, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    source = PairFolder(tmp_path / "source")(patients=10)
    for number in range(20):
        save(tmp_path / "fixed" / f"s{number:03d}_mask.png", SQUARE)
    settings = [
        part for key in (*TINY, "train.epochs=1", f"data.cache={tmp_path / 'cache'}") for part in ("--set", key)
    ]
    corrections = f"{source},corrections={tmp_path / 'fixed'}"
    ended = program("train", "--data", corrections, "--output", tmp_path / "run", *settings)
    assert ended.status == 0, ended.err
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    (warning,) = [text for text in summary["warnings"] if text.startswith("MASKS CORRECTED")]
    assert "4 of 4 cases" in warning
    assert "corrected" in (tmp_path / "run" / "evaluation.csv").read_text()
    page = (tmp_path / "run" / "report.html").read_text()
    assert "MASKS CORRECTED" in page
    assert str(tmp_path / "fixed") not in page
    plain = program(
        "evaluate",
        tmp_path / "run",
        "--data",
        source,
        "--output",
        tmp_path / "plain",
        "--set",
        f"data.cache={tmp_path / 'cache'}",
    )
    assert "MASKS CORRECTED" not in plain.out + plain.err
    assert program("compare", tmp_path / "run", tmp_path / "plain").status == 2
