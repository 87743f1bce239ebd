"""Standard output and standard error as a command finds them: closed, full, or with a narrow code page."""

import contextlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from typing import TextIO

from tumorline.errors import UserNotice
from tumorline.escaping import one_line

NOT_PRINTED = 1
"""Exit status where all was well but standard output took no more: a closed pipe, a full disk."""


class LossyStream(io.TextIOWrapper):
    """A standard stream that drops what it cannot write, and knows of it: no work is lost because nobody listens."""

    is_lost = False

    def write(self, text: str) -> int:
        with self._dropping():
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with self._dropping():
            super().flush()

    @contextlib.contextmanager
    def _dropping(self) -> Iterator[None]:
        """After the first failure all goes nowhere, what is still in the buffer too."""
        try:
            yield
        except OSError:
            self.is_lost = True
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)


@contextlib.contextmanager
def prepared_streams() -> Iterator[None]:
    """Within, every text can be printed, no stream fails, and what libraries warn of is one line each."""
    _open_closed_ones()
    streams, factory = (sys.stdout, sys.stderr), logging.getLogRecordFactory()
    sys.stdout, sys.stderr = map(_lossy, streams)
    logging.setLogRecordFactory(_one_line_record)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default", UserNotice)
            warnings.showwarning = _show_warning
            yield
    finally:
        logging.setLogRecordFactory(factory)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, LossyStream):
                stream.detach()
        sys.stdout, sys.stderr = streams


def is_all_printed() -> bool:
    """Whether standard output has taken all that was printed."""
    sys.stdout.flush()
    return not getattr(sys.stdout, "is_lost", False)


def _open_closed_ones() -> None:
    """Nowhere takes the place of a closed stream, before a file that is opened gets its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or _nowhere(1)
    sys.stderr = sys.stderr or _nowhere(2)


def _nowhere(number: int) -> TextIO:
    return open(number, "w", encoding="utf-8", closefd=False)


def _lossy(stream: TextIO) -> TextIO:
    """The stream's lossy twin, in which what its code page lacks becomes an escape."""
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.flush()
    return LossyStream(
        stream.buffer, encoding=stream.encoding, errors="backslashreplace", line_buffering=stream.line_buffering
    )


def _show_warning(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    """Ours as a sentence, those of libraries with what kind they are."""
    kind = "" if issubclass(category, UserNotice) else f" ({category.__name__})"
    print(one_line(f"warning: {message}{kind}"), file=sys.stderr)


def _one_line_record(*arguments: object, **named: object) -> logging.LogRecord:
    record = logging.LogRecord(*arguments, **named)  # type: ignore[arg-type]
    record.msg, record.args = one_line(record.getMessage()), ()
    if record.exc_info:
        lines = logging.Formatter().formatException(record.exc_info).split("\n")
        record.exc_text = "\n".join(map(one_line, lines))
    return record
