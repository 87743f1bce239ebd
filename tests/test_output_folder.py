"""Nothing is lost: fresh folders, refusals, going on after a stop, and the user's own files."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tumorline
from tests.conftest import PairFolder, Program, blob
from tests.strange_models import RUN
from tumorline import files
from tumorline.errors import Interrupted, UserError
from tumorline.export import is_exported
from tumorline.output.folder import open_output
from tumorline.output.journal import JOURNAL_NAME, hash_file, read_journal
from tumorline.output.purpose import Purpose
from tumorline.write.images import mask_path


def contents(folder: Path) -> dict[str, bytes]:
    """All files below a folder but locks and journals, which hold versions and hashes only."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name not in (JOURNAL_NAME, ".lock"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Five pictures, and for the first a mask that somebody drew."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(5):
        image, mask = blob(32, number)
        Image.fromarray(image).save(folder / f"x{number}.png")
        if not number:
            Image.fromarray(mask).save(folder / "x0_mask.png")
    return folder


@pytest.fixture
def unseen(tmp_path: Path) -> Path:
    return PairFolder(tmp_path / "unseen")(patients=3, slices=2, first_seed=900)


ARGUMENTS = {"evaluate": [], "train": ["--set", "seed=1"], "folds": ["--set", "split.folds=3"]}
"""Of commands that take --data and --output; none where it takes a model."""


TUNE = '[tune]\ntrials = 1\n[tune.space]\n"train.learning_rate" = { low = 1e-4, high = 1e-2, log = true }\n'
BENCHMARK = 'name = "tiny"\n[variants.one]\n[variants.two]\n"train.learning_rate" = 0.02\n'


class Killed(BaseException):
    """What a kill looks like from within: nothing is tidied up after it."""


@contextmanager
def killed_at(monkeypatch: pytest.MonkeyPatch, number: int) -> Iterator[None]:
    """The process dies just before the file of this number gets its name; the first is the journal."""
    admitted: list[Path] = []
    original = Path.replace

    def replace(self: Path, target: Path) -> Path:
        admitted.append(target)
        if len(admitted) == number:
            raise Killed
        return original(self, target)

    with monkeypatch.context() as dying:
        dying.setattr(Path, "replace", replace)
        with pytest.raises(Killed):
            yield


@contextmanager
def killed_while_removing(monkeypatch: pytest.MonkeyPatch, number: int) -> Iterator[None]:
    """The process dies once it has removed so many files."""
    removed: list[Path] = []
    original = Path.unlink

    def unlink(self: Path, missing_ok: bool = False) -> None:
        if self.suffix != ".part" and self.name != ".lock":
            removed.append(self)
        if len(removed) > number:
            raise Killed
        original(self, missing_ok=missing_ok)

    with monkeypatch.context() as dying:
        dying.setattr(Path, "unlink", unlink)
        with pytest.raises(Killed):
            yield


# ---------------------------------------------------------------- the user's files


def test_a_users_mask_in_the_data_folder_is_never_replaced(tiny_run: Path, scans: Path, program: Program) -> None:
    before = contents(scans)
    for option in ([], ["--overwrite"]):
        result = program("predict", scans / "x0.png", "--model", tiny_run, "--output", scans, *option)
        assert result.status == 2
        assert "not an empty folder; it holds x0.png, which Tumorline did not write" in result.err
        assert result.err.count("\n") == 1
    assert contents(scans) == before


@pytest.mark.parametrize("command", ARGUMENTS)
def test_no_command_writes_into_a_folder_that_is_somebodys(
    tiny_run: Path, unseen: Path, scans: Path, program: Program, command: str
) -> None:
    given = ARGUMENTS[command] or [str(tiny_run)]
    before = contents(scans)
    result = program(command, *given, "--data", unseen, "--output", scans)
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert contents(scans) == before


@pytest.mark.parametrize("command", ARGUMENTS)
def test_results_do_not_go_among_the_data(tiny_run: Path, unseen: Path, program: Program, command: str) -> None:
    given = ARGUMENTS[command] or [str(tiny_run)]
    result = program(command, *given, "--data", unseen, "--output", unseen / "out")
    assert result.status == 2
    assert f"lies in the data folder {unseen}" in result.err
    assert not (unseen / "out").exists()


@pytest.mark.parametrize("command", ["tune", "benchmark", "compare", "train --find-lr"])
def test_folders_that_a_command_goes_on_with_are_its_own(
    tiny_run: Path, unseen: Path, scans: Path, tmp_path: Path, program: Program, command: str
) -> None:
    recipe, mine = tmp_path / "recipe.toml", scans / "compare.html"
    recipe.write_text(TUNE if command == "tune" else BENCHMARK if command == "benchmark" else "")
    mine.write_text("mine")
    before = contents(scans)
    given = [tiny_run, tiny_run] if command == "compare" else [recipe, "--data", unseen]
    result = program(*command.split(), *given, "--output", scans)
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert str(scans) in result.err
    assert contents(scans) == before


def test_a_run_folder_is_not_evaluated_into(tiny_run: Path, unseen: Path, tmp_path: Path) -> None:
    run = shutil.copytree(tiny_run, tmp_path / "run")
    before = contents(run)
    for overwrite in (False, True):
        with pytest.raises(UserError, match="which Tumorline did not write"):
            tumorline.evaluate(run, unseen, output=run, overwrite=overwrite)
    assert contents(run) == before


def test_a_mask_that_somebody_corrected_is_kept(tiny_run: Path, scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    tumorline.predict(scans, tiny_run, out)
    Image.new("L", (32, 32), 255).save(out / "x1_mask.png")
    before = contents(out)
    with pytest.raises(UserError, match=r"it holds x1_mask\.png, which was changed since Tumorline wrote it"):
        tumorline.predict(scans, tiny_run, out, overwrite=True)
    assert contents(out) == before


def test_a_note_beside_results_is_kept_and_overwriting_refused(tiny_run: Path, scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    tumorline.predict(scans, tiny_run, out)
    (out / "x0").mkdir()
    (out / "x0" / "note.txt").write_text("mine")
    with pytest.raises(UserError, match=r"it holds x0/note\.txt, which Tumorline did not write"):
        tumorline.predict(scans, tiny_run, out, overwrite=True)
    assert (out / "x0" / "note.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_text("mine"), "is a file, not a folder"),
        (lambda path: path.symlink_to(path.parent / "nowhere"), "a symbolic link that leads nowhere"),
    ],
)
def test_an_output_that_cannot_be_a_folder_is_one_line(
    tiny_run: Path, scans: Path, tmp_path: Path, make: object, message: str
) -> None:
    out = tmp_path / "out"
    make(out)  # type: ignore[operator]
    for place in (out, out / "below"):
        with pytest.raises(UserError, match=f"out: {message}"):
            tumorline.predict(scans, tiny_run, place)
    assert os.path.lexists(out)


def test_a_link_to_a_folder_is_followed(tiny_run: Path, scans: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (row, *_) = tumorline.predict(scans, tiny_run, tmp_path / "link")
    assert row["mask"] == str(tmp_path / "link" / "x0_mask.png")
    assert (tmp_path / "real" / "predictions.csv").is_file()


def test_a_journal_from_elsewhere_removes_nothing_outside(tiny_run: Path, scans: Path, tmp_path: Path) -> None:
    out, mine = tmp_path / "out", tmp_path / "mine.txt"
    mine.write_text("mine")
    out.mkdir()
    (out / "link").symlink_to(tmp_path)
    line = {"file": "../mine.txt", "sha256": hash_file(mine)}
    (out / JOURNAL_NAME).write_text('{"command": "predict", "identity": {}}\n' + json.dumps(line) + "\n[[[\n\xff\n")
    with pytest.raises(UserError, match="it holds link, which Tumorline did not write"):
        tumorline.predict(scans, tiny_run, out, overwrite=True)
    (out / "link").unlink()
    tumorline.predict(scans, tiny_run, out, overwrite=True)
    assert mine.read_text() == "mine"


# ---------------------------------------------------------------- fresh names and overwriting


def test_by_default_every_call_gets_a_folder_of_its_own_and_says_where(
    tiny_run: Path, scans: Path, unseen: Path, tmp_path: Path, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    predict = ["predict", str(scans), "--model", str(tiny_run)]
    for command in (predict, ["evaluate", str(tiny_run), "--data", str(unseen)]):
        said = [program(*command).out.splitlines()[-1].split(": ")[-1] for _ in range(2)]
        places = [tmp_path / line for line in said]
        assert all(place.is_file() for place in places)
        assert places[0].parent != places[1].parent
        assert len(list(places[0].parent.parent.iterdir())) == 2
    assert places[0].parent.name.endswith("-unet-unseen")


def test_predictions_of_the_current_folder_are_not_pictures_of_the_next(
    tiny_run: Path, scans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(scans)
    assert [len(tumorline.predict(".", tiny_run)) for _ in range(2)] == [5, 5]


def test_an_evaluation_is_replaced_as_a_whole_or_not_at_all(tiny_run: Path, unseen: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    tumorline.evaluate(tiny_run, unseen, output=out)
    before = contents(out)
    one = PairFolder(tmp_path / "one")(patients=1, slices=1, first_seed=990)
    with pytest.raises(UserError, match="holds the results of 'evaluate' already; choose another --output, or"):
        tumorline.evaluate(tiny_run, one, output=out)
    with pytest.raises(UserError, match="no such"):
        tumorline.evaluate(tiny_run, tmp_path / "nowhere", output=out, overwrite=True)
    assert contents(out) == before
    tumorline.evaluate(tiny_run, one, output=out, overwrite=True)
    assert sorted(path.name for path in (out / "predictions").iterdir()) == ["s990.png"]
    assert json.loads((out / "summary.json").read_text())["cases"] == 1


def test_an_earlier_table_outlives_a_prediction_of_which_nothing_came(
    tiny_run: Path, scans: Path, tmp_path: Path, program: Program
) -> None:
    out = tmp_path / "out"
    tumorline.predict(scans, tiny_run, out)
    before = contents(out)
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    result = program("predict", tmp_path / "broken.png", "--model", tiny_run, "--output", out, "--overwrite")
    assert (result.status, "earlier results, which stay" in result.out) == (2, True)
    assert contents(out) == before


@pytest.mark.slow
def test_after_a_failure_the_same_command_does_what_failed_and_nothing_else(tmp_path: Path) -> None:
    given, out = tmp_path / "in", tmp_path / "out"
    given.mkdir()
    Image.fromarray(blob(32, 1)[0]).save(given / "a.png")
    (given / "b.png").write_text("no picture")
    errors = [bool(row["error"]) for row in tumorline.predict(given, RUN, out)]
    written = (out / "a_mask.png").stat().st_mtime_ns
    assert [bool(row["error"]) for row in tumorline.predict(given, RUN, out)] == errors == [False, True]
    Image.fromarray(blob(32, 2)[0]).save(given / "b.png")
    assert [row["error"] for row in tumorline.predict(given, RUN, out)] == [None, None]
    assert (out / "a_mask.png").stat().st_mtime_ns == written
    assert (out / "b_mask.png").is_file()
    with pytest.raises(UserError, match="holds the results of 'predict' already"):
        tumorline.predict(given, RUN, out)


def test_after_a_failure_what_was_done_of_another_image_is_not_gone_on_with(tmp_path: Path) -> None:
    given, out = tmp_path / "in", tmp_path / "out"
    given.mkdir()
    Image.fromarray(blob(32, 1)[0]).save(given / "a.png")
    (given / "b.png").write_text("no picture")
    tumorline.predict(given, RUN, out)
    Image.fromarray(blob(32, 2)[0]).save(given / "a.png")
    with pytest.raises(UserError, match="holds an unfinished 'predict' with other inputs"):
        tumorline.predict(given, RUN, out)


def test_a_report_written_again_belongs_to_its_evaluation(tiny_run: Path, unseen: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    tumorline.evaluate(tiny_run, unseen, output=out)
    (out / "config.toml").write_bytes((tiny_run / "config.toml").read_bytes())
    from tumorline.run import render_report

    render_report(out)
    (out / "config.toml").unlink()
    tumorline.evaluate(tiny_run, unseen, output=out, overwrite=True)


def test_nothing_is_left_of_a_call_that_was_refused(tiny_run: Path, tiny_source: Path, tmp_path: Path) -> None:
    rows = files.read_csv(tiny_run / "split.csv")
    (name,) = [row["case"] for row in rows if row["part"] == "train"][:1]
    seen = PairFolder(tmp_path / "seen")
    seen.add(name, *(Image.open(tiny_source / kind / f"{name}.png") for kind in ("images", "masks")))
    with pytest.raises(UserError, match="every case is known"):
        tumorline.evaluate(tiny_run, seen.folder, output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


# ---------------------------------------------------------------- going on


@pytest.mark.parametrize("number", [2, 11, *(pytest.param(number, marks=pytest.mark.slow) for number in (1, 3, 6, 12))])
def test_a_killed_prediction_goes_on_and_does_no_file_twice(
    tiny_run: Path, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    out = tmp_path / "out"
    whole = tumorline.predict(scans, tiny_run, tmp_path / "whole")
    with killed_at(monkeypatch, number + 1):
        tumorline.predict(scans, tiny_run, out)
    assert not (out / "predictions.csv").exists()
    stamps = {path: path.stat().st_mtime_ns for path in out.glob("*.png")}
    rows = tumorline.predict(scans, tiny_run, out)
    done = [path for path in stamps if path.stat().st_mtime_ns == stamps[path]]
    assert len(done) >= 2 * ((number - 1) // 2)
    assert [{**row, "mask": 0, "overlay": 0} for row in rows] == [{**row, "mask": 0, "overlay": 0} for row in whole]
    names = ("predictions.csv", "predictions.json")
    assert {n: c for n, c in contents(out).items() if n not in names} == {
        n: c for n, c in contents(tmp_path / "whole").items() if n not in names
    }


@pytest.mark.parametrize("number", [4, *(pytest.param(number, marks=pytest.mark.slow) for number in (1, 7, 9, 10))])
def test_a_killed_evaluation_goes_on_to_the_same_result(
    tiny_run: Path, unseen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    out = tmp_path / "out"
    with killed_at(monkeypatch, number + 1):
        tumorline.evaluate(tiny_run, unseen, output=out)
    with pytest.raises(UserError, match="holds an unfinished 'evaluate' with other settings"):
        tumorline.evaluate(tiny_run, unseen, output=out, tta="flips")
    stamps = {path: path.stat().st_mtime_ns for path in out.glob("predictions/*.png")}
    tumorline.evaluate(tiny_run, unseen, output=out)
    assert all(path.stat().st_mtime_ns == stamps[path] for path in stamps)
    tumorline.evaluate(tiny_run, unseen, output=tmp_path / "whole")
    assert {**contents(out), "report.html": b""} == {**contents(tmp_path / "whole"), "report.html": b""}


@pytest.mark.slow
def test_a_killed_replacement_never_mixes_two_evaluations(
    tiny_run: Path, unseen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    other = PairFolder(tmp_path / "other")(patients=2, slices=1, first_seed=990)
    tumorline.evaluate(tiny_run, unseen, output=out)
    for number in range(1, 5):
        with killed_while_removing(monkeypatch, number):
            tumorline.evaluate(tiny_run, other, output=out, overwrite=True)
        shown = {path.stem for path in (out / "predictions").iterdir() if not path.name.startswith(".")}
        assert not (out / "summary.json").exists() or shown == {f"s{900 + n}" for n in range(6)}
    tumorline.evaluate(tiny_run, other, output=out)
    assert sorted(path.stem for path in (out / "predictions").iterdir()) == ["s990", "s991"]


@pytest.mark.parametrize("signal", [KeyboardInterrupt, Interrupted("stopped")])
def test_ctrl_c_says_where_it_goes_on_and_the_same_command_does(
    tiny_run: Path, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signal: BaseException
) -> None:
    monkeypatch.chdir(tmp_path)

    def stop(done: int, _total: int) -> None:
        if done == 3:
            raise signal

    with pytest.raises(Interrupted, match="the same command goes on in predictions/"):
        tumorline.predict(scans, tiny_run, progress=stop)
    (begun,) = Path("predictions").iterdir()
    rows = tumorline.predict(scans, tiny_run)
    assert [Path(row["mask"]).parent for row in rows] == [begun] * 5
    assert tumorline.predict(scans, tiny_run)[0]["mask"] != rows[0]["mask"]


@pytest.mark.parametrize("changed", ["input", "more inputs"])
def test_an_unfinished_folder_of_other_inputs_is_not_gone_on_with(
    tiny_run: Path, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    with killed_at(monkeypatch, 10):
        tumorline.predict(scans, tiny_run, tmp_path / "out")
    journal = read_journal(tmp_path / "out")
    assert journal is not None
    name = next(iter(journal.results)) if changed == "input" else "x9"
    Image.fromarray(blob(32, 77)[0]).save(scans / f"{name}.png")
    with pytest.raises(UserError, match="holds an unfinished 'predict' with other inputs"):
        tumorline.predict(scans, tiny_run, tmp_path / "out")


def test_two_at_once_do_not_write_into_one_folder(tmp_path: Path) -> None:
    purpose = Purpose("predict", {})
    with (
        open_output(tmp_path / "out", purpose),
        pytest.raises(UserError, match="another process is at work there"),
        open_output(tmp_path / "out", purpose),
    ):
        pass


def test_a_journal_that_is_cut_off_says_what_is_whole(tmp_path: Path) -> None:
    with open_output(tmp_path / "out", Purpose("predict", {})) as folder:
        files.write_text(tmp_path / "out" / "a.txt", "a")
        folder.keep("a", 1)
    whole = (tmp_path / "out" / JOURNAL_NAME).read_bytes()
    for length in range(0, len(whole) + 1, 9):
        (tmp_path / "out" / JOURNAL_NAME).write_bytes(whole[:length])
        journal = read_journal(tmp_path / "out")
        assert journal is not None
        assert not journal.complete or length == len(whole)
        assert journal.results in ({}, {"a": 1})


# ---------------------------------------------------------------- single files


def test_builtin_is_exported_to_the_current_folder_and_not_into_the_package(
    tmp_path: Path, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    packaged = Path(tumorline.__file__).parent / "weights"
    before = contents(packaged)
    monkeypatch.chdir(tmp_path)
    from tumorline.export_formats import FORMATS

    monkeypatch.setitem(FORMATS, "onnx", FORMATS["onnx"]._replace(write=lambda path, target: target))
    assert program("export", "builtin").out == "builtin.onnx\n"
    assert program("export", packaged / "builtin.safetensors").out == "builtin.onnx\n"
    for target in (packaged / "builtin.onnx", packaged / "other.onnx"):
        result = program("export", "builtin", "--output", target, "--overwrite")
        assert (result.status, "never written to" in result.err) == (2, True)
    assert contents(packaged) == before


@pytest.mark.parametrize("name", ["model.safetensors", "model.pt", "model", "report.html", "model.onnx.txt"])
def test_an_ending_that_does_not_fit_is_refused(tiny_run: Path, tmp_path: Path, program: Program, name: str) -> None:
    result = program("export", tiny_run, "--output", tmp_path / name, "--overwrite")
    assert (result.status, "is written as .onnx" in result.err) == (2, True)
    assert not (tmp_path / name).exists()


def test_only_an_onnx_file_of_tumorline_is_replaced_and_only_on_demand(tiny_run: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    target = tmp_path / "mine.onnx"
    target.write_bytes(b"mine")
    for overwrite, message in ((False, "exists already"), (True, "was not written by this command")):
        with pytest.raises(UserError, match=message):
            tumorline.api.export(tiny_run, target, overwrite=overwrite)
    assert target.read_bytes() == b"mine"
    with pytest.raises(UserError, match="exists already"):
        tumorline.api.export(tiny_run, tiny_run / "model.onnx")
    assert is_exported(tiny_run / "model.onnx")


def test_an_ensemble_does_not_replace_a_model(tiny_run: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    run = shutil.copytree(tiny_run, tmp_path / "run")
    before = contents(run)
    with pytest.raises(UserError, match="was not written by this command"):
        tumorline.ensemble([run, tiny_run], run / "model.safetensors", overwrite=True)
    assert contents(run) == before


# ---------------------------------------------------------------- names


@pytest.mark.parametrize("case", ["../../x", "/x", "a/../../x", "..", "a//b", "m" * 255, "ä" * 120, "a/" + "m" * 255])
def test_a_mask_lies_below_its_folder_whatever_the_case_is_called(tmp_path: Path, case: str) -> None:
    path = mask_path(tmp_path / "predictions", case)
    files.write_text(path, "")
    assert path.resolve().is_relative_to(tmp_path / "predictions")
    assert mask_path(tmp_path, "plain").name == "plain.png"


@pytest.mark.parametrize("stem", ["n" * 251, "ü" * 125, b"caf\xe9".decode(errors="surrogateescape")])
def test_results_of_files_with_odd_names_are_written(tiny_run: Path, scans: Path, tmp_path: Path, stem: str) -> None:
    try:
        (scans / "x0.png").rename(scans / f"{stem}.png")
    except OSError:
        pytest.skip("this file system does not take the name")
    rows = tumorline.predict([scans / f"{stem}.png"], tiny_run, tmp_path / "out")
    assert [row["error"] for row in rows] == [None]
    assert np.asarray(Image.open(rows[0]["mask"])).any()


@pytest.mark.parametrize("option", ["--output", "--resume"])
def test_a_folder_that_holds_a_recipe_and_more_is_not_trained_in(
    unseen: Path, tmp_path: Path, program: Program, option: str
) -> None:
    pytest.importorskip("torch")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "config.toml").write_text(f"# mine\n[data]\nsource = '{unseen}'\n")
    (mine / "report.html").write_text("mine")
    before = contents(mine)
    given = [mine / "config.toml"] if option == "--output" else []
    trust = ["--trust-paths"] if option == "--resume" else []
    result = program("train", *given, "--no-test", option, mine, *trust)
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert "holds report.html and nothing that a training leaves" in result.err
    assert contents(mine) == before


def test_earlier_results_are_not_predicted_into_their_own_place(tiny_run: Path, scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    tumorline.predict(scans, tiny_run, out)
    before = contents(out)
    with pytest.raises(UserError, match=r"x0_overlay\.png: lies in the output folder"):
        tumorline.predict([out / "x0_overlay.png", out / "x1_overlay.png"], tiny_run, out, overwrite=True)
    assert contents(out) == before


def test_a_folder_predicted_into_itself_is_named(tiny_run: Path, scans: Path) -> None:
    with pytest.raises(UserError, match=r"not an empty folder; it holds x0\.png, which Tumorline did not write"):
        tumorline.predict(scans, tiny_run, scans)
