import subprocess
import sys

CODE = """
import signal
import tumorline
models = [tumorline.load("builtin") for _ in range(3)]
while models:
    models.pop(0)
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are started with it ignored
try:
    signal.raise_signal(signal.SIGINT)  # to this thread: another one would answer when the program is past
except KeyboardInterrupt:
    print("stopped")
"""


def test_a_signal_after_several_models_were_opened_and_closed_is_no_crash() -> None:
    """In a process of its own: where it goes wrong, the process dies of a segmentation fault."""
    result = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "stopped\n"), result.stderr
