"""Scans whose channels are files of their own: gathered by name, answered as one case, written as BraTS's labels."""

import json
import re
import shutil
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

import tumorline
from tests.conftest import Program
from tests.sources import nib, save_frames, save_volume, slices_of
from tumorline.config import Postprocessing
from tumorline.errors import Interrupted, UserError
from tumorline.files import read_csv
from tumorline.inference.model import Model
from tumorline.model_file import read_info
from tumorline.model_info import Architecture, InputSpec
from tumorline.output.journal import JOURNAL_NAME, hash_inputs
from tumorline.regions import CORE, ENHANCING, NESTED, WHOLE

SIDE, DEPTH = 16, 3
CHANNELS = ["flair", "post_contrast", "t2", "pre_contrast"]
WORDS = ["flair", "t1ce", "t2", "t1"]
BRIGHT = {"flair": 10, "t2": 6, "t1ce": 3}
"""Sides of the squares that are bright in a sequence: whole tumour, core and enhancing tumour."""
GOLDEN = Path(__file__).parents[1] / "golden" / "model.safetensors"

Answers = Callable[[np.ndarray], np.ndarray]


def squares(windows: np.ndarray) -> np.ndarray:
    """Whole tumour where FLAIR is bright, core where T2 is, enhancing tumour where T1 after contrast is."""
    return (windows[:, [0, 2, 1]] - 1.0).astype(np.float32)


def model_of(
    channels: list[str], regions: tuple[str, ...], runtime: Answers = squares, context: int = 0, **more: object
) -> Model:
    info = read_info(GOLDEN)
    stated = {
        "architecture": Architecture(name="unet", options={}, channels=max(1, len(channels)) * (2 * context + 1)),
        "input": InputSpec(channels=channels, context=context),
        "regions": [*regions],
        "image_size": SIDE,
        "threshold": 0.5,
        "temperature": 1.0,
        **more,
    }
    return Model(GOLDEN, info.model_copy(update=stated), runtime)


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[Model], Model]:
    def use_model(model: Model) -> Model:
        monkeypatch.setattr("tumorline.api.predicting.load", lambda *_, **__: model)
        return model

    return use_model


@pytest.fixture
def four(use: Callable[[Model], Model]) -> Model:
    return use(model_of(CHANNELS, NESTED))


def square(side: int) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[2 : 2 + side, 3 : 3 + side] = True
    return mask


def picture(word: str) -> np.ndarray:
    random = np.random.default_rng(len(word))
    head = 50 + random.integers(0, 5, (SIDE, SIDE))
    return np.asarray(head + 100 * square(BRIGHT.get(word, 0)))


def save_scan(
    folder: Path, name: str, words: list[str] = WORDS, spacing: tuple[float, float, float] = (2, 2, 2.5)
) -> None:
    for word in words:
        save_volume(folder / f"{name}_{word}.nii.gz", [picture(word)] * DEPTH, spacing)


def smooth(channels: int, depth: int) -> np.ndarray:
    """Not so much noise that the slices count as blank."""
    noise = np.random.default_rng(0).random((channels, depth, SIDE, SIDE))
    return np.asarray(ndimage.gaussian_filter(noise, (0, 0, 2, 2)), np.float32)


EXPECTED = np.select([square(3), square(6), square(10)], [4, 1, 2])


def test_a_folder_of_scans_is_predicted_by_the_names_of_its_files(four: Model, tmp_path: Path) -> None:
    for name in ("BraTS_001", "BraTS_002"):
        save_scan(tmp_path / "in" / name, name)
    (first, second) = tumorline.predict(tmp_path / "in", output=tmp_path / "out")
    assert Path(first["mask"]) == tmp_path / "out" / "BraTS_001" / "BraTS_001_mask.nii.gz"
    assert first["error"] is second["error"] is None
    labels = slices_of(Path(first["mask"]))
    assert np.array_equal(labels, [EXPECTED] * DEPTH)
    expected = {WHOLE: 100, CORE: 36, ENHANCING: 9}
    assert {name: first[f"{name}_px"] for name in NESTED} == {name: DEPTH * px for name, px in expected.items()}
    assert {name: first[f"{name}_ml"] for name in NESTED} == {
        name: pytest.approx(DEPTH * px * 10 / 1000) for name, px in expected.items()
    }
    assert (first["tumour_px"], first["tumour_ml"]) == (DEPTH * 100, pytest.approx(3))
    one, other = nib.load(first["mask"]), nib.load(tmp_path / "in" / "BraTS_001" / "BraTS_001_flair.nii.gz")
    assert np.array_equal(one.affine, other.affine)
    assert one.shape == other.shape
    assert Image.open(first["overlay"]).size == (3 * SIDE, SIDE)
    assert f"t2={tmp_path / 'in' / 'BraTS_001' / 'BraTS_001_t2.nii.gz'}" in first["channels"]


def test_the_tables_hold_a_column_for_each_region_and_say_what_the_labels_are(four: Model, tmp_path: Path) -> None:
    save_scan(tmp_path / "in", "A")
    (row,) = tumorline.predict(tmp_path / "in", output=tmp_path / "out")
    (written,) = read_csv(tmp_path / "out" / "predictions.csv")
    assert [*written] == [*row]
    assert float(written["tumour_core_ml"]) == row["tumour_core_ml"]
    content = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert content["predictions"] == [row]
    assert {name: {*values} for name, values in content["labels"].items()} == {
        WHOLE: {1, 2, 4},
        CORE: {1, 4},
        ENHANCING: {4},
    }
    assert content["threshold"] == dict.fromkeys(NESTED, 0.5)


def test_the_later_convention_writes_3(four: Model, tmp_path: Path, program: Program) -> None:
    save_scan(tmp_path / "in", "A")
    out = tmp_path / "out"
    assert program("predict", tmp_path / "in", "--output", out, "--enhancing-label", "3").status == 0
    assert np.array_equal(slices_of(out / "A_mask.nii.gz")[0], np.where(EXPECTED == 4, 3, EXPECTED))
    outcome = program("predict", tmp_path / "in", "--output", tmp_path / "out2", "--enhancing-label", "2")
    assert (outcome.status, "expected 3 or 4" in outcome.err) == (2, True)


def test_the_label_of_enhancing_tumour_is_for_its_regions(use: Callable[[Model], Model], tmp_path: Path) -> None:
    use(model_of(["flair"], ("tumour",), lambda windows: windows))
    with pytest.raises(UserError, match="--enhancing-label is for models of whole_tumour"):
        tumorline.predict(tmp_path, enhancing_label=3)


def test_channels_are_given_by_name_on_the_command_line(four: Model, tmp_path: Path, program: Program) -> None:
    save_scan(tmp_path, "A")
    for number, word in enumerate(WORDS):
        (tmp_path / f"A_{word}.nii.gz").rename(tmp_path / f"{number}.nii.gz")
    words = ["t1n", "t2w", "t1c", "FLAIR"]
    given = [
        f"--channel={word}={tmp_path / f'{number}.nii.gz'}" for word, number in zip(words, (3, 2, 1, 0), strict=True)
    ]
    outcome = program("predict", *given, "--output", tmp_path / "out")
    assert outcome.status == 0, outcome.err
    (mask,) = (tmp_path / "out").glob("*_mask.nii.gz")
    assert np.array_equal(slices_of(mask)[1], EXPECTED)
    lacking = program("predict", *given[1:], "--output", tmp_path / "out2")
    assert (lacking.status, "pre_contrast is not given; this model takes flair" in lacking.err) == (2, True)
    both = program("predict", tmp_path, *given)
    assert (both.status, "give INPUT, or --channel" in both.err) == (2, True)
    assert program("predict").status == 2


def test_files_given_for_channels_that_their_names_do_not_state_are_noted(four: Model, tmp_path: Path) -> None:
    save_scan(tmp_path / "in", "P1")
    swapped = dict(zip(CHANNELS, ["t1ce", "flair", "t2", "t1"], strict=True))
    given = {channel: str(tmp_path / "in" / f"P1_{word}.nii.gz") for channel, word in swapped.items()}
    table = tmp_path / "cases.csv"
    table.write_text(f"id,{','.join(given)}\nP1,{','.join(given.values())}\n")
    tumorline.predict([table], output=tmp_path / "out")
    (row,) = read_csv(tmp_path / "out" / "predictions.csv")
    assert row["note"] == (
        "P1_t1ce.nii.gz: its name states post_contrast, it is taken for flair; "
        "P1_flair.nii.gz: its name states flair, it is taken for post_contrast"
    )


def test_a_list_of_cases_names_a_file_for_each_channel(four: Model, tmp_path: Path) -> None:
    save_scan(tmp_path / "x", "A")
    save_scan(tmp_path / "x", "B")
    lines = [
        "id,image_flair,image_t1c,t2,T1",
        "p/1,x/A_flair.nii.gz,x/A_t1ce.nii.gz,x/A_t2.nii.gz,x/A_t1.nii.gz",
        "p/2,x/B_flair.nii.gz,x/B_t1ce.nii.gz,,x/B_t1.nii.gz",
        "p/3,x/B_flair.nii.gz,x/B_t1ce.nii.gz,x/none.nii.gz,x/B_t1.nii.gz",
    ]
    (tmp_path / "cases.csv").write_text("\n".join(lines) + "\n")
    rows = tumorline.predict(tmp_path / "cases.csv", output=tmp_path / "out")
    assert np.array_equal(slices_of(tmp_path / "out" / "p" / "1_mask.nii.gz")[0], EXPECTED)
    assert [row["error"] is None for row in rows] == [True, False, False]
    assert rows[1]["error"].endswith("cases.csv: line 3 names no file in column t2")
    assert re.search(r"none\.nii\.gz: no such file or folder \(line 4 of .*cases\.csv\)", rows[2]["error"])


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("id,image_flair,t1c,t2", "no column of pre_contrast files; found id, image_flair, t1c, t2"),
        ("id,image_flair,t2f,t1c,t2,t1", "columns 'image_flair' and 't2f' both mean flair; keep one"),
    ],
)
def test_a_list_without_a_channel_or_with_two_of_it_is_one_line(
    four: Model, tmp_path: Path, header: str, message: str
) -> None:
    (tmp_path / "cases.csv").write_text(f"{header}\n{','.join('a' for _ in header.split(','))}\n")
    with pytest.raises(UserError, match=message):
        tumorline.predict(tmp_path / "cases.csv", output=tmp_path / "out")


def test_a_list_for_a_model_of_one_channel_has_a_column_of_images(
    use: Callable[[Model], Model], tmp_path: Path
) -> None:
    use(model_of([], ("tumour",), lambda windows: windows[:, :1]))
    Image.fromarray(picture("flair").astype(np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "cases.csv").write_text("image\na.png\n")
    (row,) = tumorline.predict(tmp_path / "cases.csv", output=tmp_path / "out")
    assert (row["error"], Path(row["mask"]).name) == (None, "a_mask.png")
    assert "whole_tumour_px" not in row
    assert "channels" not in row


def test_a_scan_that_lacks_a_channel_costs_only_itself(four: Model, tmp_path: Path, program: Program) -> None:
    save_scan(tmp_path / "in" / "A", "A")
    save_scan(tmp_path / "in" / "B", "B", WORDS[:3])
    save_volume(tmp_path / "in" / "other.nii.gz", [picture("t1")])
    outcome = program("predict", tmp_path / "in", "--output", tmp_path / "out", "--json")
    rows = json.loads(outcome.out)
    assert (outcome.status, [row["error"] is None for row in rows]) == (2, [True, False])
    assert f"error: {tmp_path / 'in' / 'B'}: no pre_contrast volume of B (a name that ends in t1 or t1n" in outcome.err
    assert "left out are 1 volumes that are no channel of a scan (for example other.nii.gz)" in outcome.err


def test_one_volume_for_a_model_of_four_is_one_line(four: Model, tmp_path: Path) -> None:
    save_scan(tmp_path, "A", ["t1"])
    (row,) = tumorline.predict(tmp_path / "A_t1.nii.gz", output=tmp_path / "out")
    assert "one volume; this model takes flair, post_contrast, t2, pre_contrast; give the folder" in row["error"]


def test_one_picture_for_a_model_of_four_is_one_line(four: Model, tmp_path: Path) -> None:
    Image.fromarray(np.eye(32, dtype=np.uint8)).save(tmp_path / "x.png")
    (row,) = tumorline.predict(tmp_path / "x.png", output=tmp_path / "out")
    taken = "this model takes 4 (flair, post_contrast, t2, pre_contrast), together as one image or scan"
    assert row["error"] == f"{tmp_path / 'x.png'} has 1 channel; {taken}"


def test_a_folder_without_a_scan_is_one_line(four: Model, tmp_path: Path) -> None:
    save_volume(tmp_path / "x.nii.gz", [picture("t1")])
    with pytest.raises(UserError, match=r"no image and no scan with flair, post_contrast, t2, pre_contrast in this fo"):
        tumorline.predict(tmp_path, output=tmp_path.with_name("out"))


def test_four_frames_of_one_file_are_told_apart_by_the_sets_own_table(four: Model, tmp_path: Path) -> None:
    order = ["t1", "flair", "t2", "t1ce"]
    save_frames(tmp_path / "set" / "imagesTs" / "P.nii.gz", [[picture(word)] * DEPTH for word in order])
    names = {"0": "T1w", "1": "FLAIR", "2": "T2w", "3": "t1gd"}
    (tmp_path / "set" / "dataset.json").write_text(json.dumps({"modality": names}))
    (row,) = tumorline.predict(tmp_path / "set", output=tmp_path / "out")
    assert row["error"] is None
    labels = np.asarray(nib.load(row["mask"]).dataobj)
    assert labels.shape == (SIDE, SIDE, DEPTH)
    assert np.array_equal(slices_of(Path(row["mask"]))[0], EXPECTED)
    (again,) = tumorline.predict(tmp_path / "set" / "imagesTs" / "P.nii.gz", output=tmp_path / "out2")
    assert again["tumour_px"] == row["tumour_px"]
    (shown,) = tumorline.view(row).cases
    assert (shown["space"], [image["name"] for image in shown["images"]]) == ([DEPTH, SIDE, SIDE], CHANNELS)


def test_of_a_set_of_nnunet_a_model_of_one_channel_gets_its_own(
    use: Callable[[Model], Model], tmp_path: Path, program: Program
) -> None:
    use(model_of(["flair"], ("tumour",), lambda windows: windows))
    names = {"0": "T1w", "1": "FLAIR"}
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "dataset.json").write_text(json.dumps({"channel_names": names}))
    for number, word in enumerate(["t1", "flair"]):
        save_volume(tmp_path / "one" / "imagesTs" / f"P_{number:04d}.nii.gz", [picture(word)] * DEPTH)
    save_frames(tmp_path / "two" / "imagesTs" / "P.nii.gz", [[picture(word)] * DEPTH for word in ("t1", "flair")])
    for folder in ("one", "two"):
        outcome = program("predict", tmp_path / folder, "--output", tmp_path / f"{folder}-out", "--json")
        (row,) = json.loads(outcome.out)
        assert (row["error"], row["tumour_px"]) == (None, DEPTH * 100)
        assert Path(row["mask"]).name == "P_mask.nii.gz"
    (tmp_path / "one" / "dataset.json").unlink()
    rows = tumorline.predict(tmp_path / "one", output=tmp_path / "out")
    assert [Path(row["input"]).name for row in rows] == ["P_0000.nii.gz", "P_0001.nii.gz"]


@pytest.mark.parametrize("axes", [("RAS",), ("LPS",), ("PSR",), ("IAR",), ("SPR", "LAS", "RSA", "PIL")])
def test_labels_lie_where_the_voxels_are_bright_however_they_are_stored(
    four: Model, tmp_path: Path, axes: tuple[str, ...]
) -> None:
    save_scan(tmp_path / "as-seen", "A")
    (tmp_path / "in").mkdir()
    for path, code in zip(sorted((tmp_path / "as-seen").iterdir()), cycle(axes), strict=False):
        image = nib.load(path)
        turn = nib.orientations.ornt_transform(nib.io_orientation(image.affine), nib.orientations.axcodes2ornt(code))
        nib.save(image.as_reoriented(turn), tmp_path / "in" / path.name)
    (row,) = tumorline.predict(tmp_path / "in", output=tmp_path / "out")
    assert "resampled" not in (row["note"] or "")
    files = [row["mask"], *(tmp_path / "in" / f"A_{word}.nii.gz" for word in BRIGHT)]
    assert np.array_equal(nib.load(row["mask"]).affine, nib.load(row["input"]).affine)
    labels, *bright = (np.asarray(nib.as_closest_canonical(nib.load(file)).dataobj) for file in files)
    whole, core, enhancing = (voxels > 100 for voxels in bright)
    assert np.array_equal(labels, np.select([enhancing, core, whole], [4, 1, 2]))


def test_a_stitched_volume_is_its_slices_side_by_side(four: Model, tmp_path: Path) -> None:
    volume = smooth(4, 20)
    volume[:, 7] = 0
    whole = four.answer(volume)
    assert whole.probability.shape == (3, 20, SIDE, SIDE)
    slices = [four.answer(volume[:, number]) for number in range(20)]
    assert np.array_equal(whole.probability, np.stack([one.probability for one in slices], 1))
    assert [number for number, one in enumerate(slices) if one.blank] == [7]
    assert not whole.blank
    assert np.array_equal(four.mask(volume), np.stack([four.mask(volume[:, number]) for number in range(20)], 1))


def test_a_model_with_neighbours_sees_them_and_takes_no_single_picture() -> None:
    seen = []

    def middle(windows: np.ndarray) -> np.ndarray:
        seen.append(windows.shape)
        return np.asarray(windows[:, 1:2])

    model = model_of(["flair"], ("tumour",), middle, context=1)
    volume = smooth(1, 5)
    assert model.answer(volume).probability.shape == (1, 5, SIDE, SIDE)
    assert seen == [(5, 3, SIDE, SIDE)]
    with pytest.raises(UserError, match=r"a\.png: a single picture; this model looks at neighbouring slices"):
        model.answer(volume[:, 0], "a.png")


def test_a_models_post_processing_is_in_its_masks(use: Callable[[Model], Model], tmp_path: Path) -> None:
    limits = Postprocessing(least_enhancing_ml=0.3, smallest_px={WHOLE: 5})
    use(model_of(CHANNELS, NESTED, postprocessing=limits))
    save_scan(tmp_path / "in", "A")
    (row,) = tumorline.predict(tmp_path / "in", output=tmp_path / "out")
    assert [row[f"{name}_ml"] for name in NESTED] == pytest.approx([3, 1.08, 0])
    assert {*np.unique(slices_of(Path(row["mask"])))} == {0, 1, 2}


def test_a_channel_of_other_geometry_is_laid_on_the_first_and_said(four: Model, tmp_path: Path) -> None:
    save_scan(tmp_path / "in", "A")
    thin = [plane for plane in [picture("t2")] * DEPTH for _ in range(5)]
    t2 = save_volume(tmp_path / "in" / "A_t2.nii.gz", thin, (2, 2, 0.5))
    (row,) = tumorline.predict(tmp_path / "in", output=tmp_path / "out")
    assert row["note"].startswith(f"{t2}: resampled onto the grid of A_flair.nii.gz (16 x 16 x 3 against 16 x 16 x 15)")
    assert np.array_equal(slices_of(Path(row["mask"])), [EXPECTED] * DEPTH)


def test_a_channel_that_lies_elsewhere_is_one_line(four: Model, tmp_path: Path) -> None:
    save_scan(tmp_path / "in", "A")
    image = nib.load(tmp_path / "in" / "A_t2.nii.gz")
    image.affine[:3, 3] = 500
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), image.affine), tmp_path / "in" / "A_t2.nii.gz")
    (row,) = tumorline.predict(tmp_path / "in", output=tmp_path / "out")
    assert re.search(r"A_t2\.nii\.gz: lies elsewhere than .*A_flair\.nii\.gz, of whose room it covers 0%", row["error"])


def test_pictures_of_several_regions_are_labels_too(use: Callable[[Model], Model], tmp_path: Path) -> None:
    use(model_of(["flair"], ("cyst", "tumour"), lambda windows: np.concatenate([-windows, windows], 1)))
    Image.fromarray(picture("flair").astype(np.uint8)).save(tmp_path / "a.png")
    (row,) = tumorline.predict(tmp_path / "a.png", output=tmp_path / "out")
    labels = np.asarray(Image.open(row["mask"]))
    assert np.array_equal(labels, np.where(square(10), 2, 1))
    assert (row["cyst_px"], row["tumour_px"], row["tumour_ml"], row["note"]) == (156, 100, None, None)
    (written,) = read_csv(tmp_path / "out" / "predictions.csv")
    assert [*written] == [*row]


def test_regions_that_overlap_without_nesting_are_said(use: Callable[[Model], Model], tmp_path: Path) -> None:
    use(model_of(["flair"], ("cyst", "oedema"), lambda windows: np.concatenate([windows, windows], 1)))
    Image.fromarray(picture("flair").astype(np.uint8)).save(tmp_path / "a.png")
    (row,) = tumorline.predict(tmp_path / "a.png", output=tmp_path / "out")
    assert (
        row["note"] == "regions overlap in 100 places, where the map of labels holds the last one there of cyst, oedema"
    )
    assert (row["cyst_px"], row["oedema_px"], row["tumour_px"]) == (100, 100, 100)


def test_a_region_inside_the_whole_tumour_is_written_over_it(use: Callable[[Model], Model], tmp_path: Path) -> None:
    def oedema_is_its_upper_rows(windows: np.ndarray) -> np.ndarray:
        whole = windows - 1
        inner = np.where(np.arange(SIDE)[:, None] < 5, whole, -1)
        return np.concatenate([inner, whole], 1).astype(np.float32)

    use(model_of(["flair"], ("oedema", WHOLE), oedema_is_its_upper_rows))
    Image.fromarray(picture("flair").astype(np.uint8)).save(tmp_path / "a.png")
    (row,) = tumorline.predict(tmp_path / "a.png", output=tmp_path / "out")
    upper = square(10) & (np.arange(SIDE)[:, None] < 5)
    assert np.array_equal(np.asarray(Image.open(row["mask"])), np.select([upper, square(10)], [1, 2]))
    assert row["note"] == (
        "regions overlap in 30 places, where the map of labels holds the last one there of whole_tumour, oedema"
    )


def test_volumes_that_are_called_as_sequences_are_told_apart(use: Callable[[Model], Model], tmp_path: Path) -> None:
    use(model_of(["flair"], ("tumour",), lambda windows: windows))
    for word in ("flair", "t1ce", "seg", "scan"):
        save_volume(tmp_path / "in" / f"{word}.nii.gz", [picture("flair")] * 2)
    rows = tumorline.predict(tmp_path / "in", output=tmp_path / "out")
    assert [Path(row["input"]).name for row in rows] == ["flair.nii.gz", "scan.nii.gz"]


def test_an_interrupted_batch_goes_on_without_doing_a_case_twice(use: Callable[[Model], Model], tmp_path: Path) -> None:
    done = 0

    def answer(windows: np.ndarray) -> np.ndarray:
        nonlocal done
        done += 1
        if done == 2:
            raise KeyboardInterrupt
        return squares(windows)

    use(model_of(CHANNELS, NESTED, answer))
    for name in "ABC":
        save_scan(tmp_path / "in" / name, name)
    with pytest.raises(Interrupted):
        tumorline.predict(tmp_path / "in", output=tmp_path / "out")
    rows = tumorline.predict(tmp_path / "in", output=tmp_path / "out")
    assert done == 4
    assert [row["whole_tumour_px"] for row in rows] == [DEPTH * 100] * 3
    shutil.rmtree(tmp_path / "out")


def stopped_after_one(*given: Path, output: Path, **options: Any) -> None:
    def stop(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        tumorline.predict(given, output=output, progress=stop, **options)


def name_frames(folder: Path, names: list[str]) -> None:
    (folder / "dataset.json").write_text(json.dumps({"channel_names": dict(enumerate(names))}))


def test_a_stopped_batch_does_not_go_on_with_other_frames(use: Callable[[Model], Model], tmp_path: Path) -> None:
    use(model_of(["flair"], ("tumour",), lambda windows: windows))
    save_frames(tmp_path / "in" / "imagesTs" / "P.nii.gz", [[picture(word)] * DEPTH for word in ("t1", "flair")])
    name_frames(tmp_path / "in", ["FLAIR", "T1w"])
    stopped_after_one(tmp_path / "in", output=tmp_path / "out")
    name_frames(tmp_path / "in", ["T1w", "FLAIR"])
    with pytest.raises(UserError, match="holds an unfinished 'predict' with other inputs"):
        tumorline.predict(tmp_path / "in", output=tmp_path / "out")


def test_a_stopped_batch_does_not_go_on_under_the_ids_of_others(use: Callable[[Model], Model], tmp_path: Path) -> None:
    use(model_of(["flair"], ("tumour",), lambda windows: windows))
    table = tmp_path / "cases.csv"
    for word in ("flair", "t2"):
        save_volume(tmp_path / f"{word}.nii.gz", [picture(word)] * DEPTH)
    table.write_text("id,image\nA,flair.nii.gz\nB,t2.nii.gz\n")
    stopped_after_one(table, output=tmp_path / "out")
    table.write_text("id,image\nB,flair.nii.gz\nA,t2.nii.gz\n")
    with pytest.raises(UserError, match="holds an unfinished 'predict' with other inputs"):
        tumorline.predict(table, output=tmp_path / "out")


def test_a_stopped_batch_does_not_go_on_with_other_pixels(use: Callable[[Model], Model], tmp_path: Path) -> None:
    use(model_of([], ("tumour",), lambda windows: windows[:, :1]))
    Image.fromarray(picture("flair").astype(np.uint8)).save(tmp_path / "a.png")
    table = tmp_path / "patients.csv"
    table.write_text("id,spacing_mm\na,1\n")
    stopped_after_one(tmp_path, output=tmp_path / "out")
    table.write_text("id,spacing_mm\na,1x2\n")
    with pytest.raises(UserError, match="holds an unfinished 'predict' with other inputs"):
        tumorline.predict(tmp_path, output=tmp_path / "out")


def lacking(use: Callable[[Model], Model], channels: list[str]) -> Model:
    """A model that may do without all but one of these."""
    spec = InputSpec(channels=channels, may_lack_channels=True)
    return use(model_of(channels, ("tumour",), lambda windows: windows[:, :1], input=spec))


def test_what_may_be_lacking_may_be_lacking_from_python(use: Callable[[Model], Model], tmp_path: Path) -> None:
    model = lacking(use, ["flair", "t2"])
    save_scan(tmp_path / "in", "A", ["flair"])
    alone = tmp_path / "in" / "A_flair.nii.gz"
    (tmp_path / "cases.csv").write_text(f"id,flair\nA,{alone}\n")
    for number, given in enumerate((alone, tmp_path / "in", tmp_path / "cases.csv")):
        (row,) = tumorline.predict(given, output=tmp_path / f"out{number}")
        mask = model.mask(given)[0]
        assert np.array_equal(mask, [square(10)] * DEPTH)
        assert tumorline.predict_array(given, model)["tumour_px"] == row["tumour_px"] == DEPTH * 100


def test_the_overlay_of_a_picture_shows_a_channel_that_is_there(use: Callable[[Model], Model], tmp_path: Path) -> None:
    model = lacking(use, ["flair", "t2"])
    Image.fromarray(picture("t2").astype(np.uint8)).save(tmp_path / "a.png")
    for number, channel in enumerate(model.channels):
        (tmp_path / "cases.csv").write_text(f"id,{channel}\nA,a.png\n")
        (row,) = tumorline.predict(tmp_path / "cases.csv", output=tmp_path / f"out{number}")
        inside = np.asarray(Image.open(row["overlay"]))[13:15, 4:12, 0]  # no outline goes through it
        assert np.unique(inside).size > 1


def test_frames_of_one_file_may_lack_channels_too(use: Callable[[Model], Model], tmp_path: Path) -> None:
    lacking(use, ["flair", "t2"])
    scan = tmp_path / "in" / "imagesTs" / "P.nii.gz"
    save_frames(scan, [[picture(word)] * DEPTH for word in ("t1", "flair")])
    name_frames(tmp_path / "in", ["T1w", "FLAIR"])
    for number, given in enumerate((tmp_path / "in", scan)):
        (row,) = tumorline.predict(given, output=tmp_path / f"out{number}")
        assert (row["error"], row["tumour_px"]) == (None, DEPTH * 100)


def test_a_stopped_case_does_not_go_on_as_another_channel(use: Callable[[Model], Model], tmp_path: Path) -> None:
    lacking(use, ["flair", "t2"])
    scan = save_volume(tmp_path / "a.nii.gz", [picture("flair")] * DEPTH)
    stopped_after_one(output=tmp_path / "out", channels=[f"flair={scan}"])
    with pytest.raises(UserError, match="holds an unfinished 'predict' with other inputs"):
        tumorline.predict(output=tmp_path / "out", channels=[f"t2={scan}"])
    (row,) = tumorline.predict(output=tmp_path / "out", channels=[f"flair={scan}"])
    assert row["tumour_px"] == DEPTH * 100


def test_a_folder_that_knew_its_inputs_by_content_alone_is_of_other_inputs(four: Model, tmp_path: Path) -> None:
    save_scan(tmp_path / "in", "A")
    stopped_after_one(tmp_path / "in", output=tmp_path / "out")
    journal = tmp_path / "out" / JOURNAL_NAME
    first, *others = journal.read_text().splitlines()
    header = json.loads(first)
    header["identity"]["inputs"] = hash_inputs(tmp_path / "in" / f"A_{word}.nii.gz" for word in WORDS)
    journal.write_text("\n".join([json.dumps(header), *others]))
    with pytest.raises(UserError, match="holds an unfinished 'predict' with other inputs"):
        tumorline.predict(tmp_path / "in", output=tmp_path / "out")
