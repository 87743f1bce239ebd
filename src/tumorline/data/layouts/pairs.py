"""Picture and mask in one folder, flat or nested: `x.png` and `x_mask.png`."""

import re
from pathlib import Path

from tumorline.config import DataConfig
from tumorline.data.finding import Finding
from tumorline.data.layouts.contents import Contents, Group, Listing
from tumorline.data.layouts.table import case_from_row, read_patients
from tumorline.errors import UserError

TCGA = re.compile(r"TCGA[-_]\w{2}[-_]\w{4}(?![^\W_])", re.IGNORECASE)


def tcga_patient(picture: Path) -> str | None:
    """The patient's barcode where the folder or, in a flat copy, the file bears one."""
    found = TCGA.match(picture.parent.name) or TCGA.match(picture.name)
    return found[0].upper().replace("-", "_") if found else None


def find(contents: Contents) -> str:
    plain = [group.masks[0].name for group in contents.pairs.values() if not tcga_patient(group.masks[0])]
    return f"{len(plain)} pairs by suffix (for example {plain[0]})" if plain else ""


def read(contents: Contents, _settings: DataConfig) -> Listing:
    """Pairs of one folder, named relative to the source. Patients come from `patients.csv` alone.

    Raises UserError where a picture has two masks, or a mask two pictures.
    """
    for group in contents.pairs.values():
        _check_unique(group)
    table, notes = read_patients(contents.path / "patients.csv", contents.pairs, "this folder")
    pairs = contents.pairs.items()
    cases = [case_from_row(name, pair.images[0], pair.masks[0], table.get(name, {})) for name, pair in pairs]
    return cases, _unpaired(contents) + notes


def _check_unique(group: Group) -> None:
    for files, what in ((group.masks, "masks"), (group.images, "pictures")):
        if len(files) > 1:
            names = " and ".join(file.name for file in files)
            raise UserError(f"{files[0]}: one of {len(files)} {what} of one pair ({names}); keep one of them")


def _unpaired(contents: Contents) -> list[Finding]:
    findings = []
    for group in contents.groups.values():
        for file in [] if group.is_pair else group.images + group.masks:
            what = "mask without a picture" if group.masks else "picture without a mask"
            message = f"{file}: {what}; the mask of x.png is x_mask.png in the same folder"
            findings.append(Finding("unpaired", "error", message, (str(file),)))
    return findings
