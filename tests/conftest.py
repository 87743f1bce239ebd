"""Tiny data sets that every test may make for itself."""

import atexit
import functools
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tumorline.cli import main
from tumorline.errors import UserError

# What the tests begin is noted in no home; their processes inherit it.
OWN_DATA = "tumorline-tests-"
if OWN_DATA not in os.environ.get("XDG_DATA_HOME", ""):  # processes that a test starts share it
    os.environ["XDG_DATA_HOME"] = tempfile.mkdtemp(prefix=OWN_DATA)
    atexit.register(shutil.rmtree, os.environ["XDG_DATA_HOME"], ignore_errors=True)

REAL = Path(__file__).parents[2] / "shared" / "data"

MaskWriter = Callable[[npt.NDArray[np.bool_]], Image.Image]


def grey(high: int) -> MaskWriter:
    return lambda mask: Image.fromarray(mask.astype(np.uint8) * np.uint8(high))


def palette(mask: npt.NDArray[np.bool_]) -> Image.Image:
    """Index 1 is black and index 0 is red, so that indices say the opposite of colours."""
    picture = Image.fromarray((~mask).astype(np.uint8), mode="P")
    picture.putpalette([255, 0, 0, 0, 0, 0])
    return picture


ENCODINGS: dict[str, MaskWriter] = {
    "0/1": grey(1),
    "0/255": grey(255),
    "boolean": lambda mask: Image.fromarray(mask),
    "palette": palette,
    "grey RGB": lambda mask: grey(255)(mask).convert("RGB"),
    "RGBA": lambda mask: grey(255)(mask).convert("RGBA"),
}


def blob(size: int, seed: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """A noisy grey slice `(size, size)` with one bright disc, and the disc as mask."""
    random = np.random.default_rng(seed)
    row, column = random.integers(size // 4, 3 * size // 4, 2)
    radius = random.integers(size // 10 + 1, size // 5 + 2)
    rows, columns = np.ogrid[:size, :size]
    mask = (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
    image = 60 + 10 * random.standard_normal((size, size)) + 100 * mask
    return image.clip(0, 255).astype(np.uint8), mask


class PairFolder:
    """Writes a folder with images/, masks/ and patients.csv."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(
        self,
        patients: int = 10,
        slices: int = 2,
        size: int = 32,
        encoding: str = "0/255",
        with_patients: bool = True,
        first_seed: int = 0,
    ) -> Path:
        rows = ["id,patient,class_name"]
        for number in range(patients * slices):
            patient = number // slices
            image, mask = blob(size, first_seed + number)
            name = f"s{first_seed + number:03d}"
            self.add(name, Image.fromarray(image), ENCODINGS[encoding](mask))
            rows.append(f"{name},P{first_seed}-{patient:02d},{'abc'[patient % 3]}")
        if with_patients:
            (self.folder / "patients.csv").write_text("\n".join(rows) + "\n")
        return self.folder

    def blank(self, *names: str) -> None:
        """Let these images show nothing and their masks be empty."""
        for name in names:
            nothing = Image.new("L", Image.open(self.folder / "images" / f"{name}.png").size)
            self.add(name, nothing, nothing)

    def add(self, name: str, image: Image.Image, mask: Image.Image) -> None:
        for kind, picture in (("images", image), ("masks", mask)):
            (self.folder / kind).mkdir(parents=True, exist_ok=True)
            picture.save(self.folder / kind / f"{name}.png")


@pytest.fixture
def pair_folder(tmp_path: Path) -> PairFolder:
    return PairFolder(tmp_path / "source")


@contextmanager
def refused_in_one_line(
    match: str | None = None, error: type[UserError] = UserError
) -> Iterator[pytest.ExceptionInfo[UserError]]:
    """What is done within is refused, in one line."""
    with pytest.raises(error, match=match) as caught:
        yield caught
    assert "\n" not in str(caught.value)


class Outcome(NamedTuple):
    """What a command leaves on the terminal."""

    status: int
    out: str
    err: str


Program = Callable[..., Outcome]


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Program]:
    """The command in this process, from its arguments to its exit status: `program("train", "--data", folder)`."""
    log = logging.getLogger("tumorline")
    level, handlers = log.level, [*log.handlers]

    def run(*arguments: Path | str | int) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["tumorline", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        return Outcome(int(end.value.code or 0), *capsys.readouterr())

    yield run
    log.setLevel(level)  # as it was before --debug
    log.handlers[:] = handlers


TINY = (
    "data.image_size=32",
    "model.options.widths=[4, 8]",
    "train.epochs=6",
    "train.batch_size=4",
    "train.learning_rate=0.02",
    "train.precision=float32",
)


@pytest.fixture(scope="session", autouse=True)
def one_operator_table() -> None:
    """Let torch make the table of its ONNX operators once: it makes it anew for each export, a third of a tiny one."""
    with suppress(ImportError, AttributeError):
        from torch.onnx._internal.exporter import _registration

        make_table = functools.cache(_registration.ONNXRegistry.from_torchlib)
        pytest.MonkeyPatch().setattr(_registration.ONNXRegistry, "from_torchlib", staticmethod(make_table))


@pytest.fixture(scope="session")
def tiny_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return PairFolder(tmp_path_factory.mktemp("tiny") / "source")(patients=20, slices=2)


@pytest.fixture(scope="session")
def tiny_run(tiny_source: Path) -> Path:
    """A finished run of a tiny network on twenty tiny patients; treat it as read-only."""
    pytest.importorskip("torch")
    import tumorline

    overrides = [*TINY, f"data.cache='{tiny_source.parent / 'cache'}'"]
    return tumorline.train(data=tiny_source, overrides=overrides, output=tiny_source.parent / "run")


@pytest.fixture(scope="session")
def tiny_folds(tiny_source: Path) -> Path:
    """Two finished folds of two epochs on the same patients; treat them as read-only."""
    pytest.importorskip("torch")
    import tumorline

    overrides = [*TINY, f"data.cache='{tiny_source.parent / 'cache'}'", "split.folds=2", "train.epochs=2"]
    return tumorline.cross_validate(data=tiny_source, overrides=overrides, output=tiny_source.parent / "folds")


@pytest.fixture(scope="session")
def real_data() -> Path:
    if not REAL.is_dir():
        pytest.skip("the real data are not beside this checkout")
    return REAL


@pytest.fixture
def cluster() -> Iterator[object]:
    """A Ray cluster on this machine: a head that runs nothing, and two workers."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        made.add_node(num_cpus=1)
    yield made
    ray.shutdown()
    made.shutdown()
