import asyncio
import csv
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tumorline
from tests.conftest import ENCODINGS, TINY, PairFolder, blob
from tumorline.api import resume
from tumorline.config import Config, DataConfig, load_config
from tumorline.data.dataset import load_dataset
from tumorline.data.splits.parts import PARTS
from tumorline.data.splits.split import split_dataset
from tumorline.errors import UserError
from tumorline.evaluation.status import case_status
from tumorline.evaluation.tables import read_rows
from tumorline.files import alone_in
from tumorline.model_file import read_info
from tumorline.recipe_files import read_recipe
from tumorline.results import read_summary
from tumorline.run import fit_only
from tumorline.run.preparing import prepare_data
from tumorline.run_folder import read_config, read_split, save_config
from tumorline.simulation import GENERATOR

TIMINGS = {"seconds", "images_per_second"}
FAST = [*TINY, "train.epochs=2"]


def train(source: Path, run: Path, *overrides: str) -> Path:
    cache = f"data.cache='{run.parent / 'cache'}'"
    return tumorline.train(data=source, overrides=[*FAST, cache, *overrides], output=run)


def results(run: Path) -> tuple[str, list[dict[str, str]], dict[str, object]]:
    """What has to be equal between two runs: split, history without timings, summary."""
    with (run / "history.csv").open() as file:
        history = [{key: value for key, value in row.items() if key not in TIMINGS} for row in csv.DictReader(file)]
    return (run / "split.csv").read_text(), history, json.loads((run / "summary.json").read_text())


def encoded(folder: Path, encoding: str) -> Path:
    return PairFolder(folder / f"source{encoding.replace('/', '-')}")(patients=10, slices=2, encoding=encoding)


def test_two_mask_encodings_train_the_same_weights(tmp_path: Path) -> None:
    configs = [read_recipe(None, encoded(tmp_path, encoding), FAST) for encoding in ("0/255", "palette")]
    best = [fit_only(config, tmp_path / f"run{number}", print) for number, config in enumerate(configs)]
    assert best[0].read_bytes() == best[1].read_bytes()


@pytest.mark.slow
def test_every_mask_encoding_gives_one_result(tmp_path: Path) -> None:
    sources = [encoded(tmp_path, encoding) for encoding in ENCODINGS]
    found = [results(train(source, tmp_path / f"run-{source.name}")) for source in sources]
    assert all(result == found[0] for result in found)


def test_a_run_folder_holds_what_the_readme_says(tiny_run: Path) -> None:
    names = {path.name for path in tiny_run.iterdir()}
    assert names >= {
        "config.toml",
        "split.csv",
        "history.csv",
        "model.safetensors",
        "model.onnx",
        "evaluation.csv",
        "summary.json",
        "predictions",
        "report.html",
        "environment.json",
        "test_uses.jsonl",
        "log.txt",
    }
    assert not [name for name in names if name.startswith(".")]


def test_the_model_file_tells_what_it_is(tiny_run: Path) -> None:
    info = read_info(tiny_run / "model.safetensors")
    assert (info.architecture.name, info.regions, info.image_size) == ("unet", ["tumour"], 32)
    assert {part: len(hashes) for part, hashes in info.known_cases.contents.items()} == {
        "train": 28,
        "validation": 4,
        "test": 8,
    }
    assert "P0-" not in info.known_cases.model_dump_json()
    assert "source" not in info.config["data"]


def test_an_existing_folder_is_never_overwritten(tiny_run: Path, tiny_source: Path) -> None:
    before = (tiny_run / "summary.json").read_bytes()
    with pytest.raises(UserError, match="exists already; choose another --output, or go on with --resume"):
        train(tiny_source, tiny_run)
    assert (tiny_run / "summary.json").read_bytes() == before


def test_resume_finishes_a_run_that_was_only_begun(tiny_run: Path, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    begun.mkdir()
    (begun / "config.toml").write_bytes((tiny_run / "config.toml").read_bytes())
    resume(begun)
    assert results(begun) == results(tiny_run)
    assert (begun / "model.safetensors").read_bytes() == (tiny_run / "model.safetensors").read_bytes()


def test_any_folder_name_can_be_a_source(tmp_path: Path) -> None:
    source = PairFolder(tmp_path / """it's "odd" é""")(patients=3, slices=1)
    config = read_recipe(None, source)
    config.save(tmp_path / "config.toml")
    assert load_config(tmp_path / "config.toml").data.source == str(source.resolve())


def test_a_training_without_data_says_that_they_are_simulated(tmp_path: Path) -> None:
    PairFolder(tmp_path / f"simulated-{GENERATOR}")()
    said: list[str] = []
    prepare_data(load_config(None, [f"data.cache='{tmp_path}'"]), said.append)
    assert "no data are given (--data SOURCE): this is a training on the SIMULATED cohort" in said


def test_resume_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"not a run folder \(no config\.toml\)"):
        resume(tmp_path)


def test_a_split_by_slice_marks_every_output(tiny_source: Path, tmp_path: Path) -> None:
    run = train(tiny_source, tmp_path / "leak", "split.by=slice")
    summary = json.loads((run / "summary.json").read_text())
    assert summary["split"]["leaking"]
    assert any(warning.startswith("LEAKING") for warning in summary["warnings"])
    assert '<span class="badge">leaking split</span>' in (run / "report.html").read_text()


def test_cases_that_the_split_leaves_out_are_counted_and_not_scored(tiny_source: Path, tmp_path: Path) -> None:
    said: list[str] = []
    settings = [*TINY, "train.epochs=1", "split.trained_share=0.25", f"data.cache='{tmp_path / 'cache'}'"]
    run = tumorline.train(data=tiny_source, overrides=settings, output=tmp_path / "run", notify=said.append)
    summary, split = read_summary(run / "summary.json"), read_split(run)
    parts = {part: {row["case"] for row in split if row["part"] == part} for part in (*PARTS, "excluded")}
    assert {row.case for row in read_rows(run)} == parts["validation"] | parts["test"]
    assert (summary.cases, summary.headline_status) == (len(parts["test"]), ["test"])
    left_out = len(parts["excluded"])
    assert summary.left_out == {"in no part of the split": left_out}
    assert sum(summary.case_status.values()) == 40 - left_out
    evaluated = "evaluating validation and test patients at native resolution"
    assert f"{evaluated}; {left_out} cases in no part of the split" in said
    dataset = load_dataset(tiny_source, DataConfig(cache=str(tmp_path / "cache")))
    status = case_status(read_info(run / "model.safetensors"), dataset)
    assert {status[name] for name in parts["excluded"]} == {"unseen"}


def test_blank_slices_of_unknown_patients_are_in_the_part_of_the_split(pair_folder: PairFolder, tmp_path: Path) -> None:
    """No model knows a blank image; the run knows where it put each."""
    source = pair_folder(patients=12, slices=1)
    (source / "patients.csv").unlink()
    pair_folder.blank(*(f"s{number:03d}" for number in range(0, 12, 2)))
    settings = [*TINY, "train.epochs=1", f"data.cache='{tmp_path / 'cache'}'"]
    run = tumorline.train(data=source, overrides=settings, output=tmp_path / "run")
    test = {row["case"] for row in read_split(run) if row["part"] == "test"}
    assert {row.case for row in read_rows(run) if row.status == "test"} == test


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.name=unnet", "model.name is 'unnet'; did you mean 'unet'"),
        ("model.options.widths=3", "model.options of 'unet' are {'widths': 3}, which it does not take"),
        ("train.freeze_epochs=1", "train.freeze_epochs is for networks with a backbone, and 'unet' has none"),
        ("train.backbone_rate=0.1", "train.backbone_rate is for networks with a backbone"),
        ("train.layer_decay=0.9", "train.layer_decay is for networks with a backbone"),
        ("model.gate=0.5", "model.gate is 0.5, but the network has no presence head; leave it out"),
        ("loss.presence=0.5", "loss.presence is 0.5, but the network has no presence head; leave it out"),
        ("loss.teacher_share=0.9", "loss.teacher_share says nothing without loss.teacher; leave it out, or give that"),
        ("train.plateau_factor=0.1", "train.plateau_factor says nothing without train.schedule = 'plateau'; leave"),
        ("split.folds_from=source", "split.folds_from says nothing without split.folds; leave"),
        ("data.slice_step=2", "data.slice_step is 2, but the cases of "),
        ("data.axis=coronal", "data.axis is coronal, but the cases of "),
        ("loss.name=dise", "loss.name is 'dise'; did you mean 'dice'"),
    ],
)
def test_a_wrong_name_leaves_no_folder(tiny_source: Path, tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        train(tiny_source, tmp_path / "run", override)
    assert message in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_model_that_starts_from_another_has_seen_its_cases(
    tiny_run: Path, tiny_source: Path, pair_folder: PairFolder, tmp_path: Path
) -> None:
    overrides = [*TINY, f"data.cache='{tmp_path / 'cache'}'", f"model.start_from='{tiny_run}'", "train.epochs=1"]
    run = tumorline.train(
        data=pair_folder(patients=10, first_seed=300), overrides=overrides, output=tmp_path / "second"
    )
    known, before = (read_info(folder / "model.safetensors").known_cases for folder in (run, tiny_run))
    assert set(before.contents["train"]) | set(before.contents["validation"]) <= set(known.contents["train"])
    with pytest.raises(UserError, match="was trained or tuned on 10 of the 12 validation and test cases of this split"):
        tumorline.train(data=tiny_source, overrides=[*overrides, "split.seed=1"], output=tmp_path / "third")
    assert not (tmp_path / "third").exists()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("model.options.dims=3", r"model\.options\.dims is 3; give data\.window"),
        ("data.window=[8, 16, 16]", "a picture; data.window is for volumes"),
    ],
)
def test_a_network_of_volumes_is_not_trained_on_slices(
    tiny_source: Path, tmp_path: Path, setting: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        tumorline.train(data=tiny_source, overrides=[*TINY, setting], output=tmp_path / "run")


def test_fit_only_looks_at_no_test_case_and_resume_finishes_it_as_train_would(
    tiny_run: Path, tiny_source: Path, tmp_path: Path
) -> None:
    config = read_config(tiny_run)
    seen: list[Mapping[str, Any]] = []
    best = fit_only(config, tmp_path / "run", print, seen.append)
    names = {path.name for path in best.parent.iterdir()}
    assert names == {
        "config.toml",
        "split.csv",
        "history.csv",
        "state.safetensors",
        "best.safetensors",
        "environment.json",
        "log.txt",
    }
    assert [row["epoch"] for row in seen] == [1, 2, 3, 4, 5, 6]
    with pytest.raises(UserError, match="holds a training of another configuration"):
        fit_only(config.model_copy(update={"seed": 5}), tmp_path / "run", print)
    resume(tmp_path / "run")
    assert results(tmp_path / "run")[:2] == results(tiny_run)[:2]


def test_what_the_hook_raises_ends_a_fit_that_goes_on_later(tiny_run: Path, tmp_path: Path) -> None:
    def stop(row: Mapping[str, Any]) -> None:
        if row["epoch"] == 2:
            raise KeyError

    config = read_config(tiny_run)
    seen: list[Mapping[str, Any]] = []
    with pytest.raises(KeyError):
        fit_only(config, tmp_path / "run", print, stop)
    best = fit_only(config, tmp_path / "run", print, seen.append)
    assert [row["epoch"] for row in seen] == [3, 4, 5, 6]
    assert best.read_bytes() == (tiny_run / "best.safetensors").read_bytes()


def test_a_folder_in_which_another_process_trains_is_refused_and_left_alone(tmp_path: Path, tiny_source: Path) -> None:
    config = read_recipe(None, tiny_source, FAST)
    save_config(config, tmp_path / "run")
    with alone_in(tmp_path / "run"):
        with pytest.raises(UserError, match="run: another process is at work there; wait for its end, or stop it"):
            resume(tmp_path / "run")
        with pytest.raises(UserError, match="another process"):
            fit_only(config, tmp_path / "run", print)
    assert (tmp_path / "run/config.toml").is_file()


def test_a_folder_whose_weights_could_not_be_read_is_refused_before_anything_is_trained(
    tmp_path: Path, tiny_source: Path
) -> None:
    run = tmp_path / os.fsdecode(b"r\xff")
    with pytest.raises(UserError, match="a name that is not UTF-8"):
        tumorline.train(data=tiny_source, overrides=FAST, output=run)
    with pytest.raises(UserError, match="a name that is not UTF-8"):
        tumorline.cross_validate(data=tiny_source, overrides=[*FAST, "split.folds=2"], output=run)
    assert not run.exists()


def test_going_on_without_the_test_deletes_nothing(tmp_path: Path) -> None:
    config = read_recipe(None, tmp_path / "gone", FAST)
    config.save(tmp_path / "run/config.toml")
    for name in ("log.txt", "model.safetensors"):
        (tmp_path / "run" / name).write_bytes(b"kept")
    with pytest.raises(UserError, match="gone"):
        resume(tmp_path / "run", test=False)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["config.toml", "log.txt", "model.safetensors"]


def test_of_two_starts_at_once_one_run_is_whole_and_the_other_leaves_nothing(
    tiny_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second starts where the first has claimed the folder and has not yet written anything there."""
    from tumorline import run as running
    from tumorline.run.claiming import begin_run

    first, second = (read_recipe(None, tiny_source, [*FAST, f"seed={seed}"]) for seed in (1, 2))
    begin = begin_run

    def start_the_other(config: Config, folder: Path) -> None:
        with pytest.raises(UserError, match="run: another process is at work there"):
            running.train(second, folder, print)
        begin(config, folder)
        with pytest.raises(UserError, match="run: exists already"):
            running.train(second, folder, print)

    monkeypatch.setattr(running, "begin_run", start_the_other)
    running.fit_only(first, tmp_path / "run", print)
    assert read_config(tmp_path / "run") == first


@pytest.mark.parametrize("test", [True, False])
def test_what_lies_in_a_folder_that_is_no_run_is_neither_used_nor_removed(
    tiny_source: Path, tmp_path: Path, test: bool
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("two years")
    with pytest.raises(UserError, match="mine: exists already"):
        tumorline.train(data=tiny_source, overrides=[*FAST, "model.name=unnet"], output=tmp_path / "mine", test=test)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_what_a_process_left_that_was_killed_before_it_began_is_no_run(tiny_source: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    for name in (".lock", ".config.toml.abc.part"):
        (tmp_path / "run" / name).touch()
    with pytest.raises(UserError, match="did you mean 'unet'"):
        train(tiny_source, tmp_path / "run", "model.name=unnet")
    assert not (tmp_path / "run").exists()


def test_training_works_in_a_thread_and_within_asyncio(tiny_source: Path, tmp_path: Path) -> None:
    """As notebooks and servers do it: signals belong to the main thread."""

    async def in_a_loop() -> None:
        fit_only(config, tmp_path / "loop", print)
        await asyncio.to_thread(fit_only, config, tmp_path / "thread", print)

    config = read_recipe(None, tiny_source, [*FAST, f"data.cache='{tmp_path / 'cache'}'"])
    asyncio.run(in_a_loop())
    for name in ("loop", "thread"):
        assert (tmp_path / name / "best.safetensors").is_file()
    assert (tmp_path / "loop/best.safetensors").read_bytes() == (tmp_path / "thread/best.safetensors").read_bytes()


def test_resume_is_a_public_name() -> None:
    assert tumorline.resume is resume
    assert "resume" in tumorline.__all__


def source_with_tumours(folder: Path, tumours: set[int], patients: int = 12) -> Path:
    """Slices of a patient each; the masks of all others are empty."""
    write = PairFolder(folder)
    for number in range(patients):
        image, mask = blob(32, number)
        empty = Image.fromarray(mask * np.uint8(255 * (number in tumours)))
        write.add(f"s{number:03d}", Image.fromarray(image), empty)
    rows = [f"s{number:03d},P{number:02d}" for number in range(patients)]
    (folder / "patients.csv").write_text("\n".join(["id,patient", *rows]) + "\n")
    return folder


def parts_of(source: Path) -> dict[str, set[int]]:
    dataset = tumorline.load_dataset(source, Config().data)
    split = split_dataset(dataset, Config().split)
    return {part: {int(name[1:]) for name in split.cases(part)} for part in ("train", "validation", "test")}


@pytest.mark.parametrize("kept", [(), ("validation", "test")])
def test_a_training_part_without_a_tumour_is_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: tuple[str, ...]
) -> None:
    monkeypatch.setattr("tumorline.training.loop.fit", lambda *_: pytest.fail("trained"))
    parts = parts_of(source_with_tumours(tmp_path / "all", set(range(12))))
    source = source_with_tumours(tmp_path / "source", {number for part in kept for number in parts[part]})
    with pytest.raises(UserError, match=r"source: none of the \d+ training cases shows a tumour"):
        train(source, tmp_path / "run")
    with pytest.raises(UserError, match="training cases shows a tumour"):
        tumorline.find_learning_rate(data=source, overrides=FAST, output=tmp_path / "rate")
    assert not (tmp_path / "run").exists()


def test_pictures_without_tumours_train_nothing(tmp_path: Path) -> None:
    source = source_with_tumours(tmp_path / "source", set())
    shutil.rmtree(source / "masks")
    with pytest.raises(UserError, match=r"none of the \d+ training cases shows a tumour"):
        train(source / "images", tmp_path / "run", "data.tumour_free=true")


def test_validation_without_a_tumour_is_said_and_does_not_stop(tmp_path: Path) -> None:
    parts = parts_of(source_with_tumours(tmp_path / "all", set(range(12))))
    source = source_with_tumours(tmp_path / "source", parts["train"] | parts["test"])
    said: list[str] = []
    config = read_recipe(None, source, [*FAST, f"data.cache='{tmp_path / 'cache'}'"])
    fit_only(config, tmp_path / "run", said.append)
    assert any("validation cases shows a tumour: the epoch is chosen by the validation loss" in line for line in said)
    with (tmp_path / "run" / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["best"] == "1"


def test_a_batch_that_is_larger_than_the_set_is_said(tiny_source: Path, tmp_path: Path) -> None:
    said: list[str] = []
    config = read_recipe(None, tiny_source, [*FAST, "train.batch_size=500", f"data.cache='{tmp_path / 'cache'}'"])
    fit_only(config, tmp_path / "run", said.append)
    assert "train.batch_size is 500, but there are 28 training images: one batch is all" in said
