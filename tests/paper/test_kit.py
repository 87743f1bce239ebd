"""What `report --figures` writes: all charts, tables that agree with the results, methods; nothing is lost."""

import csv
import json
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import tumorline
from tests.conftest import Program
from tests.report.evaluated import evaluated
from tumorline.comparison import compare
from tumorline.config import Config
from tumorline.errors import UserError
from tumorline.evaluation.summary import region_figures
from tumorline.metrics.case import score_case
from tumorline.metrics.summary import Row
from tumorline.paper import write_paper
from tumorline.paper.compared_contents import contents_of_comparison, contents_of_matrix
from tumorline.paper.contents import contents_of_study
from tumorline.paper.methods import describe_methods
from tumorline.paper.references import all_references
from tumorline.paper.study import Study, read_study
from tumorline.paper.training_methods import describe_training
from tumorline.report import write_report
from tumorline.results import ResultWarning, WarningCode, read_summary
from tumorline.results.compared import Matrix, MatrixCell

pytest.importorskip("reportlab")
FROZEN = Path(__file__).parents[1] / "frozen" / "0.1.0"
FOLDERS = {"pictures": (24, 24), "volumes": (6, 24, 24)}
SUMMARY = read_summary(FROZEN / "run" / "summary.json")


@pytest.fixture(scope="module")
def kit(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_paper(tiny_run, tmp_path_factory.mktemp("kit") / "paper")


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_each_chart_of_the_page_is_there_as_svg_and_pdf(tiny_run: Path, kit: Path) -> None:
    shown = re.findall(r'<svg viewBox="[^"]*" role="img" aria-label="(?!case )', (tiny_run / "report.html").read_text())
    figures = sorted(path.stem for path in (kit / "figures").glob("*.svg"))
    assert len(figures) == len(shown) >= 10
    assert figures == sorted(path.stem for path in (kit / "figures").glob("*.pdf"))
    assert {"training-loss", "tumour-by_class", "tumour-confidence"} <= {*figures}
    captions = re.findall(r"\\caption\{(.*)\}", (kit / "paper.tex").read_text())
    assert len(captions) == len(figures)
    assert all(caption.endswith(".") for caption in captions)


def test_a_figure_needs_no_style_sheet_and_has_its_legend(kit: Path) -> None:
    for path in (kit / "figures").glob("*.svg"):
        text = path.read_text()
        assert "class=" not in text
        assert "var(" not in text
        ElementTree.fromstring(text)
    assert {"training", "validation"} <= {*re.findall(r">([a-z]+)</", (kit / "figures/training-loss.svg").read_text())}


def test_a_pdf_holds_its_font_and_is_the_same_each_time(tiny_run: Path, kit: Path, tmp_path: Path) -> None:
    content = (kit / "figures" / "tumour-by_class.pdf").read_bytes()
    assert content.startswith(b"%PDF-")
    assert b"/FontFile2" in content
    assert (write_paper(tiny_run, tmp_path / "again") / "figures" / "tumour-by_class.pdf").read_bytes() == content


def test_the_tables_say_what_the_summary_says(tiny_run: Path, kit: Path) -> None:
    dice = read_summary(tiny_run / "summary.json").regions["tumour"].dice
    row = next(row for row in table(kit / "tables" / "figures.csv") if row["figure"] == "Dice")
    assert float(row["mean"]) == dice.mean
    shown = (kit / "tables" / "figures.tex").read_text()
    assert f"Dice & {dice.mean:.3f}" in shown
    assert all(rule in shown for rule in ("\\toprule", "\\midrule", "\\bottomrule"))
    parts = {row["part"]: int(row["cases"]) for row in table(kit / "tables" / "split.csv")}
    assert sum(parts.values()) == 40
    assert "train.learning\\_rate & 0.02" in (kit / "tables" / "settings.tex").read_text()


def test_the_methods_name_what_the_run_knows_and_what_it_does_not(kit: Path) -> None:
    text = (kit / "methods.md").read_text()
    known = ("learning rate of 0.02", "AdamW [@loshchilov2019]", "'unet' (widths [4, 8])", "batches of 4", "PyTorch")
    assert [words for words in known if words not in text] == []
    assert "ethics approval: not stated" in text
    assert "MONAI" not in text  # which is installed, and was not used
    assert "\\cite{loshchilov2019}" in (kit / "methods.tex").read_text()
    items = table(kit / "claim.csv")
    assert [row["item"] for row in items] == [str(number) for number in range(1, 45)]
    assert items[24]["where"] == "Methods: Training"


@pytest.mark.parametrize(
    ("epochs", "patience", "history", "said"),
    [
        (100, 4, 7, ("took 7 of at most 100 epochs of", "training stopped after 4 epochs without improvement")),
        (7, 4, 7, ("took 7 epochs of",)),
        (100, 0, 0, ("took 100 epochs of",)),
        (100, 1, 0, ("took at most 100 epochs of", "training was to stop after 1 epoch without improvement")),
    ],
)
def test_the_methods_state_the_epochs_that_were_trained(
    epochs: int, patience: int, history: int, said: tuple[str, ...]
) -> None:
    config = Config.model_validate({"train": {"epochs": epochs, "patience": patience}})
    text = " ".join(describe_training(Study(SUMMARY, config, history=[{"epoch": "1"}] * history)))
    assert [words for words in said if words not in text] == []
    assert ("without improvement" in text) == (len(said) > 1)


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        ("by patient, seed 0", "Wanted shares of the patients: 70% training, 10% validation, 20% test, within"),
        ("by slice, seed 0", "Wanted shares of the slices: 70% training, 10% validation, 20% test, within"),
        ("within each of 2 sources: by patient, seed 0; by hand.csv", "Wanted shares of the patients that were drawn:"),
        ("parts.csv", ""),
        ("the source's own parts", ""),
        ("the source's own parts, test taken from its train by patient, seed 0", ""),
        ("all patients train", ""),
    ],
)
def test_shares_are_stated_where_the_parts_were_drawn(origin: str, said: str) -> None:
    split = SUMMARY.split.model_copy(update={"origin": origin, "by": "slice" if "slice" in origin else "patient"})
    study = Study(SUMMARY.model_copy(update={"split": split}), Config())
    text = next(one.text for one in describe_methods(study) if one.heading == "Partitions")
    assert said in text
    assert ("shares" in text) == bool(said)


def test_the_bibliography_has_what_is_cited_and_nothing_else(kit: Path) -> None:
    cited = set(re.findall(r"@([a-z]+\d*)", " ".join(re.findall(r"\[@[^\]]*\]", (kit / "methods.md").read_text()))))
    assert {"ronneberger2015", "milletari2016", "claim2024", "tumorline"} <= cited
    assert set(re.findall(r"^@\w+\{(\w+),", (kit / "references.bib").read_text(), re.M)) == cited


def test_of_an_evaluation_the_training_is_not_stated(tmp_path: Path) -> None:
    text = (write_paper(FROZEN / "evaluation", tmp_path / "paper") / "methods.md").read_text()
    assert "Loss, optimiser, schedule and the other settings of the training: not stated." in text
    assert not (tmp_path / "paper" / "tables" / "settings.csv").exists()


def test_several_regions_have_figures_and_rows_of_their_own(tmp_path: Path) -> None:
    found = evaluated(tmp_path / "evaluation", (6, 24, 24))
    kit = write_paper(found.folder, tmp_path / "paper")
    assert (kit / "figures" / "enhancing_tumour-areas.pdf").is_file()
    assert {row["region"] for row in table(kit / "tables" / "figures.csv")} == {
        "whole tumour",
        "tumour core",
        "enhancing tumour",
    }
    figures = (kit / "tables" / "figures.tex").read_text()
    assert "true volume, ml" in figures
    assert "voxel accuracy" in figures
    page = (write_report(found.folder)).read_text()
    assert ("<td>voxel accuracy</td>" in page, "pixel accuracy" in page) == (True, False)


def test_a_comparison_has_its_differences_and_its_test(tmp_path: Path) -> None:
    folders = [evaluated(tmp_path / name, (24, 24), regions=1, cases=8).folder for name in ("first", "second")]
    tumorline.compare(folders, output=tmp_path / "comparison")
    kit = write_paper(tmp_path / "comparison", tmp_path / "paper")
    assert [path.stem for path in (kit / "figures").glob("*.pdf")] == ["differences"]
    assert {row["metric"] for row in table(kit / "tables" / "differences.csv")} >= {"Dice", "HD95"}
    assert "sign-flip test" in (kit / "methods.md").read_text()
    where = {row["what"]: (row["where"], row["open"]) for row in table(kit / "claim.csv")}
    assert where["Details of the training"] == ("the kit of each run", "yes")
    assert where["Failure analysis"] == ("tables and figures of this kit", "")
    assert "holm1979" in (kit / "references.bib").read_text()


@pytest.mark.parametrize(("patients", "ranked"), [(19, False), (20, True)])
def test_a_ranking_of_too_few_patients_to_redraw_is_left_out(tmp_path: Path, patients: int, ranked: bool) -> None:
    folders = [evaluated(tmp_path / name, (24, 24), regions=1, cases=patients).folder for name in ("first", "second")]
    result = compare({folder.name: folder for folder in folders}, {})
    (tmp_path / "compare.json").write_text(json.dumps(result.to_json()))
    found = contents_of_comparison(tmp_path / "compare.json")
    assert ("ranking" in [one.name for one in found.tables]) == ranked
    assert any("Ranked by Dice by patient" in paragraph.text for paragraph in found.methods) == ranked


def test_a_p_is_told_as_everywhere(tmp_path: Path) -> None:
    folders = [evaluated(tmp_path / name, (24, 24), regions=1, cases=8).folder for name in ("first", "second")]
    result = compare({folder.name: folder for folder in folders}, {})
    sure = [one.model_copy(update={"p_corrected": 0.0}) for one in result.pairs]
    (tmp_path / "compare.json").write_text(json.dumps(result.model_copy(update={"pairs": sure}).to_json()))
    differences = contents_of_comparison(tmp_path / "compare.json").tables[1].to_latex()
    assert differences.count(r" & 1 & \textless{} 0.001 & ") == len(sure)


def test_a_study_of_the_leak_ranks_nothing_and_says_who_was_trained_on_whom(tmp_path: Path) -> None:
    folders = [evaluated(tmp_path / name, (24, 24), regions=1, cases=8).folder for name in ("leaking", "honest")]
    result = compare({folder.name: folder for folder in folders}, {})
    study = result.model_copy(update={"about": "leak"})
    (tmp_path / "compare.json").write_text(json.dumps(study.to_json()))
    found = contents_of_comparison(tmp_path / "compare.json")
    assert [table.name for table in found.tables] == ["contenders", "differences"]
    text = " ".join(paragraph.text for paragraph in found.methods)
    assert "those that leak were trained on images of the patients on whom all were tested" in text
    assert "none was trained on a patient" not in text
    assert "Ranked" not in text


def test_distances_of_groups_have_their_unit(tmp_path: Path) -> None:
    folders = [evaluated(tmp_path / name, space, regions=1).folder for name, space in FOLDERS.items()]
    for folder, unit in zip(folders, ("px", "mm"), strict=True):
        tables = {one.name: one for one in contents_of_study(folder, read_study(folder)).tables}
        assert {row["hd95_unit"] for row in tables["by-size"].rows} == {unit}
        assert f" & {unit} & " in tables["by-size"].to_latex()


def test_distances_of_pairs_have_their_unit(tmp_path: Path) -> None:
    for kind, unit in (("pictures", "px"), ("volumes", "mm")):
        folders = [evaluated(tmp_path / kind / name, FOLDERS[kind], regions=1).folder for name in ("one", "two")]
        tumorline.compare(folders, output=tmp_path / kind / "compared")
        pairs = contents_of_comparison(tmp_path / kind / "compared" / "compare.json").tables[1]
        units = {row["metric"]: row["unit"] for row in pairs.rows}
        assert (units["Dice"], units["HD95"], units["boundary offset"]) == ("", unit, unit)
        assert f"HD95 & {unit} & " in pairs.to_latex()
        assert ("mean volume ratio" in units) == (kind == "volumes")


def test_what_is_missed_on_average_has_a_digit_after_the_point(tmp_path: Path) -> None:
    folders = [evaluated(tmp_path / name, (24, 24), regions=1, cases=8).folder for name in ("first", "second")]
    result = compare({folder.name: folder for folder in folders}, {})
    recipes = result.model_copy(
        update={
            "about": "recipes",
            "contenders": [one.model_copy(update={"missed": 1 / 3}) for one in result.contenders],
        }
    )
    shown = []
    for found in (result, recipes):
        (tmp_path / "compare.json").write_text(json.dumps(found.to_json()))
        shown.append(contents_of_comparison(tmp_path / "compare.json").tables[0].to_latex())
    assert re.findall(r"& (\S+) \\\\", shown[0]) == ["missed", "0", "0"]
    assert shown[1].count(" & 0.3 & ") == 2


def test_what_the_user_changed_stays_and_what_is_ours_is_written_again(
    tiny_run: Path, program: Program, tmp_path: Path
) -> None:
    kit = tmp_path / "paper"
    assert program("report", tiny_run, "--figures", kit).status == 0
    assert program("report", tiny_run, "--figures", kit).status == 0
    (kit / "methods.tex").write_text("mine")
    refused = program("report", tiny_run, "--figures", kit, "--overwrite")
    assert (refused.status, refused.err.count("\n")) == (2, 1)
    assert "methods.tex, which was changed since Tumorline wrote it; choose another --figures" in refused.err
    assert (kit / "methods.tex").read_text() == "mine"


def test_figures_of_another_folder_are_replaced_only_when_asked(
    tiny_run: Path, program: Program, tmp_path: Path
) -> None:
    kit, other = tmp_path / "paper", tmp_path / "other"
    shutil.copytree(FROZEN / "evaluation", other)
    assert program("report", other, "--figures", kit).status == 0
    refused = program("report", tiny_run, "--figures", kit)
    assert (refused.status, "--overwrite" in refused.err) == (2, True)
    assert not (kit / "tables" / "settings.csv").exists()
    assert program("report", tiny_run, "--figures", kit, "--overwrite").status == 0
    assert (kit / "tables" / "settings.csv").exists()


def test_a_folder_with_files_of_the_user_is_left_alone(tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match=r"thesis.tex, which Tumorline did not write; choose another --figures"):
        write_paper(tiny_run, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_folder_without_results_is_refused_in_one_line(program: Program, tmp_path: Path) -> None:
    refused = program("report", tmp_path, "--figures", tmp_path / "paper")
    assert (refused.status, refused.err.count("\n")) == (2, 1)
    assert "no results here" in refused.err
    assert not (tmp_path / "paper").exists()


def test_every_network_and_loss_has_its_reference() -> None:
    pytest.importorskip("torch")
    from tumorline import losses, models
    from tumorline.paper import works

    assert {*works.NETWORKS} == {*models.MODELS}
    assert {*works.LOSSES} == {*losses.LOSSES}
    source = "".join(path.read_text() for path in Path(works.__file__).parent.glob("*.py"))
    keys = {*works.NETWORKS.values(), *(key for _, key in works.LOSSES.values() if key)}
    keys |= {key for _, key in works.SOFTWARE.values()}
    keys |= {*re.findall(r"@([a-z]+\d{4}|tumorline)\b", source)}
    assert keys - {*all_references()} == set()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="LaTeX is not installed")
@pytest.mark.parametrize("kind", ["run", "evaluation", "volumes", "comparison"])
def test_the_paper_compiles(tiny_run: Path, tmp_path: Path, kind: str) -> None:
    made = {
        "run": lambda: tiny_run,
        "evaluation": lambda: FROZEN / "evaluation",
        "volumes": lambda: evaluated(tmp_path / "one", (6, 24, 24)).folder,
        "comparison": lambda: compared(tmp_path),
    }
    kit = write_paper(made[kind](), tmp_path / "paper")
    for command in ("pdflatex", "bibtex", "pdflatex", "pdflatex"):
        options = ["-interaction=nonstopmode", "-halt-on-error"] if command == "pdflatex" else []
        done = subprocess.run([command, *options, "paper"], cwd=kit, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:]
    assert "undefined" not in (kit / "paper.log").read_text(errors="replace")
    assert (kit / "paper.pdf").read_bytes().startswith(b"%PDF")


def compared(folder: Path) -> Path:
    """Whose names hold all that LaTeX minds, and letters of other scripts."""
    names = ("50%_a&b", "Ж{\\x}#~^")
    folders = [evaluated(folder / name, (24, 24), regions=1, cases=8).folder for name in names]
    tumorline.compare(folders, output=folder / "comparison")
    return folder / "comparison"


def test_the_table_of_a_matrix_hides_no_false_positive_and_no_unknown_patient(tmp_path: Path) -> None:
    tumour, free = np.zeros((9, 9), bool), np.zeros((9, 9), bool)
    tumour[2:5, 2:5] = True
    masks = {"a": (tumour, tumour), "b": (tumour, free), "c": (free, tumour), "d": (free, free)}
    rows = [Row(case, None, {}, "unseen", "tumour", score_case(*pair, None)) for case, pair in masks.items()]
    warning = ResultWarning(code=WarningCode.PATIENTS_UNKNOWN, text="PATIENTS UNKNOWN")
    cell = MatrixCell(model="m", set="s", folder="m--s", domain="external", error=None, region="tumour", cases=4)
    cell = cell.model_copy(update={"patients": 4, "figures": region_figures(rows), "warnings": [warning]})
    matrix = Matrix(schema_version=1, models={}, sets={}, cells=[cell], sentences=[])
    (tmp_path / "matrix.json").write_text(json.dumps(matrix.to_json()))
    contents = contents_of_matrix(tmp_path / "matrix.json")
    (row,) = contents.tables[0].rows
    assert (row["patients"], row["missed"], row["tumour_cases"], row["volume_ratio_median"]) == ("unknown", 1, 2, 1)
    assert (row["false_positives"], row["free"], row["false_lesions"]) == (1, 2, 1)
    assert matrix.warned == ["m on s: PATIENTS UNKNOWN"]
    assert any("m on s: PATIENTS UNKNOWN." in paragraph.text for paragraph in contents.methods)
