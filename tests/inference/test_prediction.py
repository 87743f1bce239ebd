import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tumorline
from tests.conftest import PairFolder, Program, blob
from tests.sources import save
from tumorline.data.source import open_picture
from tumorline.errors import UserError, WriteError
from tumorline.files import read_csv
from tumorline.inference import predict as prediction
from tumorline.inference import predictor
from tumorline.write.images import write_overlay


def test_a_mask_has_the_pictures_own_size_and_finds_the_blob(tiny_run: Path, tmp_path: Path) -> None:
    image, truth = blob(64, 3)
    path = save(tmp_path / "scan.png", np.pad(image, ((0, 0), (0, 32)), mode="edge"))
    (row,) = tumorline.predict(path, tiny_run, tmp_path / "out")
    mask = np.asarray(Image.open(tmp_path / "out" / "scan_mask.png"))
    assert mask.shape == (64, 96)
    assert np.unique(mask).tolist() == [0, 255]
    overlap = 2 * (mask[:, :64] > 0)[truth].sum() / ((mask > 0).sum() + truth.sum())
    assert overlap > 0.5
    assert row["tumour_px"] == (mask > 0).sum()
    assert Image.open(tmp_path / "out" / "scan_overlay.png").size == (96, 64)


def test_equal_content_gives_an_equal_mask_in_every_format(tiny_run: Path, tmp_path: Path) -> None:
    image, _ = blob(32, 5)
    files = [
        save(tmp_path / "in" / "grey.png", image),
        save(tmp_path / "in" / "colour.png", np.stack([image] * 3, -1)),
        save(tmp_path / "in" / "deep.png", image.astype(np.uint16) * 257),
        save(tmp_path / "in" / "plain.tif", image),
    ]
    tumorline.predict(files, tiny_run, tmp_path / "out")
    masks = [np.asarray(Image.open(tmp_path / "out" / f"{path.stem}_mask.png")) for path in files]
    assert masks[0].any()
    assert all(np.array_equal(mask, masks[0]) for mask in masks)


def test_folders_are_kept_and_a_bad_file_does_not_stop_the_others(tiny_run: Path, tmp_path: Path) -> None:
    save(tmp_path / "in" / "a" / "x.png", blob(32, 1)[0])
    save(tmp_path / "in" / "b" / "x.png", blob(32, 2)[0])
    (tmp_path / "in" / "broken.png").write_bytes(b"not a picture")
    rows = tumorline.predict(tmp_path / "in", tiny_run, tmp_path / "out")
    assert (tmp_path / "out" / "a" / "x_mask.png").is_file()
    assert (tmp_path / "out" / "b" / "x_mask.png").is_file()
    failed = [row for row in rows if row["error"]]
    assert len(failed) == 1
    assert "broken.png: not a picture" in failed[0]["error"]
    assert len(json.loads((tmp_path / "out" / "predictions.json").read_text())["predictions"]) == 3


def test_earlier_results_in_the_folder_are_not_predicted_again(tiny_run: Path, tmp_path: Path) -> None:
    save(tmp_path / "in" / "x.png", blob(32, 1)[0])
    for _ in range(2):
        rows = tumorline.predict(tmp_path / "in", tiny_run, tmp_path / "in" / "results", overwrite=True)
        assert [Path(row["input"]).name for row in rows] == ["x.png"]


def test_of_a_data_set_only_images_are_predicted_and_the_rest_is_named(
    tiny_run: Path, tmp_path: Path, program: Program
) -> None:
    folder = PairFolder(tmp_path / "data")(patients=1, slices=2)
    (folder / "scan_seg.nii.gz").touch()
    outcome = program("predict", folder, "--model", tiny_run, "--output", tmp_path / "out", "--json")
    assert [Path(row["input"]).parent.name for row in json.loads(outcome.out)] == ["images", "images"]
    assert "images only, 2 of them; left out are 3 masks (for example s000.png)" in outcome.err


def test_a_mask_that_is_given_as_a_picture_is_told(tiny_run: Path, tmp_path: Path) -> None:
    image, mask = blob(32, 1)
    files = [save(tmp_path / "in" / "a.png", image), save(tmp_path / "in" / "b.png", mask.astype(np.uint8))]
    rows = tumorline.predict(files, tiny_run, output=tmp_path / "out")
    assert [row["note"] for row in rows] == [None, "holds two values alone: is it a mask?"]


def test_pictures_in_colour_are_told(tiny_run: Path, tmp_path: Path, program: Program) -> None:
    grey = np.stack([blob(32, 1)[0]] * 3, axis=-1)
    drawn = grey.copy()
    drawn[4, 4:9] = (255, 0, 0)
    files = [save(tmp_path / "in" / "drawn.png", drawn), save(tmp_path / "in" / "grey.png", grey)]
    outcome = program("predict", *files, "--model", tiny_run, "--output", tmp_path / "out", "--json")
    assert [row["note"] for row in json.loads(outcome.out)] == ["in colour, which is read as luminance", None]
    assert "warning: 1 of 2 images is in colour, which is read as luminance: outlines, text and " in outcome.err


def test_a_locked_folder_costs_only_itself(tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "in" / "x.png", blob(32, 1)[0])
    save(tmp_path / "in" / "locked" / "y.png", blob(32, 2)[0])
    scan = os.scandir

    def refuse(path: Path) -> object:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    rows = tumorline.predict(tmp_path / "in", tiny_run, tmp_path / "out")
    assert [Path(row["input"]).name for row in rows] == ["x.png", "locked"]
    assert [row["error"] is None for row in rows] == [True, False]


def test_a_sequence_that_a_picture_lacks_is_one_line(tmp_path: Path) -> None:
    path = save(tmp_path / "TCGA_AA_0001_19990101" / "TCGA_AA_0001_19990101_1.tif", np.zeros((32, 32, 3), np.uint8))
    with pytest.raises(
        UserError, match="has no t2; pictures of the LGG set have flair, post_contrast, pre_contrast, all"
    ):
        open_picture(path, "t2")


def test_a_missing_input_or_model_is_named(tiny_run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.png: no such file or folder"):
        tumorline.predict(tmp_path / "none.png", tiny_run, tmp_path / "out")
    with pytest.raises(UserError, match="no such model"):
        tumorline.load(tmp_path / "none")
    (tmp_path / "run").mkdir()
    with pytest.raises(UserError, match="run folder without a finished model"):
        tumorline.load(tmp_path / "run")


def test_a_model_file_that_is_cut_off_is_named(tiny_run: Path, tmp_path: Path) -> None:
    whole = (tiny_run / "model.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"cut\.safetensors: not a readable model file"):
        tumorline.load(tmp_path / "cut.safetensors")


def test_the_onnx_file_computes_what_the_network_computes(tiny_run: Path) -> None:
    torch = pytest.importorskip("torch")
    from tumorline.network_file import load_network

    network, _ = load_network(tiny_run / "model.safetensors")
    image = np.random.default_rng(0).standard_normal((3, 1, 32, 32)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(image)).numpy()
    assert np.allclose(tumorline.load(tiny_run).runtime(image), expected, atol=1e-4)


def test_a_full_disk_ends_in_one_line_with_the_table_of_what_was_done(
    tiny_run: Path, tmp_path: Path, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        save(tmp_path / "in" / f"{number}.png", blob(32, number)[0])
    out = tmp_path / "out"

    def fill(path: Path, *arguments: Any) -> None:
        if path.name.startswith("2"):
            raise WriteError(f"{path}: cannot be written (No space left on device); make room")
        write_overlay(path, *arguments)

    monkeypatch.setattr(predictor, "write_overlay", fill)
    end = program("predict", tmp_path / "in", "--model", tiny_run, "--output", out)
    assert end == (2, "", f"error: {out / '2_overlay.png'}: cannot be written (No space left on device); make room\n")
    assert [Path(row["input"]).name for row in read_csv(out / "predictions.csv")] == ["0.png", "1.png"]
    monkeypatch.undo()
    tumorline.predict(tmp_path / "in", tiny_run, out)
    assert len(read_csv(out / "predictions.csv")) == 4


def test_a_file_that_cannot_be_written_costs_only_itself(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        save(tmp_path / "in" / f"{name}.png", blob(32, 1)[0])
    monkeypatch.setattr(prediction, "fit_file_name", lambda stem, end: stem + end if stem != "b" else "n" * 300)
    rows = tumorline.predict(tmp_path / "in", tiny_run, tmp_path / "out")
    assert [bool(row["error"]) for row in rows] == [False, True, False]
    assert "cannot be written (File name too long)" in rows[1]["error"]


@pytest.mark.parametrize("name", [b"m\xfcller", b"a\x1b[31m\nb", b"=1+1", "tête 脑".encode()])
def test_a_strange_name_is_predicted_and_read_back(name: bytes, tiny_run: Path, tmp_path: Path) -> None:
    path = Path(os.fsdecode(bytes(tmp_path) + b"/" + name + b".png"))
    save(path, blob(32, 1)[0])
    (row,) = tumorline.predict(path, tiny_run, tmp_path / "out")
    (read,) = read_csv(tmp_path / "out" / "predictions.csv")
    assert read["input"] == row["input"] == str(path)
    assert Path(read["mask"]).is_file()
    (tmp_path / "out" / "predictions.csv").read_text(encoding="utf-8").encode("utf-8")
