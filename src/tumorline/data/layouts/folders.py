"""Two folders side by side, `images/` and `masks/`, whose files have the same names."""

from collections.abc import Mapping
from pathlib import Path

from tumorline.config import DataConfig
from tumorline.data.decode import without_suffix
from tumorline.data.finding import Finding
from tumorline.data.layouts.contents import Contents, Listing, split_name
from tumorline.data.layouts.table import case_from_row, read_patients
from tumorline.errors import UserError

IMAGE_FOLDERS = {"images", "image", "imgs"}
MASK_FOLDERS = {"masks", "mask", "labels", "annotations"}

Files = dict[str, Path]


def find(contents: Contents) -> str:
    images, masks = (_folders(contents.path, names) for names in (IMAGE_FOLDERS, MASK_FOLDERS))
    return f"{_names(images)} with {_names(masks)}" if images and masks else ""


def read(contents: Contents, _settings: DataConfig) -> Listing:
    """Pairs of one name; a mask may have a suffix such as `_mask` beside. Raises UserError for two such folders."""
    images_at, masks_at = (_only(contents.path, names) for names in (IMAGE_FOLDERS, MASK_FOLDERS))
    images, findings = _by_name(contents, images_at)
    masks, more = _by_name(contents, masks_at)
    masks = _matched(masks, images)
    findings += more + _unpaired(images, masks, f"{images_at.name}/ and {masks_at.name}/")
    table, notes = read_patients(contents.path / "patients.csv", images, f"{images_at.name}/")
    names = images.keys() & masks.keys()
    cases = [case_from_row(name, images[name], masks[name], table.get(name, {})) for name in names]
    return cases, findings + notes


def _folders(path: Path, names: set[str]) -> list[Path]:
    if not path.is_dir():
        return []
    return sorted(entry for entry in path.iterdir() if entry.name.lower() in names and entry.is_dir())


def _only(path: Path, names: set[str]) -> Path:
    found = _folders(path, names)
    if len(found) > 1:
        raise UserError(f"{path}: holds {_names(found)}; which of them belongs to the pairs is not clear, keep one")
    return found[0]


def _names(folders: list[Path]) -> str:
    return " and ".join(f"{folder.name}/" for folder in folders)


def _by_name(contents: Contents, folder: Path) -> tuple[Files, list[Finding]]:
    files: Files = {}
    findings = []
    for file in contents.pictures:
        if not file.is_relative_to(folder):
            continue
        name = without_suffix(file.relative_to(folder)).as_posix()
        if name in files:
            message = f"{file}: same name as {files[name].name} but for the suffix; keep one of them"
            findings.append(Finding("ambiguous", "error", message, (str(files[name]), str(file))))
        files.setdefault(name, file)
    return files, findings


def _matched(masks: Files, images: Files) -> Files:
    """The masks under the names of their images: 'x_mask' belongs to 'x' where nothing else does."""
    found = {name: file for name, file in masks.items() if name in images}
    for name, file in masks.items():
        base, is_mask = split_name(name)
        belongs = is_mask and name not in images and base in images and base not in found
        found[base if belongs else name] = file
    return found


def _unpaired(images: Files, masks: Mapping[str, Path], folders: str) -> list[Finding]:
    lonely = [(images[name], "image without a mask") for name in sorted(images.keys() - masks.keys())]
    lonely += [(masks[name], "mask without an image") for name in sorted(masks.keys() - images.keys())]
    hint = f"a pair has the same name in {folders}"
    return [Finding("unpaired", "error", f"{path}: {what}; {hint}", (str(path),)) for path, what in lonely]
