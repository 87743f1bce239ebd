"""Commands of all sides, timed, with the memory that they and their children take."""

import argparse
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
NNUNET, TORCHVISION = "nnunetv2==2.8.1", "torchvision==0.28.0"
"""torchvision has to be the release that belongs to the torch of the environment."""
MALLOC = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 36), "MALLOC_TOP_PAD_": str(1 << 26)}
LOOK_EVERY_S = 2.0
"""How often the memory of a command and of all its children is looked at."""


def make_environment(given: argparse.Namespace) -> None:
    """nnU-Net with the release of torch that Tumorline runs with, so that both are measured on one."""
    torch = version("torch").partition("+")[0]
    if not (given.python / "bin" / "python").is_file():
        subprocess.run([sys.executable, "-m", "venv", str(given.python)], check=True)
    pip = [str(given.python / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, f"torch=={torch}", TORCHVISION, NNUNET], check=True)
    run_nnunet(given, "nnUNetv2_train", "--help", quiet=True)
    print(f"{given.python}: {NNUNET} with torch {torch}")


def environment(given: argparse.Namespace) -> dict[str, str]:
    own = {name: str(given.output / name) for name in ("raw", "preprocessed", "results")}
    return {
        **os.environ,
        **MALLOC,
        **{f"nnUNet_{name}": path for name, path in own.items()},
        "nnUNet_extTrainer": str(HERE / "nnunet_trainer"),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(HERE.parent / "src"), os.environ.get("PYTHONPATH", "")])),
    }


def run_nnunet(
    given: argparse.Namespace, *command: str, quiet: bool = False, variables: Mapping[str, str] | None = None
) -> dict[str, float]:
    python = given.python / "bin" / "python"
    own = environment(given) | dict(variables or {})
    del own["PYTHONPATH"]
    return run_timed([str(python), str(HERE / "nnunet_launch.py"), *command], own, quiet)


def run_here(given: argparse.Namespace, *command: str) -> dict[str, float]:
    return run_timed([sys.executable, *command], environment(given), quiet=False)


def run_timed(command: Sequence[str], variables: dict[str, str], quiet: bool) -> dict[str, float]:
    """Seconds and peak memory (with all children) of a command. Raises CalledProcessError."""
    print("$", *command[1:], flush=True)
    began = time.time()
    process = subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL if quiet else None)
    with watching(process.pid) as most:
        code = process.wait()
    if code:
        raise subprocess.CalledProcessError(code, list(command))
    return {"seconds": round(time.time() - began, 1), "peak_mb": round(most[0])}


@contextmanager
def watching(pid: int) -> Iterator[list[float]]:
    """The most memory in MB that a process and its children have had together; shared pages count once."""
    most, ended = [0.0], threading.Event()

    def watch() -> None:
        while not ended.wait(LOOK_EVERY_S):
            most[0] = max(most[0], sum(map(resident_mb, family(pid))))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield most
    finally:
        ended.set()
        thread.join()


def family(pid: int) -> list[int]:
    try:
        children = [
            int(word) for file in Path(f"/proc/{pid}/task").glob("*/children") for word in file.read_text().split()
        ]
    except OSError:
        return []
    return [pid, *(member for child in children for member in family(child))]


def resident_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    except OSError:
        return 0.0


def machine() -> str:
    from tumorline import environment as known

    described = known.machine()
    return f"{known.processor_kind(described)}, {described['cores']} cores"
