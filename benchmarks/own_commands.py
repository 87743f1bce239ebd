"""The program's own commands, as a user gives them."""

import subprocess
import sys


def tumorline(*arguments: str) -> None:
    """One that fails has said why, and ends the script."""
    print("tumorline", *arguments, flush=True)
    if code := subprocess.run([sys.executable, "-m", "tumorline", *arguments]).returncode:
        sys.exit(code)
