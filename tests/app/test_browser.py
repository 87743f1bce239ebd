"""The page in a real browser: what is dropped is shown, looked at, and downloaded as `predict` writes it."""

import base64
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image

import tumorline
from tests.app.conftest import png, write_model_of_four, write_scan
from tests.inference.test_predict_series import draw
from tests.strange_models import RUN

pytestmark = pytest.mark.slow
sync_api = pytest.importorskip("playwright.sync_api")

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
PATIENCE_MS = 180_000
"""On a machine that others use as well."""
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
DROP = """(files) => {
  const transfer = new DataTransfer();
  for (const [name, data] of files) {
    const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
    transfer.items.add(new File([bytes], name));
  }
  return transfer;
}"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    shutil.copytree(RUN, folder / "runs" / "tiny")
    (folder / "runs" / "tiny" / "report.html").write_text("<!doctype html><title>A report</title><h1>of tiny</h1>")
    return {"four": write_model_of_four(folder / "four"), "runs": folder / "runs", "tiny": folder / "runs" / "tiny"}


@pytest.fixture(scope="module")
def address(models: dict[str, Path]) -> Iterator[str]:
    command = [sys.executable, "-m", "tumorline", "app", "--port", "0", "--runs", str(models["runs"])]
    with subprocess.Popen([*command, "--model", str(models["four"])], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        yield process.stderr.readline().split()[3]
        process.terminate()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if not os.path.exists(CHROMIUM):
        pytest.skip("no chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    context.set_default_timeout(PATIENCE_MS)
    opened = context.new_page()
    wrong: list[str] = []
    asked: set[str] = set()
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("request", lambda request: asked.add(re.sub(r"(//[^/]*/).*", r"\1", request.url)))
    opened.goto(address)
    opened.wait_for_selector("body[data-ready='1']")
    yield opened
    assert wrong == []
    assert {place for place in asked if place.startswith("http")} == {address}
    context.close()


def choose_model(page: Any, name: str) -> None:
    page.select_option("#model", name)


def drop(page: Any, *paths: Path) -> None:
    files = [[path.name, base64.b64encode(path.read_bytes()).decode()] for path in paths]
    page.dispatch_event("#drop", "drop", {"dataTransfer": page.evaluate_handle(DROP, files)})


def shown(page: Any, case: str) -> None:
    page.wait_for_selector(f"[data-case='{case}'][data-ready='1']")


def pixels(page: Any, plane: str) -> bytes:
    picture: bytes = page.locator(f"canvas[data-plane={plane}]").screenshot()
    return picture


def set_slider(page: Any, control: str, value: float) -> None:
    page.locator(f"[data-control={control}]").evaluate(
        "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input', { bubbles: true })); }",
        value,
    )
    page.wait_for_timeout(100)


def downloaded(page: Any, kind: str) -> bytes:
    with page.expect_download() as waited:
        page.click(f"[data-download={kind}]")
    return Path(waited.value.path()).read_bytes()


def test_a_picture_is_dropped_looked_at_and_its_mask_downloaded(
    page: Any, models: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(png(3, 64))
    (row,) = tumorline.predict(tmp_path / "a.png", "builtin", tmp_path / "out")
    choose_model(page, "builtin")
    drop(page, tmp_path / "a.png")
    shown(page, "a")
    verdict = "Tumour found" if row["tumour_px"] else "No tumour found"
    assert page.inner_text("#verdict") == verdict
    assert f"{row['tumour_px']:,} px" in page.inner_text("#figures")
    assert "this model" in page.inner_text("#doubt")
    assert downloaded(page, "mask") == Path(row["mask"]).read_bytes()
    assert downloaded(page, "overlay") == Path(row["overlay"]).read_bytes()


def test_the_sequences_of_a_scan_are_dropped_and_its_slices_moved(
    page: Any, models: dict[str, Path], tmp_path: Path
) -> None:
    paths = write_scan(tmp_path / "scan" / "BraTS2021_00007", side=64)
    (row,) = tumorline.predict(tmp_path / "scan", models["four"], tmp_path / "out")
    choose_model(page, "four")
    drop(page, *paths)
    shown(page, "BraTS2021_00007")
    assert page.inner_text("#verdict") == "Tumour found"
    assert "ml" in page.inner_text("#figures")
    assert "enhancing tumour" in page.inner_text("#regions")
    assert "left out" in page.inner_text("#notes")
    before = pixels(page, "axial")
    page.click(".tv [data-action=prediction]")
    without = pixels(page, "axial")
    assert without != before
    page.click(".tv [data-action=prediction]")
    set_slider(page, "opacity", page.locator("[data-control=opacity]").evaluate("(slider) => slider.max") or 1)
    page.click(".tv [data-action=fill]")
    opaque = pixels(page, "axial")
    set_slider(page, "opacity", 0)
    assert pixels(page, "axial") != opaque
    set_slider(page, "opacity", 1)
    first = pixels(page, "axial")
    set_slider(page, "slice-0", 0)
    assert pixels(page, "axial") != first
    assert downloaded(page, "mask") == Path(row["mask"]).read_bytes()


def test_sequences_whose_names_say_nothing_are_named_on_the_page(
    page: Any, models: dict[str, Path], tmp_path: Path
) -> None:
    paths = write_scan(tmp_path / "in")[:4]
    renamed = [path.rename(tmp_path / f"{number}.nii.gz") for number, path in enumerate(paths)]
    channels = ("flair", "pre_contrast", "post_contrast", "t2")
    given = [f"{channel}={path}" for channel, path in zip(channels, renamed, strict=True)]
    (row,) = tumorline.predict(model=models["four"], channels=given, output=tmp_path / "out")
    choose_model(page, "four")
    drop(page, *renamed)
    page.wait_for_selector("#assign:not([hidden])")
    for number, channel in enumerate(channels):
        page.select_option(f"#assign-{number}", channel)
    page.click("[data-action=assign]")
    page.wait_for_selector("#results:not([hidden])")
    assert downloaded(page, "mask") == Path(row["mask"]).read_bytes()


def test_a_folder_of_slices_comes_back_as_a_segmentation(page: Any, tmp_path: Path) -> None:
    folder = draw(tmp_path / "jane", lambda _, elements: elements.update(SeriesDescription="T1 post"))
    (row,) = tumorline.predict(folder, "builtin", tmp_path / "out")
    choose_model(page, "builtin")
    page.set_input_files("#folder", folder)
    shown(page, "jane")
    assert "read as post_contrast" in page.inner_text("#notes")
    assert downloaded(page, "mask") == Path(row["mask"]).read_bytes()
    (tmp_path / "downloaded.dcm").write_bytes(downloaded(page, "segmentation"))
    one, other = pydicom.dcmread(tmp_path / "downloaded.dcm"), pydicom.dcmread(row["segmentation"])
    assert np.array_equal(one.pixel_array, other.pixel_array)
    assert one.ReferencedSeriesSequence == other.ReferencedSeriesSequence
    assert [segment.SegmentLabel for segment in one.SegmentSequence] == ["tumour"]


def test_no_tumour_is_said_and_an_error_is_one_line(page: Any, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((40, 40), np.uint8)).save(tmp_path / "blank.png")
    choose_model(page, "tiny")
    drop(page, tmp_path / "blank.png")
    shown(page, "blank")
    assert page.inner_text("#verdict") == "No tumour found"
    assert "no proof" in page.inner_text("#doubt")
    (tmp_path / "<img src=x onerror=alert(1)>.png").write_bytes(b"no picture")
    drop(page, tmp_path / "<img src=x onerror=alert(1)>.png")
    page.wait_for_selector("#trouble:not([hidden])")
    assert page.inner_text("#trouble-text").startswith("<img src=x onerror=alert(1)>.png: not a picture")


def test_the_card_says_where_a_model_fails_and_a_run_opens_in_a_sandbox(page: Any) -> None:
    choose_model(page, "builtin")
    page.click("[data-action=card]")
    assert re.search(r"\d+ of 100 slices without one", page.inner_text("#card .limits"))
    assert page.locator("#card h1").inner_text() == "Model card: builtin"
    page.click("[data-action=close-card]")
    with page.context.expect_page() as waited:
        page.click("#runs a")
    report = waited.value
    report.wait_for_load_state()
    assert report.inner_text("h1") == "of tiny"
    assert report.evaluate("self.origin") == "null"
    report.close()
