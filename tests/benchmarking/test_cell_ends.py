"""However a cell ends, its log says so, and who waits for its arm waits no longer."""

import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarking.conftest import open_benchmark
from tests.benchmarking.test_benchmark import BEST, pretend_trained
from tumorline.benchmarking import cell
from tumorline.benchmarking.cell import CellJob, last_error
from tumorline.benchmarking.plan import arms


@pytest.fixture
def job(tmp_path: Path) -> CellJob:
    return CellJob("foreign_seed-0", tmp_path / "out/cells/foreign_seed-0", True, 0)


def ended_by(job: CellJob, shell: str) -> str:
    def launch(_command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(["sh", "-c", shell], **options)

    return cell.run(job, launch)


@pytest.mark.parametrize(
    ("shell", "status"), [("printf 'epoch 3'; kill -9 $$", -9), ("echo 'Traceback' >&2; exit 1", 1), ("exit 2", 2)]
)
def test_a_crash_and_a_kill_are_errors_of_the_log(job: CellJob, shell: str, status: int) -> None:
    assert ended_by(job, shell) == last_error(job.folder) == f"ended with status {status}; see {job.log}"


def test_what_a_training_says_itself_stays_its_error(job: CellJob) -> None:
    assert ended_by(job, "echo 'error: no memory' >&2; exit 2") == last_error(job.folder) == "no memory"
    assert job.log.read_text() == "error: no memory\n"


@pytest.mark.parametrize("shell", ["exit 130", f"kill -{int(signal.SIGTERM)} $$"])
def test_what_was_stopped_has_no_error(job: CellJob, shell: str) -> None:
    assert ended_by(job, shell) == "stopped"
    assert last_error(job.folder) == ""


def test_a_killed_arm_is_not_waited_for(job: CellJob, tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(BEST)
    benchmark = open_benchmark(tmp_path / "plan.toml", tmp_path)
    pretend_trained(benchmark, "plain_seed-0", 0.4)
    pretend_trained(benchmark, "gated_seed-0", 0.6)
    ended_by(job, "kill -9 $$")
    assert benchmark.leaders(1) == {"gated"}
    assert benchmark.unmeasured(arms(benchmark.plan)[2]).reason.startswith("ended with status -9; see ")
