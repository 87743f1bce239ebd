"""No text that comes from a file stands on a page as more than itself."""

from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import PairFolder, Program, blob
from tests.strange_models import write_pair

HOSTILE = "x\x1b[31m\n<script>=cmd|\u202e\u2028&y"


@pytest.fixture
def source(pair_folder: PairFolder) -> Path:
    rows = ["id,patient,class_name"]
    for number in range(6):
        image, mask = blob(32, number)
        pair_folder.add(f"s{number}", Image.fromarray(image), Image.fromarray(mask.astype("u1")))
        rows.append(f'"s{number}","{HOSTILE}{number}","{HOSTILE}{number % 2}"')
    (pair_folder.folder / "patients.csv").write_text("\n".join(rows) + "\n")
    return pair_folder.folder


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_names_of_patients_and_classes_reach_pages_and_terminal_as_themselves(
    program: Program, source: Path, tmp_path: Path, more: list[str]
) -> None:
    model = write_pair(tmp_path / "model")
    outcome = program("evaluate", model, "--data", source, "--output", tmp_path / "out", *more)
    assert outcome.status == 0, outcome.err
    page = (tmp_path / "out" / "report.html").read_text()
    assert "x\\x1b[31m\\n&lt;script&gt;" in page
    for text in (page, outcome.out, outcome.err):
        assert not any(character in text for character in "\x1b\u202e\u2028")
    assert "\n<script>=cmd" not in page
