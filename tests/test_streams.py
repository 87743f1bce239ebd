"""Streams that are closed, full or narrow, and what libraries say."""

import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Program
from tumorline import api
from tumorline.cli import printing
from tumorline.cli.streams import prepared_streams
from tumorline.errors import UserError, UserNotice

SNIPPET = """
import sys
from tumorline.cli import streams, printing
with streams.prepared_streams():
    printing.note("a note")
    printing.say("t\\u00eate \\u8111 \\udcff")
    good = streams.is_all_printed()
    made = open(sys.argv[1], "w")
    made.write(f"{good} {made.fileno() > 2}")
    made.close()
"""


def redirected(redirection: str, tmp_path: Path, **environment: str) -> tuple[int, bytes, str]:
    """Exit status, what reached the two streams, and what the process noted in a file."""
    command = f'exec "{sys.executable}" -c "$0" "$1" {redirection}'
    process = subprocess.run(
        ["sh", "-c", command, SNIPPET, str(tmp_path / "noted")],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": "src", **environment},
        check=False,
    )
    return process.returncode, process.stdout + process.stderr, (tmp_path / "noted").read_text()


@pytest.mark.parametrize("redirection", [">&-", "2>&-", ">&- 2>&-", "<&-", "2>/dev/full"])
def test_closed_streams_and_a_full_standard_error_stop_nothing(redirection: str, tmp_path: Path) -> None:
    status, printed, noted = redirected(redirection, tmp_path)
    assert status == 0
    assert b"Traceback" not in printed
    assert noted == "True True"


def test_a_narrow_code_page_gets_escapes(tmp_path: Path) -> None:
    shown = redirected("", tmp_path, PYTHONIOENCODING="cp1252")[1]
    assert shown.splitlines()[0] == b"t\xeate \\u8111 \\udcff"
    assert b"t\\xeate \\u8111 \\udcff" in redirected("", tmp_path, PYTHONIOENCODING="ascii:strict")[1]


def closed_pipe() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


@pytest.mark.parametrize("opened", [closed_pipe, lambda: os.open("/dev/full", os.O_WRONLY)], ids=["pipe", "disk"])
def test_a_command_that_cannot_print_ends_quietly(
    opened: Callable[[], int], program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "losses", lambda: [{"loss": "dice"}])
    with os.fdopen(opened(), "w") as broken:
        monkeypatch.setattr(sys, "stdout", broken)
        assert program("losses") == (1, "", "")
        assert not broken.closed


def test_an_error_counts_more_than_what_was_not_printed(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    with os.fdopen(closed_pipe(), "w") as broken:
        monkeypatch.setattr(sys, "stdout", broken)
        assert program("data", "check", "nowhere").status == 2


def test_errors_are_one_line_whatever_is_in_them(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise UserError("x\x1b[2J\nerror: forged\u202e")

    monkeypatch.setattr(api, "losses", fail)
    end = program("losses")
    assert end.err == "error: x\\x1b[2J\\nerror: forged\\u202e\n"
    assert end.status == 2


def test_a_command_line_that_is_not_understood_is_escaped(program: Program) -> None:
    end = program("losses", "--\x1b[2J")
    assert end.status == 2
    assert "\x1b" not in end.err
    assert "No such option: --\\x1b[2J" in end.err


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied", "/x\ny"), OSError("odd\x1b")])
def test_an_error_of_the_system_is_one_line(error: OSError, program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(api, "losses", fail)
    end = program("losses")
    assert end.status == 2
    assert end.err in ("error: /x\\ny: Permission denied\n", "error: odd\\x1b\n")


def test_a_full_memory_is_one_line(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise MemoryError

    monkeypatch.setattr(api, "losses", fail)
    end = program("losses")
    assert (end.status, end.err.partition(";")[0]) == (2, "error: not enough memory")


def test_what_libraries_warn_of_is_one_line(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with prepared_streams(), warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("bad tag \x1b[31m\n(0010,0010)", stacklevel=1)
        warnings.warn("write it anew", UserNotice, stacklevel=1)
        logging.getLogger("nibabel").warning("value %s", "\x1b]0;x\x07")
    assert capsys.readouterr().err == "warning: bad tag \\x1b[31m\\n(0010,0010) (UserWarning)\nwarning: write it anew\n"
    assert caplog.messages == ["value \\x1b]0;x\\x07"]


def test_a_table_for_spreadsheets_has_no_formulas(capsys: pytest.CaptureFixture[str]) -> None:
    printing.print_table([{"arm": "=1+1\t\n", "dice": "-3.5", "seeds": "-"}])
    assert capsys.readouterr().out == "arm\tdice\tseeds\n'=1+1\\u0009\\u000a\t-3.5\t-\n"


@pytest.mark.parametrize(("term", "shown"), [("dumb", ""), ("xterm", "\rdecoding a\\x1bb 1/1\n")])
def test_a_dumb_terminal_gets_no_counter(
    term: str, shown: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    printing.counter("decoding a\x1bb")(1, 1)
    assert capsys.readouterr().err == shown


def test_a_traceback_of_debug_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    formatter = logging.Formatter("%(message)s")
    with prepared_streams():
        try:
            raise ValueError("bad\x1b[2J")
        except ValueError as error:
            trace = error
        made = logging.getLogRecordFactory()
        record = made("tumorline", 10, "f.py", 1, "what was raised", (), (ValueError, trace, trace.__traceback__))
    shown = formatter.format(record)
    assert shown.endswith("ValueError: bad\\x1b[2J")
    assert shown.count("\n") > 2


@pytest.mark.parametrize(("term", "disabled"), [("dumb", True), ("xterm", False)])
def test_a_dumb_terminal_gets_no_bar(term: str, disabled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from tumorline.training.progress import TrainingProgress

    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert TrainingProgress(0, 1, visible=True).bar.disable == disabled


def test_the_line_of_an_epoch_is_harmless_and_whole(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    from tumorline.training.progress import TrainingProgress

    figures = {"train_loss": 1.0, "validation_loss": 1.0, "validation_dice": 0.5, "seconds": 1.0}
    sources = {"dice_in_[red]ours": 0.5, "dice_in_\x1b[31mtheirs": 0.5}
    row: dict[str, Any] = {"epoch": 1, "best": False, "images_per_second": 1.0, **figures, **sources}
    row |= {key.replace("dice_in", "false_positives_in"): None for key in sources}
    TrainingProgress(0, 1, visible=True).epoch(row, 1)
    assert r"([red]ours 0.500; \x1b[31mtheirs 0.500)" in capsys.readouterr().err
