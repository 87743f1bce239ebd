"""Folders of classes, as `glioma/` and `notumor/`: what their names say of the pictures in them."""

import re
from collections.abc import Sequence
from pathlib import Path

from tumorline.data.layouts.annotations.outlined import OTHER_WORDS, TUMOUR_WORDS
from tumorline.data.layouts.contents import Contents
from tumorline.data.layouts.names import folder_words
from tumorline.errors import UserError

NOTHING_ELSE = re.compile(rf"(?:{TUMOUR_WORDS.pattern}|yes|s|[-_. ])+", re.IGNORECASE)
MOST_FOLDERS = 3
"""Of folders in one line."""


def shows_tumour(names: Sequence[str]) -> bool | None:
    """What the innermost of the names that says anything says of a picture; None where none does."""
    return next((verdict for name in reversed(names) if (verdict := _says_tumour(name)) is not None), None)


def _says_tumour(name: str) -> bool | None:
    if OTHER_WORDS.search(name):
        return False
    return True if TUMOUR_WORDS.search(name) or "yes" in folder_words(name) else None


def class_folders(contents: Contents, tumour: bool) -> list[Path]:
    """The folders, relative to the source, whose names say that their pictures show a tumour, or that none does."""
    folders = set()
    for folder in {file.parent.relative_to(contents.path) for file in contents.pictures}:
        levels = [level for level in (folder, *folder.parents) if _says_tumour(level.name) is not None]
        if levels and _says_tumour(levels[0].name) is tumour:
            folders.add(levels[0])
    return sorted(folders)


def refuse_tumours(contents: Contents) -> None:
    """Raise UserError where a folder that is said to show no tumour, or one in it, names one."""
    tumour_folders = [f"{folder.as_posix()}/" for folder in class_folders(contents, tumour=True)]
    source_name = contents.path.resolve().name
    if _says_tumour(source_name) and NOTHING_ELSE.fullmatch(source_name) and not class_folders(contents, tumour=False):
        tumour_folders.append(f"{source_name}/")
    if tumour_folders:
        cure = healthy_folders(contents) or "a folder of pictures without tumours"
        raise UserError(f"{contents.path}: data.tumour_free is set, but {tumour_folders[0]} names tumours; give {cure}")


def healthy_folders(contents: Contents) -> str:
    """The folders that say that nothing in them shows a tumour, in words; empty where there are none."""
    folders = [f"{folder.as_posix()}/" for folder in class_folders(contents, tumour=False)]
    more = f" (and {len(folders) - MOST_FOLDERS} more)" if len(folders) > MOST_FOLDERS else ""
    each = "each as a source of its own" if len(folders) > 1 else "alone"
    return f"{', '.join(folders[:MOST_FOLDERS])}{more}, {each}" if folders else ""
