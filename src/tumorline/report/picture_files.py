"""The pictures of a page's cases: in the page itself up to a stated size, beyond it in a folder beside the page.

They are kept in packs of about a megabyte. A page that lies on a disk may run scripts of its folder but may not read
its files, so a pack in a folder is a script that hands its cases over.
"""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from tumorline.files import write_text

MOST_IN_PAGE = 10_000_000
"""Characters of pictures that a page holds itself."""
PACK_SIZE = 1_000_000
PACK_NAME = re.compile(r"\d{5}\.js")
BEGIN = "tumorlinePack("

Place = tuple[int, int]
"""Which pack, and which of its cases."""


class PictureFiles:
    """Takes the pictures of cases one by one; no more than `MOST_IN_PAGE` of them are held in memory."""

    def __init__(self, page: Path) -> None:
        self.folder = page.with_name(f"{page.stem}-images")
        self.places: list[Place | None] = []
        """Of each case; None where there is no picture."""
        self.names: list[str] = []
        self.inside: dict[str, str] = {}
        """The packs that the page holds, by name."""
        self.size = 0
        self._open: list[str] = []
        self._is_outside = False

    @property
    def in_folder(self) -> str:
        """The name of the folder beside the page; empty where the page holds all."""
        return self.folder.name if self._is_outside else ""

    @property
    def count(self) -> int:
        """Of the pictures."""
        return len(self.places) - self.places.count(None)

    def add(self, text: str | None) -> None:
        """Take the JSON of the next case, in which nothing ends a script; None where there is none."""
        self.places.append(None if text is None else self._put(text))

    def _put(self, text: str) -> Place:
        if self._open and sum(map(len, self._open)) + len(text) > PACK_SIZE:
            self._close()
        self._open.append(text)
        self.size += len(text)
        return len(self.names), len(self._open) - 1

    def finish(self) -> None:
        """Close the last pack; packs of an earlier page that are not of this one go."""
        if self._open:
            self._close()
        for path in self._earlier():
            path.unlink()
        with suppress(OSError):
            self.folder.rmdir()

    def _close(self) -> None:
        name = f"{len(self.names):05}"
        self.inside[name] = f"[{','.join(self._open)}]"
        self.names.append(name)
        self._open = []
        if self._is_outside or self.size > MOST_IN_PAGE:
            self._move_outside()

    def _move_outside(self) -> None:
        self._is_outside = True
        for name, cases in self.inside.items():
            address = self.address(name)
            write_text(self.folder / f"{name}.js", f"{BEGIN}{json.dumps(address)},{cases});\n")
        self.inside.clear()

    def address(self, name: str) -> str:
        """Under which the page asks for a pack."""
        return f"{self.folder.name}/{name}.js" if self._is_outside else f"pack-{name}"

    @property
    def addresses(self) -> Sequence[str]:
        return [self.address(name) for name in self.names]

    def _earlier(self) -> Iterator[Path]:
        kept = {f"{name}.js" for name in self.names} if self._is_outside else set()
        for path in self.folder.glob("*.js"):
            if PACK_NAME.fullmatch(path.name) and path.name not in kept and not path.is_symlink() and _is_pack(path):
                yield path


def _is_pack(path: Path) -> bool:
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.read(len(BEGIN)) == BEGIN
