"""Pillow's limit of pixels, which is one for the whole process: ours while we read, the program's own afterwards."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
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
            _hush(limit)
        _readers += 1
        Image.MAX_IMAGE_PIXELS = limit


@lru_cache
def _hush(limit: int) -> None:
    """Of pictures beyond our own limit `require_size` tells; what Pillow says of another one is heard."""
    said = rf"Image size \(\d+ pixels\) exceeds limit of {limit} pixels"
    warnings.filterwarnings("ignore", said, Image.DecompressionBombWarning)


def _leave() -> None:
    global _readers
    with _lock:
        _readers -= 1
        if not _readers:
            Image.MAX_IMAGE_PIXELS = _theirs
