"""Temperature and threshold of a finished model, chosen on its validation cases: the test part has no say.

The cases pass by twice, once for the temperatures and once for the thresholds, and no more of them is held than
`KEPT_BYTES`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import prod
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tumorline.arrays import Float32Array, MaskArray
from tumorline.data.dataset import Dataset
from tumorline.geometry.slices import AXES
from tumorline.inference.model import Model
from tumorline.inference.probability import to_probability
from tumorline.metrics import calibration
from tumorline.metrics.calibration import Reliability
from tumorline.metrics.figure import AS_GOOD, figure_of
from tumorline.model_info import ModelInfo, describe_points, one_or_list
from tumorline.network_input.spaced import SpacedInput
from tumorline.network_input.windows import NetworkInput
from tumorline.results import CurvePoint, OperatingPoint

THRESHOLDS = np.linspace(0.05, 0.95, 19)
PIXELS = 2_000_000
"""As many are drawn for the temperatures."""
KEPT_BYTES = 1 << 29
"""Answers of so many bytes are kept from the first pass; what is beyond is asked for again."""


@dataclass(frozen=True)
class _Answer:
    """Logits `(M, R, S, S)` of the slices of a validation case that are not blank, and its truth `(R, *space)`."""

    patient: str
    seen: NetworkInput | SpacedInput
    """Without its planes."""
    logits: Float32Array
    truth: MaskArray

    def probability(self, region: int, temperature: float) -> Float32Array:
        """Of one region on the case's own grid."""
        slices = np.zeros((self.seen.count, 1, *self.logits.shape[2:]), np.float32)
        slices[self.seen.shown] = to_probability(self.logits[:, [region]], temperature)
        return np.asarray(self.seen.to_native(slices)[0])

    def network_truth(self, region: int) -> MaskArray:
        """`(N, *slice)`, of all slices."""
        return self.seen.truth(self.truth[[region]])[:, 0]


@dataclass
class _Answers:
    """The validation cases, as often as they are asked for."""

    model: Model
    dataset: Dataset
    case_ids: Sequence[str]
    kept: dict[str, _Answer] = field(default_factory=dict)
    free: int = field(default_factory=lambda: KEPT_BYTES)

    def __iter__(self) -> Iterator[_Answer]:
        for case_id in self.case_ids:
            yield self.kept.get(case_id) or self._ask(case_id)

    def _ask(self, case_id: str) -> _Answer:
        case = self.dataset.case(case_id)
        image, truth, grid = self.dataset.read(case)
        name = case.images[0]
        seen = self.model.see(image, name, grid)
        logits = [logits for _, logits in self.model.slice_logits(seen, name)]
        none = np.zeros((0, len(truth), *seen.planes.shape[2:]), np.float32)
        bare = replace(seen, planes=seen.planes[:, :0])
        answer = _Answer(case.group, bare, np.stack(logits) if logits else none, truth)
        if (size := answer.logits.nbytes + truth.nbytes) <= self.free:
            self.free -= size
            self.kept[case_id] = answer
        return answer


@dataclass
class _Counts:
    """What is counted of one region over the cases, in their order."""

    before: list[Reliability] = field(default_factory=list)
    """At temperature 1."""
    after: list[Reliability] = field(default_factory=list)
    patients: list[str] = field(default_factory=list)
    """This and what follows of cases with a tumour."""
    sizes: list[int] = field(default_factory=list)
    passed: list[npt.NDArray[np.int64]] = field(default_factory=list)
    """`(2, thresholds)`: pixels that are tumour in truth and prediction, and in the prediction."""

    def add(self, answer: _Answer, region: int, temperature: float) -> None:
        truth, probability = answer.truth[region], answer.probability(region, temperature)
        self.before.append(_reliability(answer.probability(region, 1.0), truth))
        self.after.append(_reliability(probability, truth))
        if truth.any():
            self.patients.append(answer.patient)
            self.sizes.append(int(truth.sum()))
            self.passed.append(np.stack([_at_least(probability[truth]), _at_least(probability.ravel())]))


def choose_operating_points(
    model: Model,
    dataset: Dataset,
    case_ids: Sequence[str],
    threshold: float | Literal["validation"],
    temperature: float | Literal["validation"] = "validation",
) -> dict[str, OperatingPoint]:
    """For each region fit the temperature, then take the given threshold or the one with the highest Dice by patient.

    A temperature that is given is taken. Without cases both have to be given.

    Where no case of `case_ids` has the region, its temperature stays 1 and its threshold 0.5.
    """
    answers = _Answers(model, dataset, case_ids)
    temperature_given = temperature != "validation"
    temperatures = [float(temperature)] * len(dataset.regions) if temperature_given else _fit_temperatures(answers)
    counts = [_Counts() for _ in temperatures]
    patients = set()
    for answer in answers:
        patients.add(answer.patient)
        for region, (counted, divisor) in enumerate(zip(counts, temperatures, strict=True)):
            counted.add(answer, region, divisor)
    points = (_point(*pair, threshold, len(patients)) for pair in zip(counts, temperatures, strict=True))
    return dict(zip(dataset.regions, points, strict=True))


def _point(
    counts: _Counts, temperature: float, threshold: float | Literal["validation"], patients: int
) -> OperatingPoint:
    curve = _threshold_curve(counts)
    return OperatingPoint(
        threshold=_best(curve) if threshold == "validation" else threshold,
        temperature=temperature,
        threshold_curve=curve,
        chosen=threshold,
        calibration_error_before=_error(counts.before),
        calibration_error=_error(counts.after),
        validation_patients=patients or None,
    )


def with_operating_points(info: ModelInfo, points: Mapping[str, OperatingPoint]) -> ModelInfo:
    """The description of a model with what was chosen for each of its regions."""
    chosen = [points[region] for region in info.regions]
    return info.model_copy(
        update={
            "temperature": one_or_list([point.temperature for point in chosen]),
            "threshold": one_or_list([point.threshold for point in chosen]),
        }
    ).with_metrics(**describe_points({region: points[region].figures for region in info.regions}))


def _fit_temperatures(answers: _Answers) -> list[float]:
    """For each region the temperature over all pixels at the network's own size, of which `PIXELS` are drawn.

    Fitted near tumours only, the temperature would smear a little probability over the whole picture, and confidence
    would find the failures less well (`benchmarks/calibration.md`). Blank slices, which nobody asks, have no say.
    """
    sizes = [_drawn_from(answers, case_id) for case_id in answers.case_ids]
    starts = np.cumsum([0, *(slices * pixels for slices, pixels in sizes)])
    drawn = _Drawn(_draw(int(starts[-1])), len(answers.dataset.regions))
    for answer, (start, end), size in zip(answers, pairwise(starts), sizes, strict=True):
        drawn.take(answer, int(start), int(end), size)
    return drawn.temperatures()


def _draw(pixels: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng(0).integers(pixels, size=min(pixels, PIXELS)) if pixels else np.zeros(0, np.int64)


def _drawn_from(answers: _Answers, case_id: str) -> tuple[int, int]:
    """Slices of a case, and pixels of each, that are drawn from: the network's; of volumes at a spacing their own."""
    dataset, info = answers.dataset, answers.model.info
    case = dataset.case(case_id)
    _, *space = dataset.facts[dataset.index[case_id]].shape
    if info.input.dims == 3:
        return space[0], space[1] * space[2]
    return space[AXES[dataset.plane_of(case)]] if len(space) > 2 else 1, info.image_size**2


class _Drawn:
    """Pixels drawn over all cases, in the order in which they were drawn."""

    def __init__(self, places: npt.NDArray[np.int64], regions: int) -> None:
        self.places = places
        self.asked = np.zeros(len(places), bool)
        """Those that lie in no blank slice."""
        self.logits, self.truth = (np.zeros((regions, len(places)), dtype) for dtype in (np.float32, bool))

    def take(self, answer: _Answer, start: int, end: int, size: tuple[int, int]) -> None:
        """Note what a case, whose slices and pixels begin at `start`, says at the places in it."""
        chosen = np.flatnonzero((self.places >= start) & (self.places < end))
        number, pixel = np.divmod(self.places[chosen] - start, size[1])
        number = number * answer.seen.count // size[0]
        pixel = pixel * prod(answer.logits.shape[2:]) // size[1]
        shown = ~answer.seen.blanks
        chosen, pixel, number = (values[shown[number]] for values in (chosen, pixel, number))
        self.asked[chosen] = True
        row = np.cumsum(shown)[number] - 1
        for region in range(len(self.logits)):
            self.logits[region, chosen] = _flat(answer.logits[:, region])[row, pixel]
            self.truth[region, chosen] = _flat(answer.network_truth(region))[number, pixel]

    def temperatures(self) -> list[float]:
        pairs = zip(self.logits, self.truth, strict=True)
        return [calibration.fit_temperature(logits[self.asked], truth[self.asked]) for logits, truth in pairs]


def _flat(planes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return planes.reshape(-1, planes.shape[-2] * planes.shape[-1])


def _reliability(probability: Float32Array, truth: MaskArray) -> Reliability:
    region = calibration.region_of_interest(truth, probability >= 0.5)
    return calibration.reliability(probability, truth, region).scaled()


def _error(counts: Sequence[Reliability]) -> float | None:
    return calibration.expected_calibration_error(calibration.total(counts)) if counts else None


def _threshold_curve(counts: _Counts) -> list[CurvePoint]:
    """Dice and area ratio by patient and missed tumours at each of `THRESHOLDS`; nothing without a tumour."""
    if not counts.sizes:
        return []
    passed, sizes = np.stack(counts.passed), np.array(counts.sizes)  # (cases, overlap | predicted, thresholds)
    curve = []
    for threshold, overlap, predicted in zip(THRESHOLDS, passed[:, 0].T, passed[:, 1].T, strict=True):
        dice = figure_of(zip(counts.patients, map(float, 2 * overlap / (sizes + predicted)), strict=True))
        ratio = [float(p / s) if p else None for p, s in zip(predicted, sizes, strict=True)]
        curve.append(
            CurvePoint(
                threshold=round(float(threshold), 2),
                dice=dice.mean or 0.0,
                volume_ratio=figure_of(zip(counts.patients, ratio, strict=True)).mean,
                missed=int((overlap == 0).sum()),
            )
        )
    return curve


def _at_least(values: Float32Array) -> npt.NDArray[np.int64]:
    """How many values reach each threshold."""
    passed = np.bincount(np.searchsorted(THRESHOLDS, values, side="right"), minlength=len(THRESHOLDS) + 1)
    return np.asarray(passed[::-1].cumsum()[::-1][1:])


def _best(curve: Sequence[CurvePoint]) -> float:
    """Of thresholds whose Dice is as good as the best the one nearest to 0.5."""
    if not curve:
        return 0.5
    highest = max(point.dice for point in curve)
    good = [point.threshold for point in curve if point.dice >= highest - AS_GOOD]
    return min(good, key=lambda threshold: abs(threshold - 0.5))
