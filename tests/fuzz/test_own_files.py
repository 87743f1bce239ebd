"""Result files that were cut off, changed or garbled: readers come to a result, or to one line."""

import shutil
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, strategies

from tests.fuzz.budget import fuzzed
from tests.fuzz.damage import damage
from tumorline import comparison, cross_validation
from tumorline.benchmarking import leaderboard
from tumorline.cli.shown_results import print_headline
from tumorline.errors import UserError
from tumorline.report import write_report
from tumorline.results import read_summary

FROZEN = Path(__file__).parents[1] / "frozen" / "0.1.0"
OF_A_RUN = (
    "summary.json",
    "evaluation.csv",
    "environment.json",
    "history.csv",
    "split.csv",
    "baselines.csv",
    "certainty.csv",
    "config.toml",
)
READ_BY_ALL = OF_A_RUN[:2]


class Folds:
    """A folder of `tumorline folds` with one finished fold, and readers of what lies in it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.run = folder, folder / "fold-0"
        shutil.copytree(FROZEN / "run", self.run)
        config = (self.run / "config.toml").read_text(encoding="utf-8")
        (folder / "config.toml").write_text(config.replace("folds = 0", "folds = 2"), encoding="utf-8")
        (self.run / "report.html").write_text("finished")

    def report(self) -> None:
        write_report(self.run)

    def compare(self) -> None:
        comparison.compare({"one": self.run, "other": FROZEN / "evaluation"}, {})

    def gather(self) -> None:
        cross_validation.gather(self.folder)

    def rank(self) -> None:
        leaderboard.rank([leaderboard.Entry("arm", (), {0: self.run}, [self.run])], "")

    def headline(self) -> None:
        print_headline(read_summary(self.run / "summary.json"))


READERS = {
    "report": (Folds.report, OF_A_RUN),
    "compare": (Folds.compare, (*READ_BY_ALL, "split.csv", "config.toml")),
    "gather": (Folds.gather, (*READ_BY_ALL, "baselines.csv", "certainty.csv")),
    "rank": (Folds.rank, (*READ_BY_ALL, "environment.json", "history.csv")),
    "headline": (Folds.headline, ("summary.json",)),
}


@pytest.fixture
def without_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No network is run to see how fast it is, and no source is looked for."""
    monkeypatch.setattr(leaderboard, "images_per_second", lambda models: dict.fromkeys(models, 1.0))
    monkeypatch.setattr("tumorline.run.render_report", lambda folder, *_: write_report(folder))


@pytest.mark.usefixtures("without_speed")
@pytest.mark.parametrize("name", READERS)
@fuzzed(examples=8)
@given(data=strategies.data())
def test_a_damaged_file_gives_a_result_or_one_line(name: str, data: strategies.DataObject) -> None:
    reader, files = READERS[name]
    with TemporaryDirectory() as place:
        folds = Folds(Path(place))
        damage(data, folds.run / data.draw(strategies.sampled_from(files)))
        with suppress(UserError):
            reader(folds)
