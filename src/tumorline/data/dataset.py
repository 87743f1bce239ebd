"""A data set is a source whose files were all decoded once: facts by case, findings, patients."""

from base64 import b64decode, b64encode
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from tumorline.arrays import ImageArray, MaskArray
from tumorline.config import Config, DataConfig
from tumorline.data import cheng, near_duplicates, near_volumes
from tumorline.data.brisc import is_brisc
from tumorline.data.case import Case, image_hash, joined_hash, map_cases, read_image
from tumorline.data.known_patients import hash_patient, keys_to_keep, keys_to_look_up
from tumorline.data.label_convention import held_labels, require_one_convention
from tumorline.data.memory import remember, stamps
from tumorline.data.outlines import draw_outlines
from tumorline.data.patients import collection_patient, collection_patient_of_file
from tumorline.data.sample import Sample
from tumorline.data.source import Source, open_source, source_path
from tumorline.data.truth import NotBinaryError, mask_of_values, read_mask, split_labels, truth_hash
from tumorline.data.volumes import read_label_values
from tumorline.errors import UserError
from tumorline.formats.boundary import max_pixels
from tumorline.geometry.grid import Grid
from tumorline.regions import REGION
from tumorline.user_folders import default_folder

T = TypeVar("T")
VERSION = 2
"""Of what decoding and the search for near duplicates find: raise it where they find something else than before."""

PACKED = ("thumbnail", "block")
"""Facts that are bytes."""
Progress = Callable[[int, int], None]


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


@dataclass(frozen=True)
class Dataset:
    source: Source
    facts: tuple[Facts, ...]
    settings: DataConfig

    @property
    def cases(self) -> tuple[Case, ...]:
        return self.source.cases

    @cached_property
    def index(self) -> dict[str, int]:
        return {case.id: position for position, case in enumerate(self.cases)}

    @cached_property
    def near_pairs(self) -> tuple[near_duplicates.NearPair, ...]:
        """Near duplicates among the cases, by position; of cases that are equal pixel for pixel the first stands."""
        positions = distinct_images(self.facts)

        def search() -> list[near_duplicates.NearPair]:
            return search_near_pairs([self.facts[position] for position in positions])

        def understand(found: list[Any]) -> tuple[near_duplicates.NearPair, ...]:
            pairs = [near_duplicates.NearPair(*values) for values in found]
            return tuple(pair._replace(a=positions[pair.a], b=positions[pair.b]) for pair in pairs)

        key = [VERSION, [self.facts[position].image_hash for position in positions]]
        return remember(_memory(self.settings), "pairs", key, search, understand)

    @property
    def channels(self) -> int:
        return len(self.cases[0].images)

    @property
    def channel_names(self) -> tuple[str, ...]:
        """The sequence of each channel; "" where it is unknown."""
        known = self.cases[0].channels or ((self.source.channel,) if self.channels == 1 else ())
        return known or ("",) * self.channels

    @property
    def regions(self) -> tuple[str, ...]:
        """The names of the target regions, in the order of `Sample.truth`."""
        return self.settings.regions or (REGION,)

    def read(self, case: Case) -> Sample:
        """Image and truth as the files have them. Raises UserError for a file that cannot be read."""
        return _read_sample(case, self.settings)

    def spacing_mm(self, case: Case) -> tuple[float, ...] | None:
        return _spacing_mm(case, self.settings)

    def patient_keys(self, case: Case, facts: Facts) -> set[str]:
        """The hashes under which a model keeps this case's patient, recognised by its mask as well."""
        return keys_to_keep(self._names(case, facts)) | _keys_by_mask(facts)

    def known_patient_keys(self, case: Case, facts: Facts) -> set[str]:
        """All hashes under which a model, of version 0.1.0 also, may know this case's patient."""
        names = self._names(case, facts)
        return {key for name in names for key in keys_to_look_up(name, case.patient_written)} | _keys_by_mask(facts)

    def _names(self, case: Case, facts: Facts) -> set[str]:
        """The patient and, where the files bear it, its name in a public collection.

        The patients of a recognised set are numbers, which mean nothing elsewhere: those its masks tell.
        """
        entry = _entry(facts)
        if entry and (self.source.known_as or case.patient == f"{cheng.NAME}-{entry.patient}"):
            return set()
        borne = collection_patient(case.id) or collection_patient_of_file(case.images[0])
        return {name for name in (case.patient, borne) if name}


def distinct_images(facts: Sequence[Facts]) -> list[int]:
    """Positions of the images that say something; of those that are equal the first stands."""
    first_with: dict[str, int] = {}
    for position, fact in enumerate(facts):
        if fact.thumbnail:
            first_with.setdefault(fact.image_hash, position)
    return list(first_with.values())


def search_near_pairs(first: Sequence[Facts], second: Sequence[Facts] | None = None) -> list[near_duplicates.NearPair]:
    """Near duplicates within one list of cases or between two, by position: images among themselves, and volumes."""
    lists = [first] if second is None else [first, second]
    found = []
    for near, unpack, kind in (
        (near_duplicates.near_pairs, near_duplicates.unpack, "thumbnail"),
        (near_volumes.near_volumes, near_volumes.unpack_blocks, "block"),
    ):
        chosen = [[position for position, fact in enumerate(facts) if _is_of(fact, kind)] for facts in lists]
        packed = ([getattr(facts[n], kind) for n in own] for facts, own in zip(lists, chosen, strict=True))
        found += [pair._replace(a=chosen[0][pair.a], b=chosen[-1][pair.b]) for pair in near(*map(unpack, packed))]
    return found


def _is_of(fact: Facts, kind: str) -> bool:
    return bool(fact.block) == (kind == "block") and bool(getattr(fact, kind))


def _keys_by_mask(facts: Facts) -> set[str]:
    entry = _entry(facts)
    return {hash_patient(entry.patient, cheng.NAME)} if entry else set()


def _entry(facts: Facts) -> cheng.Entry | None:
    """What is known of a case by its mask."""
    return cheng.cheng_table().get(facts.known_mask_hash or facts.mask_hash)


def load_dataset(path: Path, settings: DataConfig, progress: Progress | None = None) -> Dataset:
    """Open a source, decode every case once and recognise public sets by content.

    What decoding showed is kept in the cache folder for as long as no file and no setting changes.
    """
    source = open_source(path, settings)
    facts = _remembered_scan(source.cases, settings, progress)
    require_one_convention(path, source.cases, (fact.told_labels for fact in facts))
    return Dataset(_identify(source, facts), facts, settings)


def scan(cases: Sequence[Case], settings: DataConfig, progress: Progress | None = None) -> tuple[Facts, ...]:
    """Decode all cases with a few threads; errors become facts, none is raised."""
    facts = []
    for done, fact in enumerate(map_cases(lambda case: _examine(case, settings), cases), start=1):
        facts.append(fact)
        if progress:
            progress(done, len(cases))
    return tuple(facts)


def _remembered_scan(cases: Sequence[Case], settings: DataConfig, progress: Progress | None) -> tuple[Facts, ...]:
    written = stamps(dict.fromkeys(file for case in cases for file in case.files))
    if written is None:
        return scan(cases, settings, progress)
    own = settings.model_dump(exclude={"source", "cache", "image_size"})
    key = [VERSION, max_pixels(), [field.name for field in fields(Facts)], own, list(map(repr, cases)), written]
    return remember(
        _memory(settings),
        "facts",
        key,
        lambda: [_to_json(fact) for fact in scan(cases, settings, progress)],
        lambda found: tuple(_from_json(values) for _, values in zip(cases, found, strict=True)),
    )


def _to_json(fact: Facts) -> dict[str, Any]:
    return asdict(fact) | {name: b64encode(getattr(fact, name)).decode() for name in PACKED}


def _from_json(values: Mapping[str, Any]) -> Facts:
    errors = tuple((code, message) for code, message in values["errors"])
    own = {"shape": tuple(values["shape"]), "errors": errors} | {name: b64decode(values[name]) for name in PACKED}
    own |= {name: tuple(values[name]) for name in ("told_labels", "channel_hashes", "foregrounds")}
    return Facts(**{**values, **own})


def _memory(settings: DataConfig) -> Path:
    return Path(settings.cache or default_folder())


def _read_sample(case: Case, settings: DataConfig) -> Sample:
    image = read_image(case)
    grid = case.grid or Grid(image.shape[1:], _spacing_mm(case, settings))
    return Sample(image, read_truth(case, settings), grid)


def _spacing_mm(case: Case, settings: DataConfig) -> tuple[float, ...] | None:
    set_by_hand = settings.spacing_mm
    return case.spacing_mm or (None if set_by_hand is None else (set_by_hand, set_by_hand))


def read_truth(case: Case, settings: DataConfig) -> MaskArray:
    """The regions of a case as boolean `(R, *space)`."""
    if case.mask is None:
        return _no_tumour(case, settings)
    if case.grid is not None:
        return _read_volume_truth(case, case.mask, case.grid, settings)
    if case.outlines is not None:
        return draw_outlines(case.outlines, case.outlines.size or _image_size(case), str(case.mask))[None]
    masks = _of_one_size([(path, read_mask(path, settings.mask_threshold)) for path in (case.mask, *case.more_masks)])
    truth = np.stack(masks) if case.mask_per_region else np.logical_or.reduce(masks)[None]
    return truth.swapaxes(1, 2) if case.transposed else truth


def _read_volume_truth(case: Case, mask: Path, grid: Grid, settings: DataConfig) -> MaskArray:
    values = [(path, read_label_values(path, grid, case.apart)) for path in (mask, *case.more_masks)]
    if case.labels is not None:
        return split_labels(values[0][1], case.labels, f"{mask}:")
    masks = [mask_of_values(path, found, settings.mask_threshold) for path, found in values]
    return np.stack(masks) if case.mask_per_region else np.logical_or.reduce(masks)[None]


def _image_size(case: Case) -> tuple[int, int]:
    _, height, width = read_image(case).shape
    return height, width


def _of_one_size(masks: Sequence[tuple[Path, MaskArray]]) -> list[MaskArray]:
    """The masks of one image. Raises UserError where they differ in size."""
    (_, first), *rest = masks
    for path, mask in rest:
        if mask.shape != first.shape:
            sizes = f"{mask.shape[1]} x {mask.shape[0]}, another mask of the image {first.shape[1]} x {first.shape[0]}"
            raise UserError(f"{path}: {sizes}; the masks of an image must have one size")
    return [mask for _, mask in masks]


def _no_tumour(case: Case, settings: DataConfig) -> MaskArray:
    if not settings.tumour_free:
        raise UserError(f"case '{case.id}' has no mask")
    return np.zeros((len(settings.regions) or 1, *read_image(case).shape[1:]), bool)


def _examine(case: Case, settings: DataConfig) -> Facts:
    image, image_error = _attempt(lambda: read_image(case))
    truth, truth_error = _attempt(lambda: read_truth(case, settings))
    errors = [*image_error, *truth_error]
    if image is not None and truth is not None and image.shape[1:] != truth.shape[1:]:
        sizes = f"image {_sides(image)}, mask {_sides(truth)}"
        errors.append(("size", f"{case.mask}: {sizes}; a pair must have one size"))
    if image is None:
        return Facts(case.id, errors=tuple(errors), told_labels=_told_labels(case))
    hashes = [image_hash(channel[None]) for channel in image]
    return Facts(
        case.id,
        image.shape,
        _hash_whole(image, hashes),
        "" if truth is None else truth_hash(truth),
        bool(np.ptp(image) == 0),
        float((image[0] != 0).mean()),
        0.0 if truth is None else float(truth.any(axis=0).mean()),
        tuple(errors),
        "" if truth is None or not _may_be_copied(case) else cheng.known_mask_hash(truth[0]),
        near_duplicates.thumbnail(image),
        _told_labels(case),
        near_volumes.volume_block(image[0]) if case.is_volume else b"",
        tuple(found if np.ptp(channel) else "" for found, channel in zip(hashes, image, strict=True)),
        () if truth is None else tuple(float(region.mean()) for region in truth),
    )


def _hash_whole(image: ImageArray, hashes: Sequence[str]) -> str:
    """`image_hash` of an image, of which those of its channels are known."""
    if len(hashes) == 1:
        return hashes[0]
    return joined_hash(hashes) if image.ndim == 4 else image_hash(image)


def _sides(array: ImageArray | MaskArray) -> str:
    """Width first."""
    return " x ".join(map(str, array.shape[:0:-1]))


def _told_labels(case: Case) -> tuple[int, ...]:
    if case.mask is None or case.grid is None or case.labels is None or not case.labels.by_names:
        return ()
    with suppress(UserError):
        return tuple(held_labels(read_label_values(case.mask, case.grid, case.apart)))
    return ()


def _may_be_copied(case: Case) -> bool:
    """Whether a case is one of a collection of others' images: of BRISC by its name, or of a set with stated parts."""
    return bool(case.part) or is_brisc(case.id)


def _attempt(read: Callable[[], T]) -> tuple[T | None, list[tuple[str, str]]]:
    try:
        return read(), []
    except NotBinaryError as error:
        return None, [("not_binary", str(error))]
    except UserError as error:
        return None, [("unreadable", str(error))]


def _identify(source: Source, facts: Sequence[Facts]) -> Source:
    hashes = [fact.known_mask_hash or fact.mask_hash for fact in facts if fact.mask_hash]
    entries = [_entry(fact) for fact in facts]
    both = list(zip(source.cases, entries, strict=True))
    if not cheng.is_cheng(hashes):
        return replace(source, cases=tuple(_with_known_patient(case, entry) for case, entry in both))
    cases = [replace(case, patient=e.patient, class_name=e.class_name) if e else case for case, e in both]
    return replace(
        source,
        cases=tuple(cases),
        known_as=cheng.NAME,
        patient_classes=cheng.patient_classes(),
        channel=cheng.CHANNEL,
        label=cheng.LABEL,
    )


def _with_known_patient(case: Case, entry: cheng.Entry | None) -> Case:
    """The case with the patient that its mask betrays, where its source does not know him."""
    if entry is None or case.patient is not None:
        return case
    return replace(case, patient=f"{cheng.NAME}-{entry.patient}", class_name=case.class_name or entry.class_name)


def case_reader(config: Config, known: Collection[str]) -> Callable[[str], Sample] | None:
    """Reads a case by its id; None where the source is not where it was.

    `known` are the hashes of the images that may be shown: a run folder of a stranger may name any folder as its data.
    """
    try:
        cases = {case.id: case for case in open_source(source_path(config), config.data).cases}
    except UserError:
        return None

    def read(case_id: str) -> Sample:
        sample = _read_sample(cases[case_id], config.data)
        if image_hash(sample.image) not in known:
            raise UserError(f"{cases[case_id].images[0]}: not the image that the run knows under this name")
        return sample

    return read
