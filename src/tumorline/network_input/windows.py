"""What a network of slices sees of a case: a picture is one window, a volume one for each of its slices."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tumorline.arrays import ImageArray, MaskArray
from tumorline.geometry.slices import from_slices, to_slices
from tumorline.model_info import InputSpec
from tumorline.network_input import fit
from tumorline.network_input.fit import FloatArray, Placement
from tumorline.network_input.normalise import normalise_volume


@dataclass(frozen=True)
class NetworkInput:
    """A case at the network's size, slice by slice."""

    planes: FloatArray
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

    def batch(self, numbers: Sequence[int]) -> FloatArray:
        """The windows around these slices `(B, (2k+1) * C, S, S)`, from the lowest of their slices up."""
        chosen = self.planes[:, neighbours(numbers, self.count, self.spec.context)]  # (C, B, 2k+1, S, S)
        windows = chosen.transpose(1, 2, 0, 3, 4)
        return np.ascontiguousarray(windows).reshape(len(numbers), -1, *self.planes.shape[2:])

    def to_native(self, probability: FloatArray) -> FloatArray:
        """Probabilities `(N, R, S, S)` of all slices on the case's own grid `(R, *space)`."""
        if len(self.space) == 2:
            return fit.to_native(probability[0], self.placement)
        slices = np.stack([fit.to_native(regions, self.placement) for regions in probability], axis=1)
        return np.ascontiguousarray(from_slices(slices, self.spec.axis))


def neighbours(numbers: Sequence[int], count: int, context: int) -> npt.NDArray[np.intp]:
    """Numbers of the slices that are seen around each of `numbers`, `(B, 2 * context + 1)`; the ends are repeated."""
    offsets = np.arange(-context, context + 1)
    return np.asarray(np.clip(np.asarray(numbers, np.intp)[:, None] + offsets, 0, count - 1))


def prepare_input(image: ImageArray, size: int, spec: InputSpec) -> NetworkInput:
    """A case `(C, H, W)` or `(C, D, H, W)` in file values as a network of squares of side `size` sees it."""
    space = image.shape[1:]
    volume = image if image.ndim == 4 else image[:, None]
    axis = spec.axis if image.ndim == 4 else "axial"
    slices = to_slices(volume, axis)
    if spec.normalisation == "volume":
        normalised = np.stack([normalise_volume(channel) for channel in volume])
        squares = _placed(to_slices(normalised, axis), size)
    else:
        squares = (fit.to_network(np.ascontiguousarray(one), size)[0] for one in slices.swapaxes(0, 1))
    placement = Placement((slices.shape[2], slices.shape[3]), size)
    planes = np.empty((len(image), slices.shape[1], size, size), np.float32)
    blanks = np.zeros(slices.shape[1], bool)
    for number, square in enumerate(squares):
        planes[:, number] = square
        blanks[number] = fit.is_blank(slices[:, number], square, placement)
    return NetworkInput(planes, blanks, space, placement, spec)


def _placed(slices: FloatArray, size: int) -> Iterator[FloatArray]:
    """Normalised slices `(C, N, A, B)` as squares `(C, size, size)`; around them is the channel's lowest value."""
    placement = Placement((slices.shape[2], slices.shape[3]), size)
    lowest = slices.min((1, 2, 3))
    for number in range(slices.shape[1]):
        square = np.empty((len(slices), size, size), np.float32)
        square[:] = lowest[:, None, None]
        for channel, out in zip(slices[:, number], square, strict=True):
            out[placement.window] = fit.resize(channel, placement.inner)
        yield square
