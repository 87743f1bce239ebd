"""A split in which nobody validates: all but the test part train, and nothing is chosen."""

from pathlib import Path

import pytest

import tumorline
from tests.conftest import TINY, PairFolder, Program
from tumorline.config import load_config
from tumorline.data.dataset import load_dataset
from tumorline.data.splits.split import split_dataset
from tumorline.errors import UserError
from tumorline.model_file import read_info
from tumorline.paper.study import read_study
from tumorline.paper.training_methods import describe_selection
from tumorline.results import read_summary
from tumorline.run_folder import read_history

NOBODY = ("split.validation=0", "model.threshold=0.4", "model.temperature=1.5")


@pytest.fixture(scope="module")
def folds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two finished folds of four patients."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("nobody")
    source = PairFolder(folder / "source")(patients=4)
    settings = [*TINY, *NOBODY, "split.folds=2", "train.epochs=2", f"data.cache='{folder / 'cache'}'"]
    tumorline.cross_validate(data=source, overrides=settings, output=folder / "folds")
    return folder / "folds"


def test_all_that_do_not_test_train_and_the_last_weights_are_kept(folds: Path) -> None:
    info = read_info(folds / "fold-0" / "model.safetensors")
    assert info.split.parts == {"train": 4, "validation": 0, "test": 4}
    assert (info.threshold, info.temperature) == (0.4, 1.5)
    rows = read_history(folds / "fold-0")
    assert [row["validation_dice"] for row in rows] == ["", ""]
    assert [row["best"] for row in rows] == ["1", "1"]
    assert read_summary(folds / "summary.json").cases == 8


def test_page_and_card_say_that_nothing_was_chosen(folds: Path) -> None:
    page = (folds / "fold-0" / "report.html").read_text()
    assert "nobody validates, and nothing was chosen" in page
    assert "best epoch" not in page
    assert ">best 2<" not in page
    card = (folds / "fold-0" / "MODEL_CARD.md").read_text()
    assert "chosen by being the last" in card
    assert "threshold and temperature 1.50 stated by the recipe" in card
    methods = " ".join(describe_selection(read_study(folds / "fold-0")))
    assert "nothing was chosen on any patient" in methods
    assert "fixed beforehand: tumour: threshold 0.4, temperature 1.50" in methods
    assert "validation" not in methods


def test_runs_lists_them(folds: Path, program: Program) -> None:
    said = program("runs", folds)
    assert said.status == 0, said.err
    assert "finished" in said.out


def test_those_whom_the_source_states_for_validation_train(tmp_path: Path) -> None:
    source = PairFolder(tmp_path / "source")(patients=4)
    table = "id,image,mask,patient,split\n" + "".join(
        f"{mask.stem},images/{mask.name},masks/{mask.name},{number // 2},{part}\n"
        for number, (mask, part) in enumerate(
            zip(
                sorted((source / "masks").iterdir()),
                ("train", "train", "val", "val", "test", "test", "val", "val"),
                strict=True,
            )
        )
    )
    (source / "cases.csv").write_text(table)
    config = load_config(None, [*NOBODY, f"data.source='{source / 'cases.csv'}'"])
    split = split_dataset(load_dataset(source / "cases.csv", config.data), config.split)
    assert [len(split.cases(part)) for part in ("train", "validation", "test")] == [6, 0, 2]
    assert split.origin.endswith("nobody validates")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (NOBODY[:1], "split.validation is 0, so that nothing is left to choose model.threshold on"),
        (NOBODY[:2], "nothing is left to choose model.temperature on"),
        ([*NOBODY, "train.patience=3"], "leave out train.patience"),
        ([*NOBODY, "train.schedule=plateau"], "leave out train.schedule"),
        ([*NOBODY, "data.sources=[{path='a'}, {path='b', part='validation'}]"], "no source can be for validation"),
    ],
)
def test_what_needs_validation_is_refused(given: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        load_config(None, given)


def test_a_source_may_test(tmp_path: Path) -> None:
    load_config(None, [*NOBODY, "data.sources=[{path='a'}, {path='b', part='test'}]"])


def test_nothing_is_tuned_or_chosen(tmp_path: Path, program: Program) -> None:
    recipe = "[split]\nvalidation = 0\n[model]\nthreshold = 0.4\ntemperature = 1.0\n"
    (tmp_path / "tune.toml").write_text(f'{recipe}[tune.space]\n"train.learning_rate" = [0.1, 0.2]\n')
    said = program("tune", tmp_path / "tune.toml", "--data", tmp_path, "--output", tmp_path / "out")
    assert (said.status, "nothing says which trial is best" in said.err) == (2, True), said.err
