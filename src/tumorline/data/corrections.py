"""Masks that people have corrected, in a folder of their own: each is read in place of the truth of its case."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tumorline.config import DataConfig
from tumorline.data.case import Case
from tumorline.data.finding import Finding
from tumorline.data.masks_by_case import MaskFolder, find_masks, mask_error, with_mask
from tumorline.errors import UserError
from tumorline.wording import is_or_are, numbered, some_of

TRUTH, CORRECTED, AS_GIVEN, BY_PROGRAM = "truth", "corrected", "as given", "by a program"
"""The attribute of a case that says whose its mask is, and its values; of sets with corrections or programs' masks."""
CORRECTION = "correction"
"""What a corrected mask is called."""


@dataclass(frozen=True)
class Corrected:
    """The cases of a source with their corrections; `strangers` are the files that are of none of them."""

    cases: tuple[Case, ...]
    findings: tuple[Finding, ...]
    strangers: tuple[Path, ...]


def correct_cases(source: Path, cases: Sequence[Case], settings: DataConfig, called: Iterable[str]) -> Corrected:
    """The cases with their corrected masks; `called` are names of the source that may stand before those of cases.

    Raises UserError for a folder of corrections that is not there, lies among the data or holds no mask.
    """
    folder = MaskFolder(settings.corrections, CORRECTION, "data.corrections")
    found = find_masks(folder, source, cases, called)
    corrected, more = _with_corrections(cases, found.by_case)
    findings = (*found.findings, *more, *_noted(corrected, settings))
    return Corrected(tuple(corrected), findings, tuple(found.strangers))


def _with_corrections(
    cases: Iterable[Case], files_by_case: Mapping[str, Sequence[Path]]
) -> tuple[list[Case], list[Finding]]:
    corrected, findings = [], []
    for case in cases:
        corrected.append(replace(case, attributes={TRUTH: AS_GIVEN, **case.attributes}))
        if files := files_by_case.get(case.id):
            try:
                own, more = with_mask(case, files, CORRECTION)
                corrected[-1] = replace(own, attributes={**case.attributes, TRUTH: CORRECTED})
                findings += more
            except UserError as error:
                findings.append(mask_error(str(error), *files, stands_for=case.id))
    return corrected, findings


def _noted(cases: Sequence[Case], settings: DataConfig) -> list[Finding]:
    """How many masks are corrected ones, and of which cases."""
    corrected = [case for case in cases if case.correction is not None]
    if not corrected:
        return []
    names = some_of([case.id for case in corrected])
    count = f"{len(corrected)} of {numbered(len(cases), 'mask')}"
    message = f"{settings.corrections}: {count} {is_or_are(len(corrected))} read as corrected here ({names})"
    return [Finding("corrected", "info", message, tuple(str(case.correction) for case in corrected))]
