"""BraTS volumes, and pictures that are said to be free of tumour."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tumorline
from tests import sources
from tests.conftest import blob, refused_in_one_line
from tests.sources import nib, save, save_volume
from tumorline.audit.check import check
from tumorline.cli.shown_results import print_headline
from tumorline.config import DataConfig
from tumorline.data.case import read_image
from tumorline.data.dataset import load_dataset
from tumorline.data.source import open_source
from tumorline.errors import ReadError, UserError
from tumorline.formats import nifti
from tumorline.geometry.upright import upright
from tumorline.results import Summary

FRONT_LEFT = np.zeros((4, 6), np.int16)
FRONT_LEFT[0, 5] = 9
"""As it is looked at: the patient's left is right, the front is up."""


@pytest.mark.parametrize("axes", ["LPS", "RAS", "RPI", "PSR"])
def test_a_volume_is_seen_the_same_way_round_however_it_is_stored(tmp_path: Path, axes: str) -> None:
    save_volume(tmp_path / "a.nii.gz", [FRONT_LEFT, 0 * FRONT_LEFT], (2, 3, 5))
    image = nib.load(tmp_path / "a.nii.gz")
    turn = nib.orientations.ornt_transform(nib.io_orientation(image.affine), nib.orientations.axcodes2ornt(axes))
    nib.save(image.as_reoriented(turn), tmp_path / "b.nii")
    first, second = upright(nifti.read_volume(tmp_path / "b.nii"))
    assert (first.tolist(), second.any()) == (FRONT_LEFT.tolist(), False)
    header = nifti.read_volume_header(tmp_path / "b.nii")
    assert (header.slices, header.grid.spacing_mm, header.frames) == (2, (3, 2, 5), 1)
    assert header.grid.voxel_ml == pytest.approx(0.03)


def test_the_sequence_and_the_label_can_be_chosen(tmp_path: Path) -> None:
    folder = sources.brats(tmp_path, 2)
    save_volume(folder / "BraTS2021_00000" / "BraTS2021_00000_seg.nii.gz", [np.array([[0, 1], [2, 4]])] * 2, (1, 1, 1))
    for kind in ("t1", "t1ce", "t2", "flair"):
        save_volume(folder / "BraTS2021_00000" / f"BraTS2021_00000_{kind}.nii.gz", [np.ones((2, 2))] * 2)
    tumour = {
        label: load_dataset(folder, DataConfig.model_validate({"label": label})).facts[0].foreground
        for label in ("whole_tumour", "tumour_core", "enhancing_tumour")
    }
    assert tumour == {"whole_tumour": 0.75, "tumour_core": 0.5, "enhancing_tumour": 0.25}
    source = open_source(folder, DataConfig(channel="all"))
    assert [path.name.split("_")[-1] for path in source.cases[0].images] == [
        "t1ce.nii.gz",
        "t1.nii.gz",
        "t2.nii.gz",
        "flair.nii.gz",
    ]
    assert (source.channel, source.label) == ("all", "tumour_core")


def test_the_later_names_have_the_later_labels(tmp_path: Path) -> None:
    at = tmp_path / "BraTS-GLI-00000-000"
    for kind in ("t1n", "t1c", "t2W", "t2f"):
        save_volume(at / f"{at.name}-{kind}.nii.gz", [np.ones((2, 2))])
    save_volume(at / f"{at.name}-seg.nii.gz", [np.array([[0, 3], [2, 1]])])
    assert load_dataset(tmp_path, DataConfig()).facts[0].foreground == 0.5
    save_volume(at / f"{at.name}-seg.nii.gz", [np.array([[4, 3], [2, 1]])])
    assert load_dataset(tmp_path, DataConfig()).facts[0].foreground == 0.5
    save_volume(at / f"{at.name}-seg.nii.gz", [np.array([[0, 5], [2, 1]])])
    (finding,) = [found for found in check(load_dataset(tmp_path, DataConfig())) if found.severity == "error"]
    assert "holds the labels {0, 1, 2, 5}; files of these names have 0, 1, 2, 3, 4" in finding.message


def test_what_a_patient_lacks_is_named(tmp_path: Path) -> None:
    folder = sources.brats(tmp_path, 2)
    (folder / "BraTS2021_00001" / "BraTS2021_00001_seg.nii.gz").unlink()
    (folder / "BraTS2021_00000" / "BraTS2021_00000_t1ce.nii.gz").write_bytes(b"\x1f\x8b broken")
    with pytest.raises(UserError, match=r"no pair .* unreadable or truncated"):
        open_source(folder)
    messages = [found.message for found in open_source(sources.brats(tmp_path, 1)).findings]
    assert any(
        "no truth volume of BraTS2021_00001 (a name that ends in seg or tumor_segmentation or" in message
        for message in messages
    )


def test_a_truncated_volume_is_one_finding_and_no_crash(tmp_path: Path) -> None:
    folder = sources.brats(tmp_path, 2)
    path = folder / "BraTS2021_00000" / "BraTS2021_00000_t1ce.nii.gz"
    path.write_bytes(path.read_bytes()[:-200])
    codes = [found.code for found in check(load_dataset(folder, DataConfig())) if found.severity == "error"]
    assert set(codes) == {"unreadable"}


def test_pictures_without_masks_ask_whether_they_are_free_of_tumour(tmp_path: Path) -> None:
    save(tmp_path / "a.png", blob(32, 0)[0])
    with pytest.raises(UserError, match=r"where none shows a tumour, say --set data\.tumour_free=true"):
        open_source(tmp_path)
    dataset = load_dataset(tmp_path, DataConfig(tumour_free=True))
    assert [fact.foreground for fact in dataset.facts] == [0]
    assert [found.code for found in check(dataset)] == ["patients_unknown"]


def test_tumour_free_beside_masks_is_a_contradiction(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.tumour_free is set, but there are masks: images/ with masks/"):
        open_source(sources.folders(tmp_path, 2), DataConfig(tumour_free=True))
    save(tmp_path / "twice" / "a.png", blob(32, 0)[0])
    Image.fromarray(blob(32, 0)[0]).save(tmp_path / "twice" / "a.jpg")
    (found,) = open_source(tmp_path / "twice", DataConfig(tumour_free=True)).findings
    assert found.code == "ambiguous"


def test_what_a_model_invents_is_counted(tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(4):
        save(tmp_path / "healthy" / f"{number}.png", blob(32, 900 + number)[0])
    overrides = ["data.tumour_free=true"]
    summary = tumorline.evaluate(tiny_run, tmp_path / "healthy", output=tmp_path / "out", overrides=overrides)
    figures = summary["regions"]["tumour"]
    assert figures["dice"]["mean"] is None
    assert figures["false_positive_rate"] == figures["false_positive"]["mean_over_cases"] == figures["invented"] / 4
    print_headline(Summary.model_validate(summary))
    assert f"false positives on {figures['invented']} of 4 cases without a tumour" in capsys.readouterr().out
    assert "of 4 slices without a tumour" in (tmp_path / "out" / "report.html").read_text()


def test_real_brats_has_its_cores(real_data: Path) -> None:
    dataset = load_dataset(real_data / "brats2023", DataConfig())
    assert not [found for found in check(dataset) if found.severity == "error"]
    assert [fact.shape for fact in dataset.facts] == [(1, 155, 240, 240)]
    assert dataset.facts[0].foreground > 0
    assert read_image(dataset.cases[0])[0, :, :, 0].max() == 0


@pytest.mark.parametrize("error", [OSError(errno.EMFILE, "Too many open files"), MemoryError()])
def test_a_volume_that_could_not_be_read_this_time_is_read_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    path = save_volume(tmp_path / "a.nii.gz", [FRONT_LEFT])

    def fail(_: Path) -> None:
        raise error

    with monkeypatch.context() as patch, refused_in_one_line(error=ReadError):
        patch.setattr(nifti, "open_volume", fail)
        nifti.read_volume(path)
    assert nifti.read_volume(path).any()


def test_a_volume_that_is_replaced_by_one_of_the_same_time_is_read_anew(tmp_path: Path) -> None:
    path, other = save_volume(tmp_path / "a.nii", [FRONT_LEFT]), save_volume(tmp_path / "b.nii", [0 * FRONT_LEFT])
    assert nifti.read_volume(path).any()
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.replace(path)
    assert not nifti.read_volume(path).any()
