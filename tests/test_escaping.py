"""Text of files on its way to terminals, tables and pages."""

import csv
import re
import shlex
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tumorline.errors import UserError
from tumorline.escaping import for_markdown, for_shell, from_cell, one_line, to_cell
from tumorline.files import read_csv, write_csv
from tumorline.run.claiming import refuse_existing

TEXTS = (
    st.text(st.characters(codec=None))
    | st.text(st.sampled_from("'=+-@\t\r\n\\uU005cd8f\u202e\udcff, \""))
    | st.just("")
)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("a\x1b[31mred", r"a\x1b[31mred"),
        ("a\nerror: b", r"a\nerror: b"),
        ("\r100%", r"\r100%"),
        ("\x9b2J", r"\x9b2J"),
        ("gnp.\u202ecod", r"gnp.\u202ecod"),
        ("a\u2028b", r"a\u2028b"),
        ("m\udcfcller", r"m\udcfcller"),
        ("\U000e0041", r"\U000e0041"),
        ("tête 脑 'x' C:\\new\\u0041", "tête 脑 'x' C:\\new\\u0041"),
        ("می\u200cخواهم", "می\u200cخواهم"),
    ],
)
def test_nothing_of_a_name_acts_on_a_terminal(given: str, shown: str) -> None:
    assert one_line(given) == shown


@pytest.mark.parametrize("plain", ["runs/a", "a.toml,name=b", "flair=in/3#7", "größe_1", "/a:b@c%d+e-f"])
def test_a_word_that_a_shell_takes_as_it_is_stays_as_it_is(plain: str) -> None:
    assert for_shell("--output", plain) == f"--output {plain}"


@pytest.mark.parametrize(
    "strange", ["", "my runs/a", "a;reboot", "$(id)", "`id`", "it's", "~", "#a", "a&b", "a*", "é è"]
)
def test_a_command_that_is_offered_gives_back_its_words(strange: str) -> None:
    assert shlex.split(for_shell("--output", Path(strange), strange), comments=True) == [
        "--output",
        str(Path(strange)),
        strange,
    ]


def test_a_folder_with_a_space_is_offered_in_quotes(tmp_path: Path) -> None:
    run = tmp_path / "my runs; of 2026"
    run.mkdir()
    (run / "notes.txt").write_text("mine")
    with pytest.raises(UserError) as refused:
        refuse_existing(run)
    assert shlex.split(str(refused.value).partition("go on with ")[2]) == ["--resume", str(run)]


def test_no_command_is_offered_with_a_path_as_it_is() -> None:
    unquoted = re.compile(r"(--(resume|output|trust-module|only)|tumorline (train|folds|export))[ ]\{(?!for_shell\()")
    source = Path(__file__).parents[1] / "src" / "tumorline"
    assert [path.name for path in source.rglob("*.py") if unquoted.search(path.read_text("utf-8"))] == []


@pytest.mark.parametrize("formula", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "＝1+1", "  =1", "\u00a0=1"])
def test_a_formula_reaches_no_spreadsheet(formula: str) -> None:
    assert to_cell(formula) == f"'{formula}"
    assert from_cell(to_cell(formula)) == formula


@pytest.mark.parametrize(
    "number", ["-3.5", "+2", "-1e-05", "-.5", "-inf", "3", "-", "'quoted'", "a=b", r"C:\users\u0041"]
)
def test_numbers_and_plain_text_stay_as_they_are(number: str) -> None:
    assert to_cell(number) == number == from_cell(number)


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_every_cell_is_read_back_as_it_was(text: str) -> None:
    cell = to_cell(text)
    assert from_cell(cell) == text
    assert cell.encode().decode() == cell
    assert not any(character in cell for character in "\x00\x1b\n\r\t\u202e\u2028")


def test_our_own_tables_are_read_back(tmp_path: Path) -> None:
    rows = [{"case": "=a", "note": "x\r\ny\x00\udcff\"',"}, {"case": "'=a", "note": "-3.5"}]
    write_csv(tmp_path / "t.csv", ("case", "note"), rows)
    assert read_csv(tmp_path / "t.csv") == rows
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
        assert [row[0] for row in csv.reader(file)] == ["case", "'=a", "''=a"]


def test_markdown_finds_nothing_to_do() -> None:
    assert for_markdown("<b>|`x`[y](z)\n# &") == r"&lt;b&gt;\|\`x\`[y]\(z)\n# &amp;"
