"""Images of any size for networks that need multiples of a size."""

from torch import Tensor, nn
from torch.nn import functional

Outputs = Tensor | tuple[Tensor, ...]
"""Logits; in training, where the network has them, auxiliary logits after them."""


class AnySize(nn.Module):
    """Pads an image `(B, C, *space)` at its ends to a multiple that the network takes, and crops all logits.

    An image of one multiple or less becomes two wide: norms need more than one value at the deepest level. Logits of
    another size than the image are enlarged to it first. `output_weights` are the weights in the loss of the logits and
    of the auxiliary ones; `backbone` names the module that may hold pretrained weights.
    """

    def __init__(
        self,
        network: nn.Module,
        multiple: int,
        output_weights: tuple[float, ...] = (1.0,),
        backbone: str = "",
        least: int = 1,
    ) -> None:
        super().__init__()
        self.network = network
        self.multiple = multiple
        self.least = least
        self.output_weights = output_weights
        self.backbone = backbone

    def forward(self, image: Tensor) -> Outputs:
        space = list(image.shape[2:])
        image, padded = self.pad(image)
        outputs = self.network(image)
        if isinstance(outputs, Tensor):
            return fit_logits(outputs, padded, space)
        return tuple(fit_logits(logits, padded, space) for logits in outputs)

    def pad(self, image: Tensor) -> tuple[Tensor, list[int]]:
        """The image as large as the network takes it, and its sides."""
        space = list(image.shape[2:])
        padded = self._padded(space)
        if padded != space:
            image = _pad_ends(image, [wanted - side for side, wanted in zip(space, padded, strict=True)])
        return image, padded

    def _padded(self, space: list[int]) -> list[int]:
        sides = [max(self.least, side + -side % self.multiple) for side in space]
        if max(sides) <= self.multiple:
            sides[-1] = 2 * self.multiple
        return sides


def _pad_ends(image: Tensor, more: list[int]) -> Tensor:
    """Repeat the last row, column, slice."""
    pads = [end for side in reversed(more) for end in (0, side)]
    return functional.pad(image, pads, mode="replicate")


def fit_logits(logits: Tensor, padded: list[int], space: list[int]) -> Tensor:
    """Logits of a padded image as those of the image."""
    if list(logits.shape[2:]) != padded:
        mode = "bilinear" if len(padded) == 2 else "trilinear"
        logits = functional.interpolate(logits, padded, mode=mode, align_corners=False)
    if padded == space:
        return logits
    for axis, side in enumerate(space, 2):
        logits = logits.narrow(axis, 0, side)
    return logits
