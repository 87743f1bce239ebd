"""The network of a model: how it is built, and what of a case it sees."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tumorline.config import MOST_CHANNELS, Side, Spacing
from tumorline.model_info.bounds import MOST_NEIGHBOURS, Name


class Architecture(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^\w+(\.\w+)*(:\w+)?$", max_length=200)
    options: dict[str, Any]
    channels: int = Field(ge=1, le=64)


class InputSpec(BaseModel):
    """What of a case a network sees at once; the defaults are those of every model before there were volumes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dims: Literal[2, 3] = 2
    channels: list[Name] = Field(default=[], max_length=MOST_CHANNELS)
    """Names of the image's channels in their order; empty where they have none."""
    context: int = Field(default=0, ge=0, le=MOST_NEIGHBOURS)
    """Of volumes, so many neighbouring slices on each side are channels as well: (2 * context + 1) * channels, slice by
    slice from the lowest up."""
    axis: Literal["axial", "coronal", "sagittal"] = "axial"
    """Across which volumes are cut into slices."""
    normalisation: Literal["picture", "volume"] = "picture"
    """Whether grey values are judged slice by slice or over the whole volume."""
    window: tuple[Side, Side, Side] | None = None
    """Of three dimensions: the patch (slices, rows, columns) that is seen at once, in voxels of the network."""
    voxel_mm: tuple[Spacing, Spacing, Spacing] = (1.0, 1.0, 1.0)
    """Of three dimensions: the size of the network's voxels."""
    overlap: float = Field(default=0.5, ge=0, le=0.9)
    """Of three dimensions: the share of a patch that the next one covers again."""
    may_lack_channels: bool = False
    """Whether it was trained to do without some of its channels, though never without all: a channel that is not there
    is 0 everywhere once the others are normalised (`config.ABSENT`), which is what a constant one becomes too."""

    @model_validator(mode="after")
    def has_a_window_in_three_dimensions(self) -> Self:
        if (self.dims == 3) != (self.window is not None):
            raise ValueError("a network of three dimensions has a window, one of two has none")
        return self

    @model_validator(mode="after")
    def names_what_may_be_lacking(self) -> Self:
        if self.may_lack_channels and len(self.channels) < 2:
            raise ValueError("channels may be lacking where there are several, with names")
        return self

    def cut(self, plane: str) -> Self:
        """The same of volumes that are cut in another plane, one of `geometry.slices.AXES`."""
        return self if plane == self.axis else self.model_copy(update={"axis": plane})

    @property
    def depth(self) -> int:
        """Slices that are seen at once."""
        return 2 * self.context + 1
