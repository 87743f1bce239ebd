"""One training on several sources: slices of scans beside pictures, and pictures without a tumour."""

import json
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import TINY, PairFolder, Program
from tests.data.test_joined import free, scans_with_oedema
from tumorline.data.patients.names import patient_meant
from tumorline.evaluation.presence import read_presence
from tumorline.evaluation.tables import read_rows
from tumorline.model_file import read_info
from tumorline.results import read_summary
from tumorline.run_folder import read_history

pytest.importorskip("torch")


class Mixed(NamedTuple):
    folder: Path
    run: Path
    said: str


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Mixed:
    """A finished run of three sources."""
    import tumorline

    folder = tmp_path_factory.mktemp("mixed")
    slices = PairFolder(folder / "slices")(patients=8, first_seed=200)
    scans, heads = scans_with_oedema(folder / "scans", 5), free(folder / "heads", images=10)
    said: list[str] = []
    run = tumorline.train(
        data=[
            f"{slices},share=0.5",
            f"{scans},label_as=tumour,licence=no redistribution",
            f"{heads},tumour_free=true,licence=CC BY 4.0,attribution=Somebody",
        ],
        overrides=[*TINY, "train.epochs=1", f"data.cache='{folder / 'cache'}'"],
        output=folder / "run",
        notify=said.append,
    )
    return Mixed(folder, run, "\n".join(said))


def test_the_figures_are_by_source(mixed: Mixed) -> None:
    summary = read_summary(mixed.run / "summary.json")
    figures = summary.regions["tumour"]
    assert set(figures.by_attribute["source"]) == {"slices", "scans", "heads"}
    assert {name.partition(" ")[2] for name in figures.by_size} == {"pictures", "volumes"}
    assert all(bool(group.limits_ml) == ("volumes" in name) for name, group in figures.by_size.items())
    assert summary.conventions["resolution"].startswith("pictures: masks are compared at their native size")
    assert "; volumes: masks are compared as whole volumes" in summary.conventions["resolution"]
    assert figures.volume_error_absolute_ml is not None
    assert figures.volume_error_absolute_ml.patients == 1
    page = (mixed.run / "report.html").read_text()
    assert all(f"true, {unit}" in page for unit in ("px", "ml")), "pictures have no volume, volumes no pixels"
    presence = summary.presence["tumour"]
    assert set(presence) == {"all", "slices", "scans", "heads"}
    scans = {row.case for row in read_rows(mixed.run) if row.status == "test" and row.case.startswith("scans")}
    assert (presence["scans"].free, presence["scans"].other, presence["scans"].tumour) == (len(scans),) * 3
    assert presence["heads"].free == sum(row.source == "heads" for row in read_presence(mixed.run))
    assert presence["slices"].free == 0
    assert presence["all"].free == presence["heads"].free + presence["scans"].free


def test_the_history_is_by_source(mixed: Mixed) -> None:
    (row,) = read_history(mixed.run)
    assert {"dice_in_slices", "false_positives_in_heads", "false_positives_in_scans"} <= row.keys()
    assert row["dice_in_heads"] == ""
    assert 0 <= float(row["false_positives_in_heads"]) <= 1


def test_the_headline_tells_false_positives_by_source(program: Program, mixed: Mixed) -> None:
    shown = program("evaluate", mixed.run, "--output", mixed.folder / "again")
    assert shown.status == 0, shown.err
    assert "pictures and slices: a tumour drawn in" in shown.out
    assert "  heads: a tumour drawn in" in shown.out
    assert "with other labels only" in shown.out
    assert "  slices: Dice by patient" in shown.out
    assert "PATIENTS UNKNOWN in heads" in shown.out


def test_report_and_card_show_the_sources(mixed: Mixed) -> None:
    page, card = (mixed.run / "report.html").read_text(), (mixed.run / "MODEL_CARD.md").read_text()
    for text in (page, card):
        assert "heads" in text
        assert str(mixed.folder) not in text
    assert "Where the sources differ" in page
    assert "| heads |" in card
    assert "NOT TO BE PASSED ON" in card


def test_the_model_knows_terms_and_cases_of_all_sources(mixed: Mixed) -> None:
    info = read_info(mixed.run / "model.safetensors")
    assert str(mixed.folder) not in info.model_dump_json()
    assert [source.name for source in info.data.sources] == ["slices", "scans", "heads"]
    assert info.data.forbids_passing_on == ["scans"]
    assert "heads: Somebody" in info.data.attribution
    assert info.licence.startswith("NOT TO BE PASSED ON: Weights trained on slices (terms not stated); scans (no redis")
    hashes = {content for part in info.known_cases.contents.values() for content in part}
    assert len(hashes) == 16 + 5 + 10


def test_a_known_patient_of_any_source_is_not_scored(program: Program, mixed: Mixed) -> None:
    known = program("evaluate", mixed.run, "--data", mixed.folder / "scans", "--output", mixed.folder / "of-scans")
    assert known.status == 0
    summary = json.loads((mixed.folder / "of-scans" / "summary.json").read_text())
    assert summary["case_status"] == {"train": 3, "validation": 1, "test": 1}
    assert summary["presence"]["tumour"]["all"]["other"] == 1
    assert patient_meant("BraTS2021_00001") == "BraTS-GLI-00001"


def test_it_is_resumed_and_refuses_another_share(program: Program, mixed: Mixed) -> None:
    again = program("train", "--resume", mixed.run)
    assert again.status == 0, again.err


@pytest.mark.slow
def test_folds_are_gathered_by_source(program: Program, tmp_path: Path) -> None:
    slices, heads = PairFolder(tmp_path / "slices")(patients=4), free(tmp_path / "heads", images=4)
    settings = [*TINY, "train.epochs=1", "split.folds=3", f"data.cache='{tmp_path / 'cache'}'"]
    options = [text for setting in settings for text in ("--set", setting)]
    sources = ["--data", slices, "--data", f"{heads},tumour_free=true"]
    shown = program("folds", *sources, *options, "--output", tmp_path / "folds", "--fold", 0, "--fold", 1)
    assert shown.status == 0, shown.err
    summary = read_summary(tmp_path / "folds" / "summary.json")
    assert summary.presence["tumour"]["heads"].free == len(
        [row for row in read_rows(tmp_path / "folds") if row.case.startswith("heads/")]
    )
    assert "false positives" in shown.out
