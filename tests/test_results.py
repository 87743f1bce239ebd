"""The typed summary: what is published stays as it was, and what was published before is still read."""

import json
from pathlib import Path
from typing import Any

import pytest

from tumorline.compared_results import MatrixCell
from tumorline.evaluation.summary import SENTENCES, region_figures
from tumorline.results import Fold, Origin, Summary, WarningCode, guess_code, read_comparable, read_summary

FROZEN = Path(__file__).with_name("frozen") / "0.1.0"


@pytest.mark.parametrize("folder", ["run", "evaluation"])
def test_a_summary_of_0_1_0_is_published_again_as_it_was_with_codes(folder: str) -> None:
    written = json.loads((FROZEN / folder / "summary.json").read_text())
    again = read_summary(FROZEN / folder / "summary.json").to_json()
    assert again.pop("warning_codes")
    assert again == written
    assert list(again) == list(written)


def test_a_comparison_hands_on_all_that_a_source_states() -> None:
    written = json.loads((FROZEN / "run" / "summary.json").read_text())
    assert read_comparable(FROZEN / "run" / "summary.json").source.to_json() == written["source"]
    assert Origin.model_validate({"known_as": None, "later": 1}).to_json() == {"known_as": None, "later": 1}


def summary_with(**changes: Any) -> dict[str, Any]:
    return json.loads((FROZEN / "run" / "summary.json").read_text()) | changes  # type: ignore[no-any-return]


@pytest.mark.parametrize(("code", "sentence"), SENTENCES.items())
def test_sentences_without_codes_are_told_by_their_first_words(code: WarningCode, sentence: str) -> None:
    assert guess_code(sentence) is code
    assert guess_code(f"fold-12: {sentence}") is WarningCode.ONE_FOLD
    assert guess_code(f"it says: {sentence}") is WarningCode.OTHER


def test_a_code_decides_and_not_the_sentence() -> None:
    changed = summary_with(warnings=["rewritten", "LEAKING: no"], warning_codes=["simulated", "of a later version"])
    warnings = Summary.model_validate(changed).warnings
    assert [warning.code for warning in warnings] == [WarningCode.SIMULATED, WarningCode.OTHER]


@pytest.mark.parametrize("codes", [["simulated"], "ab", {"a": 1, "b": 2}])
def test_codes_that_do_not_fit_the_sentences_are_refused(codes: Any) -> None:
    with pytest.raises(ValueError, match="warning_codes: expected one for each of the warnings"):
        Summary.model_validate(summary_with(warnings=["a", "b"], warning_codes=codes))


def test_an_ensemble_of_several_splits_states_no_seed() -> None:
    split = summary_with()["split"] | {"seed": None}
    assert Summary.model_validate(summary_with(split=split)).split.seed is None


def test_a_fold_is_published_with_its_name_first() -> None:
    fold = Fold(fold="fold-0", **dict(region_figures([])))
    assert list(fold.to_json())[:2] == ["fold", "dice"]
    assert fold.to_json()["hd95"]["unit"] == ""
    assert "unit" not in fold.to_json()["dice"]


def test_a_cell_of_a_matrix_is_published_with_all_figures_of_its_summary() -> None:
    summary = read_summary(FROZEN / "run" / "summary.json")
    figures = summary.regions["tumour"]
    cell = MatrixCell(model="m", set="s", folder="f", domain="external", error=None, figures=figures)
    assert cell.to_json()["figures"] == summary.to_json()["regions"]["tumour"]
    assert "figures" not in MatrixCell(model="m", set="s", folder="f", domain="external", error="none").to_json()
