"""Where this user's files belong, also where there is no home, no known user, or a home that cannot be written."""

import atexit
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

import platformdirs

from tumorline.errors import UserError

NAME = "tumorline"


def home_folder() -> Path | None:
    """The user's home; None where none is known."""
    home = Path(os.path.expanduser("~"))
    return home if home.is_absolute() else None


def default_folder() -> Path:
    """The user's cache folder, or else a temporary one that belongs to this user alone.

    Raises UserError where not even that can be had.
    """
    try:
        cache = Path(platformdirs.user_cache_dir(NAME))
    except (RuntimeError, KeyError, OSError):
        return _temporary_folder()
    return cache if cache.is_absolute() and _can_be_written(cache) else _temporary_folder()


def record_folders() -> Iterator[Path]:
    """Where small records of this user are kept: in the home, and in the temporary folder where that takes none."""
    with suppress(RuntimeError, KeyError, OSError):
        if (data := Path(platformdirs.user_data_dir(NAME))).is_absolute():
            yield data
    with suppress(UserError):
        yield _temporary_folder()


def _can_be_written(folder: Path) -> bool:
    """Whether the folder takes files; it is made where it is not there yet."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


@cache
def _temporary_folder() -> Path:
    """The same one for each command of a user; where its name is taken by another, one for this process."""
    try:
        folder = Path(tempfile.gettempdir()) / f"{NAME}-{_user()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder if _is_own(folder) else _folder_of_this_process()
    except FileExistsError:
        return _folder_of_this_process()
    except OSError as error:
        raise UserError(
            f"no folder for the cache: neither home nor temporary folder can be written ({error.strerror}); "
            "set data.cache or TMPDIR"
        ) from None


def _is_own(folder: Path) -> bool:
    """A folder of this user that no one else can enter, and no link to one: others may put things into /tmp first."""
    status = folder.lstat()
    private = os.name == "nt" or (status.st_uid == os.getuid() and not stat.S_IMODE(status.st_mode) & 0o077)
    return stat.S_ISDIR(status.st_mode) and private


def _folder_of_this_process() -> Path:
    folder = Path(tempfile.mkdtemp(prefix=f"{NAME}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else "user"
