"""The program's own commands, as a user gives them."""

import subprocess
import sys


def tumorline(*arguments: str) -> None:
    print("tumorline", *arguments, flush=True)
    subprocess.run([sys.executable, "-m", "tumorline", *arguments], check=True)
