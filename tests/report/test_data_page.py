"""The page of a data set: what it says agrees with the set, each case is decoded once, nothing is lost."""

import csv
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests import sources
from tests.conftest import PairFolder, Program
from tumorline import api
from tumorline.data import facts
from tumorline.data.case import Case, read_and_look
from tumorline.report import charts
from tumorline.report.data_entries import Entry, spacing_in_words
from tumorline.report.observation import MAP_SIDE, Observer, mean_map, observe_case


def page_of(folder: Path) -> str:
    return (folder / "data.html").read_text(encoding="utf-8")


def table_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "cases.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_set_is_described_and_each_file_is_read_once(
    pair_folder: PairFolder, program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = pair_folder(patients=12, slices=2)
    read: Counter[str] = Counter()

    def counting(case: Case) -> Any:
        read[case.id] += 1
        return read_and_look(case)

    monkeypatch.setattr(facts, "read_and_look", counting)
    cache = f"data.cache={tmp_path / 'cache'}"
    result = program("data", "report", source, "--output", tmp_path / "page", "--set", cache)
    assert (result.status, set(read.values())) == (0, {1})
    assert f"report: {tmp_path / 'page' / 'data.html'}" in result.out
    page = page_of(tmp_path / "page")
    assert "<b>24</b><span>cases in the layout" in page
    assert "<b>12</b><span>patients" in page
    assert re.search(r'<td>a</td><td class="right">4</td><td class="right">8</td><td class="right">8</td>', page)
    assert re.search(r'<td>train</td><td>a</td><td class="right">\d', page)
    assert not re.search(r"https?://|@import|url\(", page)
    assert str(source) not in page
    rows = table_of(tmp_path / "page")
    mask = np.asarray(Image.open(source / "masks" / "s000.png")) > 0
    assert (len(rows), int(rows[0]["tumour_px"])) == (24, mask.sum())
    assert Counter(row["part"] for row in rows).keys() == {"train", "validation", "test"}


def test_what_was_decoded_is_kept_for_the_training(
    pair_folder: PairFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "stamps", lambda paths: [str(path) for path in paths])  # files as new as these have none
    source, cache = pair_folder(patients=6), f"data.cache={tmp_path / 'cache'}"
    api.describe_data(source, output=tmp_path / "page", overrides=[cache])
    assert list((tmp_path / "cache").glob("facts-*.json"))


def test_errors_are_on_the_page_and_in_the_exit_status(
    pair_folder: PairFolder, program: Program, tmp_path: Path
) -> None:
    source = pair_folder(patients=6)
    (source / "masks" / "s003.png").write_bytes(b"no picture")
    result = program("data", "report", source, "--output", tmp_path / "page")
    assert result.status == 2
    assert "1 error, " in result.out
    page = page_of(tmp_path / "page")
    assert re.search(r"masks/s003\.png: .*", page)
    assert str(source) not in page
    assert next(row for row in table_of(tmp_path / "page") if row["id"] == "s003")["errors"] == "unreadable"


def test_a_set_that_cannot_be_split_says_why(pair_folder: PairFolder, tmp_path: Path) -> None:
    folder, _ = api.describe_data(pair_folder(patients=1), output=tmp_path / "page")
    assert "It cannot be split as it is: " in page_of(folder)


def test_volumes_are_seen_from_three_sides_and_measured_in_ml(tmp_path: Path) -> None:
    source = sources.brats(tmp_path / "source", patients=5)
    settings = ["data.channels=flair,post_contrast", "data.regions=whole_tumour,tumour_core"]
    folder, _ = api.describe_data(source, output=tmp_path / "page", overrides=settings)
    page = page_of(folder)
    assert page.count('class="map"') == 6
    assert all(f"<b>{side}</b>" in page for side in ("from above", "from the front", "from the side"))
    assert "size of tumour core in ml" in page
    assert {"median_flair", "median_post_contrast", "whole_tumour_ml"} <= table_of(folder)[0].keys()


def test_names_from_files_do_not_become_markup(pair_folder: PairFolder, tmp_path: Path) -> None:
    source = pair_folder(patients=6, slices=1)
    rows = "".join(f"s{number:03d},P{number},<b>x</b>{number % 2}\n" for number in range(6))
    (source / "patients.csv").write_text(f"id,patient,class_name\n{rows}")
    page = page_of(api.describe_data(source, output=tmp_path / "page")[0])
    assert "&lt;b&gt;x&lt;/b&gt;0" in page
    assert "<b>x</b>" not in page


def test_nothing_of_the_users_is_replaced(pair_folder: PairFolder, program: Program, tmp_path: Path) -> None:
    source, page = pair_folder(patients=6, slices=1), tmp_path / "page"
    assert program("data", "report", source, "--output", page).status == 0
    refused = program("data", "report", source, "--output", page)
    assert (refused.status, "--overwrite" in refused.err) == (2, True)
    (page / "notes.txt").write_text("mine")
    assert program("data", "report", source, "--output", page, "--overwrite").status == 2
    assert (page / "notes.txt").read_text() == "mine"
    inside = program("data", "report", source, "--output", source / "page")
    assert (inside.status, "lies in the data folder" in inside.err) == (2, True)


def test_places_are_where_the_mask_is() -> None:
    mask = np.zeros((1, 64, 128), bool)
    mask[0, :32, 64:] = True
    seen = observe_case(np.zeros((1, 64, 128), np.float32), mask)
    half = MAP_SIDE // 2
    assert (seen.places[0, 0, :half, half:] == 255).all()
    assert seen.places[0, 0].sum() == 255 * half * half
    assert mean_map([seen.places[0, 0], 0 * seen.places[0, 0]]).max() == 0.5


def test_contrast_is_in_deviations_of_the_rest_of_the_head() -> None:
    image = np.random.default_rng(0).normal(100, 10, (1, 64, 64)).astype(np.float32)
    mask = np.zeros((1, 64, 64), bool)
    mask[0, 20:40, 20:40] = True
    image[mask] += 30
    assert observe_case(image, mask).contrast == pytest.approx(3, abs=0.3)
    assert observe_case(image, ~mask & False).contrast is None


def test_few_examples_are_kept_of_many_cases_and_always_the_same() -> None:
    image, mask = np.random.default_rng(0).random((1, 16, 16), np.float32), np.ones((1, 16, 16), bool)

    def kept(names: list[str]) -> list[str]:
        observer = Observer()
        for name in names:
            observer.look(Case(name, (Path(name),)), image, mask)
        return [example.case for example in observer.examples]

    names = [f"case{number}" for number in range(60)]
    assert kept(names) == kept(names[::-1])
    assert len(kept(names)) == 6


def test_dots_are_an_even_choice_with_both_ends() -> None:
    chosen = charts.thinned([float(number) for number in range(1000)], 11)
    assert sorted(chosen) == [0, 100, 200, 300, 400, 500, 599, 699, 799, 899, 999]
    assert charts.thinned([3.0], 11) == [3.0]


def test_several_sources_are_told_apart(pair_folder: PairFolder, program: Program, tmp_path: Path) -> None:
    first = pair_folder(patients=6, slices=1)
    second = PairFolder(tmp_path / "second")(patients=6, slices=1, first_seed=50)
    result = program("data", "report", f"{first},name=one", f"{second},name=two", "--output", tmp_path / "page")
    assert result.status == 0
    page = page_of(tmp_path / "page")
    assert "<b>12</b><span>cases in the layout" in page
    assert "median grey value of the head, by source" in page
    assert {row["id"].partition("/")[0] for row in table_of(tmp_path / "page")} == {"one", "two"}
    assert all(row["contrast"] for row in table_of(tmp_path / "page"))


def test_pictures_and_volumes_are_measured_and_mapped_by_themselves(pair_folder: PairFolder, tmp_path: Path) -> None:
    pictures, volumes = pair_folder(patients=6, slices=1), sources.brats(tmp_path / "volumes", patients=5)
    folder, _ = api.describe_data(
        [f"{pictures},spacing_mm=0.5,name=pictures", f"{volumes},channel=post_contrast,label_as=tumour,name=scans"],
        output=tmp_path / "page",
    )
    page, rows = page_of(folder), table_of(folder)
    for kind, unit in (("pictures", "mm²"), ("volumes", "ml")):
        assert re.search(rf"<b>[\d.]+ {unit}</b><span>median size of {kind}: tumour;", page)
        assert f"size of tumour in {unit}" in page
        assert f"<h3>{kind}</h3>" in page or f"<h3>{kind}: tumour</h3>" in page
    for row in rows:
        assert (bool(row["tumour_mm2"]), bool(row["tumour_ml"])) == ("pictures" in row["id"], "scans" in row["id"])
    assert "Columns, rows, and of volumes slices" in page


@pytest.mark.parametrize("shape", [(1, 10, 48, 40), (1, 48, 40)])
def test_size_and_spacing_are_told_in_one_order(shape: tuple[int, ...]) -> None:
    case = Case("a", (Path("a"),))
    spacing = (14.0, 4.5, 4.0)[4 - len(shape) :]
    entry = Entry(case, facts.Facts("a", shape=shape), None, spacing)
    told = "4 x 4.5 x 14 mm" if len(shape) == 4 else "4 x 4.5 mm"
    assert spacing_in_words(entry) == told
