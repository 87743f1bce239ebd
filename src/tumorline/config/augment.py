"""`[augment]`: random changes of the training images."""

from typing import Literal, Self

from pydantic import Field, model_validator

from tumorline.config.section import Section


class AugmentConfig(Section):
    """Random changes of the training images, drawn per sample; 0 or false switches one off."""

    rotation_degrees: float = Field(default=15.0, ge=0, le=180)
    """Largest turn to either side."""
    quarter_turns: float = Field(default=1.0, ge=0, le=1)
    """Share of the samples that are turned by 0, 90, 180 or 270 degrees at random."""
    flips: bool | Literal["horizontal", "vertical"] = True
    """Mirror half of the samples: along both axes independently, or along the one that is named."""
    scale: float = Field(default=0.15, ge=0, lt=1)
    """Largest share by which the image is made smaller or larger."""
    shift: float = Field(default=0.05, ge=0, lt=1)
    """Largest shift as a fraction of the image side."""
    elastic: float = Field(default=0.02, ge=0, lt=0.5)
    """Largest elastic displacement as a fraction of the image side."""
    geometry_probability: float = Field(default=0.8, ge=0, le=1)
    """Share of the samples that are turned, scaled, shifted and deformed."""
    gamma: float = Field(default=0.3, ge=0, lt=1)
    """Largest change of the exponent of the grey values."""
    contrast: float = Field(default=0.2, ge=0, lt=1)
    """Largest share by which contrast is lowered or raised."""
    noise: float = Field(default=0.1, ge=0, le=1e3)
    """Largest standard deviation of the noise in units of the image's standard deviation."""
    blur: float = Field(default=1.0, ge=0, le=1e3)
    """Largest standard deviation of the blur in pixels."""
    low_resolution: float = Field(default=0.5, ge=0, le=1)
    """Smallest factor by which the resolution is reduced; 0 or 1 switches it off."""
    intensity_probability: float = Field(default=0.3, ge=0, le=1)
    """Share of the samples that each change of grey values is made to, independently of the others."""
    channel_dropout: float = Field(default=0.0, ge=0, le=0.9)
    """Probability that a channel is absent from a sample; one at least always stays. A model so trained takes cases
    that lack channels (`InputSpec.may_lack_channels`)."""
    skull_strip: float = Field(default=0.0, ge=0, le=1)
    """Share of the slices from which what lies around the brain is taken away, more or less of it."""
    crop: float = Field(default=0.0, ge=0, le=1)
    """Share of the slices that are cut out anew around the head, more or less tightly, half of them with black bars."""
    appearance: float = Field(default=0.0, ge=0, le=1)
    """Share of the slices whose curve of grey values, darkness, resolution, noise and JPEG compression are drawn anew,
    so that they look as if all came from one source."""
    part: float = Field(default=0.0, ge=0, le=1)
    """Share of the slices of which a part is seen; where there is a tumour, half of these parts show all of it and half
    nothing of it, so that slices without a tumour look like those with one."""
    mirror_half: float = Field(default=0.0, ge=0, le=1)
    """Share of the slices that are made of one half of the head and its mirror image, where it is nearly symmetric: as
    often of the half without the tumour as of that with it."""
    paste: float = Field(default=0.0, ge=0, le=1)
    """Share of the slices without a tumour into which one of another training slice is put."""
    paste_into: Literal["tumour_free", "all"] = "tumour_free"
    """Which slices `paste` is for: those without a tumour, or all; a second tumour joins the one that is there."""
    inpaint: float = Field(default=0.0, ge=0, le=1)
    """Share of the slices with a tumour from which it is taken out; of the others as many are filled beside it."""
    donors: str = ""
    """CSV with a column `id`: the cases whose tumours are pasted, none of a patient who validates or tests. Empty means
    all training cases."""

    @property
    def remedies(self) -> list[str]:
        """Names of what is asked for against learning the source in place of the tumour."""
        return [name for name in REMEDIES if getattr(self, name)]

    @model_validator(mode="after")
    def has_donors_to_paste(self) -> Self:
        if self.donors and not self.paste:
            raise ValueError("augment.donors is given, but augment.paste is 0, so that nothing is pasted")
        if self.paste_into == "all" and not self.paste:
            raise ValueError("augment.paste_into is 'all', but augment.paste is 0, so that nothing is pasted")
        return self


REMEDIES = ("skull_strip", "crop", "appearance", "part", "mirror_half", "paste", "inpaint")
"""Keys of `[augment]` that are for slices only."""
