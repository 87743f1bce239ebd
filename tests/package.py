"""What is installed is whole: the wheel, in an empty environment, predicts, evaluates, reports and serves.

`make package` runs it: it builds the sdist and the wheel, builds the wheel of the sdist and compares the two, and
needs the package index for what they depend on.
"""

import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXTRAS = "app,dicom"


def run(*command: Path | str, cwd: Path | None = None) -> str:
    print("+", *command, flush=True)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([*map(str, command)], cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def make_environment(folder: Path) -> Path:
    """An empty environment; returns its folder of programs."""
    venv.create(folder, with_pip=True)
    return folder / ("Scripts" if os.name == "nt" else "bin")


def content_of(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def build_wheel(work: Path) -> Path:
    """The wheel of the checkout, after the one of the sdist was found to be the same."""
    programs = make_environment(work / "build")
    run(programs / "python", "-m", "pip", "install", "--quiet", "build")
    run(programs / "python", "-m", "build", "--sdist", "--wheel", "--outdir", work / "direct", ROOT)
    (sdist,) = (work / "direct").glob("*.tar.gz")
    (work / "unpacked").mkdir()
    run("tar", "xzf", sdist, "--directory", work / "unpacked", "--strip-components", "1")
    run(programs / "python", "-m", "build", "--wheel", "--outdir", work / "of-sdist", work / "unpacked")
    (wheel,), (other,) = (work / "direct").glob("*.whl"), (work / "of-sdist").glob("*.whl")
    assert content_of(wheel) == content_of(other), "the sdist builds another wheel"
    return wheel


def try_commands(programs: Path, work: Path) -> None:
    """What the base install is for."""
    tumorline = programs / "tumorline"
    data = work / "data"
    shutil.copytree(ROOT / "tests" / "golden" / "slices", data)
    (picture, *_) = sorted((data / "images").iterdir())
    print(run(tumorline, "predict", picture, "--output", work / "predicted", cwd=work))
    print(run(tumorline, "evaluate", "builtin", "--data", data, "--output", work / "evaluated", cwd=work))
    print(run(tumorline, "report", work / "evaluated", "--data", data, cwd=work))
    run(tumorline, "models", cwd=work)


def try_app(programs: Path, work: Path) -> None:
    """The page, its files, and a prediction by the interface."""
    process = subprocess.Popen(
        [programs / "tumorline", "app", "--port", "0", "--runs", work], stderr=subprocess.PIPE, text=True, cwd=work
    )
    try:
        assert process.stderr
        line = process.stderr.readline()
        print(line, end="")
        address = line.split()[3]
        ask_until_answered(f"{address}health")
        for name in (
            "",
            "static/app.js",
            "static/viewer.js",
            "static/viewer.css",
            "static/style.css",
            "models",
            "runs",
        ):
            assert urllib.request.urlopen(address + name).read(), name
        (picture, *_) = sorted((work / "data" / "images").iterdir())
        head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
        body = head + picture.read_bytes() + b"\r\n--x--\r\n"
        kind = {"Content-Type": "multipart/form-data; boundary=x"}
        mask = urllib.request.urlopen(urllib.request.Request(f"{address}predict?answer=mask", body, kind)).read()
        (written,) = (work / "predicted").glob("*_mask.png")
        assert mask == written.read_bytes(), "the app's mask is not that of predict"
    finally:
        process.terminate()
        process.wait(20)


def ask_until_answered(address: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(address).read()
            return
        except OSError:
            assert time.monotonic() < deadline, "the app does not answer"
            time.sleep(0.2)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="tumorline-package-") as folder:
        work = Path(folder)
        wheel = build_wheel(work)
        bare = make_environment(work / "bare")
        pip = (bare / "python", "-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt")
        run(*pip, wheel)
        told = subprocess.run([bare / "tumorline", "app"], capture_output=True, text=True, check=False)
        assert (told.returncode, "tumorline[app]" in told.stderr) == (2, True), told.stderr
        print(told.stderr, end="")
        run(*pip, f"{wheel}[{EXTRAS}]")
        run(bare / "python", "-c", "import importlib.util as i; assert i.find_spec('torch') is None")
        try_commands(bare, work)
        try_app(bare, work)
    print("1 passed, 0 failed")


if __name__ == "__main__":
    main()
