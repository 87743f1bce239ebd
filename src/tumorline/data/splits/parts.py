"""The parts of a split: which case is in which."""

from collections.abc import Mapping
from dataclasses import dataclass

PARTS = ("train", "validation", "test")
SHORT_NAMES = {"val": "validation", "valid": "validation", "": "excluded"}


@dataclass(frozen=True)
class Split:
    """Part of each case. `origin` says in words where the split comes from."""

    parts: Mapping[str, str]
    origin: str
    leaking: bool = False
    parts_are_stated: bool = False
    """Whether the source itself says which case is in which part."""

    def cases(self, part: str) -> list[str]:
        return [name for name, its_part in self.parts.items() if its_part == part]
