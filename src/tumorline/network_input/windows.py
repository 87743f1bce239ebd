"""What a network of slices sees of a case: a picture is one window, a volume one for each of its slices."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tumorline.arrays import Float32Array, ImageArray, MaskArray
from tumorline.data.dataset import Dataset
from tumorline.geometry.slices import AXES, from_slices, pixel_of, to_slices
from tumorline.model_info import InputSpec
from tumorline.network_input import fit
from tumorline.network_input.fit import Placement
from tumorline.network_input.normalise import normalise_volume

Numbers = npt.NDArray[np.intp]


@dataclass(frozen=True)
class NetworkInput:
    """A case at the network's size, slice by slice."""

    planes: Float32Array
    """`(C, N, S, S)`; N is 1 for a picture."""
    blanks: MaskArray
    """`(N,)`: which slices show nothing at all in any channel."""
    space: tuple[int, ...]
    """The case's own `(H, W)` or `(D, H, W)`."""
    placement: Placement
    """Where a slice lies within the square."""
    spec: InputSpec

    @property
    def count(self) -> int:
        """Slices, and windows."""
        return len(self.blanks)

    @property
    def blank(self) -> bool:
        """Whether the case shows nothing at all."""
        return bool(self.blanks.all())

    @cached_property
    def shown(self) -> list[int]:
        """Numbers of the slices that are not blank."""
        return np.flatnonzero(~self.blanks).tolist()

    def batch(self, numbers: Sequence[int]) -> Float32Array:
        """The windows around these slices `(B, (2k+1) * C, S, S)`, from the lowest of their slices up."""
        chosen = self.planes[:, neighbours(numbers, self.count, self.spec.context)]  # (C, B, 2k+1, S, S)
        windows = chosen.transpose(1, 2, 0, 3, 4)
        return np.ascontiguousarray(windows).reshape(len(numbers), -1, *self.planes.shape[2:])

    def truth(self, truth: MaskArray) -> MaskArray:
        """Regions `(R, *space)` as the network should answer `(N, R, S, S)`, slice by slice."""
        slices = to_slices(truth, self.spec.axis) if truth.ndim == 4 else truth[:, None]
        squares = [[fit.mask_to_network(mask, self.placement) for mask in regions] for regions in slices.swapaxes(0, 1)]
        return np.array(squares)

    def to_native(self, probability: Float32Array) -> Float32Array:
        """Probabilities `(N, R, S, S)` of all slices on the case's own grid `(R, *space)`."""
        if len(self.space) == 2:
            return fit.to_native(probability[0], self.placement)
        slices = np.stack([fit.to_native(regions, self.placement) for regions in probability], axis=1)
        return np.ascontiguousarray(from_slices(slices, self.spec.axis))


def input_of(dataset: Dataset) -> InputSpec:
    """What a network that is trained on a data set sees of its cases; channels have names where all of several do."""
    settings, names = dataset.settings, list(dataset.channel_names)
    named = settings.channels or (len(names) > 1 and all(names))
    channels = names if named else []
    if settings.window:
        return InputSpec(
            dims=3,
            channels=channels,
            normalisation="volume",
            window=settings.window,
            voxel_mm=settings.voxel_mm,
            overlap=settings.overlap,
        )
    return InputSpec(
        channels=channels,
        context=settings.context,
        axis=settings.axis,
        normalisation=settings.normalisation,
    )


def places_of_channels(before: Sequence[str], own: Sequence[str]) -> list[int | None]:
    """Where each of a network's own channels lay among those before, None for a new one; empty where all are new."""
    places = {name: place for place, name in enumerate(before)}
    return [places.get(name) for name in own] if places.keys() & {*own} else []


def count_slices(shape: Sequence[int], axis: str) -> int:
    """Slices of a case `(C, *space)`; a picture is one."""
    return shape[AXES[axis]] if len(shape) == 4 else 1


def count_windows(dataset: Dataset, names: Iterable[str]) -> int:
    """Windows that cases can train at most: of volumes every `data.slice_step`-th slice, blank ones counted."""
    return sum(_count_of_case(dataset, dataset.index[name]) for name in names)


def _count_of_case(dataset: Dataset, position: int) -> int:
    settings = dataset.member_and_case(dataset.cases[position])[0].settings
    count = count_slices(dataset.facts[position].shape, dataset.plane_of(dataset.cases[position]))
    return 1 if count == 1 else len(range(0, count, settings.slice_step))


def neighbours(numbers: Sequence[int] | Numbers, count: int | Numbers, context: int) -> Numbers:
    """Numbers of the slices that are seen around each of `numbers`, `(B, 2 * context + 1)`; the ends are repeated.

    `count` is that of the case, or of the case of each number.
    """
    offsets = np.arange(-context, context + 1)
    return np.asarray(np.clip(np.asarray(numbers)[:, None] + offsets, 0, np.reshape(count, (-1, 1)) - 1))


def prepare_input(
    image: ImageArray, size: int, spec: InputSpec, spacing_mm: Sequence[float] | None = None
) -> NetworkInput:
    """A case `(C, *space)` in file values as a network of squares of side `size` sees it.

    Pixels become square by the spacing of the case's axes; without one they are taken to be square.
    """
    space = image.shape[1:]
    volume = image if image.ndim == 4 else image[:, None]
    axis = spec.axis if image.ndim == 4 else "axial"
    slices = to_slices(volume, axis)
    placement = Placement((slices.shape[2], slices.shape[3]), size, pixel_of(spacing_mm, axis))
    if spec.normalisation == "volume":
        normalised = np.stack([normalise_volume(channel) for channel in volume])
        squares = _placed(to_slices(normalised, axis), placement)
    else:
        squares = (
            fit.to_network(np.ascontiguousarray(plane), size, placement.pixel)[0] for plane in slices.swapaxes(0, 1)
        )
    planes = np.empty((len(image), slices.shape[1], size, size), np.float32)
    blanks = np.zeros(slices.shape[1], bool)
    for number, square in enumerate(squares):
        planes[:, number] = square
        blanks[number] = fit.is_blank(slices[:, number], square, placement)
    return NetworkInput(planes, blanks, space, placement, spec)


def _placed(slices: Float32Array, placement: Placement) -> Iterator[Float32Array]:
    """Normalised slices `(C, N, A, B)` as squares `(C, size, size)`; around them is the channel's lowest value."""
    lowest, size = slices.min((1, 2, 3)), placement.size
    for number in range(slices.shape[1]):
        square = np.empty((len(slices), size, size), np.float32)
        square[:] = lowest[:, None, None]
        for channel, out in zip(slices[:, number], square, strict=True):
            out[placement.window] = fit.resize(channel, placement.inner)
        yield square
