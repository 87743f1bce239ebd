"""Training on several regions and channels, of slices and of volumes."""

from pathlib import Path

import numpy as np
import pytest

import tumorline
from tests import sources
from tests.conftest import TINY, PairFolder
from tests.training.conftest import make_task
from tests.training.test_loop import history, train
from tumorline.assessment import known_reader
from tumorline.config import Config, load_config
from tumorline.data.case import Case
from tumorline.data.joined import case_reader
from tumorline.errors import UserError
from tumorline.run import fit_only
from tumorline.run.provenance import model_info
from tumorline.training.progress import TrainingProgress
from tumorline.training.task import Task
from tumorline.training.validation import CaseCounts, CaseResult, gather_results

REGIONS = ("whole_tumour", "tumour_core", "enhancing_tumour")
CHANNELS = ("flair", "post_contrast", "t2", "pre_contrast")


@pytest.fixture
def brats_config(tmp_path: Path) -> Config:
    source = sources.brats(tmp_path / "source")
    named = [f"data.regions={list(REGIONS)}", f"data.channels={list(CHANNELS)}"]
    places = [f"data.source='{source}'", f"data.cache='{tmp_path / 'cache'}'"]
    return load_config(None, [*TINY, "train.epochs=2", *named, *places])


def test_each_region_is_trained_and_validated(brats_config: Config, tmp_path: Path) -> None:
    train(brats_config, tmp_path / "run")
    row = history(tmp_path / "run")[-1]
    dice = [float(row[f"validation_dice_{region}"]) for region in REGIONS]
    assert float(row["validation_dice"]) == pytest.approx(np.mean(dice))
    assert list(row).index("validation_dice_whole_tumour") == list(row).index("validation_dice") + 1


def fingerprint(config: Config, run: Path, **changes: object) -> str:
    data = config.data.model_copy(update=changes)
    task = make_task(config, run)
    return Task(config.model_copy(update={"data": data}), task.dataset, task.split, run).fingerprint()


def test_what_a_network_sees_of_volumes_is_part_of_what_a_training_is(tiny_config: Config, tmp_path: Path) -> None:
    changes: list[dict[str, object]] = [{}, {"context": 1}, {"normalisation": "volume"}, {"axis": "coronal"}]
    changes.append({"tumour_free_share": 0.2})
    assert len({fingerprint(tiny_config, tmp_path, **change) for change in changes}) == len(changes)


def test_the_slices_of_a_case_are_counted_together() -> None:
    truth = np.zeros((2, 3, 4, 4), bool)
    truth[0, 0, :2], truth[0, 1, :1] = True, True  # 12 voxels in two slices; the second region is not there
    counts = CaseCounts(truth, ("one", "other"))
    answer = np.zeros((2, 4, 4), np.float32)
    answer[:, :1] = 1  # 4 of each region in each slice that is shown
    counts.add(0, 0.5, answer)
    counts.add(1, 1.5, answer)
    result = counts.result(Case("s", (), patient="P1"))
    assert result == CaseResult("P1", 1.0, (2 * 8 / (12 + 8), None))


def test_an_inner_region_counts_only_within_the_outer_one() -> None:
    truth = np.zeros((2, 1, 4, 4), bool)
    truth[:, 0, :2] = True
    counts = CaseCounts(truth, ("whole_tumour", "tumour_core"))
    counts.add(0, 1.0, np.stack([truth[0, 0], np.ones((4, 4))]).astype(np.float32))
    assert counts.result(Case("s", (), patient="P1")).dice == (1.0, 1.0)


def test_the_mean_is_over_cases_then_patients_then_regions() -> None:
    results = [
        CaseResult("A", 1.0, (1.0, None, None)),
        CaseResult("A", 1.0, (0.0, 0.2, None)),
        CaseResult("B", 4.0, (0.9, 0.4, None)),
    ]
    found = gather_results(results)
    assert found.loss == 2.0
    assert found.by_region[:2] == pytest.approx((0.7, 0.3))
    assert found.by_region[2] is None
    assert found.dice == pytest.approx(0.5)


def test_the_line_of_an_epoch_names_the_regions(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"epoch": 1, "train_loss": 1.0, "validation_loss": 1.0, "validation_dice": 0.5, "seconds": 1.0}
    row |= {"images_per_second": 9.0, "best": 0, "validation_dice_core": 0.5}
    with TrainingProgress(0, 1, visible=True) as progress:
        progress.epoch({**row, "validation_dice_rim": None}, 2)
    assert "Dice by patient 0.5000  (core 0.500, rim none)" in capsys.readouterr().err


def test_the_line_of_an_epoch_says_nothing_of_a_validation_that_was_not(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"epoch": 1, "train_loss": 1.0, "validation_loss": None, "validation_dice": None, "seconds": 1.0}
    row |= {"images_per_second": 9.0, "best": 1, "dice_in_a": None, "false_positives_in_a": None}
    with TrainingProgress(0, 1, visible=True) as progress:
        line = progress.epoch(row, 2)
    assert line == "epoch   1/2  loss 1.0000  1 s  9.0 images/s"


def test_a_model_keeps_the_hash_of_each_channel_that_shows_anything(brats_config: Config, tmp_path: Path) -> None:
    task = make_task(brats_config, tmp_path)  # three of its four channels are the same everywhere
    known = model_info(task).known_cases.contents["train"]
    facts = [fact for fact in task.dataset.facts if task.split.parts[fact.case_id] == "train"]
    assert "" not in known
    assert set(known) == {name for fact in facts for name in (fact.image_hash, fact.channel_hashes[1])}


def test_a_model_keeps_no_hash_of_a_blank_image_which_is_shown_none_the_less(
    tiny_config: Config, tmp_path: Path
) -> None:
    source = Path(tiny_config.data.source)
    names = [f"s{number:03d}" for number in range(0, 20, 2)]
    PairFolder(source).blank(*names)
    task = make_task(tiny_config, tmp_path)
    known = {content for part in model_info(task).known_cases.contents.values() for content in part}
    assert known == {fact.image_hash for fact in task.dataset.facts if fact.case_id not in names}
    for read in (case_reader(tiny_config, known - {task.dataset.facts[1].image_hash}), known_reader(task.dataset, ())):
        assert read is not None
        assert not read("s000").image.any()
        with pytest.raises(UserError, match=r"s001\.png: not "):
            read("s001")


def test_neighbours_of_pictures_are_refused(tiny_config: Config, tmp_path: Path) -> None:
    data = tiny_config.data.model_copy(update={"context": 1})
    with pytest.raises(UserError, match=r"data.context is 1, but the cases of .* are pictures"):
        fit_only(tiny_config.model_copy(update={"data": data}), tmp_path / "run", print)


def test_a_network_that_answers_at_another_size_is_one_line(
    pair_folder: PairFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "from torch import nn\ndef Net(channels, regions):\n    return nn.Conv2d(channels, regions, 3)\n"
    (tmp_path / "shrinking_nets.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    settings = ["data.image_size=32", "train.epochs=1", "train.batch_size=4", "model.name=shrinking_nets:Net"]
    with pytest.raises(UserError, match=r"the network makes \(1, 30, 30\) of images \(1, 32, 32\); expected logits"):
        tumorline.train(data=pair_folder(patients=6, slices=1), overrides=settings, output=tmp_path / "run")
