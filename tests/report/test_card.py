import json
from pathlib import Path

import tumorline
from tumorline.report import write_card


def test_the_card_states_what_the_summary_and_the_model_file_hold(tiny_run: Path) -> None:
    card = (tiny_run / "MODEL_CARD.md").read_text(encoding="utf-8")
    figures = json.loads((tiny_run / "summary.json").read_text())["regions"]["tumour"]
    assert f"| dice | {figures['dice']['mean']:.3f} | –" in card
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


def test_the_model_file_holds_its_headline_figures(tiny_run: Path) -> None:
    headline = tumorline.load(tiny_run).info.metrics["headline"]
    summary = json.loads((tiny_run / "summary.json").read_text())
    assert headline["regions"]["tumour"]["dice"] == summary["regions"]["tumour"]["dice"]
    assert headline["cases"] == summary["cases"] == 8
