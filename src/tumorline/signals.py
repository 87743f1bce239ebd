"""The signals that ask a command to stop: Ctrl-C, SIGTERM, and SIGHUP, which a closed terminal sends."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tumorline.errors import Interrupted


def stop_signals() -> list[signal.Signals]:
    """Those that this thread can catch: none outside the main thread, and no SIGHUP under nohup."""
    if threading.current_thread() is not threading.main_thread():
        return []
    hangup: list[signal.Signals] = [signal.SIGHUP] if hasattr(signal, "SIGHUP") else []
    return [signal.SIGINT, signal.SIGTERM, *(one for one in hangup if signal.getsignal(one) is not signal.SIG_IGN)]


@contextmanager
def stopped_by_signals(message: str) -> Iterator[None]:
    """What is under way is unwound, cleans up behind itself, and ends in Interrupted with the message."""

    def stop(*_: object) -> None:
        raise Interrupted(message)

    previous = {number: signal.signal(number, stop) or signal.SIG_DFL for number in stop_signals()}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
