"""One decoding pass over all cases: what it shows of each, kept for as long as nothing changes."""

from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from typing import TypeVar

from tumorline.arrays import ImageArray, MaskArray
from tumorline.config import DataConfig
from tumorline.data import cheng
from tumorline.data.brisc import is_brisc
from tumorline.data.case import Case, holds_two_values, image_hash, is_constant, joined_hash, map_cases, read_and_look
from tumorline.data.case_truth import read_given_truth, read_truth
from tumorline.data.labels.convention import held_labels
from tumorline.data.masks.read import NotBinaryError, truth_hash
from tumorline.data.memory import cache_folder, remember, stamps
from tumorline.data.near.duplicates import NearPair, near_pairs, thumbnail, unpack
from tumorline.data.near.volumes import near_volumes, unpack_blocks, volume_block
from tumorline.data.volumes import read_label_values
from tumorline.errors import ReadError, UserError
from tumorline.files import JsonObject
from tumorline.formats.boundary import max_pixels
from tumorline.formats.decode import is_lossy
from tumorline.formats.raster import UPRIGHT, stated_orientation
from tumorline.progress import Progress

T = TypeVar("T")
VERSION = 5
"""Of what decoding and the search for near duplicates find: raise it where they find something else than before."""
PACKED = ("thumbnail", "block")
TUPLES = ("shape", "told_labels", "channel_hashes", "foregrounds", "given_foregrounds")
"""Facts that are bytes, and those that are several values."""
NOT_READ = "not_read"
"""Code of a file that the system did not give this time, which says nothing of the file."""
NOT_BINARY = "not_binary"
"""Code of a mask that holds more than two values."""
Look = Callable[[Case, ImageArray, MaskArray | None], None]
"""Is shown each image that could be read, with its truth where that fits it, as it is decoded; by several threads."""


@dataclass(frozen=True)
class Facts:
    """What decoding one case showed. `errors` holds one line for each file that cannot be used."""

    case_id: str
    shape: tuple[int, ...] = ()
    image_hash: str = ""
    mask_hash: str = ""
    constant: bool = False
    filled: float = 0.0
    """Share of the pixels that are not 0, of the first channel."""
    foreground: float = 0.0
    """Share of the pixels that are tumour, in any region."""
    errors: tuple[tuple[str, str], ...] = ()
    """Code and message."""
    known_mask_hash: str = ""
    """The mask's hash in a public set from which it was turned or mirrored; looked for where such copies are common."""
    thumbnail: bytes = b""
    """What near duplicates are found by; empty for a constant image."""
    told_labels: tuple[int, ...] = ()
    """Which of the labels 3 and 4 the mask holds, where they tell what its set means by them."""
    block: bytes = b""
    """What near duplicates of a volume are found by; empty for a picture."""
    channel_hashes: tuple[str, ...] = ()
    """Of each channel as an image of its own: by any of them an examination is known. Empty for a constant one, which
    stands for a sequence that is missing and would be that of many."""
    foregrounds: tuple[float, ...] = ()
    """Share of the pixels that are each region."""
    given_hash: str = ""
    """Of a corrected mask, `mask_hash` of the one that it stands for; empty where that could not be read."""
    given_foregrounds: tuple[float, ...] = ()
    """Of a corrected mask, `foregrounds` of the one that it stands for."""
    coloured: bool = False
    """Whether colours were mixed to grey."""
    lossy_truth: bool = False
    """Whether a mask was saved with loss, so that its two values were guessed."""
    turned_alone: bool = False
    """Whether a picture is turned as its EXIF block says, and a mask of it is not."""

    @property
    def content(self) -> str:
        """`image_hash` where the image shows anything: by it the same examination is found elsewhere.

        Empty where each channel is constant, as blank slices are of many patients.
        """
        return self.image_hash if any(self.channel_hashes) else ""

    @property
    def contents(self) -> set[str]:
        """`content` and those of its channels: by any of them a model knows the image."""
        return {name for name in (self.content, *self.channel_hashes) if name}


def scan(
    cases: Sequence[Case], settings: DataConfig, progress: Progress | None = None, look: Look | None = None
) -> tuple[Facts, ...]:
    """Decode all cases with a few threads; errors become facts, none is raised."""
    facts = []
    for done, fact in enumerate(map_cases(lambda case: _examine(case, settings, look), cases), start=1):
        facts.append(fact)
        if progress:
            progress(done, len(cases))
    return tuple(facts)


def remembered_scan(
    cases: Sequence[Case], settings: DataConfig, progress: Progress | None, look: Look | None = None
) -> tuple[Facts, ...]:
    """`scan`, or what an earlier one found where nothing has changed since and nobody wants to `look`."""
    file_stamps = stamps(dict.fromkeys(file for case in cases for file in case.files))
    if file_stamps is None:
        return scan(cases, settings, progress, look)
    scanned = scan(cases, settings, progress, look) if look else None
    relevant_settings = settings.model_dump(exclude={"source", "cache", "image_size"})
    names = [field.name for field in fields(Facts)]
    key = [VERSION, max_pixels(), names, relevant_settings, list(map(repr, cases)), file_stamps]
    return remember(
        cache_folder(settings),
        "facts",
        key,
        lambda: [_to_json(fact) for fact in scanned or scan(cases, settings, progress)],
        lambda records: tuple(_from_json(values) for _, values in zip(cases, records, strict=True)),
        lasts=lambda records: not any(code == NOT_READ for values in records for code, _ in values["errors"]),
    )


def _to_json(fact: Facts) -> JsonObject:
    return asdict(fact) | {name: b64encode(getattr(fact, name)).decode() for name in PACKED}


def _from_json(values: JsonObject) -> Facts:
    errors = tuple((code, message) for code, message in values["errors"])
    unpacked = {name: b64decode(values[name]) for name in PACKED}
    return Facts(**{**values, "errors": errors, **unpacked, **{name: tuple(values[name]) for name in TUPLES}})


def _examine(case: Case, settings: DataConfig, look: Look | None) -> Facts:
    seen, image_error = _attempt(lambda: read_and_look(case))
    truth, truth_error = _attempt(lambda: read_truth(case, settings))
    facts = Facts(
        case.id,
        errors=(*image_error, *truth_error),
        told_labels=_told_labels(case),
        lossy_truth=settings.mask_threshold is None and case.labels is None and any(map(is_lossy, case.masks)),
        turned_alone=_is_turned_alone(case),
    )
    if seen is None:
        return facts
    image, coloured = seen
    fits = truth is not None and image.shape[1:] == truth.shape[1:]
    if look:
        look(case, image, truth if fits else None)
    errors = () if fits else tuple(_at_odds(case, image, truth, truth_error))
    facts = _with_image(replace(facts, errors=errors, coloured=coloured), case, image)
    facts = facts if truth is None else _with_truth(facts, case, truth)
    return facts if case.correction is None else _with_given_truth(facts, case, settings)


def _is_turned_alone(case: Case) -> bool:
    if case.is_volume or case.outlines is not None or not case.masks:
        return False
    turns = {stated_orientation(path) for path in case.images}
    return turns != {UPRIGHT} and {stated_orientation(path) for path in case.masks} != turns


def _with_image(facts: Facts, case: Case, image: ImageArray) -> Facts:
    hashes = [image_hash(channel[None]) for channel in image]
    flat = list(map(is_constant, image))
    return replace(
        facts,
        shape=image.shape,
        image_hash=_hash_whole(image, hashes),
        constant=all(flat) and bool(image.max() == image.min()),
        filled=float((image[0] != 0).mean()),
        thumbnail=thumbnail(image),
        block=volume_block(image[0]) if case.is_volume else b"",
        channel_hashes=tuple(
            "" if constant else channel_hash for channel_hash, constant in zip(hashes, flat, strict=True)
        ),
    )


def _with_truth(facts: Facts, case: Case, truth: MaskArray) -> Facts:
    shares = tuple(float(region.mean()) for region in truth)
    return replace(
        facts,
        mask_hash=truth_hash(truth),
        foreground=float(truth.any(axis=0).mean()) if len(truth) > 1 else shares[0],
        foregrounds=shares,
        known_mask_hash=cheng.known_mask_hash(truth[0]) if _may_be_copied(case) else "",
    )


def _with_given_truth(facts: Facts, case: Case, settings: DataConfig) -> Facts:
    """What a corrected mask stands for: by it a public set, and so its patients, are recognised as before."""
    given_truth, _ = _attempt(lambda: read_given_truth(case, settings))
    if given_truth is None:
        return facts
    given = _with_truth(facts, case, given_truth)
    known_hash = given.known_mask_hash or given.mask_hash
    return replace(facts, given_hash=given.mask_hash, given_foregrounds=given.foregrounds, known_mask_hash=known_hash)


def _hash_whole(image: ImageArray, hashes: Sequence[str]) -> str:
    """`image_hash` of an image, of which those of its channels are known."""
    if len(hashes) == 1:
        return hashes[0]
    return joined_hash(hashes) if image.ndim == 4 else image_hash(image)


def _at_odds(
    case: Case, image: ImageArray, truth: MaskArray | None, errors: Sequence[tuple[str, str]]
) -> Sequence[tuple[str, str]]:
    """What is wrong with a truth that does not fit its image, or that is none; `errors` are those of reading it."""
    if truth is not None:
        sizes = f"image {_sides(image)}, mask {_sides(truth)}"
        return [("size", f"{case.truth_file}: {sizes}; a pair must have one size")]
    if case.is_volume or not holds_two_values(image):  # names tell volumes apart
        return errors
    asked = f"; {case.images[0]} holds two values alone: are images and masks swapped?"
    return [(code, message + asked if code == NOT_BINARY else message) for code, message in errors]


def _sides(array: ImageArray | MaskArray) -> str:
    """Width first."""
    return " x ".join(map(str, array.shape[:0:-1]))


def _told_labels(case: Case) -> tuple[int, ...]:
    if case.truth_file is None or case.grid is None or case.labels is None or not case.labels.by_names:
        return ()
    with suppress(UserError):
        return tuple(held_labels(read_label_values(case.truth_file, case.grid, case.apart)))
    return ()


def _may_be_copied(case: Case) -> bool:
    """Whether a picture is one of a collection of others': of BRISC by its name, or of a set with stated parts."""
    return not case.is_volume and (bool(case.part) or is_brisc(case.id))


def _attempt(read: Callable[[], T]) -> tuple[T | None, list[tuple[str, str]]]:
    try:
        return read(), []
    except NotBinaryError as error:
        return None, [(NOT_BINARY, str(error))]
    except ReadError as error:
        return None, [(NOT_READ, str(error))]
    except UserError as error:
        return None, [("unreadable", str(error))]


def distinct_images(facts: Sequence[Facts]) -> list[int]:
    """Positions of the images that say something; of those that are equal the first stands."""
    first_with: dict[str, int] = {}
    for position, fact in enumerate(facts):
        if fact.thumbnail:
            first_with.setdefault(fact.image_hash, position)
    return list(first_with.values())


def search_near_pairs(first: Sequence[Facts], second: Sequence[Facts] | None = None) -> list[NearPair]:
    """Near duplicates within one list of cases or between two, by position: images among themselves, and volumes."""
    lists = [first] if second is None else [first, second]
    pairs = []
    for search, unpacked, field in ((near_pairs, unpack, "thumbnail"), (near_volumes, unpack_blocks, "block")):
        positions = [[position for position, fact in enumerate(facts) if _is_of(fact, field)] for facts in lists]
        packed = (
            [getattr(facts[n], field) for n in own_positions]
            for facts, own_positions in zip(lists, positions, strict=True)
        )
        pairs += [
            pair._replace(a=positions[0][pair.a], b=positions[-1][pair.b]) for pair in search(*map(unpacked, packed))
        ]
    return pairs


def _is_of(fact: Facts, field: str) -> bool:
    return bool(fact.block) == (field == "block") and bool(getattr(fact, field))
