"""The typed summary: what is published stays as it was, and what was published before is still read."""

import json
from pathlib import Path
from typing import Any

import pytest

from tumorline.evaluation.summary import SENTENCES, region_figures
from tumorline.results import (
    Fold,
    Origin,
    Summary,
    WarningCode,
    guess_code,
    mean_dice_over_regions,
    read_comparable,
    read_summary,
)
from tumorline.results.compared import MatrixCell

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
    assert list(Fold(fold="a", region="core", **dict(region_figures([]))).to_json())[:3] == ["fold", "region", "dice"]
    assert fold.to_json()["hd95"]["unit"] == ""
    assert "unit" not in fold.to_json()["dice"]


def test_a_cell_of_a_matrix_is_published_with_all_figures_of_its_summary() -> None:
    summary = read_summary(FROZEN / "run" / "summary.json")
    figures = summary.regions["tumour"]
    cell = MatrixCell(model="m", set="s", folder="f", domain="external", error=None, figures=figures)
    assert cell.to_json()["figures"] == summary.to_json()["regions"]["tumour"]
    assert "figures" not in MatrixCell(model="m", set="s", folder="f", domain="external", error="none").to_json()


def of_two_regions(**changes: Any) -> dict[str, Any]:
    """The frozen summary as if its region were two, which differ in their threshold."""
    one = summary_with()
    regions = ("core", "oedema")
    by_region = {key: dict.fromkeys(regions, one[key]["tumour"]) for key in ("regions", "validation", "calibration")}
    baselines = {name: dict.fromkeys(regions, scored["tumour"]) for name, scored in one["baselines"].items()}
    points = {"core": {"threshold": 0.25, "temperature": 1.0}, "oedema": {"threshold": 0.75, "temperature": 2.0}}
    wanted = {"schema_version": 2, "baselines": baselines, "operating_points": points, **by_region, **changes}
    return {key: value for key, value in (one | wanted).items() if key not in ("operating_point", "stress")}


def test_a_summary_of_several_regions_says_everything_by_region() -> None:
    summary = Summary.model_validate(of_two_regions())
    assert list(summary.regions) == ["core", "oedema"]
    assert [point.threshold for point in summary.operating_points.values()] == [0.25, 0.75]
    published = summary.to_json()
    assert "operating_point" not in published
    assert Summary.model_validate(published).to_json() == published


def test_what_is_said_of_one_region_is_read_by_region_and_published_as_before() -> None:
    level = summary_with()["regions"]["tumour"]
    stress = {"unchanged": {"dice": level["dice"], "missed": 1}, "changes": {}}
    point = {"threshold": 0.25, "temperature": 1.5}
    summary = Summary.model_validate(summary_with(schema_version=2, operating_point=point, stress=stress))
    assert summary.operating_points["tumour"].threshold == 0.25
    assert summary.robustness["tumour"].unchanged.missed == 1
    assert {"operating_point": point, "stress": stress}.items() <= summary.to_json().items()
    without = Summary.model_validate(summary_with(operating_point=None))
    assert (without.operating_points, without.to_json()["operating_point"]) == ({}, None)


def test_a_baseline_says_something_of_every_region() -> None:
    lacking = {"all_background": {"core": summary_with()["baselines"]["all_background"]["tumour"]}}
    with pytest.raises(ValueError, match="a baseline says nothing of 'oedema'"):
        Summary.model_validate(of_two_regions(baselines=lacking))


def test_the_one_number_is_the_mean_over_regions_that_have_one() -> None:
    figures = read_summary(FROZEN / "run" / "summary.json").regions["tumour"]
    half, none = (figures.model_copy(update={"dice": figures.dice.model_copy(update={"mean": m})}) for m in (0.5, None))
    one = figures.model_copy(update={"dice": figures.dice.model_copy(update={"mean": 1.0})})
    assert mean_dice_over_regions({"a": half, "b": one, "c": none}) == 0.75
    assert mean_dice_over_regions({"c": none}) is None


def test_a_comparison_reads_several_regions_of_both_versions(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    path.write_text(json.dumps(of_two_regions()))
    assert list(read_comparable(path).regions) == ["core", "oedema"]
    assert list(read_summary(path).regions) == ["core", "oedema"]


def test_folds_are_found_by_region_and_those_of_before_by_any() -> None:
    figures = dict(region_figures([]))
    folds = [Fold(fold="fold-0", region=region, **figures) for region in ("core", "oedema")]
    summary = Summary.model_validate(of_two_regions()).model_copy(update={"folds": folds})
    assert [fold.region for fold in summary.folds_of("core")] == ["core"]
    before = summary.model_copy(update={"folds": [Fold(fold="fold-0", **figures)]})
    assert len(before.folds_of("core")) == 1


@pytest.mark.parametrize("region", ["../out", "/etc", "a\nb", ""])
def test_a_region_whose_name_leads_elsewhere_is_refused(region: str) -> None:
    figures = summary_with()["regions"]["tumour"]
    baselines = {name: {region: scored["tumour"]} for name, scored in summary_with()["baselines"].items()}
    with pytest.raises(ValueError, match="String should match pattern"):
        Summary.model_validate(summary_with(regions={region: figures}, baselines=baselines))
