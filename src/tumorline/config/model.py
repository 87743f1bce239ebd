"""`[model]`: the network, where its weights come from, and what happens to its answer."""

from collections.abc import Collection
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from tumorline.config.section import MANY, Options, Section
from tumorline.regions import ENHANCING

Volume = Annotated[float, Field(ge=0, le=MANY)]
"""In ml."""


class Postprocessing(Section):
    """What is taken out of a mask after the threshold. Elements of a component touch by a side, an edge or a corner."""

    smallest_ml: dict[str, Volume] = {}
    """Of volumes, components of a region below this volume go, by region."""
    smallest_px: dict[str, Annotated[int, Field(ge=0, le=10**9)]] = {}
    """Components of a region of fewer pixels, or voxels, go, by region."""
    least_relative_peak: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Components go whose highest probability is below this share of the highest of all those of the region."""
    least_enhancing_ml: Volume = 0.0
    """Of volumes, enhancing tumour that comes to less in all becomes tumour core."""

    @field_validator("least_relative_peak", mode="before")
    @classmethod
    def of_no_region(cls, share: object) -> object:
        """Model files of November 2026 have an empty table here."""
        return 0.0 if share == {} else share

    @property
    def regions(self) -> set[str]:
        """Those that it is about."""
        enhancing = {ENHANCING} if self.least_enhancing_ml else set()
        return {*self.smallest_ml, *self.smallest_px, *enhancing}

    def require_regions(self, regions: Collection[str]) -> None:
        """Raise ValueError for a region that is none of these."""
        if strange := sorted(self.regions - {*regions}):
            raise ValueError(
                f"post-processing of '{strange[0]}', which is no region of the model ({', '.join(regions)})"
            )


class PostprocessingConfig(Postprocessing):
    """What is taken out of a mask after the threshold: small components, and enhancing tumour that comes to little."""

    choose: bool = False
    """Choose the sizes, and the least enhancing tumour, on the validation patients, in place of limits given here."""

    @property
    def fixed(self) -> Postprocessing:
        """The limits by themselves, as a model file keeps them."""
        return Postprocessing.model_validate(self.model_dump(exclude={"choose"}))

    @model_validator(mode="after")
    def is_fixed_or_chosen(self) -> Self:
        if self.choose and self.fixed != Postprocessing():
            raise ValueError("model.postprocessing.choose is true, so that no limit may stand beside it; keep one")
        return self


class ModelConfig(Section):
    """The network, where its weights come from, and what happens to its answer after training."""

    name: str = "unet"
    """A network that `tumorline models` lists, or one of your own as package.module:Name."""
    options: Options = {}
    """Of the network; what a network takes is said where one is wrong."""
    start_from: str = ""
    """A run folder, a listed model or a file of weights: what fits the network by name and shape is taken over, the
    channels of an image by their names. The cases that such a model was trained on count as this one's training
    cases."""
    storage: Literal["float32", "float16"] = "float32"
    """Number format of the weights in the finished model's files; computation is in float32 either way."""
    threshold: Literal["validation"] | Annotated[float, Field(ge=1e-6, le=1 - 1e-6)] = "validation"
    """Probability from which a pixel is tumour: a number, or chosen on the validation patients."""
    temperature: Literal["validation"] | Annotated[float, Field(ge=1e-3, le=1e3)] = "validation"
    """By which the logits are divided before they become probabilities: a number, or fitted on the validation
    patients."""
    gate: Literal["validation"] | Annotated[float, Field(ge=0, le=1 - 1e-6)] = "validation"
    """Of a network with a presence head the probability of a tumour below which its masks are empty: a number (0 leaves
    them alone), or chosen on the validation patients."""
    postprocessing: PostprocessingConfig = PostprocessingConfig()
