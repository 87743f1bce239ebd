"""Pillow's limit of pixels, which is one for the whole process: ours while we read, the program's own afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from PIL import Image

from tumorline.formats.boundary import max_pixels

_lock = Lock()
_readers = 0
_theirs = Image.MAX_IMAGE_PIXELS


@contextmanager
def own_limit() -> Iterator[None]:
    """What is opened within may have as many pixels as we read. Of several threads the last to leave restores."""
    _enter(max_pixels())
    try:
        yield
    finally:
        _leave()


def _enter(limit: int) -> None:
    global _readers, _theirs
    with _lock:
        if not _readers:
            _theirs = Image.MAX_IMAGE_PIXELS
        _readers += 1
        Image.MAX_IMAGE_PIXELS = limit


def _leave() -> None:
    global _readers
    with _lock:
        _readers -= 1
        if not _readers:
            Image.MAX_IMAGE_PIXELS = _theirs
