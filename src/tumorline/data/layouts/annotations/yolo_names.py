"""The names of YOLO's classes: `names` in a `data.yaml`, or a line each in `classes.txt` or `obj.names`."""

import re
from collections.abc import Mapping
from pathlib import Path

from tumorline.data.layouts.contents import Contents
from tumorline.data.layouts.documents import read_text_document
from tumorline.errors import UserError

YAML_SUFFIXES = (".yaml", ".yml")
LISTS = ("classes.txt", "obj.names")
MOST_BYTES = 1 << 20
"""Of a file of names."""
FLOW = re.compile(r"^names[ \t]*:[ \t]*(?:#.*)?\n?[ \t]*[\[{](?P<items>[^\]}]*)[\]}]", re.MULTILINE)
"""`names: [a, b]` or `names: {0: a, 1: b}`."""
BLOCK = re.compile(
    r"^names[ \t]*:[ \t]*(?:#.*)?\n(?P<items>(?:[ \t]*(?:#.*)?\n|[ \t]*-.*\n|[ \t]+\S.*\n)+)", re.MULTILINE
)
"""`names:` with a line for each below, `- a` or `0: a`."""
ITEM = re.compile(r"""(?P<key>\d+)\s*:\s*(?P<value>.+)|-\s+(?P<listed>.+)|(?P<plain>.+)""")
PIECE = re.compile(r"""(?:"[^"\n]*"|'[^'\n]*'|[^,\n])+""")
COMMENT = re.compile(r"(?:^|(?<=\s))#.*", re.MULTILINE)

Names = Mapping[int, str]


class ClassNames:
    """The names that files of a source give, for the labels below their folders."""

    def __init__(self, contents: Contents) -> None:
        """Raises UserError where two files of one folder differ."""
        self._by_folder: dict[Path, Names] = {}
        for file in contents.files:
            if (names := _names_in(file)) and self._by_folder.setdefault(file.parent, names) != names:
                raise UserError(f"{file}: names classes otherwise than another file beside it; keep one of them")

    def near(self, labels: Path) -> Names:
        """Those of the nearest folder above; none where no file says any."""
        return next((self._by_folder[folder] for folder in labels.parents if folder in self._by_folder), {})


def _names_in(file: Path) -> Names:
    is_yaml, is_list = file.suffix.lower() in YAML_SUFFIXES, file.name.lower() in LISTS
    if not (is_yaml or is_list):
        return {}
    text = read_text_document(file, MOST_BYTES) + "\n"
    return dict(enumerate(filter(None, map(str.strip, text.split("\n"))))) if is_list else _of_yaml(text)


def _of_yaml(text: str) -> Names:
    if flow := FLOW.search(text):
        return _numbered(PIECE.findall(COMMENT.sub("", flow["items"])))
    block = BLOCK.search(text)
    return _numbered(COMMENT.sub("", block["items"]).split("\n")) if block else {}


def _numbered(items: list[str]) -> Names:
    """Items with the numbers before them or, where they have none, their places."""
    matches = [ITEM.fullmatch(item.strip()) for item in items if item.strip()]
    names: dict[int, str] = {}
    for position, item in enumerate(match for match in matches if match):
        key = int(item["key"]) if item["key"] and len(item["key"]) < 10 else position
        names[key] = (item["value"] or item["listed"] or item["plain"]).strip().strip("'\"")
    return names
