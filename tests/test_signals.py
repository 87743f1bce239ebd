"""Ctrl-C, SIGTERM and SIGHUP end a command in the same way; a command under nohup goes on without its terminal."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from tumorline.errors import Interrupted
from tumorline.signals import stop_signals, stopped_by_signals

NUMBERS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture
def hangup_ignored() -> Iterator[None]:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def hangup_heard() -> Iterator[None]:
    """Also where the tests were started under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hangup_heard")
@pytest.mark.parametrize("number", NUMBERS)
def test_each_unwinds_what_is_under_way(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    cleaned: list[signal.Signals] = []

    def work() -> None:
        try:
            os.kill(os.getpid(), number)
            signal.sigtimedwait([], 1)
        except Exception:
            pytest.fail("a stop is not to be taken for the failure of one file")
        finally:
            cleaned.append(number)

    with pytest.raises(Interrupted, match="stopped here"), stopped_by_signals("stopped here"):
        work()
    assert cleaned == [number]
    assert signal.getsignal(number) == before


@pytest.mark.usefixtures("hangup_ignored")
def test_what_nohup_ignores_stays_ignored() -> None:
    with stopped_by_signals("stopped"):
        os.kill(os.getpid(), signal.SIGHUP)
    assert signal.SIGHUP not in stop_signals()


def test_another_thread_catches_none() -> None:
    found: list[list[signal.Signals]] = []
    thread = threading.Thread(target=lambda: found.append(stop_signals()))
    thread.start()
    thread.join()
    assert found == [[]]
