"""How a model's Dice falls as pictures get worse: noise, blur, contrast, bias field, turns, mirroring, JPEG, cropping.

Each change is applied at the file's own resolution before preprocessing, so that it meets the model as a worse scanner,
another export or another orientation would. Geometry moves the truth as well.
"""

import io
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage, special

from tumorline.arrays import Float32Array, Float64Array, ImageArray, MaskArray
from tumorline.data.case import Case
from tumorline.data.dataset import Dataset
from tumorline.evaluation.measured_once import CaseRecord, CaseWork, dice_by_patient, measure_once, region_record
from tumorline.geometry.grid import Grid
from tumorline.geometry.slices import SQUARE, Pixel, pixel_of
from tumorline.groups import grouped
from tumorline.inference.model import Model
from tumorline.metrics.overlap import count_overlap
from tumorline.output.folder import Memory
from tumorline.progress import Progress
from tumorline.results import ChangedLevel, Robustness, RobustnessChange, RobustnessLevel

Pair = tuple[ImageArray, MaskArray]


class Chance(NamedTuple):
    """What a change of a case depends on besides its strength."""

    random: np.random.Generator
    pixel: Pixel


Change = Callable[[ImageArray, MaskArray, float, Chance], Pair]


@dataclass(frozen=True)
class Stress:
    """A change and the strengths at which it is measured, from mild to strong."""

    unit: str
    strengths: tuple[float, ...]
    change: Change


COLUMNS = ("case", "patient", "region", "change", "strength", "dice", "missed")


def stressed(name: str, strength: float, image: ImageArray, truth: MaskArray, seed: int, pixel: Pixel = SQUARE) -> Pair:
    """Apply a change of `STRESSES` to image `(C, *space)` and truth `(..., *space)`; equal seeds give equal results.

    Of a volume all slices are changed alike, each in its plane; what a change is measured by is the whole volume's.
    """
    return STRESSES[name].change(image, truth, strength, Chance(np.random.default_rng(seed), pixel))


def _noise(image: ImageArray, truth: MaskArray, strength: float, chance: Chance) -> Pair:
    deviation = image.std(axis=_space(image), keepdims=True)
    return _float(image + strength * deviation * chance.random.standard_normal(image.shape)), truth


def _space(image: ImageArray) -> tuple[int, ...]:
    """Its axes, but for that of the channels."""
    return tuple(range(1, image.ndim))


def _blur(image: ImageArray, truth: MaskArray, strength: float, _: Chance) -> Pair:
    return _float(ndimage.gaussian_filter(image, (*[0] * (image.ndim - 2), strength, strength))), truth


def _low_resolution(image: ImageArray, truth: MaskArray, strength: float, _: Chance) -> Pair:
    height, width = image.shape[-2:]
    small = (max(1, round(width / strength)), max(1, round(height / strength)))
    planes = (Image.fromarray(plane).resize(small, Image.Resampling.BOX) for plane in _planes(image))
    coarse = [np.asarray(plane.resize((width, height), Image.Resampling.BILINEAR)) for plane in planes]
    return np.stack(coarse).reshape(image.shape), truth


def _planes(image: ImageArray) -> ImageArray:
    """All slices of all channels, `(N, H, W)`."""
    return image.reshape(-1, *image.shape[-2:])


def _gamma(image: ImageArray, truth: MaskArray, strength: float, _: Chance) -> Pair:
    low, span = image.min(axis=_space(image), keepdims=True), np.ptp(image, axis=_space(image), keepdims=True)
    return _float(((image - low) / np.maximum(span, 1e-6)) ** strength * span + low), truth


def _bias_field(image: ImageArray, truth: MaskArray, strength: float, chance: Chance) -> Pair:
    """A smooth factor between exp(-strength) and exp(strength), from a polynomial of the third degree."""
    down, right = (np.linspace(-1, 1, size) for size in image.shape[-2:])
    field = np.polynomial.polynomial.polygrid2d(down, right, np.tril(chance.random.uniform(-1, 1, (4, 4)))[::-1])
    field -= (field.max() + field.min()) / 2
    return _float(image * np.exp(strength * field / max(np.abs(field).max(), 1e-6))), truth


def _rotation(image: ImageArray, truth: MaskArray, strength: float, chance: Chance) -> Pair:
    """Around the middle of the picture, whatever the proportions of its pixels."""
    angle = strength * chance.random.choice([-1, 1])
    height, width = chance.pixel
    cosine, sine = special.cosdg(angle), special.sindg(angle)
    turn = np.array([[cosine, sine * width / height], [-sine * height / width, cosine]])
    turned = [_turned_plane(plane, turn, "nearest") for plane in _planes(image)]
    shares = [_turned_plane(plane, turn, "constant") for plane in _planes(truth.astype(np.float32))]
    return np.stack(turned).reshape(image.shape), np.stack(shares).reshape(truth.shape) >= 0.5


def _turned_plane(plane: ImageArray, turn: Float64Array, mode: str) -> ImageArray:
    middle = (np.array(plane.shape) - 1) / 2
    return _float(ndimage.affine_transform(plane, turn, middle - turn @ middle, order=1, mode=mode))


def _quarter_turn(image: ImageArray, truth: MaskArray, strength: float, _: Chance) -> Pair:
    turns = round(strength / 90)
    image, truth = np.rot90(image, turns, (-2, -1)), np.rot90(truth, turns, (-2, -1))
    return np.ascontiguousarray(image), np.ascontiguousarray(truth)


def _mirroring(image: ImageArray, truth: MaskArray, strength: float, _: Chance) -> Pair:
    """1 swaps left and right, 2 top and bottom."""
    axis = -round(strength)
    return np.ascontiguousarray(np.flip(image, axis)), np.ascontiguousarray(np.flip(truth, axis))


def _jpeg(image: ImageArray, truth: MaskArray, strength: float, _: Chance) -> Pair:
    planes = [_through_jpeg(plane, round(strength)) for plane in _planes(image)]
    return np.stack(planes).reshape(image.shape), truth


def _through_jpeg(channel: Float32Array, quality: int) -> Float32Array:
    low, span = channel.min(), max(float(np.ptp(channel)), 1e-6)
    content = io.BytesIO()
    Image.fromarray(np.round((channel - low) / span * 255).astype(np.uint8)).save(content, "JPEG", quality=quality)
    return _float(np.asarray(Image.open(content), np.float32) / 255 * span + low)


def _cropping(image: ImageArray, truth: MaskArray, strength: float, chance: Chance) -> Pair:
    """Cut `strength` per cent of the height and of the width, from one side each."""
    sides = image.shape[-2:]
    kept_sizes = [size - round(size * strength / 100) for size in sides]
    top, left = (int(chance.random.choice([0, size - keep])) for size, keep in zip(sides, kept_sizes, strict=True))
    window = (..., slice(top, top + kept_sizes[0]), slice(left, left + kept_sizes[1]))
    return np.ascontiguousarray(image[window]), np.ascontiguousarray(truth[window])


def _float(image: npt.ArrayLike) -> Float32Array:
    return np.asarray(image, np.float32)


STRESSES: Mapping[str, Stress] = {
    "noise": Stress("standard deviations of the picture", (0.1, 0.25, 0.5, 1.0), _noise),
    "blur": Stress("px", (1, 2, 4, 8), _blur),
    "low_resolution": Stress("times coarser", (2, 4, 8), _low_resolution),
    "contrast": Stress("gamma", (0.5, 0.75, 1.5, 2.0), _gamma),
    "bias_field": Stress("log of the largest factor", (0.2, 0.5, 1.0), _bias_field),
    "rotation": Stress("degrees", (5, 15, 30, 45), _rotation),
    "quarter_turns": Stress("degrees", (90, 180, 270), _quarter_turn),
    "mirroring": Stress("1 left-right, 2 top-bottom", (1, 2), _mirroring),
    "jpeg": Stress("quality", (75, 50, 25, 10), _jpeg),
    "cropping": Stress("% of the sides", (5, 10, 20), _cropping),
}


class ChangeRecord(CaseRecord):
    """Under one change of the image at one strength."""

    change: str
    strength: float


AS_THEY_ARE = ("unchanged", 0.0)
"""What stands for change and strength of images to which nothing is done."""


def levels() -> list[tuple[str, float]]:
    """All changes with all their strengths."""
    return [(name, strength) for name, stress in STRESSES.items() for strength in stress.strengths]


def measure_robustness(
    model: Model,
    dataset: Dataset,
    case_ids: Sequence[str],
    memory: Memory | None = None,
    progress: Progress | None = None,
) -> list[ChangeRecord]:
    """Dice of the cases `case_ids` as they are ("unchanged") and under every change; cases without a tumour have none.

    The cases that `memory` holds from an earlier try are not measured again.
    """
    expected = [(*level, region) for level in [AS_THEY_ARE, *levels()] for region in model.info.regions]
    measure = partial(_measure_case, model, dataset)
    work = CaseWork("under stress", measure, ("change", "strength", "region"), expected)
    return measure_once(work, [dataset.case(case_id) for case_id in case_ids], memory, progress)


def _measure_case(model: Model, dataset: Dataset, case: Case) -> list[ChangeRecord]:
    image, truth, grid = dataset.read(case)
    seed, pixel = zlib.crc32(case.id.encode(errors="surrogateescape")), pixel_of(grid.spacing_mm, "axial")
    records = list[ChangeRecord]()
    for change, strength in [AS_THEY_ARE, *levels()]:
        worse, moved = image, truth
        if change in STRESSES:
            worse, moved = stressed(change, strength, image, truth, seed, pixel)
        masks = model.mask(model.complete(worse, dataset.channel_names), _moved(grid, worse, change, strength))
        for region, true, predicted in zip(model.info.regions, moved, masks, strict=True):
            record = region_record(case, region, count_overlap(true, predicted))
            records.append({**record, "change": change, "strength": strength})
    return records


def _moved(grid: Grid, image: ImageArray, change: str, strength: float) -> Grid:
    """The grid on which a changed image lies; quarter turns swap the sides of its pixels."""
    spacing = grid.spacing_mm
    if spacing and change == "quarter_turns" and strength % 180:
        spacing = (*spacing[:-2], spacing[-1], spacing[-2])
    return replace(grid, shape=image.shape[1:], spacing_mm=spacing)


def summarise_robustness(records: Sequence[ChangeRecord]) -> dict[str, Robustness]:
    """By region, Dice by patient and missed tumours for each change and strength."""
    by_region = grouped(records, lambda record: record["region"])
    return {region: _summarise_region(members) for region, members in by_region.items()}


def _summarise_region(records: Sequence[ChangeRecord]) -> Robustness:
    lost = _cases_lost(records)
    kept = [record for record in records if record["case"] not in lost]
    groups = grouped(kept, lambda record: (record["change"], record["strength"]))
    changes = {
        name: RobustnessChange(
            unit=stress.unit,
            levels=[ChangedLevel(strength=level, **dict(_level(groups[name, level]))) for level in stress.strengths],
        )
        for name, stress in STRESSES.items()
    }
    found = Robustness(unchanged=_level(groups[AS_THEY_ARE]), changes=changes)
    return found.model_copy(update={"cases_lost": len(lost)}) if lost else found


def _cases_lost(records: Sequence[ChangeRecord]) -> set[str]:
    """Cases that have a tumour as they are, and none under a change: without them each level is of the same cases."""
    with_tumour = {record["case"] for record in records if record["change"] == "unchanged" and _has_tumour(record)}
    return {record["case"] for record in records if record["case"] in with_tumour and not _has_tumour(record)}


def _has_tumour(record: ChangeRecord) -> bool:
    return record["dice"] is not None


def _level(records: Sequence[ChangeRecord]) -> RobustnessLevel:
    return RobustnessLevel(dice=dice_by_patient(records), missed=sum(record["missed"] for record in records))
