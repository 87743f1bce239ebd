"""The entries of the bibliography that comes with the package, by their keys."""

import re
from collections.abc import Collection
from functools import cache
from importlib import resources


def select_references(keys: Collection[str]) -> str:
    """BibTeX of these keys, in the order of the bibliography."""
    return "\n".join(entry for key, entry in all_references().items() if key in keys)


@cache
def all_references() -> dict[str, str]:
    text = resources.files("tumorline.paper").joinpath("references.bib").read_text(encoding="utf-8")
    entries = re.split(r"\n(?=@)", text)
    return {entry[entry.index("{") + 1 : entry.index(",")]: entry.strip() + "\n" for entry in entries}
