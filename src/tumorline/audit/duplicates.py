"""Images that are there twice, pixel for pixel: single ones, and whole folders of them."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tumorline.audit.case_findings import duplicate_groups, example_of, files_of_cases, names_of, pairs_with_facts
from tumorline.data.case import Case
from tumorline.data.dataset import Dataset
from tumorline.data.finding import Finding
from tumorline.formats.decode import without_suffix
from tumorline.wording import is_or_are, numbered


class Copy(NamedTuple):
    """A folder whose images are those of another, under the same names."""

    folder: Path
    original: Path
    pairs: list[tuple[Case, Case]]
    """Each case of the folder and its equal."""

    @property
    def place(self) -> Path:
        """The original, or the one folder in it where all equals lie."""
        below = {equal.images[0].relative_to(self.original).parts[:-1][:1] for _, equal in self.pairs}
        return self.original.joinpath(*below.pop()) if len(below) == 1 else self.original


def find_duplicates(dataset: Dataset) -> list[Finding]:
    """A warning for folders that are copies of others, and one for all other equal images."""
    groups = duplicate_groups(dataset)
    copies = sorted(_copied_folders(dataset, groups), key=lambda copy: -len(copy.pairs))
    copied = {case.id for copy in copies for pair in copy.pairs for case in pair}
    other_groups = [group for group in groups if not copied.issuperset(case.id for case in group)]
    return _folders_twice(copies) + _equal_images(other_groups)


def _equal_images(groups: Sequence[Sequence[Case]]) -> list[Finding]:
    if not groups:
        return []
    torn = [group for group in groups if _differ_in_patient(group)]
    first = (torn or groups)[0]
    across = " under different patients" if torn else ""
    message = f"{example_of(first)}: exact duplicate of {names_of(first)}{across}"
    if len(groups) > 1:
        among = f" ({len(torn)} under different patients)" if torn else ""
        message += f"; {len(groups)} groups of exact duplicates{among}, see 'pairs' of --json"
    return [Finding("duplicate", "warning", message, files_of_cases(case for group in groups for case in group))]


def _differ_in_patient(cases: Sequence[Case]) -> bool:
    return len({case.patient for case in cases} - {None}) > 1


# ---------------------------------------------------------------- folders


def _copied_folders(dataset: Dataset, groups: Sequence[Sequence[Case]]) -> Iterator[Copy]:
    pairs_by_folders: dict[tuple[Path, Path], list[tuple[Case, Case]]] = defaultdict(list)
    for case, duplicate in (pair for group in groups for pair in _of_one_name(group)):
        if heads := _heads(case.images[0], duplicate.images[0]):
            pairs_by_folders[heads].append((case, duplicate))
    for (first, second), pairs in pairs_by_folders.items():
        copies = (Copy(second, first, [(duplicate, case) for case, duplicate in pairs]), Copy(first, second, pairs))
        yield from [copy for copy in copies if len(pairs) > 1 and _is_whole(dataset, copy)][:1]


def _of_one_name(group: Sequence[Case]) -> Iterator[tuple[Case, Case]]:
    """The first of each name in a group with each of the others."""
    first_of_name: dict[str, Case] = {}
    for case in group:
        first = first_of_name.setdefault(without_suffix(case.images[0]).name, case)
        if first is not case:
            yield first, case


def _heads(first: Path, second: Path) -> tuple[Path, Path] | None:
    """The two folders below which two files have the same name; None where it is one file."""
    first, second = first.parent, second.parent
    while first.name == second.name and not (first.is_relative_to(second) or second.is_relative_to(first)):
        first, second = first.parent, second.parent
    return (first, second) if first != second else None


def _is_whole(dataset: Dataset, copy: Copy) -> bool:
    """Whether all images of a folder are among those of the copy, but for blank ones."""
    names = {case.id for case, _ in copy.pairs}
    shown = (case for case, fact in pairs_with_facts(dataset) if fact.content)
    return all(case.id in names for case in shown if case.images[0].is_relative_to(copy.folder))


def _folders_twice(copies: Sequence[Copy]) -> list[Finding]:
    if not copies:
        return []
    largest, *others = copies
    torn = sum(_differ_in_patient(pair) for pair in largest.pairs)
    across = f", {torn} of them under different patients" if torn else ""
    more = f"; {numbered(len(others), 'more folder')} {is_or_are(len(others))} there twice" if others else ""
    message = (
        f"{largest.folder}: all {len(largest.pairs)} images are equal to those of the same names in "
        f"{largest.place}{across}; keep one of the two folders, or give one of them as the source{more}"
    )
    files = files_of_cases(case for copy in copies for pair in copy.pairs for case in pair)
    return [Finding("folder_twice", "warning", message, files)]
