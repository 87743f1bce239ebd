"""The notebook for newcomers: as it is committed it shows nothing of a patient, and it runs to its end."""

import ast
import json
import os
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "docs" / "quickstart.ipynb"


def cells() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return found


def test_it_is_committed_without_outputs_and_its_code_can_be_read() -> None:
    code = [cell for cell in cells() if cell["cell_type"] == "code"]
    assert len(code) > 5
    assert [cell["id"] for cell in code if cell["outputs"] or cell["execution_count"]] == []
    for cell in code:
        ast.parse("".join(cell["source"]))


def test_it_names_no_place_of_a_machine() -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert [word for word in ("/home/", "/root/", str(ROOT), "C:\\\\") if word in text] == []


@pytest.mark.slow
def test_it_runs_to_its_end_on_the_simulated_cohort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    pytest.importorskip("torch")
    for name in ("TUMORLINE_DATA", "TUMORLINE_IMAGE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    where = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(
        notebook, timeout=1200, startup_timeout=300, kernel_name="python3", resources=where
    ).execute()
    work = tmp_path / "tumorline-quickstart"
    assert (work / "run" / "report.html").is_file()
    assert (work / "data" / "data.html").is_file()
    assert (work / "paper" / "paper.tex").is_file()
    assert len(list((work / "mine").glob("*_mask.png"))) == 1
    dice = json.loads((work / "run" / "summary.json").read_text())["regions"]["tumour"]["dice"]["mean"]
    assert dice > 0.3
