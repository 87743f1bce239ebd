"""What every layout has to do, and what makes each of them different."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

import tumorline
from tests import sources
from tests.conftest import TINY, blob, refused_in_one_line
from tests.sources import OF_VOLUMES, WRITERS, save, save_dicom, save_mat
from tumorline.audit.check import check
from tumorline.config import DataConfig
from tumorline.data import cheng
from tumorline.data.case import read_image
from tumorline.data.dataset import load_dataset
from tumorline.data.known_layouts import LAYOUTS
from tumorline.data.masks.read import mask_hash
from tumorline.data.source import open_picture, open_source
from tumorline.data.splits.split import split_dataset
from tumorline.errors import UserError

IMAGE, MASK = blob(32, 1)


def codes(path: Path, **settings: str) -> set[str]:
    return {finding.code for finding in check(load_dataset(path, DataConfig.model_validate(settings)))}


def refusal(path: Path, **settings: str) -> str:
    with refused_in_one_line() as caught:
        open_source(path, DataConfig.model_validate(settings))
    return str(caught.value)


# ---------------------------------------------------------------- all of them


def test_every_layout_has_a_writer() -> None:
    assert set(WRITERS) >= set(LAYOUTS)


@pytest.mark.parametrize("name", WRITERS)
def test_every_layout_is_recognised_checked_and_split_by_patient(tmp_path: Path, name: str) -> None:
    dataset = load_dataset(WRITERS[name](tmp_path / "source", 6), DataConfig())
    assert len(dataset.cases) == (6 if name in OF_VOLUMES else 12)
    assert len({case.patient for case in dataset.cases} - {None}) == 6
    assert [finding.code for finding in check(dataset)] == []
    split = split_dataset(dataset, tumorline.Config().split)
    parts_by_patient = {(case.patient, split.parts[case.id]) for case in dataset.cases}
    assert len(parts_by_patient) == 6


@pytest.mark.parametrize("name", WRITERS)
def test_every_layout_has_the_same_masks(tmp_path: Path, name: str) -> None:
    dataset = load_dataset(WRITERS[name](tmp_path / "source", 3), DataConfig())
    truths = [dataset.read(case).truth[0] for case in dataset.cases]
    slices = [plane for truth in truths for plane in (truth if truth.ndim == 3 else [truth])]
    assert {mask_hash(plane) for plane in slices} == {mask_hash(blob(32, seed)[1]) for seed in range(6)}


@pytest.mark.parametrize("place", ["", "inner", "inner/notes"])
@pytest.mark.parametrize("name", [name for name in WRITERS if name != "csv"])
def test_a_table_of_patients_is_read_wherever_it_lies_in_any_layout(tmp_path: Path, name: str, place: str) -> None:
    inner = WRITERS[name](tmp_path / "inner", 2)
    (inner / "patients.csv").unlink(missing_ok=True)
    ids = [case.id for case in open_source(inner if place else tmp_path).cases]
    table = tmp_path / place / "Patients.csv"
    table.parent.mkdir(exist_ok=True)
    table.write_text("id,patient\n" + "".join(f"{written},Q{number}\n" for number, written in enumerate(ids)))
    assert [case.patient for case in open_source(tmp_path).cases] == [f"Q{number}" for number in range(len(ids))]


@pytest.mark.slow
@pytest.mark.parametrize("name", WRITERS)
def test_every_layout_trains_and_evaluates(tmp_path: Path, name: str) -> None:
    source = WRITERS[name](tmp_path / "source", 10)
    overrides = [*TINY, "train.epochs=1", f"data.cache='{tmp_path / 'cache'}'"]
    run = tumorline.train(data=source, overrides=overrides, output=tmp_path / "run")
    assert not any(b"DOE-" in file.read_bytes() for file in run.rglob("*") if file.is_file())
    assert "data:image/png" in (run / "report.html").read_text()
    command = ["evaluate", str(run), "--data", str(source), "--output", str(tmp_path / "out"), "--json"]
    arguments = [sys.executable, "-m", "tumorline", *command]
    printed = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout
    assert json.loads(printed)["regions"] == json.loads((run / "summary.json").read_text())["regions"]


@pytest.mark.slow
def test_a_model_reads_the_sequences_that_it_was_trained_on(tmp_path: Path) -> None:
    source = sources.lgg(tmp_path / "lgg", 10)
    overrides = [*TINY, "train.epochs=1", "data.channel=all", f"data.cache='{tmp_path / 'cache'}'"]
    run = tumorline.train(data=source, overrides=overrides, output=tmp_path / "run")
    assert (
        tumorline.evaluate(run, source, output=tmp_path / "out")["source"]["channel"]
        == "pre_contrast, flair, post_contrast"
    )
    rows = tumorline.predict(source / "TCGA_AA_0000_19990101", run, tmp_path / "predicted")
    assert [row["error"] for row in rows] == [None, None]
    with pytest.raises(UserError, match="1 channel; the model takes 3"):
        tumorline.evaluate(run, source, output=tmp_path / "of-one", overrides=["data.channel=flair"])


# ---------------------------------------------------------------- folders


@pytest.mark.parametrize(("images", "masks"), [("imgs", "labels"), ("image", "annotations"), ("Images", "mask")])
def test_two_folders_may_have_other_names(tmp_path: Path, images: str, masks: str) -> None:
    save(tmp_path / images / "x.png", IMAGE)
    save(tmp_path / masks / "x.png", MASK)
    assert [case.id for case in open_source(tmp_path).cases] == ["x"]


def test_a_third_folder_makes_the_pairs_ambiguous(tmp_path: Path) -> None:
    for folder in ("images", "masks", "labels"):
        save(tmp_path / folder / "x.png", MASK)
    assert "holds labels/ and masks/; which of them belongs" in refusal(tmp_path)


def test_masks_in_their_folder_may_have_a_suffix(tmp_path: Path) -> None:
    for name in ("x", "y"):
        save(tmp_path / "images" / f"{name}.png", IMAGE)
    save(tmp_path / "masks" / "x_mask.png", MASK)
    source = open_source(tmp_path)
    assert [case.id for case in source.cases] == ["x"]
    assert [Path(finding.files[0]).name for finding in source.findings] == ["y.png"]


# ---------------------------------------------------------------- pairs by suffix


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("x.png", "x_mask.png"),
        ("x.jpg", "x-mask.png"),
        ("x.png", "x_seg.tif"),
        ("x.png", "x_label.png"),
        ("x.png", "x.mask.png"),
        ("x.png", "x_gt.bmp"),
        ("x_image.png", "x_mask.png"),
        ("x_img.png", "x_img_mask.png"),
    ],
)
def test_pairs_are_found_by_suffix(tmp_path: Path, image: str, mask: str) -> None:
    save(tmp_path / image, IMAGE)
    save(tmp_path / mask, MASK)
    (case,) = open_source(tmp_path).cases
    assert (case.id, case.images[0].name, case.mask and case.mask.name) == ("x", image, mask)


def test_patients_are_not_guessed_from_folders(tmp_path: Path) -> None:
    folder = sources.suffix_pairs(tmp_path, 2)
    (folder / "patients.csv").unlink()
    assert codes(folder) == {"patients_unknown"}


def test_a_picture_without_its_mask_is_an_error_of_that_file(tmp_path: Path) -> None:
    folder = sources.suffix_pairs(tmp_path, 2)
    (folder / "p1" / "3_mask.png").unlink()
    (finding,) = [finding for finding in open_source(folder).findings if finding.severity == "error"]
    assert "3.png: picture without a mask; the mask of x.png is x_mask.png" in finding.message


def test_two_masks_of_one_picture_are_refused(tmp_path: Path) -> None:
    for name in ("x", "x_mask", "x_seg"):
        save(tmp_path / f"{name}.png", MASK)
    assert "one of 2 masks of one pair (x_mask.png and x_seg.png)" in refusal(tmp_path)


# ---------------------------------------------------------------- more than one layout, or none


def test_folders_beside_loose_pairs_are_refused(tmp_path: Path) -> None:
    sources.folders(tmp_path, 1)
    save(tmp_path / "x.png", IMAGE)
    save(tmp_path / "x_mask.png", MASK)
    assert "more than one layout, images/ with masks/ and 1 pair by suffix (for example x_mask.png)" in refusal(
        tmp_path
    )


def test_mat_files_beside_pairs_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "x.png", IMAGE)
    save(tmp_path / "x_mask.png", MASK)
    save_mat(tmp_path / "1.mat", IMAGE, MASK)
    assert "1 pair by suffix (for example x_mask.png) and 1 .mat (for example 1.mat)" in refusal(tmp_path)


def test_pictures_without_masks_are_refused(tmp_path: Path) -> None:
    save_dicom(tmp_path / "series" / "IM0001", IMAGE)
    assert "1 picture without any mask, for example series/IM0001" in refusal(tmp_path)


# ---------------------------------------------------------------- LGG


def test_lgg_gives_the_chosen_sequence_and_never_luminance(tmp_path: Path) -> None:
    folder = sources.lgg(tmp_path, 3)
    values = {}
    for channel in ("", "flair", "post_contrast", "pre_contrast", "all"):
        dataset = load_dataset(folder, DataConfig(channel=channel))
        values[channel] = dataset.read(dataset.cases[0])[0]
    assert np.array_equal(values["flair"][0], blob(32, 0)[0])
    assert np.array_equal(values[""], values["flair"])
    assert np.unique(values["post_contrast"]) == [9]
    assert np.unique(values["pre_contrast"]) == [7]
    assert np.array_equal(
        values["all"], np.concatenate([values["pre_contrast"], values["flair"], values["post_contrast"]])
    )


def test_lgg_patients_are_the_folders(tmp_path: Path) -> None:
    assert {case.patient for case in open_source(sources.lgg(tmp_path, 2)).cases} == {"TCGA_AA_0000", "TCGA_AA_0001"}


def test_an_unknown_channel_is_answered_with_those_of_the_source(tmp_path: Path) -> None:
    folder = sources.lgg(tmp_path / "lgg", 1)
    wanted = "data.channel is 't2'; this source has flair, post_contrast, pre_contrast, all"
    assert wanted in refusal(folder, channel="t2")
    assert "of this source are one sequence" in refusal(sources.folders(tmp_path / "f", 1), channel="flair")


def test_a_sequence_that_repeats_flair_is_told_with_the_count(tmp_path: Path) -> None:
    folder = sources.lgg(tmp_path, 3)
    picture = folder / "TCGA_AA_0001_19990101" / "TCGA_AA_0001_19990101_2.tif"
    save(picture, np.stack([IMAGE, IMAGE, IMAGE // 2], -1))
    messages = [finding.message for finding in open_source(folder, DataConfig(channel="pre_contrast")).findings]
    assert len(messages) == 1
    assert "in 1 of 6 cases a chosen channel repeats FLAIR" in messages[0]
    assert not open_source(folder, DataConfig(channel="post_contrast")).findings
    assert not open_source(folder).findings


def test_a_grey_picture_among_the_lgg_files_is_an_error_of_that_file(tmp_path: Path) -> None:
    folder = sources.lgg(tmp_path, 2)
    save(folder / "TCGA_AA_0001_19990101" / "TCGA_AA_0001_19990101_2.tif", IMAGE)
    (finding,) = [finding for finding in check(load_dataset(folder, DataConfig())) if finding.severity == "error"]
    assert "_2.tif: a grey picture; expected three colour channels" in finding.message


def lgg_triple(grey: np.ndarray) -> np.ndarray:
    return np.stack([np.full_like(grey, 7), grey, np.full_like(grey, 9)], -1)


def lgg_folders(folder: Path, suffix: str) -> Path:
    for number in range(2):
        image, mask = blob(32, number)
        name = f"TCGA_AA_{number:04d}_19990101_5"
        save(folder / "images" / f"{name}{suffix}", lgg_triple(image))
        save(folder / "masks" / f"{name}.png", np.stack([mask * np.uint8(255)] * 3, -1))
    return folder


def lgg_table(folder: Path, suffix: str) -> Path:
    lgg_folders(folder, suffix)
    rows = [f"{image.stem},images/{image.name},masks/{image.stem}.png" for image in (folder / "images").iterdir()]
    (folder / "cases.csv").write_text("\n".join(["id,image,mask", *sorted(rows)]) + "\n")
    return folder / "cases.csv"


@pytest.mark.parametrize("write", [lgg_folders, lgg_table])
@pytest.mark.parametrize("suffix", [".tif", ".png"])
def test_lgg_pictures_are_sequences_in_any_layout(
    tmp_path: Path, write: Callable[[Path, str], Path], suffix: str
) -> None:
    path = write(tmp_path, suffix)
    dataset = load_dataset(path, DataConfig())
    assert (dataset.source.channel, dataset.source.label) == ("flair", "flair_abnormality")
    assert [case.patient for case in dataset.cases] == ["TCGA_AA_0000", "TCGA_AA_0001"]
    assert np.array_equal(dataset.read(dataset.cases[0]).image[0], blob(32, 0)[0])
    assert np.array_equal(read_image(open_picture(dataset.cases[0].images[0])), dataset.read(dataset.cases[0]).image)
    assert [finding.code for finding in check(dataset)] == []
    of_contrast = load_dataset(path, DataConfig(channel="post_contrast"))
    assert np.unique(of_contrast.read(of_contrast.cases[0]).image) == [9]
    assert "this source has flair, post_contrast, pre_contrast, all" in refusal(path, channel="t2")


def test_grey_pictures_of_tcga_patients_are_plain_pairs(tmp_path: Path) -> None:
    for number in range(2):
        image, mask = blob(32, number)
        save(tmp_path / f"TCGA_AA_{number:04d}_19990101_5.tif", image)
        save(tmp_path / f"TCGA_AA_{number:04d}_19990101_5_mask.png", np.stack([mask * np.uint8(255)] * 3, -1))
    dataset = load_dataset(tmp_path, DataConfig())
    assert (dataset.source.layout, dataset.source.channel, dataset.source.label) == ("suffix pairs", "", "")
    assert [case.patient for case in dataset.cases] == ["TCGA_AA_0000", "TCGA_AA_0001"]
    assert np.array_equal(dataset.read(dataset.cases[0]).image[0], blob(32, 0)[0])
    assert read_image(open_picture(dataset.cases[0].images[0])).shape == (1, 32, 32)
    assert [finding.code for finding in check(dataset)] == []


def test_the_name_of_the_archive_hides_no_sequences(tmp_path: Path) -> None:
    sources.lgg(tmp_path / "lgg-mri-segmentation" / "kaggle_3m", 2)
    source = open_source(tmp_path)
    assert (source.layout, source.channel, source.label) == ("lgg", "flair", "flair_abnormality")


def test_lgg_pictures_among_others_leave_the_sequence_open(tmp_path: Path) -> None:
    lgg_folders(tmp_path, ".tif")
    save(tmp_path / "images" / "x.png", IMAGE)
    save(tmp_path / "masks" / "x.png", MASK)
    source = open_source(tmp_path)
    assert (source.channel, source.label) == ("", "")
    assert [case.channels for case in source.cases] == [("flair",), ("flair",), ()]


def test_lgg_pictures_without_tumours_are_sequences(tmp_path: Path) -> None:
    save(tmp_path / "TCGA_AA_0001_19990101_5.tif", lgg_triple(IMAGE))
    source = open_source(tmp_path, DataConfig(tumour_free=True, channel="pre_contrast"))
    assert source.channel == "pre_contrast"
    assert np.unique(read_image(source.cases[0])) == [7]


def test_the_real_lgg_set_is_read(real_data: Path) -> None:
    dataset = load_dataset(real_data / "lgg" / "kaggle_3m", DataConfig())
    assert (dataset.source.layout, dataset.source.channel) == ("lgg", "flair")
    assert len(dataset.cases) == 307
    assert len({case.patient for case in dataset.cases}) == 8
    assert sum(fact.foreground == 0 for fact in dataset.facts) == 188
    picture = np.asarray(Image.open(dataset.cases[5].images[0]))
    assert np.array_equal(dataset.read(dataset.cases[5])[0][0], picture[..., 1])
    assert not {finding.severity for finding in check(dataset)} & {"error"}


# ---------------------------------------------------------------- figshare


def test_figshare_states_patient_class_spacing_and_fold(tmp_path: Path) -> None:
    cases = {case.id: case for case in open_source(sources.figshare(tmp_path, 6)).cases}
    assert list(cases) == [str(number) for number in range(1, 13)]
    case = cases["4"]
    assert (case.patient, case.class_name, case.fold, case.spacing_mm) == ("MR001", "glioma", "2", (0.49, 0.49))


def test_without_cvind_there_are_no_folds(tmp_path: Path) -> None:
    folder = sources.figshare(tmp_path, 2)
    (folder / "cvind.mat").unlink()
    assert {case.fold for case in open_source(folder).cases} == {""}


@pytest.mark.parametrize("swapped", [False, True])
def test_the_known_set_is_recognised_in_either_orientation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swapped: bool
) -> None:
    known, expected = {}, set()
    for number in range(4):
        image, mask = blob(32, number)
        known[mask_hash(mask)] = cheng.Entry("pituitary", str(number // 2))
        expected.add(image.tobytes())
        stored = (image.T, mask.T) if swapped else (image, mask)
        save_mat(tmp_path / f"{number}.mat", *stored, label=2.0, patient=f"ID{number}")
    monkeypatch.setattr(cheng, "cheng_table", lambda: known)
    dataset = load_dataset(tmp_path, DataConfig())
    assert dataset.source.known_as == "cheng"
    assert [(case.patient, case.class_name) for case in dataset.cases] == [(str(n // 2), "pituitary") for n in range(4)]
    assert {dataset.read(case)[0][0].astype(np.uint8).tobytes() for case in dataset.cases} == expected


def test_the_real_masks_are_recognised_in_mat_files(real_data: Path, tmp_path: Path) -> None:
    for path in sorted((real_data / "cheng" / "masks").iterdir())[:5]:
        mask = np.asarray(Image.open(path)) > 0
        save_mat(tmp_path / f"{path.stem}.mat", mask.T * 100, mask.T)
    assert load_dataset(tmp_path, DataConfig()).source.known_as == "cheng"


def break_truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:3000])


def break_old(path: Path) -> None:
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(600, b" "))


def break_group(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["something"] = [1]


def break_label(path: Path) -> None:
    save_mat(path, IMAGE, MASK, label=7)


def break_image(path: Path) -> None:
    save_mat(path, np.zeros((2, 3, 4)), MASK)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (break_truncated, "not a readable MATLAB v7.3"),
        (break_old, "not a readable MATLAB v7.3"),
        (break_group, "not laid out as figshare 1512427; expected a group cjdata"),
        (break_label, "cjdata/label is 7; expected 1 meningioma"),
        (break_image, "cjdata/image is not a plane of numbers (shape (2, 3, 4))"),
    ],
)
def test_a_damaged_mat_file_is_an_error_of_that_file(tmp_path: Path, damage: object, message: str) -> None:
    assert callable(damage)
    folder = sources.figshare(tmp_path, 2)
    path = folder / "brainTumorDataPublic_1-766" / "1.mat"
    damage(path)
    (finding,) = [finding for finding in check(load_dataset(folder, DataConfig())) if finding.severity == "error"]
    assert finding.message.startswith(f"{path}: {message}")
    assert "\n" not in finding.message


def test_a_broken_table_of_folds_is_named(tmp_path: Path) -> None:
    folder = sources.figshare(tmp_path, 2)
    (folder / "cvind.mat").write_bytes(b"nothing")
    assert "cvind.mat: not a readable MATLAB v7.3 (HDF5) file" in refusal(folder)


def test_a_file_that_is_there_twice_is_an_error(tmp_path: Path) -> None:
    folder = sources.figshare(tmp_path, 2)
    save_mat(folder / "again" / "1.mat", IMAGE, MASK)
    (finding,) = open_source(folder).findings
    assert (finding.code, finding.severity) == ("ambiguous", "error")


def test_one_broken_mat_file_alone_says_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "1.mat").write_bytes(b"nothing")
    assert "1.mat: not a readable MATLAB v7.3 (HDF5) file" in refusal(tmp_path)
