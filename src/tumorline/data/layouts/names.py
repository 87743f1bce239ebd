"""What names say: image or mask, to which image a mask belongs, and to which part of a split a folder."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path, PurePath
from typing import Literal, NamedTuple

from tumorline.formats.decode import without_suffix

Kind = Literal["image", "mask"]

IMAGE_FOLDERS = {"image", "images", "img", "imgs", "jpegimage", "jpegimages", "pngimages"}
MASK_FOLDERS = {
    *("mask", "masks", "label", "labels", "gt", "gts", "groundtruth", "groundtruths", "truth", "truths"),
    *("segmentation", "segmentations", "seg", "segs", "segmentationclass", "annotation", "annotations", "annot"),
}
LESS_LIKELY: dict[Kind, set[str]] = {
    "image": {
        "picture",
        "pictures",
        "pic",
        "pics",
        "photo",
        "photos",
        "scan",
        "scans",
        "slices",
        "frames",
        "mri",
        "mris",
    }
    | {"input", "inputs", "original", "originals", "raw"},
    "mask": {"segmentationobject", "target", "targets", "roi", "rois", "outline", "outlines", "contours"},
}
"""Names that count where none of the plainer ones stands beside them."""
OTHER_ORGANS = {"brain", "brainmask", "skull", "head", "scalp", "tissue", "parenchyma", "aseg", "aparc"}
"""Words of masks that are not those of tumours."""
PARTS = {
    **dict.fromkeys(("train", "training", "trainset", "tr"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "testset", "ts"), "test"),
}
"""Words of folders that state a part of a split."""
BESIDE_PARTS = {"data", "set", "dataset", "split", "part", "subset"} | IMAGE_FOLDERS | MASK_FOLDERS
"""Words that may stand beside those; 'Training_017' of another maker is a patient."""
MASK_WORD = (
    "ground[-_ ]?truths?|masks?|segmentations?|segm|segs?|labels?|lbl|gts?|annotations?|annot|anno|truth|m(?![a-z])"
)
IMAGE_WORD = "images?|imgs?|originals?|orig|input"
WEAK_WORDS = {"m"}
"""Say mask only where there is an image of the other name."""
TRUTH_WORD = "tumou?rs?|lesions?|rois?|bw|annotated|marked|binary|bin|l"
"""Say mask behind an image's own name, in a folder of masks or where the pixels bear it out."""
GAP = "[-_. ]"
NUMBER = rf"(?:{GAP}?\(?(?P<number>\d+)\)?)?"


class MaskName(NamedTuple):
    """One way to read a name as that of a mask: the image's name, the word for mask, and which of several it is."""

    base: str
    word: str
    number: str = ""


class FolderName(NamedTuple):
    """What a folder's name says, and the other words in it, which its partner has too."""

    kind: Kind
    key: tuple[str, ...]
    likely: bool


def normalised(name: str) -> str:
    """One spelling of the letters with accents, which systems store in two ways."""
    return unicodedata.normalize("NFC", name)


def name_below(file: Path, folder: Path) -> str:
    """The name of a file in a folder without its suffix, with '/' between folders."""
    return normalised(without_suffix(file).as_posix().removeprefix(folder.as_posix().rstrip("/") + "/"))


def without_image_folders(name: str) -> str:
    """The name without what its folders say of image: 'train/images/x' is 'train/x', 'images_a/x' is 'a/x'."""
    return without_folders(name, "image")


def without_folders(name: str, kind: Kind) -> str:
    """The name without what its folders say of one kind."""
    *above, stem = name.split("/")
    folder_names = [read_folder_name(folder) for folder in above]
    kept = [
        "_".join(folder_name.key) if folder_name and folder_name.kind == kind else as_written
        for as_written, folder_name in zip(above, folder_names, strict=True)
    ]
    return "/".join((*filter(None, kept), stem))


def read_folder_name(name: str) -> FolderName | None:
    """'images', 'train_masks' or 'GroundTruth'; None where a name says neither image nor mask, or both."""
    words = folder_words(name)
    joined_words = "".join(words)
    meanings = [(kind, word, likely) for word in (joined_words, *words) for kind, likely in _meanings(word)]
    masks = [meaning for meaning in meanings if meaning[0] == "mask"]
    chosen = masks or meanings
    if not chosen or {"and", "with"} & set(words):
        return None
    kind, word, likely = chosen[0]
    telling_words = {meaning[1] for meaning in meanings}
    key = () if word == joined_words else tuple(key_word for key_word in words if key_word not in telling_words)
    return FolderName(kind, key, likely)


def is_in_mask_folder(name: str) -> bool:
    """Whether a folder above a file says that masks lie in it."""
    folders = [read_folder_name(folder) for folder in PurePath(name).parts[:-1]]
    return any(folder is not None and folder.kind == "mask" for folder in folders)


def folder_words(name: str) -> tuple[str, ...]:
    """The words of a folder's name in lower case: 'trainMasks' and 'train-masks' have two."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", normalised(name)).casefold()
    return tuple(word for word in re.split(r"[-_. ]+", re.sub("ground[-_. ]truth", "groundtruth", apart)) if word)


def _meanings(word: str) -> Iterator[tuple[Kind, bool]]:
    if word in IMAGE_FOLDERS or word in LESS_LIKELY["image"]:
        yield "image", word in IMAGE_FOLDERS
    if word in MASK_FOLDERS or word in LESS_LIKELY["mask"]:
        yield "mask", word in MASK_FOLDERS


def stated_part(name: str) -> str:
    """The part of a split that the folders of a case's name state, the innermost first; empty where none does."""
    for folder in reversed(PurePath(name).parts[:-1]):
        words = folder_words(re.sub(r"(?<=[a-z])\d{4}$", "", folder))  # train2017
        parts = [PARTS[word] for word in words if word in PARTS]
        if len(parts) == 1 and all(word in PARTS or word in BESIDE_PARTS or word.isdecimal() for word in words):
            return parts[0]
    return ""


MASK_FORMS = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        rf"(?P<base>.+?){GAP}(?P<word>{MASK_WORD}){NUMBER}",
        rf"(?P<word>{MASK_WORD}){GAP}(?P<base>.+)",
        rf"(?P<word>{MASK_WORD})(?P<base>\d+)",
        rf"(?P<base>\d+)(?P<word>{MASK_WORD})",
        rf"(?P<base>)(?P<word>{MASK_WORD}){NUMBER}",
    )
)
TRUTH_FORM = re.compile(rf"(?P<base>.+?){GAP}(?P<word>{TRUTH_WORD}){NUMBER}", re.IGNORECASE)
SAYS_MASK = re.compile(MASK_WORD, re.IGNORECASE)
MASK_WITHIN = re.compile(rf"(?P<first>.+?)(?P<gap>{GAP})(?P<word>{MASK_WORD}){GAP}(?P<last>.+)", re.IGNORECASE)
NUMBERED = re.compile(r"(.+?)[-_ ]\(?(\d+)\)?")
IMAGE_SUFFIX = re.compile(rf"(?P<base>.+){GAP}(?:{IMAGE_WORD})", re.IGNORECASE)
IMAGE_FORMS = (
    re.compile(rf"(?:{IMAGE_WORD}){GAP}(?P<base>.+)", re.IGNORECASE),
    re.compile(rf"(?:{IMAGE_WORD})(?P<base>\d+)", re.IGNORECASE),
    re.compile(rf"(?P<base>\d+)(?:{IMAGE_WORD})", re.IGNORECASE),
    re.compile(rf"(?P<base>)(?:{IMAGE_WORD})", re.IGNORECASE),
)
IMAGE_WITHIN = re.compile(rf"(?P<first>.+?)(?P<gap>{GAP})(?:{IMAGE_WORD}){GAP}(?P<last>.+)", re.IGNORECASE)


def read_mask_names(name: str) -> list[MaskName]:
    """All ways to read 'folder/x_mask_1' as the name of a mask; none where no word for mask is in it."""
    folder, stem = _apart(name)
    if not SAYS_MASK.search(stem):
        return []
    matches = [form.fullmatch(stem) for form in MASK_FORMS]
    ways = [MaskName(folder + m["base"], m["word"].lower(), m.groupdict().get("number") or "") for m in matches if m]
    within = MASK_WITHIN.fullmatch(stem)
    if within:
        ways.append(MaskName(f"{folder}{within['first']}{within['gap']}{within['last']}", within["word"].lower()))
    return ways


def read_truth_name(name: str) -> MaskName | None:
    """'folder/x_tumor' as the name of a mask, if it be one."""
    match = TRUTH_FORM.fullmatch(name)
    return MaskName(match["base"], match["word"].lower(), match["number"] or "") if match else None


def image_of_mask(name: str) -> str:
    """What the image of a mask is called, of which nothing but the mask is there."""
    return next((way.base for way in read_mask_names(name)), name)


def says_mask(name: str) -> bool:
    """Whether a name says mask by itself, without an image of the other name."""
    return any(way.word not in WEAK_WORDS for way in read_mask_names(name))


def is_mask_name(name: str) -> bool:
    """Whether a name says mask by itself, or a folder in it that masks lie there."""
    return says_mask(name) or is_in_mask_folder(name)


def image_id(name: str) -> str:
    """The name of a case: its image's without `_image`, and its folder's where the file is called 'image' alone."""
    folder, stem = _apart(name)
    if re.fullmatch(IMAGE_WORD, stem, re.IGNORECASE) and folder:
        return folder.rstrip("/")
    as_image = IMAGE_SUFFIX.fullmatch(stem)
    return folder + as_image["base"] if as_image else name


def _image_bases(name: str) -> Iterator[str]:
    """What of an image's name the name of its mask may repeat, beside the whole."""
    folder, stem = _apart(name)
    for form in (IMAGE_SUFFIX, *IMAGE_FORMS):
        if match := form.fullmatch(stem):
            yield folder + match["base"]
    if within := IMAGE_WITHIN.fullmatch(stem):
        yield f"{folder}{within['first']}{within['gap']}{within['last']}"


def _apart(name: str) -> tuple[str, str]:
    """'a/b/c' as 'a/b/' and 'c'."""
    head, slash, stem = name.rpartition("/")
    return head + slash, stem


def part_in_words(name: str) -> str:
    """The part that a file such as `instances_val2017` names; empty where it names none, or several."""
    words = folder_words(re.sub(r"(?<=[a-z])\d{4}$", "", name))
    parts = {PARTS[word] for word in words if word in PARTS}
    return parts.pop() if len(parts) == 1 else ""


class ImageIndex:
    """Names of images, to be found by what the names of their masks repeat of them."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = set(names)

    @cached_property
    def _by_base(self) -> dict[str, set[str]]:
        names_by_base: dict[str, set[str]] = {}
        for name in self.names:
            for base in _image_bases(name):
                names_by_base.setdefault(base, set()).add(name)
        return names_by_base

    @cached_property
    def has_numbered_copies(self) -> bool:
        """Whether 'x_1' is the name of an image beside 'x', so that it cannot mean a mask of 'x'."""
        matches = (NUMBERED.fullmatch(name) for name in self.names)
        return any(name[1] in self.names for name in matches if name)

    def images_of(self, base: str) -> set[str]:
        return {base} if base in self.names else self._by_base.get(base, set())


class Match(NamedTuple):
    """Masks by image, in order; the others: of no image, one too many of an image, and of one image or another."""

    masks: dict[str, list[str]]
    lonely: list[str]
    surplus: dict[str, str]
    """Mask -> its image, which has a mask already."""
    unclear: dict[str, list[str]]
    """Mask -> the images that its name may mean."""


def match_masks(images: Iterable[str], masks: Iterable[str]) -> Match:
    """Find the image of each mask by their names alone; a mask of the image's own name goes first.

    Several masks of one image are numbered ('x_mask', 'x_mask_1', 'x_1') or lie in a folder of its name ('x/1').
    """
    index = ImageIndex(images)
    images_by_mask = {mask: _ways_to_images(mask, index) for mask in masks}
    claims: dict[str, dict[str, MaskName]] = {}
    for mask, candidates in images_by_mask.items():
        if len(candidates) == 1:
            ((image, way),) = candidates.items()
            claims.setdefault(image, {})[mask] = way
    matched = {image: _joined(claimed) for image, claimed in claims.items()}
    return Match(
        matched,
        [mask for mask, candidates in images_by_mask.items() if not candidates],
        {mask: image for image, claimed in claims.items() for mask in claimed if mask not in matched[image]},
        {mask: sorted(candidates) for mask, candidates in images_by_mask.items() if len(candidates) > 1},
    )


OWN, INSIDE = "own name", "folder"


def _ways_to_images(mask: str, index: ImageIndex) -> dict[str, MaskName]:
    """The images that a mask's name may mean, with how; the plainest way that leads anywhere decides."""
    for ways in _ways(mask, index):
        if images := {image: way for way in reversed(ways) for image in index.images_of(way.base)}:
            return images
    return {}


def _ways(mask: str, index: ImageIndex) -> Iterator[list[MaskName]]:
    """Ways to read a mask's name, those that say most by themselves first."""
    yield [MaskName(mask, OWN)]
    yield read_mask_names(mask)
    folder, stem = _apart(mask)
    if folder:
        yield [MaskName(folder.rstrip("/"), INSIDE, stem)]
    if (numbered := NUMBERED.fullmatch(mask)) and not index.has_numbered_copies:
        yield [MaskName(numbered[1], OWN, numbered[2])]
    if truth := read_truth_name(mask):
        yield [truth]


def _joined(claimed: Mapping[str, MaskName]) -> list[str]:
    """The masks of one image that go together: those of the first one's word, which differ in their number."""
    ordered = sorted(claimed, key=lambda mask: (claimed[mask].word != OWN, claimed[mask].word, _order(claimed[mask])))
    word = claimed[ordered[0]].word
    by_number = {claimed[mask].number: mask for mask in reversed(ordered) if claimed[mask].word == word}
    return [mask for mask in ordered if mask in by_number.values()]


def _order(name: MaskName) -> tuple[int, str]:
    return (int(name.number) if name.number.isdecimal() else -1, name.number)
