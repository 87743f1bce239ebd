"""Tables and configurations as editors and spreadsheets of all kinds save them."""

import os
from pathlib import Path

import pytest

from tumorline.config import load_config, parse_config
from tumorline.errors import UserError
from tumorline.user_text import read_user_table, read_user_text, written_path

TABLE = "id,patient\n1,M\u00fcller\n2,Kim\n"
ROWS = [{"id": "1", "patient": "M\u00fcller"}, {"id": "2", "patient": "Kim"}]


@pytest.mark.parametrize(
    "content",
    [
        TABLE.encode(),
        TABLE.encode("utf-8-sig"),
        TABLE.encode("utf-16"),
        TABLE.encode("utf-16-le"),
        TABLE.encode("utf-16-be"),
        TABLE.encode("utf-32"),
        TABLE.encode("cp1252"),
        TABLE.replace("\n", "\r\n").encode(),
        TABLE.replace("\n", "\r").encode(),
        TABLE.replace(",", ";").encode(),
        TABLE.replace(",", "\t").encode("utf-16"),
        TABLE.replace(",", "|").encode(),
        b"sep=;\r\n" + TABLE.replace(",", ";").encode(),
        b"\n" + TABLE.replace("\n", ",\n\n").encode(),
        b'id, patient\n"1", "M\xc3\xbcller"\n2 ,Kim',
    ],
)
def test_a_table_is_read_whoever_saved_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    assert list(read_user_table(tmp_path / "t.csv").values()) == ROWS


def test_rows_are_named_by_their_line(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n\n1,2\n\n3\n")
    assert read_user_table(tmp_path / "t.csv") == {3: {"a": "1", "b": "2"}, 5: {"a": "3", "b": ""}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"id,patient\n1,a\x00b\n", "line 2 holds a NUL byte"),
        (b"id,patient\n1,Smith, John\n", "line 2 has 3 cells, the header 2; put a cell that holds the separator in"),
        (b'id,patient\n1,"Smith\n2,b\n', "line 3 is no row of a table"),
        (b"id,patient\n1," + b"x" * 200_000 + b"\n", "line 2 is no row of a table .field larger than"),
        (b"id,id\n1,2\n", "column 'id' is there 2 times"),
        (b"id\n\x81\n", "text in an encoding that is not known; save it as UTF-8"),
    ],
)
def test_what_is_no_table_is_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_user_table(tmp_path / "t.csv")


def test_only_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    for path, message in [
        (tmp_path / "pipe.csv", "a device or pipe"),
        (tmp_path, "a folder"),
        (tmp_path / "none", "cannot read it"),
    ]:
        with pytest.raises(UserError, match=message):
            read_user_text(path)


TOML = 'name = "M\u00fcller-1"\n[data]\nsource = "Fr\u00fch"\n'


@pytest.mark.parametrize(
    "content",
    [
        TOML.encode("utf-8-sig"),
        TOML.encode("utf-16"),
        TOML.encode("cp1252"),
        TOML.replace("\n", "\r\n").encode(),
        TOML.replace("\n", "\r").encode(),
    ],
)
def test_a_configuration_is_read_whoever_saved_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "c.toml").write_bytes(content)
    config = load_config(tmp_path / "c.toml")
    assert (config.name, config.data.source) == ("M\u00fcller-1", "Fr\u00fch")


@pytest.mark.parametrize(
    ("written", "path"),
    [
        (r'"C:\temp\new"', r"C:\temp\new"),
        (r'"D:\Users\x" # "a\b"', r"D:\Users\x"),
        (r'"data\images"', r"data\images"),
        (r'"C:\\temp\\new"', r"C:\temp\new"),
        (r"'C:\temp\new'", r"C:\temp\new"),
        (r'"a\tb"', "a\tb"),
        (r'"Fr\u00fch"', "Fr\u00fch"),
    ],
)
def test_backslashes_of_paths_stand_for_themselves(tmp_path: Path, written: str, path: str) -> None:
    (tmp_path / "c.toml").write_text(f"[data]\nsource = {written}\n")
    assert load_config(tmp_path / "c.toml").data.source == path


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "a\\b", "_x", ".x", "a b", "a\n", "a\x1b", "\u202ea"])
def test_names_that_would_lead_elsewhere_or_show_something_else_are_refused(name: str) -> None:
    with pytest.raises(UserError, match=r"name: String should match pattern"):
        parse_config({"name": name}, "here")


def test_what_is_written_is_read_back_whatever_it_holds(tmp_path: Path) -> None:
    config = load_config(None, ["data.source='x'"])
    for source in ["a\nb\t\\c", "C:\\temp", '"C:\\t"', "\x07'\"\"\"'''"]:
        odd = config.model_copy(update={"data": config.data.model_copy(update={"source": source})})
        odd.save(tmp_path / "c.toml")
        assert load_config(tmp_path / "c.toml") == odd


def test_backslashes_separate_folders_where_no_file_has_such_a_name(tmp_path: Path) -> None:
    assert written_path("a\\b.png", tmp_path) == tmp_path / "a" / "b.png"
    (tmp_path / "a\\b.png").touch()
    assert written_path("a\\b.png", tmp_path) == tmp_path / "a\\b.png"
