"""Two folders side by side, `images/` and `masks/`, whose files have the same names; also several pairs, nested."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tumorline.config import DataConfig
from tumorline.data.finding import Finding
from tumorline.data.layouts.contents import Contents, Listing
from tumorline.data.layouts.names import (
    OTHER_ORGANS,
    Kind,
    Match,
    folder_words,
    image_of_mask,
    match_masks,
    name_below,
    read_folder_name,
)
from tumorline.data.layouts.pairs import joined_note
from tumorline.data.layouts.patient_tables import case_from_row, read_patients
from tumorline.data.layouts.tree import common_folder
from tumorline.data.layouts.unread_dicom import told_of_series
from tumorline.errors import UserError
from tumorline.wording import is_or_are, numbered

Files = dict[str, Path]
Key = tuple[str, ...]
ByKey = Mapping[Key, Sequence[Path]]


@dataclass(frozen=True)
class FolderPair:
    """A folder of images and one of masks; `prefix` tells the names of its cases from those of other pairs."""

    images: Path
    masks: Path
    prefix: str


@dataclass(frozen=True)
class _Paired:
    """What lies in a pair of folders, by name: images, and the masks that were found for them."""

    folders: FolderPair
    images: Files
    masks: dict[str, list[Path]]
    findings: list[Finding]


def find_folders(contents: Contents) -> str:
    candidates = list(_candidates(contents))
    if not candidates:
        return ""
    images, masks = candidates[0]
    more = f" and {len(candidates) - 1} more such pairs" if len(candidates) > 1 else ""
    return f"{_listed(contents, images)} with {_listed(contents, masks)}{more}"


def read_folders(contents: Contents, _settings: DataConfig) -> Listing:
    """Pairs of one name; a mask may have a word such as `_mask` beside, and several of one image are joined.

    Raises UserError where it is not clear which folder belongs to which.
    """
    pairs = folder_pairs(contents)
    names = _names_by_folder(contents, pairs)
    paired = [_match_files(names, folders) for folders in pairs]
    images = {pair.folders.prefix + name: image for pair in paired for name, image in pair.images.items()}
    location = f"{paired[0].folders.images.name}/" if len(paired) == 1 else "the folders of images"
    rows, notes = read_patients(contents, images, location)
    masks = {pair.folders.prefix + name: own_masks for pair in paired for name, own_masks in pair.masks.items()}
    cases = [case_from_row(name, images[name], own, rows.get(name, {})) for name, own in masks.items()]
    findings = [finding for pair in paired for finding in pair.findings]
    return cases, findings + notes + joined_note(contents.path, cases) + _without_masks(contents, pairs)


# ---------------------------------------------------------------- folders


def folder_pairs(contents: Contents) -> list[FolderPair]:
    """All pairs of folders below a path. Raises UserError where it is not clear which belongs to which."""
    candidates = list(_candidates(contents))
    for rivals in (folders for pair in candidates for folders in pair):
        if len(rivals) > 1:
            parent, names = rivals[0].parent, _listed(contents, rivals)
            raise UserError(f"{parent}: holds {names}; which of them belongs to the pairs is not clear, keep one")
    siblings = Counter(images[0].parent for images, _ in candidates)
    return [
        FolderPair(images[0], masks[0], _prefix(contents.path, images[0], siblings[images[0].parent] > 1))
        for images, masks in candidates
    ]


def _prefix(path: Path, images: Path, has_siblings: bool) -> str:
    above = images.parent.relative_to(path).parts
    name = read_folder_name(images.name)
    own_part = ("_".join(name.key if name else (images.name,)),) if has_siblings else ()
    return "".join(f"{part}/" for part in (*above, *own_part) if part)


def _candidates(contents: Contents) -> Iterator[tuple[list[Path], list[Path]]]:
    """Folders of images and of masks that belong together, from the outside inwards; more than one is in doubt."""
    within: set[Path] = set()
    for parent, children in _children(contents).items():
        if not within.isdisjoint((parent, *parent.parents)):
            continue
        pairs = _pairs_among(children)
        within |= {folder for pair in pairs for folders in pair for folder in folders}
        yield from pairs


def _children(contents: Contents) -> dict[Path, list[Path]]:
    """The folders that hold pictures, at whatever depth, by the folder they lie in."""
    children: dict[Path, list[Path]] = defaultdict(list)
    for folder in contents.picture_folders:
        children[folder.parent].append(folder)
    return children


def _pairs_among(children: Sequence[Path]) -> list[tuple[list[Path], list[Path]]]:
    images, masks = _by_key(children, "image"), _by_key(children, "mask")
    plain: dict[Key, list[Path]] = defaultdict(list)
    for child in children:
        if read_folder_name(child.name) is None:
            plain[folder_words(child.name)].append(child)
    pairs = [(list(images.get(key) or plain[key]), list(masks[key])) for key in masks if key in images or key in plain]
    if pairs or len(images) != 1 or not masks:
        return pairs
    (image_folders,) = images.values()
    mask_folders = [folder for key, folders in masks.items() if not OTHER_ORGANS & set(key) for folder in folders]
    return [(list(image_folders), mask_folders)] if mask_folders else []


def _by_key(children: Sequence[Path], kind: Kind) -> ByKey:
    """Folders by the other words in their names; a likely name puts a less likely one aside."""
    named = [(child, name) for child in children if (name := read_folder_name(child.name)) and name.kind == kind]
    folders: dict[Key, list[Path]] = defaultdict(list)
    for child, name in named:
        if name.likely or not any(other.likely and other.key == name.key for _, other in named):
            folders[name.key].append(child)
    return folders


def _listed(contents: Contents, folders: Sequence[Path]) -> str:
    return " and ".join(f"{folder.relative_to(contents.path).as_posix()}/" for folder in folders)


def _without_masks(contents: Contents, pairs: Sequence[FolderPair]) -> list[Finding]:
    """A warning for each folder of images that stands beside the pairs and has no masks, as public test parts do."""
    paired = _folders_of(pairs)
    above = {parent for folder in paired for parent in folder.parents}
    keys = [_by_key(children, "image") for children in _children(contents).values()]
    named = (folder for by_key in keys for folders in by_key.values() for folder in folders)
    lonely = {folder: 0 for folder in named if folder not in above and paired.isdisjoint((folder, *folder.parents))}
    for file in contents.pictures:
        for folder in lonely.keys() & {*file.parents}:
            lonely[folder] += 1
    return [_left_out(folder, count) for folder, count in lonely.items()]


def _folders_of(pairs: Sequence[FolderPair]) -> set[Path]:
    return {folder for pair in pairs for folder in (pair.images, pair.masks)}


def _left_out(folder: Path, count: int) -> Finding:
    message = f"{folder}: {numbered(count, 'image')} without a folder of masks beside it {is_or_are(count)} left out"
    return Finding("no_masks", "warning", message, (str(folder),))


# ---------------------------------------------------------------- files


def _names_by_folder(contents: Contents, pairs: Sequence[FolderPair]) -> dict[Path, dict[Path, str]]:
    """The pictures below each folder of the pairs, with their names there."""
    names: dict[Path, dict[Path, str]] = {folder: {} for folder in _folders_of(pairs)}
    for file in contents.pictures:
        for folder in names.keys() & {*file.parents}:
            names[folder][file] = name_below(file, folder)
    return names


def _match_files(names: Mapping[Path, Mapping[Path, str]], folders: FolderPair) -> _Paired:
    images, findings = _by_name(names[folders.images], folders.prefix, "image")
    masks, more = _by_name(names[folders.masks], folders.prefix, "mask")
    match = match_masks(images, masks)
    of_images = {name: [masks[mask] for mask in match.masks[name]] for name in images if name in match.masks}
    return _Paired(folders, images, of_images, findings + more + _unpaired(folders, images, masks, match))


def _by_name(names: Mapping[Path, str], prefix: str, kind: Kind) -> tuple[Files, list[Finding]]:
    """Files of one folder by their names in it; `prefix` makes of these the names of cases."""
    files: Files = {}
    findings = []
    for file, below in names.items():
        name = _inner_name(below, kind)
        if name in files:
            message = f"{file}: same name as {files[name].name} but for the suffix; keep one of them"
            findings.append(Finding("ambiguous", "error", message, (str(files[name]), str(file)), prefix + name))
        files.setdefault(name, file)
    return files, findings


def _inner_name(name: str, kind: Kind) -> str:
    """The name without a folder that repeats what the outer one says: 'images/x' in `images/` is 'x'."""
    *above, stem = name.split("/")
    folder_names = [read_folder_name(folder) for folder in above]
    kept = [
        folder
        for folder, read_folders in zip(above, folder_names, strict=True)
        if read_folders is None or read_folders.kind != kind or read_folders.key
    ]
    return "/".join((*kept, stem))


def _unpaired(folders: FolderPair, images: Files, masks: Files, match: Match) -> list[Finding]:
    hint = f"a pair has the same name in {folders.images.name}/ and {folders.masks.name}/"
    without = sorted({*images} - {*match.masks})
    root = common_folder([folders.images, folders.masks])
    if not match.masks and (series := told_of_series(root, (images[name] for name in without))):
        return [Finding("unpaired", "error", series, tuple(str(images[name]) for name in without))]
    problems = [(name, images[name], f"image without a mask; {hint}") for name in without]
    problems += [(image_of_mask(n), masks[n], f"mask without an image; {hint}") for n in sorted(match.lonely)]
    problems += [
        (image, masks[name], f"a second mask of {images[image].name}; keep one, or number them")
        for name, image in sorted(match.surplus.items())
    ]
    problems += [
        (
            name,
            masks[name],
            f"may be the mask of {' or of '.join(images[candidate].name for candidate in candidates)}; rename it",
        )
        for name, candidates in sorted(match.unclear.items())
    ]
    return [
        Finding("unpaired", "error", f"{path}: {problem}", (str(path),), folders.prefix + name)
        for name, path, problem in problems
    ]
