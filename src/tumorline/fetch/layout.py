"""Which files of a set's archives go where, so that the folder can be used as a source."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from tumorline.wording import numbered

Fingerprint = tuple[int, int]


class Arrangement(NamedTuple):
    """Name in the archive -> path in the folder, and remarks on what was left out."""

    places: dict[str, str]
    remarks: list[str]


Arrange = Callable[[Mapping[str, Fingerprint]], Arrangement]
"""From names with size and CRC to their places; no places where the archive holds nothing of what is wanted."""


def flat(suffix: str) -> Arrange:
    """All files of one suffix, without their folders."""

    def arrange(files: Mapping[str, Fingerprint]) -> Arrangement:
        chosen = {name: PurePosixPath(name).name for name in files if name.endswith(suffix) and not _is_litter(name)}
        return Arrangement(chosen, _left_out(files, chosen))

    return arrange


def folders(*wanted: str) -> Arrange:
    """What lies beside and below the wanted folders, from the place nearest to the root that has them all.

    A second place that has them all is left out with a remark that says whether it is a copy.
    """

    def arrange(files: Mapping[str, Fingerprint]) -> Arrangement:
        roots = _roots(files, wanted)
        if not roots:
            return Arrangement({}, [])
        first, *others = roots
        copies = {name for name in files for root in others for folder in wanted if name.startswith(f"{root}{folder}/")}
        kept = {name for name in files if name.startswith(first) and not _is_litter(name)} - copies
        places = {name: name.removeprefix(first) for name in sorted(kept)}
        remarks = [_compare(files, wanted, first, other) for other in others]
        return Arrangement(places, remarks + _left_out(files, kept | copies))

    return arrange


def _roots(files: Mapping[str, Fingerprint], wanted: Sequence[str]) -> list[str]:
    """Prefixes ('' or ending in '/') below which there is a file in each of the wanted folders, shortest first."""
    counts = Counter[str]()
    for folder in wanted:
        counts.update({prefix for name in files if not _is_litter(name) for prefix in _before(name, folder)})
    return sorted(
        (prefix for prefix, times in counts.items() if times == len(wanted)), key=lambda root: (len(root), root)
    )


def _before(name: str, folder: str) -> list[str]:
    parts = name.split("/")
    return ["".join(f"{part}/" for part in parts[:at]) for at, part in enumerate(parts[:-1]) if part == folder]


def _compare(files: Mapping[str, Fingerprint], wanted: Sequence[str], first: str, other: str) -> str:
    paths = [f"{root}{folder}/" for root in (first, other) for folder in wanted]
    first_files, other_files = (
        {name.removeprefix(root): files[name] for name in files for folder in wanted if name.startswith(root + folder)}
        for root in (first, other)
    )
    first_paths, other_paths = ", ".join(paths[: len(wanted)]), ", ".join(paths[len(wanted) :])
    differing = len([name for name in other_files if first_files.get(name) != other_files[name]])
    verdict = f"a second copy of {first_paths}" if not differing else f"{differing} of them differ from {first_paths}"
    return f"left out {other_paths} ({numbered(len(other_files), 'file')}: {verdict})"


def _left_out(files: Mapping[str, Fingerprint], used: Mapping[str, str] | set[str]) -> list[str]:
    rest = [name for name in files if name not in used and not _is_litter(name)]
    count = f"{len(rest)} of {len(files)} files"
    return [f"left out what is no part of the set: {count}, such as {rest[0]!a}"] if rest else []


def _is_litter(name: str) -> bool:
    """What macOS puts into archives."""
    path = PurePosixPath(name)
    return "__MACOSX" in path.parts or path.name == ".DS_Store" or path.name.startswith("._")
