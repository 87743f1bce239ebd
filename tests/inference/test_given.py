"""What people hand to `model.mask` and `predict_array`, and what they are told where it will not do."""

import copy
import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image

import tumorline
from tests import sources
from tests.conftest import blob, refused_in_one_line
from tests.formats.test_dicom_series import write_series
from tests.strange_models import RUN
from tumorline.errors import UserError
from tumorline.geometry.grid import Grid
from tumorline.inference.jobs import list_jobs
from tumorline.inference.model import Model, load

WIDE = (0.5, 1.0)
"""From top to bottom and from left to right, in mm: pixels twice as wide as high."""


@pytest.fixture(scope="module")
def model(tiny_run: Path) -> Model:
    return load(tiny_run)


@pytest.fixture
def grey() -> Any:
    return blob(48, 3)[0]


def test_one_image_has_one_mask_whatever_it_comes_as(model: Model, grey: Any, tmp_path: Path) -> None:
    Image.fromarray(grey).save(tmp_path / "one.png")
    expected = model.mask(grey[None].astype(np.float32))
    assert expected.shape == (1, 48, 48)
    assert expected.dtype == bool
    assert expected.any()
    given: list[Any] = [
        grey,
        grey[None],
        grey.tolist(),
        Image.fromarray(grey),
        grey.astype(np.int64),
        7 * grey.astype(float),
    ]
    given += [tmp_path / "one.png", str(tmp_path / "one.png"), np.stack([grey] * 3, -1), np.stack([grey] * 4, -1)]
    assert all(np.array_equal(model.mask(one), expected) for one in given)
    assert np.array_equal(tumorline.predict_array(grey, model)["mask"], expected)


def test_a_probability_is_asked_of_whatever_a_mask_is(model: Model, grey: Any, tmp_path: Path) -> None:
    Image.fromarray(grey).save(tmp_path / "one.png")
    expected = model.probability(grey[None].astype(np.float32))
    for given in (grey, grey.tolist(), Image.fromarray(grey), tmp_path / "one.png", str(tmp_path / "one.png")):
        assert np.array_equal(model.probability(given), expected)
    for wrong in (None, "missing.png", b"bytes", {"a": 1}):
        with refused_in_one_line():
            model.probability(wrong)


@pytest.mark.parametrize("kind", ["i2", ">i2", "f2", ">f8", "u1", "?"])
def test_numbers_of_any_kind_give_one_answer(model: Model, kind: str) -> None:
    ramp = (np.linspace(-1, 1, 48 * 48).reshape(1, 48, 48) * 30_000).astype(np.float32)
    image = (ramp > 0 if kind in "u1?" else ramp).astype(kind)
    expected = model.answer(image.astype(np.float32)).probability
    assert np.array_equal(model.answer(image).probability, expected)


@pytest.mark.parametrize("wrong", [np.ones((1, 8, 8), complex), np.ones((1, 8, 8), object), [["a"]], None])
def test_an_answer_to_what_is_no_array_of_numbers_is_one_line(model: Model, wrong: Any) -> None:
    with refused_in_one_line() as refused:
        model.answer(wrong, "scan 7")
    assert "scan 7: " in str(refused.value)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32])
def test_what_is_masked_is_not_looked_at(model: Model, grey: Any, kind: Any) -> None:
    burnt = grey.astype(kind)
    burnt[:6, :30] = 127 if kind == np.uint8 else 20_000
    hidden = np.ma.array(burnt, mask=False)
    hidden[:6, :30] = np.ma.masked
    expected = np.where(hidden.mask, np.nan, burnt.astype(np.float32))
    assert np.array_equal(model.probability(hidden), model.probability(expected))
    assert not np.array_equal(model.probability(hidden), model.probability(burnt))


def test_a_dicom_dataset_is_what_its_file_is_and_stays_as_it_was(model: Model, grey: Any, tmp_path: Path) -> None:
    path = sources.save_dicom(tmp_path / "one.dcm", grey.astype(np.uint16) * 9)
    dataset = pydicom.dcmread(path)
    before = dataset.to_json()
    assert np.array_equal(model.mask(dataset), model.mask(path))
    assert dataset.to_json() == before
    del dataset.file_meta
    assert np.array_equal(model.mask(dataset), model.mask(path))
    assert not hasattr(dataset, "file_meta")


def test_a_volume_is_answered_slice_by_slice_and_lies_as_it_was_given(model: Model, tmp_path: Path) -> None:
    slices = [blob(32, seed)[0].astype(np.float32) for seed in range(4)]
    volume = np.stack(slices)[None]
    assert np.array_equal(model.mask(volume), np.stack([model.mask(one) for one in slices], 1))
    path = sources.save_volume(tmp_path / "scan.nii.gz", list(map(np.asarray, slices)))
    from tumorline.formats.nifti import read_volume
    from tumorline.geometry.upright import upright

    mask = model.mask(path)
    assert mask.shape == (1, *upright(read_volume(path)).shape)
    assert np.array_equal(mask, model.mask(upright(read_volume(path))[None].astype(np.float32)))


def test_sizes_are_told_where_the_spacing_is(model: Model, grey: Any) -> None:
    plain = tumorline.predict_array(grey, model)
    assert (plain["tumour_mm2"], plain["tumour_ml"], plain["regions"]) == (None, None, ["tumour"])
    spaced = tumorline.predict_array(grey, model, spacing_mm=(0.5, 2))
    assert spaced["tumour_mm2"] == spaced["tumour_px"] == int(spaced["mask"].sum())
    volume = tumorline.predict_array(np.stack([grey] * 2)[None], model, spacing_mm=(5, 0.5, 0.5))
    assert volume["tumour_ml"] == pytest.approx(volume["tumour_px"] * 1.25e-3)
    assert 0 < spaced["confidence"] <= 1
    assert spaced["probability"].shape == (1, 48, 48)


REFUSED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "nothing": (lambda _: None, "image: a NoneType; give an array (H, W), (C, H, W) or (C, D, H, W), a path"),
    "a mapping": (lambda _: {"image": 1}, "image: a dict; give an array"),
    "texts": (lambda _: ["a", "b"], "image: an array of <U1"),
    "complex numbers": (lambda _: np.zeros((8, 8), complex), "array of complex128"),
    "ragged lists": (lambda _: [[1, 2], [3]], "image: a list that is no array"),
    "a number": (lambda _: 3, "an array of the shape ()"),
    "a line": (lambda _: np.zeros(8), "an array of the shape (8,); this model takes (H, W) or (1, H, W)"),
    "two channels": (lambda _: np.zeros((2, 8, 8)), "an array of the shape (2, 8, 8)"),
    "a volume without channels": (lambda _: np.zeros((9, 8, 8)), "a volume (D, H, W) is given as image[None]"),
    "five axes": (lambda _: np.zeros((1, 1, 8, 8, 8)), "an array of the shape (1, 1, 8, 8, 8)"),
    "no pixels": (lambda _: np.zeros((0, 8)), "an array of the shape (1, 0, 8)"),
    "no file": (lambda folder: folder / "nowhere.png", "no such file or folder"),
    "no image": (lambda folder: text_in(folder), "broken.png"),
    "several images": (lambda folder: two_in(folder), "holds 2 images, one is expected"),
    "DICOM without pixels": (lambda _: pydicom.Dataset(), "DICOM dataset: "),
}


def text_in(folder: Path) -> Path:
    (folder / "broken.png").write_text("no picture")
    return folder / "broken.png"


def two_in(folder: Path) -> Path:
    for name in ("a", "b"):
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(folder / f"{name}.png")
    return folder


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_image_is_refused_in_one_line(what: str, model: Model, tmp_path: Path) -> None:
    make, said = REFUSED[what]
    with refused_in_one_line() as refused:
        model.mask(make(tmp_path))
    assert said in str(refused.value)


def test_spacing_has_to_fit(model: Model, grey: Any, tmp_path: Path) -> None:
    Image.fromarray(grey).save(tmp_path / "one.png")
    for given, spacing in ((grey, (1, 1, 1)), (grey, (0, 1)), (grey, (1, np.inf)), (tmp_path / "one.png", (1, 1))):
        with pytest.raises(UserError, match="spacing_mm"):
            tumorline.predict_array(given, model, spacing_mm=spacing)
    with pytest.raises(UserError, match="tta is that of the model"):
        tumorline.predict_array(grey, model, tta="flips")


MISUSED: dict[str, tuple[Callable[[Model], Any], str]] = {
    "one spacing": (lambda model: spaced(model, 0.5), "spacing_mm is 0.5; expected a length in mm for each of 2 axes"),
    "half a spacing": (lambda model: spaced(model, (None, 1)), "spacing_mm is (None, 1); expected a length in mm"),
    "a text as spacing": (lambda model: spaced(model, "0.5"), "spacing_mm is '0.5'; expected a length in mm"),
    "an array as inputs": (lambda _: predicted(np.zeros((2, 2))), "inputs: a ndarray; give a path"),
    "nothing as inputs": (lambda _: predicted(None), "inputs: a NoneType; give a path"),
    "no model": (lambda _: load(None), "model: a NoneType; give a path"),  # type: ignore[arg-type]
    "a list as tta": (lambda _: load(RUN, tta=["flips"]), "tta is '['flips']'; "),  # type: ignore[arg-type]
    "a truth as tta": (lambda _: load(RUN, tta=True), "tta is 'True'; known: all, flips, none"),  # type: ignore[arg-type]
    "a number as precision": (lambda _: load(RUN, precision=16), "precision is '16'; "),  # type: ignore[arg-type]
    "nothing as runtime": (lambda _: load(RUN, runtime=None), "runtime is 'None'; "),  # type: ignore[arg-type]
    "no requests": (lambda _: load(RUN, requests=0), "requests is 0; expected a whole number, 1 or more"),
    "half a request": (lambda _: load(RUN, requests=1.5), "requests is 1.5; expected"),  # type: ignore[arg-type]
    "threads below none": (lambda _: load(RUN, threads=-1), "threads is -1; expected a whole number, 0 or more"),
    "nothing to view": (lambda _: tumorline.view(object()), "view: a object; give a path"),  # type: ignore[arg-type]
    "no model to export": (lambda _: tumorline.ensemble(None, "a.safetensors"), "models: a NoneType; give a path"),  # type: ignore[arg-type]
    "no run to resume": (lambda _: tumorline.resume(None), "run: a NoneType; give a path"),  # type: ignore[arg-type]
    "one run to compare": (lambda _: tumorline.compare("some/run"), "give two runs or more"),
}


def spaced(model: Model, spacing_mm: Any) -> Any:
    return tumorline.predict_array(np.zeros((8, 8)), model, spacing_mm=spacing_mm)


def predicted(inputs: Any) -> Any:
    return tumorline.predict(inputs, RUN)


@pytest.fixture(scope="module")
def frozen() -> Model:
    return load(RUN)


@pytest.mark.parametrize("what", MISUSED)
def test_what_a_script_gets_wrong_is_one_line(what: str, frozen: Model) -> None:
    call, said = MISUSED[what]
    with pytest.raises(UserError) as refused:
        call(frozen)
    assert said in str(refused.value)


@pytest.mark.parametrize("mode", ["P", "CMYK", "HSV", "YCbCr", "LA"])
def test_an_image_of_pillow_is_read_as_its_file_would_be(mode: str, frozen: Model, grey: Any) -> None:
    colours = Image.fromarray(np.stack([grey, grey // 2, grey // 3], -1))
    given = colours.convert("L").convert("LA") if mode == "LA" else colours.convert(mode)
    expected = np.asarray(given.convert("L" if mode == "LA" else "RGB"))
    assert np.array_equal(frozen.mask(given), frozen.mask(expected))
    assert frozen.mask(given).any()


def test_a_model_goes_to_another_process_with_what_was_changed_of_it(frozen: Model, grey: Any) -> None:
    changed = replace(frozen, info=frozen.info.model_copy(update={"threshold": 0.9}), tta="flips")
    for again in (pickle.loads(pickle.dumps(changed)), copy.deepcopy(changed)):
        assert (again.info, again.tta, again.path) == (changed.info, "flips", changed.path)
        assert np.array_equal(again.mask(grey), changed.mask(grey))


def test_a_picture_that_is_called_dicom_is_read_by_its_content(frozen: Model, grey: Any, tmp_path: Path) -> None:
    Image.fromarray(grey).save(tmp_path / "one.png")
    (tmp_path / "one.png").rename(tmp_path / "one.dcm")
    assert np.array_equal(frozen.mask(tmp_path / "one.dcm"), frozen.mask(grey))
    (row,) = tumorline.predict(tmp_path / "one.dcm", RUN, tmp_path / "out")
    assert row["error"] is None


def test_a_pipe_is_told_from_what_is_not_there(frozen: Model, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(UserError, match=r"pipe.png: a pipe; expected a regular file"):
        frozen.mask(tmp_path / "pipe.png")


def test_a_link_to_a_model_finds_the_network_beside_what_it_leads_to(grey: Any, frozen: Model, tmp_path: Path) -> None:
    (tmp_path / "best.safetensors").symlink_to(RUN / "model.safetensors")
    model = load(tmp_path / "best.safetensors")
    assert model.path == tmp_path / "best.safetensors"
    assert model.fingerprint == frozen.fingerprint
    assert np.array_equal(model.mask(grey), frozen.mask(grey))


def wide_picture(grey: Any, path: Path) -> Any:
    """A disc whose columns are twice as far apart as its rows; the picture as it is written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(grey[:, ::2]).save(path)
    return grey[:, ::2]


def outlined(model: Model, given: Any) -> Any:
    """In its proportions, which is not what square pixels give."""
    mask = model.mask(given, Grid(given.shape, WIDE))
    assert not np.array_equal(mask, model.mask(given))
    return mask


def test_the_pixels_that_a_row_of_a_table_states_are_seen(model: Model, grey: Any, tmp_path: Path) -> None:
    expected = outlined(model, wide_picture(grey, tmp_path / "a.png"))
    (tmp_path / "cases.csv").write_text("id,image,Spacing mm\nq,a.png,0.5x1.0\n")
    assert np.array_equal(model.mask(tmp_path / "cases.csv"), expected)
    found = tumorline.predict_array(tmp_path / "cases.csv", model)
    assert found["tumour_mm2"] == pytest.approx(0.5 * found["tumour_px"])


@pytest.mark.parametrize(
    ("image", "table", "written"),
    [
        ("a.png", "patients.csv", "a"),
        ("images/a.png", "patients.csv", "a"),
        ("images/p1/a_image.png", "patients.csv", "p1/a_image"),
        ("p1/a_image.png", "Patients.csv", "p1/a"),
        ("train/images/a.png", "patients.csv", "train/a"),
        ("train/images/a.png", "train/patients.csv", "a"),
        ("train_images/a.png", "patients.csv", "train_images/a"),
    ],
)
def test_the_pixels_that_a_folder_states_are_seen(
    model: Model, tiny_run: Path, grey: Any, tmp_path: Path, image: str, table: str, written: str
) -> None:
    expected = outlined(model, wide_picture(grey, tmp_path / "in" / image))
    wide_picture(255 - grey, (tmp_path / "in" / image).with_name("other.png"))
    (tmp_path / "in" / table).write_text(f"id,patient,spacing_mm\n{written},P1,0.5 x 1.0\n")
    rows = {Path(row["input"]).stem: row for row in tumorline.predict(tmp_path / "in", tiny_run, tmp_path / "out")}
    row = rows[Path(image).stem]
    assert np.array_equal(np.asarray(Image.open(row["mask"])) > 0, expected[0])
    assert row["tumour_mm2"] == pytest.approx(0.5 * row["tumour_px"])
    assert (row["tumour_ml"], rows["other"]["tumour_mm2"]) == (None, None)
    assert [job.spacing_mm for job in list_jobs([tmp_path / "in"]) if job.path.stem == "other"] == [None]


@pytest.mark.parametrize(
    ("image", "given", "table", "written"),
    [
        ("a.png", "a.png", "patients.csv", "a"),
        ("images/a.png", "images/a.png", "patients.csv", "a"),
        ("images/a.png", "images", "patients.csv", "a"),
        ("train/images/a.png", "train/images/a.png", "patients.csv", "train/a"),
        ("train/images/a.png", "train", "Patients.csv", "train/a"),
    ],
)
def test_a_file_of_a_set_has_the_pixels_that_the_set_states(
    model: Model, grey: Any, tmp_path: Path, image: str, given: str, table: str, written: str
) -> None:
    expected = outlined(model, wide_picture(grey, tmp_path / image))
    (tmp_path / table).write_text(f"id,patient,spacing_mm\n{written},P1,0.5 x 1.0\n")
    assert np.array_equal(model.mask(tmp_path / given), expected)
    assert np.array_equal(model.mask(tmp_path / image, Grid(expected.shape[1:], WIDE)), expected)


def test_several_files_of_a_set_have_their_own_pixels(
    grey: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        wide_picture(grey, tmp_path / "set" / "images" / f"{name}.png")
    (tmp_path / "set" / "patients.csv").write_text("id,spacing_mm\na,0.5x1.0\nb,2\n")
    monkeypatch.chdir(tmp_path / "set" / "images")
    jobs = list_jobs([Path("a.png"), Path("c.png"), Path("../images/b.png")])
    assert [job.spacing_mm for job in jobs] == [WIDE, None, (2, 2)]


def test_what_lies_below_an_earlier_input_is_predicted_once(grey: Any, tmp_path: Path) -> None:
    for name in ("a.png", "sub/b.png", "sub/c.png"):
        wide_picture(grey, tmp_path / "in" / name)
    folder = tmp_path / "in"
    for inputs in (
        [folder, folder / "a.png"],
        [folder, folder / "sub"],
        [folder / "sub", folder, folder / "sub" / "b.png"],
    ):
        assert sorted(job.path.name for job in list_jobs(inputs)) == ["a.png", "b.png", "c.png"]


def test_a_series_below_two_inputs_is_predicted_once(tmp_path: Path) -> None:
    write_series(tmp_path / "in" / "series")
    for inputs in ([tmp_path / "in", tmp_path / "in" / "series"], [tmp_path / "in" / "series", tmp_path / "in"]):
        (job,) = list_jobs(inputs)
        assert len(job.series[0].paths) == 5


def test_an_input_that_is_given_twice_is_predicted_once(
    grey: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide_picture(grey, tmp_path / "in" / "a.png")
    monkeypatch.chdir(tmp_path)
    jobs = list_jobs([Path("in/a.png"), Path("./in/a.png"), tmp_path / "in" / "a.png"])
    assert [job.target for job in jobs] == [Path("a")]


def test_a_table_above_a_folder_of_no_set_is_not_asked(grey: Any, tmp_path: Path) -> None:
    wide_picture(grey, tmp_path / "other" / "a.png")
    (tmp_path / "patients.csv").write_text("id,spacing_mm\na,0.5x1.0\n")
    assert [job.spacing_mm for job in list_jobs([tmp_path / "other" / "a.png"])] == [None]


def test_a_table_before_a_header_and_a_header_before_nothing(model: Model, grey: Any, tmp_path: Path) -> None:
    sources.save_dicom(tmp_path / "a.dcm", grey.astype(np.uint16), PixelSpacing=[2, 2])
    (tmp_path / "cases.csv").write_text("id,image,spacing_mm\nq,a.dcm,0.5x1.0\n")
    for path, pixel_mm2 in ((tmp_path / "a.dcm", 4), (tmp_path / "cases.csv", 0.5)):
        found = tumorline.predict_array(path, model)
        assert found["tumour_mm2"] == pytest.approx(pixel_mm2 * found["tumour_px"])


def test_a_table_that_says_nothing_of_pixels_is_not_asked(grey: Any, tmp_path: Path) -> None:
    Image.fromarray(grey).save(tmp_path / "a.png")
    for text in ("name,age\nx,3\n", "id,patient\nb,P1\nc,p1\n", "not,a\ntable,at,all\n", '"'):
        (tmp_path / "patients.csv").write_text(text)
        assert [job.spacing_mm for job in list_jobs([tmp_path])] == [None]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("id,spacing_mm\nb,1x2\n", "0 of its 1 row mean one of the 1 names in "),
        ("id,spacing_mm\na,1x2x3\n", "case 'a': spacing_mm is '1x2x3'; expected one or two positive numbers"),
        ("patient,spacing_mm\na,1x2\n", "patients.csv: column id is missing"),
    ],
)
def test_a_table_of_pixels_that_does_not_fit_the_pictures_is_one_line(
    grey: Any, tmp_path: Path, table: str, message: str
) -> None:
    Image.fromarray(grey).save(tmp_path / "a.png")
    (tmp_path / "patients.csv").write_text(table)
    with refused_in_one_line() as refused:
        list_jobs([tmp_path])
    assert message in str(refused.value)


def test_a_row_with_pixels_that_mean_nothing_costs_only_itself(grey: Any, tmp_path: Path) -> None:
    Image.fromarray(grey).save(tmp_path / "a.png")
    volume = sources.save_volume(tmp_path / "v.nii.gz", [grey] * 2)
    table = tmp_path / "cases.csv"
    table.write_text(f"id,image,spacing_mm\np,a.png,0.5x1.0\nq,a.png,wide\nr,a.png,\ns,{volume},1x1x3\n")
    jobs = list_jobs([table])
    assert [job.spacing_mm for job in jobs] == [WIDE, None, None, None]
    wrong = f"case 'q': spacing_mm is 'wide'; expected one or two positive numbers (line 3 of {table})"
    assert [job.problem for job in jobs] == ["", wrong, "", ""]


def test_a_grid_is_that_of_a_picture_that_states_none(model: Model, grey: Any, tmp_path: Path) -> None:
    wide = wide_picture(grey, tmp_path / "a.png")
    grid = Grid(wide.shape, WIDE)
    assert np.array_equal(model.mask(tmp_path / "a.png", grid), outlined(model, wide))
    path = sources.save_dicom(tmp_path / "a.dcm", wide.astype(np.uint16), PixelSpacing=None)
    assert np.array_equal(model.mask(path, grid), model.mask(pydicom.dcmread(path), grid))
    assert not np.array_equal(model.mask(path, grid), model.mask(path))
    with pytest.raises(UserError, match=r"a\.png: its sides are \(48, 24\), those of the grid \(24, 24\)"):
        model.mask(tmp_path / "a.png", Grid((24, 24), WIDE))


def test_a_grid_beside_one_that_is_stated_is_refused(model: Model, grey: Any, tmp_path: Path) -> None:
    slice_ = sources.save_dicom(tmp_path / "a.dcm", grey.astype(np.uint16))
    Image.fromarray(grey).save(tmp_path / "a.png")
    (tmp_path / "cases.csv").write_text("id,image,spacing_mm\nq,a.png,0.5x1.0\n")
    volume = sources.save_volume(tmp_path / "v.nii.gz", [grey] * 2)
    for given in (slice_, pydicom.dcmread(slice_), volume, tmp_path / "cases.csv"):
        with pytest.raises(UserError, match="states its own grid; leave out grid"):
            model.mask(given, Grid((48, 48), (2.0, 2.0)))
