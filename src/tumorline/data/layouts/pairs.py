"""Picture and mask in one folder, flat or nested: `x.png` and `x_mask.png`."""

from collections.abc import Sequence
from pathlib import Path

from tumorline.config import DataConfig
from tumorline.data.case import Case
from tumorline.data.finding import Finding
from tumorline.data.layouts.contents import Contents, Group, Listing
from tumorline.data.layouts.names import image_of_mask
from tumorline.data.layouts.patient_tables import case_from_row, read_patients
from tumorline.wording import numbered


def find_pairs(contents: Contents) -> str:
    plain = [group.masks[0].name for group in contents.pairs.values() if group.images[0] not in contents.triples]
    return f"{numbered(len(plain), 'pair')} by suffix (for example {plain[0]})" if plain else ""


def read_pairs(contents: Contents, _settings: DataConfig) -> Listing:
    """Pairs of one folder, named relative to the source. Patients come from `patients.csv` alone."""
    doubtful = {name: message for name, pair in contents.groups.items() if (message := _doubt(contents, pair))}
    clear = {name: pair for name, pair in contents.pairs.items() if name not in doubtful}
    images = {name: pair.images[0] for name, pair in contents.pairs.items()}
    table, notes = read_patients(contents, images, "this folder")
    cases = [case_from_row(name, pair.images[0], pair.masks, table.get(name, {})) for name, pair in clear.items()]
    findings = [
        Finding("ambiguous", "error", message, (message.split(": ")[0],), name) for name, message in doubtful.items()
    ]
    return cases, findings + _unpaired(contents) + joined_note(contents.path, cases) + notes


def joined_note(path: Path, cases: Sequence[Case]) -> list[Finding]:
    joined = [case for case in cases if case.more_masks]
    if not joined:
        return []
    message = (
        f"{path}: {numbered(len(joined), 'image')} with several masks, which are joined; for example {joined[0].id}"
    )
    return [Finding("masks_joined", "info", message, tuple(str(case.images[0]) for case in joined))]


def _doubt(contents: Contents, group: Group) -> str:
    """Why a group is no pair, or not surely one; empty where it is."""
    names = [contents.names[mask] for mask in group.masks]
    if len(group.images) > 1 and group.masks:
        return _one_too_many(group.images, "images")
    if len(set(names)) < len(names) or contents.matched.surplus.keys() & set(names):
        return _one_too_many(group.masks, "masks")
    images = next((contents.matched.unclear[name] for name in names if name in contents.matched.unclear), None)
    return f"{group.masks[0]}: may be the mask of {' or of '.join(images)}; rename it" if images else ""


def _one_too_many(files: Sequence[Path], noun: str) -> str:
    listed = " and ".join(file.name for file in files)
    return f"{files[0]}: one of {len(files)} {noun} of one pair ({listed}); keep one of them"


def _unpaired(contents: Contents) -> list[Finding]:
    findings = []
    for name, group in contents.groups.items():
        for file in [] if group.is_pair or name in contents.matched.unclear else group.images + group.masks:
            problem = "mask without a picture" if group.masks else "picture without a mask"
            message = f"{file}: {problem}; the mask of x.png is x_mask.png in the same folder"
            findings.append(
                Finding("unpaired", "error", message, (str(file),), image_of_mask(name) if group.masks else name)
            )
    return findings
