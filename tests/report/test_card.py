import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import tumorline
from tests.report.evaluated import REGIONS, evaluated
from tumorline.evaluation import baselines
from tumorline.evaluation.status import _out_of_fold
from tumorline.listing import headline_figure
from tumorline.metrics.figure import figure_of
from tumorline.model_file import find_model, read_info, with_figures
from tumorline.report import card as cards
from tumorline.report import write_card
from tumorline.results import Summary, read_summary
from tumorline.run import render_report

FROZEN = Path(__file__).parents[1] / "frozen" / "0.1.0" / "run"


def test_the_card_states_what_the_summary_and_the_model_file_hold(tiny_run: Path) -> None:
    card = (tiny_run / "MODEL_CARD.md").read_text(encoding="utf-8")
    figures = json.loads((tiny_run / "summary.json").read_text())["regions"]["tumour"]
    assert f"| Dice | {figures['dice']['mean']:.3f} | –" in card
    assert f"{figures['missed']} of {figures['tumour_cases']} tumours were missed altogether" in card
    assert f"False lesions (predicted where the truth has none): {figures['lesions']['invented']}" in card
    assert "False positives: cannot be measured here: no case without a tumour" in card
    assert "8 of 40 cases given, 4 patients (test); left out 28: the model was trained on them; 4: " in card
    assert "- FEW VALIDATION PATIENTS: 2 patients chose" in card
    assert "not a\nmedical device" in card
    assert "Network: `unet` (widths [4, 8])" in card
    assert "28 train, 4 validation, 8 test" in card


def test_the_card_names_no_path(tiny_run: Path, tiny_source: Path) -> None:
    assert str(tiny_source.parent) not in (tiny_run / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_a_rewritten_card_is_the_same(tiny_run: Path) -> None:
    before = (tiny_run / "MODEL_CARD.md").read_bytes()
    assert write_card(tiny_run).read_bytes() == before


def test_a_test_part_without_the_region_has_its_card_and_page(tiny_run: Path, tmp_path: Path) -> None:
    """Calibration is measured near what was drawn; what a right area would give is not known then."""
    run = shutil.copytree(tiny_run, tmp_path / "run")
    summary = json.loads((run / "summary.json").read_text())
    summary["calibration"]["tumour"]["dice_lost_to_area"] = figure_of([]).to_json()
    (run / "summary.json").write_text(json.dumps(summary))
    card = write_card(run).read_text(encoding="utf-8")
    assert "(expected calibration error)." in card
    assert "With the right area" not in card
    assert "Too much or too little" not in render_report(run).read_text(encoding="utf-8")


def test_the_model_file_holds_its_headline_figures(tiny_run: Path) -> None:
    headline = tumorline.load(tiny_run).info.metrics.headline or {}
    summary = json.loads((tiny_run / "summary.json").read_text())
    assert headline["regions"]["tumour"]["dice"] == summary["regions"]["tumour"]["dice"]
    assert headline["cases"] == summary["cases"] == 8


def test_the_card_of_several_regions_states_each_with_its_volumes(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = evaluated(tmp_path, (12, 40, 48))
    shutil.copy(tiny_run / "model.safetensors", made.folder)
    points = {"threshold": [0.5, 0.4, 0.3], "temperature": [1.0, 2.0, 3.0]}
    info = read_info(tiny_run / "model.safetensors").model_copy(update={"regions": list(REGIONS), **points})
    monkeypatch.setattr(cards, "read_info", lambda path: info)
    card = write_card(made.folder).read_text(encoding="utf-8")
    assert "Segments the regions **whole_tumour**, **tumour_core**, **enhancing_tumour** in MRI volumes" in card
    assert "whole tumour 0.5 (temperature 1.00), tumour core 0.4 (temperature 2.00), enhancing tumour 0.3" in card
    assert "The mean over regions of the Dice by patient is **0." in card
    assert card.count("| absolute volume error, ml |") == 3
    assert card.count("| predicted where there is none, ml (1 patient) |") == 1, "one case lacks the innermost region"
    assert "- enhancing_tumour: 0 of 5 tumours were missed altogether" in card


PICTURE, VOLUME = (baselines.to_text(np.zeros(shape, bool)) for shape in ((256, 256), baselines.VOLUME_GRID))


@pytest.mark.parametrize(
    ("masks", "said"),
    [
        ("", "two-dimensional MRI slices"),
        (PICTURE, "two-dimensional MRI slices"),
        (VOLUME, "MRI volumes, slice by slice"),
        ([PICTURE, VOLUME], "MRI slices and volumes, slice by slice"),
    ],
)
def test_a_card_without_figures_says_of_what_the_model_is(masks: str | list[str], said: str) -> None:
    weights = find_model(Path("builtin"))
    info = read_info(weights).model_copy(update={"constant_mask": masks})
    assert f"Segments the region **tumour** in {said}. Research" in cards.render_card(info, None, weights)


def two_sources() -> Summary:
    """Pictures of 24 patients, two scans and 30 heads without a tumour, in one set; nothing is drawn in most heads."""
    known = json.loads((FROZEN / "summary.json").read_text())
    own = known["regions"]["tumour"]
    group = {key: value for key, value in own["by_size"]["small"].items() if key != "limits_px"}
    dice = {
        "healthy_train": figure_of([]),
        "brats2021": figure_of([("B0", 0.25), ("B1", 0.5)]),
        "cheng": figure_of((f"C{number}", 0.7 + number % 2 / 10) for number in range(24)),
    }
    sources = {
        name: group | {"dice": one.to_json(), "patients": 30, "cases": 40, "tumour_cases": one.patients}
        for name, one in dice.items()
    }
    drawn = figure_of((f"H{number}", float(not number)) for number in range(25)).to_json()
    counts = {"tumour": 26, "found": 20, "free": 100, "false_positives": 40, "other": 0, "other_drawn": 0}
    regions = {"tumour": own | {"dice": own["dice"] | {"patients": 26}, "by_attribute": {"source": sources}}}
    presence = {"tumour": {"all": counts | {"false_positive": drawn}}}
    return Summary.model_validate(known | {"regions": regions, "presence": presence, "cases": 90, "patients": 56})


def test_no_figure_stands_beside_numbers_of_other_cases_than_its_own() -> None:
    weights = find_model(Path("builtin"))
    card = cards.render_card(read_info(weights), two_sources(), weights)
    assert "| figure, of 26 patients with a tumour | mean over patients |" in card
    assert "| group | patients with a tumour | cases with a tumour | Dice by patient |" in card
    assert "| brats2021 | 2 | 2 | 0.375 | – |" in card
    assert "| healthy_train | 0 | 0 | – | – |" in card
    assert "| all | 100 | 40 (40.0 %) | 4.0 % (0.0 to 20.0) |" in card, "the mean by patient, of which the interval is"


def test_each_of_several_sources_has_its_own_dice_the_first_one_first() -> None:
    weights = find_model(Path("builtin"))
    info, summary = read_info(weights), two_sources()
    card = cards.render_card(info, summary, weights)
    said = "Dice by patient of each source: cheng **0.750** (0.729 to 0.771) on 24 patients, brats2021 **0.375** on 2"
    assert f"{said} patients. A mean over sources, as in the table below, is the figure of none of them." in card
    told = with_figures(info, summary)
    assert _out_of_fold(told).endswith("Dice by patient 0.750 (cheng), 0.375 (brats2021)")
    assert headline_figure(told).startswith(
        "Dice cheng 0.750 (0.729 to 0.771) on 24 patients, brats2021 0.375 (range 0.250 to 0.500)"
    )
    of_one = cards.render_card(info, read_summary(FROZEN / "summary.json"), weights)
    assert "of each source" not in of_one
    assert "\n| figure | mean over patients |" in of_one
