"""The viewer in a real browser, on a page that lies on the disk."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from tests.report.evaluated import AFFINE, REGIONS, nested_balls
from tests.viewer.conftest import Opened
from tumorline.api import check
from tumorline.data.masks.read import read_mask
from tumorline.formats.nifti import read_volume
from tumorline.geometry.grid import Grid, grid_of
from tumorline.geometry.upright import upright
from tumorline.viewer.assets import asset, content_policy, inline_module, script_data
from tumorline.viewer.encoding import ViewedCase, encode_case

if TYPE_CHECKING:
    from playwright.sync_api import Page

SPACE = (12, 40, 48)
HOSTILE = "<img src=x onerror=alert(1)>/../é"


def picture(name: str = "12") -> ViewedCase:
    truth, predicted = (nested_balls((60, 80), 20, shift, regions=1) for shift in (0, 7))
    image = truth * 0.5 + np.random.default_rng(0).random((1, 60, 80))
    return ViewedCase(
        name, image.astype(np.float32), Grid((60, 80)), ["tumour"], truth=truth, predictions={"": predicted}
    )


def volume() -> ViewedCase:
    truth, predicted = (nested_balls(SPACE, 14, shift) for shift in (0, 5))
    image = np.random.default_rng(0).random((2, *SPACE)).astype(np.float32)
    both = {"first": predicted, "second": truth}
    return ViewedCase("scan", image, grid_of(SPACE, AFFINE), REGIONS, ("flair", "t1"), truth, both, ["a note"])


def write_viewer(path: Path, case: ViewedCase) -> Path:
    script = inline_module("viewer.js") + (
        "const steps = [], viewer = new Viewer(document.body, {onStep: (by) => steps.push(by)});"
        'Object.assign(window, {viewer, steps}); await viewer.show(JSON.parse(document.querySelector("#data").text));'
    )
    policy = content_policy([script])
    head = f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">'
    data = f'<script type="application/json" id="data">{script_data(encode_case(case))}</script>'
    body = f'<style>{asset("viewer.css")}</style>{data}<body></body><script type="module">{script}</script>'
    path.write_text(f"<!doctype html>{head}{body}", encoding="utf-8")
    return path


@pytest.fixture
def shown(opened: Opened, tmp_path: Path) -> Any:
    def show(case: ViewedCase) -> "Page":
        page = opened.go(write_viewer(tmp_path / "viewer.html", case))
        page.wait_for_selector("[data-ready]")
        page.locator(".tv").focus()
        return page

    return show


def state(page: "Page", key: str) -> Any:
    return page.evaluate(f"viewer.state.{key}")


def pixels(page: "Page", plane: str = "picture") -> str:
    return str(page.evaluate(f"document.querySelector('[data-plane={plane}]').toDataURL()"))


def test_what_a_key_or_a_slider_changes_is_drawn_at_once(shown: Any) -> None:
    page = shown(picture())
    drawn = [pixels(page)]
    for key in ("t", "p", "p", "e", "e", "f", "r"):
        page.keyboard.press(key)
        drawn.append(pixels(page))
    both, _, nothing, predicted, errors, without_errors, filled, after_reset = drawn
    assert len({both, nothing, predicted, errors, filled}) == 5
    assert without_errors == predicted
    assert after_reset == filled
    page.locator("[data-control=opacity]").fill("20")
    assert pixels(page) != filled
    assert "true" not in page.locator(".tv-legend").inner_text()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("steps") == [], "the slider has the focus, whose arrows are its own"
    page.locator(".tv").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("steps") == [1, -1]


@pytest.mark.slow
def test_dragging_sets_the_window_and_the_wheel_zooms(shown: Any) -> None:
    page = shown(picture())
    before, before_window, box = pixels(page), state(page, "window"), page.locator("canvas").bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 160, box["y"] + 60, steps=3)
    page.mouse.up()
    low, high = state(page, "window")
    assert (low, high) != tuple(before_window)
    assert pixels(page) != before
    page.mouse.wheel(0, -300)
    page.wait_for_function("viewer.state.zoom[0] > 1.5")
    page.keyboard.down("Shift")
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + 100, steps=2)
    page.mouse.up()
    page.keyboard.up("Shift")
    assert state(page, "window") == [low, high], "shift moves the picture instead"
    page.keyboard.press("r")
    assert pixels(page) == before


@pytest.mark.slow
def test_a_volume_is_scrolled_in_three_planes(shown: Any) -> None:
    page = shown(volume())
    assert state(page, "slice") == [6, 19, 23], "where the tumour is largest"
    axial, coronal = pixels(page, "axial"), pixels(page, "coronal")
    page.keyboard.press("ArrowUp")
    page.locator("[data-control=slice-1]").fill("3")
    assert state(page, "slice") == [7, 3, 23]
    assert pixels(page, "axial") != axial
    assert pixels(page, "coronal") != coronal
    page.locator("[data-plane=sagittal]").hover()
    page.mouse.wheel(0, 100)
    page.wait_for_function("viewer.state.slice[2] === 24")
    page.locator("[data-plane=axial]").click(position={"x": 10, "y": 10})
    assert state(page, "slice")[0] == 7
    assert state(page, "slice")[1:] != [3, 24]
    page.keyboard.press("2")
    assert state(page, "chosen") == 1
    page.keyboard.press("e")
    page.locator("[data-control=region]").select_option("1")
    assert "false positive" in page.locator(".tv-legend").inner_text()


@pytest.mark.parametrize("name", [pytest.param("12", marks=pytest.mark.slow), HOSTILE])
def test_a_corrected_picture_is_saved_as_a_mask_that_can_be_read(shown: Any, tmp_path: Path, name: str) -> None:
    case = picture(name)
    page = shown(case)
    page.keyboard.press("b")
    box = page.locator("canvas").bounding_box()
    page.mouse.move(box["x"] + 300, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 500, box["y"] + 30, steps=3)
    page.mouse.up()
    with page.expect_download() as saved:
        page.locator("[data-action=save]").click()
    saved.value.save_as(tmp_path / "mask.png")
    assert "/" not in saved.value.suggested_filename
    assert saved.value.suggested_filename.endswith("_mask.png")
    assert Image.open(tmp_path / "mask.png").mode == "L"
    mask = read_mask(tmp_path / "mask.png")
    predicted = (case.predictions or {})[""][0]
    assert (mask & predicted).sum() == predicted.sum() < mask.sum()
    (tmp_path / "set").mkdir()
    pixels_of_case = (255 * case.image[0] / case.image.max()).astype(np.uint8)
    Image.fromarray(pixels_of_case).save(tmp_path / "set" / "12.png")
    shutil.copy(tmp_path / "mask.png", tmp_path / "set" / "12_mask.png")
    assert [finding for finding in check(tmp_path / "set") if finding.severity == "error"] == []
    page.keyboard.press("Control+z")
    assert not state(page, "corrected")
    assert name != HOSTILE or page.locator(".tv-title").inner_text() == HOSTILE


def stroke(page: "Page", plane: str = "picture") -> None:
    box = page.locator(f"[data-plane={plane}]").bounding_box()
    assert box
    for share, act in ((0.45, page.mouse.down), (0.55, page.mouse.up)):
        page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 8, steps=3)
        act()


@pytest.mark.slow
def test_a_correction_is_of_its_own_image_and_the_brush_goes_on(shown: Any) -> None:
    """Another image of the same name is another one."""
    page = shown(picture())
    page.evaluate("window.open = (one) => viewer.show(one).then(() => null), null")
    page.evaluate("window.two = [1, 2].map(() => JSON.parse(document.querySelector('#data').text))")
    page.evaluate("open(two[0])")
    page.keyboard.press("b")
    stroke(page)
    assert state(page, "corrected")
    page.evaluate("open(two[1])")
    assert not state(page, "corrected")
    assert page.locator("[data-action=save]").is_disabled()
    assert state(page, "tool") == "brush"
    stroke(page)
    assert state(page, "corrected")
    page.keyboard.press("Control+z")
    page.evaluate("open(two[0])")
    assert state(page, "corrected")
    page.evaluate("viewer.clear('nothing')")


@pytest.mark.slow
@pytest.mark.parametrize(("case", "plane"), [(picture, "picture"), (volume, "axial")])
def test_labels_above_255_are_saved_as_they_are(shown: Any, tmp_path: Path, case: Any, plane: str) -> None:
    page = shown(case())
    page.evaluate(
        "const one = JSON.parse(document.querySelector('#data').text);"
        "one.labels.forEach((label) => { label.value = 299 + label.bits; }); viewer.show(one).then(() => null)"
    )
    page.keyboard.press("b")
    stroke(page, plane)
    with page.expect_download() as saved:
        page.locator("[data-action=save]").click()
    path = tmp_path / saved.value.suggested_filename
    saved.value.save_as(path)
    found = np.asarray(Image.open(path)) if plane == "picture" else upright(read_volume(path))
    labels = {300} if plane == "picture" else {300, 302, 306}
    assert {*np.unique(found).astype(int).tolist()} == {0, *labels}


@pytest.mark.slow
def test_the_arrows_that_scroll_the_page_are_the_viewers_only_within_it(shown: Any) -> None:
    page = shown(volume())
    page.evaluate("viewer.options.keys || document.addEventListener('keydown', (event) => viewer.pressed(event))")
    page.evaluate("document.activeElement.blur()")
    for key in ("ArrowUp", "b"):
        page.keyboard.press(key)
    assert (state(page, "slice")[0], state(page, "tool")) == (6, "window")
    page.keyboard.press("t")
    assert not state(page, "truth")


@pytest.mark.slow
def test_a_corrected_volume_is_saved_as_labels_on_its_own_grid(shown: Any, tmp_path: Path) -> None:
    case = volume()
    page = shown(case)
    page.keyboard.press("x")
    page.locator("[data-control=brush-size]").fill("3")
    page.locator("[data-plane=axial]").click()
    with page.expect_download() as saved:
        page.locator("[data-action=save]").click()
    path = tmp_path / saved.value.suggested_filename
    assert path.name == "scan_seg.nii.gz"
    saved.value.save_as(path)
    predicted = (case.predictions or {})["first"]
    found = upright(read_volume(path))
    erased = predicted[0] & (found == 0)
    assert 0 < erased.sum() < 12
    kept = ~erased
    for values, region in (((1, 2, 4), 0), ((1, 4), 1), ((4,), 2)):
        assert (np.isin(found, values)[kept] == predicted[region][kept]).all()
